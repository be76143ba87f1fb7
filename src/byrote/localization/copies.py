"""Groups of passages that are copies of one another, nearly."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from byrote.texts.passages import Passage

__all__ = ["copy_groups", "shares_text"]

_N = 5


def _grams(passage: Passage, n: int) -> set[tuple[int, ...]]:
    """The runs of n tokens of a passage; a shorter one is a single run."""
    ids = passage.input_ids.tolist()
    return {tuple(ids[i : i + n]) for i in range(max(1, len(ids) - n + 1))}


def copy_groups(passages: Sequence[Passage], overlap: float = 0.05, n: int = _N) -> list[int]:
    """Number the connected components of passages that share many runs of tokens.

    Two passages are joined where the sets of their runs of n tokens, prefix included, have a
    Jaccard index above `overlap` (Chang et al. 2311.09060, section 3.2, with n = 5 and 0.05).

    Args:
        passages: The passages.
        overlap: The Jaccard index that joins two.
        n: Tokens of a run.

    Returns:
        For each passage the number of its component, from 0 in order of first appearance.
    """
    grams = [_grams(passage, n) for passage in passages]
    holders: dict[tuple[int, ...], list[int]] = defaultdict(list)
    parent = list(range(len(passages)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for index, own in enumerate(grams):
        common: Counter[int] = Counter()
        for gram in own:
            common.update(holders[gram])
            holders[gram].append(index)
        for other, both in common.items():
            if both > overlap * (len(own) + len(grams[other]) - both):
                parent[root(index)] = root(other)
    numbers: dict[int, int] = {}
    return [numbers.setdefault(root(i), len(numbers)) for i in range(len(passages))]


def shares_text(
    passages: Sequence[Passage], others: Sequence[Passage], overlap: float = 0.05, n: int = _N
) -> list[bool]:
    """Whether each passage shares text with any of the others, by the rule of `copy_groups`."""
    theirs = [_grams(other, n) for other in others]
    found = []
    for passage in passages:
        own = _grams(passage, n)
        found.append(any(len(own & their) > overlap * len(own | their) for their in theirs))
    return found
