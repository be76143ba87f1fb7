"""How much of a long text is recited: the union of the suffixes that the model gives back.

Overlapping windows of one record ask for the same token many times. A token is covered when it lies
in the suffix of at least one window that is recited: whose probability p_z is at least a threshold
(Cooper et al. 2505.12546, section 4), or which greedy decoding gives back in full.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from byrote.errors import InputError

__all__ = ["Coverage", "covered_spans", "greedy_coverage", "probability_coverage"]


@dataclass(frozen=True, slots=True)
class Coverage:
    """How many tokens of one record were asked, and how many of them are covered.

    Attributes:
        threshold: Least p_z of a window that counts; None for greedy extraction.
        tokens: Tokens that lie in the suffix of any window.
        covered: Tokens that lie in the suffix of a window that counts.
    """

    threshold: float | None
    tokens: int
    covered: int

    @property
    def share(self) -> float:
        """Covered tokens over asked tokens; NaN where none was asked."""
        return self.covered / self.tokens if self.tokens else math.nan


def covered_spans(starts: ArrayLike, ends: ArrayLike) -> list[tuple[int, int]]:
    """The union of half-open spans as disjoint `(start, end)` in order, touching ones joined.

    Args:
        starts: First token of each span, `[windows]`, in any order.
        ends: One past the last token of each span, `[windows]`.
    """
    first, last = _union(np.asarray(starts, np.int64), np.asarray(ends, np.int64))
    return list(zip(first.tolist(), last.tolist(), strict=True))


def probability_coverage(
    offset: ArrayLike,
    prefix_len: ArrayLike,
    suffix_len: ArrayLike,
    logprob: ArrayLike,
    thresholds: Sequence[float],
) -> list[Coverage]:
    """Coverage of one record by windows whose suffix probability reaches a threshold.

    Args:
        offset: Where each window starts in the record, in tokens; `[windows]`, in any order.
        prefix_len: Prefix tokens of each window, `[windows]` or one number for all.
        suffix_len: Suffix tokens of each window, `[windows]` or one number for all.
        logprob: log p_z of each window in nats, `[windows]`.
        thresholds: Probabilities in (0, 1]; a window counts when p_z >= threshold.

    Returns:
        One `Coverage` for each threshold, in the order given.

    Raises:
        InputError: A threshold lies outside (0, 1].
    """
    for threshold in thresholds:
        if not 0 < threshold <= 1:
            raise InputError(f"coverage threshold is {threshold}; it must be above 0, at most 1.")
    starts, ends = _suffixes(offset, prefix_len, suffix_len)
    z = np.asarray(logprob, dtype=np.float64)
    return [_coverage(starts, ends, z >= math.log(t), t) for t in thresholds]


def greedy_coverage(
    offset: ArrayLike, prefix_len: ArrayLike, suffix_len: ArrayLike, extractable: ArrayLike
) -> Coverage:
    """Coverage of one record by windows that greedy decoding recites in full.

    Args:
        offset: As in `probability_coverage`.
        prefix_len: As in `probability_coverage`.
        suffix_len: As in `probability_coverage`.
        extractable: Whether each window is extractable, `[windows]`.
    """
    starts, ends = _suffixes(offset, prefix_len, suffix_len)
    return _coverage(starts, ends, np.asarray(extractable, dtype=bool), None)


def _suffixes(
    offset: ArrayLike, prefix_len: ArrayLike, suffix_len: ArrayLike
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    starts = np.asarray(offset, np.int64) + np.asarray(prefix_len, np.int64)
    return starts, starts + np.asarray(suffix_len, np.int64)


def _coverage(
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
    counts: NDArray[np.bool_],
    threshold: float | None,
) -> Coverage:
    return Coverage(threshold, _size(starts, ends), _size(starts[counts], ends[counts]))


def _size(starts: NDArray[np.int64], ends: NDArray[np.int64]) -> int:
    first, last = _union(starts, ends)
    return int((last - first).sum())


def _union(
    starts: NDArray[np.int64], ends: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Sweep the spans in order of their starts; a new one opens where it lies past all before."""
    filled = ends > starts
    order = np.argsort(starts[filled], kind="stable")
    starts, reach = starts[filled][order], np.maximum.accumulate(ends[filled][order])
    if not len(starts):
        return starts, reach
    opens = np.concatenate(([True], starts[1:] > reach[:-1]))
    closes = np.concatenate((opens[1:], [True]))
    return starts[opens], reach[closes]
