"""Controls: passages that the model cannot have learned, to measure what a rate means.

To add a kind, write a function from passages and a seed to controls, and add a line to `CONTROLS`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from byrote.errors import InputError
from byrote.texts.matching import Items, assign
from byrote.texts.passages import Passage
from byrote.texts.seeds import derive_seed

__all__ = ["CONTROLS", "make_controls", "mismatched", "shuffled"]


def mismatched(passages: Sequence[Passage], seed: int) -> list[Passage]:
    """Give each passage the suffix of another one, of the same length.

    The other one is, of the passages given, from another record of the same source where there is
    one, else from another source, else another window of the same record. Each suffix is used
    once, never with its own prefix and never where the token ids are the same; where more than half
    of the suffixes are the same, the others are used more than once.

    Args:
        passages: Passages of any lengths.
        seed: The run's seed.

    Returns:
        Controls with the id `x~mismatched`, in the order of the passages; a passage whose suffix
        all others of its length share has none (the count tells how many). They keep source,
        category and place, and have no `count` or `member`: nobody trained on them on purpose.
    """
    chosen: dict[int, NDArray[np.int32]] = {}
    by_length: dict[int, list[int]] = {}
    for index, passage in enumerate(passages):
        by_length.setdefault(passage.suffix_len, []).append(index)
    for length, members in by_length.items():
        group = [passages[index] for index in members]
        rng = np.random.default_rng(derive_seed(seed, "mismatched", str(length)))
        givers = assign(_items(group), rng)
        for index, giver in zip(members, givers.tolist(), strict=True):
            if giver >= 0:
                chosen[index] = group[giver].suffix_ids
    return _build(passages, [chosen.get(index) for index in range(len(passages))], "mismatched")


def shuffled(passages: Sequence[Passage], seed: int) -> list[Passage]:
    """Put the tokens of each suffix in another order, which depends on seed and suffix only.

    Args:
        passages: Passages of any lengths.
        seed: The run's seed.

    Returns:
        Controls with the id `x~shuffled`; none for a suffix that is one token over and over.
    """
    return _build(passages, [_other_order(passage, seed) for passage in passages], "shuffled")


# Kind -> function. `controls:KIND` on the command line.
CONTROLS: dict[str, Callable[[Sequence[Passage], int], list[Passage]]] = {
    "mismatched": mismatched,
    "shuffled": shuffled,
}


def make_controls(kind: str, passages: Sequence[Passage], seed: int) -> list[Passage]:
    """Make the controls of a kind, given as `mismatched` or `controls:mismatched`.

    Raises:
        InputError: If there is no such kind; the message lists those there are.
    """
    name = kind.removeprefix("controls:")
    if name not in CONTROLS:
        raise InputError(
            f'There is no control "{kind}"; known are {", ".join(CONTROLS)} (or give a source of '
            "held-out texts)."
        )
    return CONTROLS[name](passages, seed)


def _items(passages: Sequence[Passage]) -> Items:
    def codes(keys: Iterable[object]) -> NDArray[np.int64]:
        known: dict[object, int] = {}
        return np.array([known.setdefault(key, len(known)) for key in keys], dtype=np.int64)

    return Items(
        record=codes((passage.source, passage.record) for passage in passages),
        source=codes(passage.source for passage in passages),
        content=codes(passage.suffix_ids.tobytes() for passage in passages),
    )


def _other_order(passage: Passage, seed: int) -> NDArray[np.int32] | None:
    suffix = passage.suffix_ids
    if len(np.unique(suffix)) < 2:
        return None
    tokens = suffix.tolist()
    order = list(tokens)
    # The place of the suffix, so that the order is the same behind a prefix of any length.
    place = str(passage.offset + passage.prefix_len)
    rng = random.Random(derive_seed(seed, "shuffled", passage.source, passage.record, place))
    while order == tokens:
        rng.shuffle(order)
    return np.array(order, dtype=np.int32)


def _build(
    passages: Sequence[Passage], suffixes: Sequence[NDArray[np.int32] | None], kind: str
) -> list[Passage]:
    return [
        replace(
            passage,
            id=f"{passage.id}~{kind}",
            input_ids=np.concatenate([passage.prefix_ids, suffix]),
            control=kind,
            control_of=passage.id,
            count=None,
            member=None,
        )
        for passage, suffix in zip(passages, suffixes, strict=True)
        if suffix is not None
    ]
