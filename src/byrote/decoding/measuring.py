"""Measures of a filter itself: false positives, and the share of a text's n-grams that it holds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from byrote.decoding.base import NGramFilter
from byrote.progress import task
from byrote.recall.intervals import rate
from byrote.texts.base import TextSource
from byrote.texts.tokens import tokenize

__all__ = ["Measured", "measure_texts", "random_rate"]

_AT_ONCE = 1 << 18


@dataclass(frozen=True, slots=True)
class Measured:
    """A rate of n-grams that the filter says it holds.

    Attributes:
        what: Which n-grams were asked for.
        n: How many.
        value: The share that was found.
        low: Lower end of the 95 % interval, as if all n-grams were independent.
        high: Upper end.
    """

    what: str
    n: int
    value: float
    low: float
    high: float

    def to_dict(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)

    def describe(self) -> str:
        """In one line."""
        return f"{self.what}: {self.value:.3g} [{self.low:.2g}, {self.high:.2g}] of {self.n:,}"


def random_rate(ngrams: NGramFilter, lookups: int, vocab_size: int, seed: int) -> Measured:
    """The share of random n-grams that seem to be in."""
    rng = np.random.default_rng(seed)
    found = np.zeros(lookups, dtype=np.bool_)
    for start in range(0, lookups, _AT_ONCE):
        size = min(_AT_ONCE, lookups - start)
        rows = rng.integers(0, vocab_size, (size, ngrams.n), dtype=np.int32)
        found[start : start + size] = ngrams.contains(rows)
    return _measured("random n-grams found", found)


def measure_texts(
    ngrams: NGramFilter, source: TextSource, tokenizer: Any, seed: int
) -> list[Measured]:
    """How much of a source is in, and how often a changed last token still is.

    The second is the rate of false positives behind true prefixes, the one that a Bloom filter is
    built for; the few true n-grams that a random last token makes are counted with them.
    """
    rng = np.random.default_rng(seed)
    found, wrong = [np.zeros(0, np.bool_)], [np.zeros(0, np.bool_)]
    for ids in _documents(source, tokenizer):
        hits = ngrams.matches(ids)
        found.append(hits)
        if hits.any():
            rows = np.lib.stride_tricks.sliding_window_view(ids, ngrams.n)[hits].copy()
            top = max(1 << 16, int(ids.max()) + 1)
            rows[:, -1] = (rows[:, -1] + rng.integers(1, top, len(rows))) % top
            wrong.append(ngrams.contains(rows))
    rows = [_measured(f"n-grams of {source.name} found", np.concatenate(found))]
    if len(behind := np.concatenate(wrong)):
        rows.append(_measured(f"the same with another last token, of {source.name}", behind))
    return rows


def _documents(source: TextSource, tokenizer: Any) -> Iterator[NDArray[np.int32]]:
    with task(f"Reading {source.name}") as advance:
        for _, ids, _ in tokenize(source.records(), tokenizer):
            yield ids
            advance(1)


def _measured(what: str, found: NDArray[np.bool_]) -> Measured:
    estimate = rate(found)
    return Measured(what, estimate.n, estimate.value, estimate.low, estimate.high)
