"""Giving every passage the suffix of another one: a derangement with wishes.

Each item has a record, a source and a content (its suffix's ids). An assignment is a
permutation; what one pair of it costs is the sum of what is wrong with it. A good start (a
rotation of the items sorted by record) is nearly always without fault; what is left is mended
by swaps of two.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Items", "assign"]

_SAME_CONTENT = 1_000_000
_SAME_RECORD = 1_000
_OTHER_SOURCE = 1

# Up to this many items a fault is compared with every other item, beyond it with a sample (except
# a suffix that is the passage's own: that is always compared with all).
_ALL_PAIRS = 4096
_SAMPLE = 512


@dataclass(frozen=True, slots=True)
class Items:
    """Codes of the items, int64 `[n]` each; records of different sources have different codes."""

    record: NDArray[np.int64]
    source: NDArray[np.int64]
    content: NDArray[np.int64]

    def cost(self, takers: NDArray[np.int64], givers: NDArray[np.int64]) -> NDArray[np.int64]:
        """What it costs that each taker has the suffix of its giver (broadcast)."""
        same_content = self.content[takers] == self.content[givers]
        same_record = self.record[takers] == self.record[givers]
        other_source = self.source[takers] != self.source[givers]
        return (
            same_content * _SAME_CONTENT + same_record * _SAME_RECORD + other_source * _OTHER_SOURCE
        )


def assign(items: Items, rng: np.random.Generator) -> NDArray[np.int64]:
    """Choose for each item the item whose suffix it gets.

    First of all no item gets a suffix of its own content, then as few as can be get one of their
    own record, then as few as can be one of another source. Every suffix is used once, unless
    more than half of all have the same content: then the ones left over share the suffixes of
    the others.

    Returns:
        int64 `[n]`; -1 where every other item has the same content.
    """
    n = len(items.content)
    givers = np.empty(n, dtype=np.int64)
    for source in np.unique(items.source):
        members = np.flatnonzero(items.source == source)
        givers[members] = members[_rotation(items.record[members], rng)]
    _mend(items, givers, rng)
    everyone = np.arange(n)
    for taker in np.flatnonzero(items.content[everyone] == items.content[givers]):
        # More than half are the same: no permutation is free of faults, so this one shares.
        costs = items.cost(np.full(n, taker), everyone)
        best = np.flatnonzero(costs == costs.min())
        usable = costs.min() < _SAME_CONTENT
        givers[taker] = best[rng.integers(len(best))] if usable else -1
    return givers


def _rotation(classes: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Rotate items, sorted by class, by the size of the largest class.

    No item then meets its own class, as long as no class has more than half of the items.
    """
    n = len(classes)
    _, codes, counts = np.unique(classes, return_inverse=True, return_counts=True)
    order_of_class = rng.permutation(len(counts))
    shuffled = rng.permutation(n)
    order = shuffled[np.argsort(order_of_class[codes[shuffled]], kind="stable")]
    givers = np.empty(n, dtype=np.int64)
    givers[order] = np.roll(order, -min(int(counts.max()), max(n // 2, 1)))
    return givers


def _mend(items: Items, givers: NDArray[np.int64], rng: np.random.Generator) -> None:
    """Swap the givers of two items wherever that lowers the cost, the worst faults first.

    If at most half of the items have the same content, the first step alone makes every item
    different from its giver: items that would not do as partners have that content or a giver
    of it, and these are fewer than all.
    """
    n = len(givers)
    everyone = np.arange(n)
    for worst in (_SAME_CONTENT, _SAME_RECORD, _OTHER_SOURCE):
        costs = items.cost(everyone, givers)
        for taker in rng.permutation(np.flatnonzero(costs >= worst)):
            cost = items.cost(taker, givers[taker])
            if cost < worst:
                continue
            look_at_all = n <= _ALL_PAIRS or worst == _SAME_CONTENT
            others = everyone if look_at_all else rng.integers(n, size=_SAMPLE)
            before = cost + items.cost(others, givers[others])
            after = items.cost(taker, givers[others]) + items.cost(others, givers[taker])
            gain = before - after
            gain[others == taker] = 0
            if gain.max() <= 0:
                continue
            best = np.flatnonzero(gain == gain.max())
            other = others[best[rng.integers(len(best))]]
            givers[taker], givers[other] = givers[other], givers[taker]
