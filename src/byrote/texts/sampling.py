"""Drawing a few of many passages, the same number from each source.

Not from each category as well: the passages of a source are then a simple random sample of it, and
the rate over all its categories is an estimate of the source's own rate.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable
from dataclasses import replace

from byrote.errors import InputError
from byrote.texts.passages import Passage
from byrote.texts.seeds import derive_seed

__all__ = ["draw"]


def draw(passages: Iterable[Passage], limit: int | None, seed: int) -> Iterable[Passage]:
    """Draw at most `limit` passages of each source, each equally likely.

    What a source gives depends on its own passages, its name and the seed, not on the other
    sources or on how they are mixed in the stream. (Reservoir sampling with skips:
    Li 1994, "Reservoir-sampling algorithms of time complexity O(n(1 + log(N/n)))", algorithm L.)

    Args:
        passages: A stream; only the passages drawn so far are held, with ids of their own.
        limit: Passages a source; None takes all, and hands the stream on without holding it.
        seed: The run's seed.

    Returns:
        The passages in the order of the stream; a list where there is a limit.

    Raises:
        InputError: If the limit is not positive.
    """
    if limit is None:
        return passages
    if limit <= 0:
        raise InputError(f"The limit is {limit} passages, but it must be at least 1.")
    sources: dict[str, _Reservoir] = {}
    for index, passage in enumerate(passages):
        if passage.source not in sources:
            seed_here = derive_seed(seed, "draw", passage.source)
            sources[passage.source] = _Reservoir(limit, seed_here)
        sources[passage.source].offer(index, passage)
    kept = [entry for reservoir in sources.values() for entry in reservoir.kept]
    return [passage for _, passage in sorted(kept, key=lambda entry: entry[0])]


class _Reservoir:
    def __init__(self, limit: int, seed: int) -> None:
        self.kept: list[tuple[int, Passage]] = []
        self._limit = limit
        self._random = random.Random(seed)
        self._log_w = 0.0
        self._skip = 0

    def offer(self, index: int, passage: Passage) -> None:
        if self._skip:
            self._skip -= 1
            return
        # A view would keep the whole batch alive that the passage was cut from.
        entry = (index, replace(passage, input_ids=passage.input_ids.copy()))
        if len(self.kept) < self._limit:
            self.kept.append(entry)
            if len(self.kept) < self._limit:
                return
        else:
            self.kept[int(self._random.random() * self._limit)] = entry
        self._log_w += math.log(self._uniform()) / self._limit
        w = math.exp(self._log_w)
        log_rest = math.log1p(-w) if w < 1 else -math.inf
        self._skip = int(math.log(self._uniform()) / log_rest) if log_rest else 2**63

    def _uniform(self) -> float:
        """A number in (0, 1]: the logarithm of 0 has no value."""
        return 1.0 - self._random.random()
