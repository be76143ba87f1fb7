"""An exact set of n-grams: hashes find them, and the stored tokens decide."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from byrote.decoding.base import NGramFilter, Origin
from byrote.decoding.hashing import (
    Chunk,
    as_ids,
    chunks,
    mix,
    row_states,
    token_values,
    window_states,
)

__all__ = ["NGramSet"]


class NGramSet(NGramFilter):
    """n-grams without false positives, at 12 bytes each and 4 bytes a token of the documents.

    Each distinct n-gram is kept as the 64-bit key of its first n - 1 tokens and the place in the
    documents where it stands; places are in the order of key and last token. A key alone proves
    nothing, so whatever it finds is compared with the documents' own tokens.
    """

    kind: ClassVar[str] = "exact"

    def __init__(
        self,
        n: int,
        tokens: NDArray[np.int32],
        keys: NDArray[np.uint64],
        places: NDArray[np.integer],
        origin: Origin | None = None,
    ) -> None:
        """Take the parts as they are; `build` makes them.

        Args:
            n: Tokens of an n-gram.
            tokens: The documents, one behind the other.
            keys: Key of each n-gram's prefix, `[n-grams]`, ascending.
            places: Where each n-gram begins in `tokens`, `[n-grams]`; for equal keys in the order
                of the last tokens.
            origin: Where the n-grams come from.
        """
        super().__init__(n, origin or Origin())
        self._tokens, self._keys, self._places = tokens, keys, places
        self.count = len(keys)

    @classmethod
    def build(
        cls, documents: Iterable[ArrayLike], n: int = 10, *, origin: Origin | None = None
    ) -> Self:
        """Build a set from documents, which it keeps in memory.

        Args:
            documents: Token ids of each document, `[tokens]`; n-grams do not cross documents.
            n: Tokens of an n-gram.
            origin: Where the documents come from, its counts left at zero.

        Raises:
            InputError: n is below 2, or a document is no vector of token ids.
        """
        origin = origin or Origin()
        empty = cls(n, np.zeros(0, np.int32), np.zeros(0, np.uint64), np.zeros(0, np.uint32))
        ids, starts, keys = [empty._tokens], [np.zeros(0, np.int64)], [empty._keys]
        for part in chunks(documents, n):
            ids.append(part.ids)
            starts.append(part.starts + origin.tokens)
            keys.append(_prefix_keys(part, n))
            origin = origin.more(part.documents, len(part.ids))
        tokens, places = np.concatenate(ids), np.concatenate(starts)
        key, places = _ordered(tokens, np.concatenate(keys), places, n)
        small = np.uint32 if len(tokens) < 1 << 32 else np.int64
        return cls(n, tokens, key, places.astype(small), origin)

    def contains(self, ngrams: ArrayLike) -> NDArray[np.bool_]:
        """Whether each row of `[rows, n]` token ids is in the set."""
        rows = self._rows(ngrams, self.n)
        return self._ask(mix(row_states(rows[:, :-1])), rows)

    def matches(self, ids: ArrayLike) -> NDArray[np.bool_]:
        """Whether each window of n tokens of a sequence is in the set."""
        sequence = as_ids(ids, "the sequence")
        if len(sequence) < self.n:
            return np.zeros(0, dtype=np.bool_)
        keys = mix(window_states(token_values(sequence), self.n - 1)[:-1])
        return self._ask(keys, np.lib.stride_tricks.sliding_window_view(sequence, self.n))

    def _ask(self, keys: NDArray[np.uint64], rows: NDArray[np.integer]) -> NDArray[np.bool_]:
        found = np.zeros(len(rows), dtype=np.bool_)
        low, high = self._range(keys)
        open_ = np.flatnonzero(low < high)
        low, high = self._first_last(low[open_], high[open_], rows[open_, -1]), high[open_]
        # One turn, but where different prefixes share a key.
        while len(open_):
            good = low < high
            good[good] = self._last(low[good]) == rows[open_[good], -1]
            open_, low, high = open_[good], low[good], high[good]
            same = self._same(low, rows[open_])
            found[open_[same]] = True
            open_, low, high = open_[~same], low[~same] + 1, high[~same]
        return found

    def followers(
        self, prefixes: NDArray[np.integer], vocab_size: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Every token that would complete an n-gram of the set."""
        wanted = self._rows(prefixes, self.n - 1)
        low, high = self._range(mix(row_states(wanted)))
        none = np.zeros(0, dtype=np.int64)
        owners, tokens = [none], [none]
        for row in np.flatnonzero(low < high):
            entries = np.arange(low[row], high[row])
            entries = entries[self._same(entries, wanted[row : row + 1])]
            last = np.unique(self._last(entries)).astype(np.int64)
            last = last[last < vocab_size]
            owners.append(np.full(len(last), row, dtype=np.int64))
            tokens.append(last)
        return np.concatenate(owners), np.concatenate(tokens)

    def _range(self, keys: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        return np.searchsorted(self._keys, keys), np.searchsorted(self._keys, keys, side="right")

    def _first_last(
        self, low: NDArray[np.int64], high: NDArray[np.int64], last: NDArray[np.integer]
    ) -> NDArray[np.int64]:
        """The first entry of each range whose last token is not below `last`."""
        low, high = low.copy(), high.copy()
        while len(wide := np.flatnonzero(low < high)):
            middle = (low[wide] + high[wide]) // 2
            below = self._last(middle) < last[wide]
            low[wide[below]] = middle[below] + 1
            high[wide[~below]] = middle[~below]
        return low

    def _last(self, entries: NDArray[np.int64]) -> NDArray[np.int32]:
        return self._tokens[self._places[entries].astype(np.int64) + self.n - 1]

    def _same(self, entries: NDArray[np.int64], rows: NDArray[np.integer]) -> NDArray[np.bool_]:
        """Whether each entry's first tokens are those of its row."""
        places = self._places[entries].astype(np.int64)
        return _equal(self._tokens, places, self.n - 1, lambda place: rows[:, place])

    @property
    def fpr(self) -> float:
        """Zero."""
        return 0.0

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The documents, and keys and places of their n-grams."""
        return {"tokens": self._tokens, "keys": self._keys, "places": self._places}

    def header(self) -> dict[str, Any]:
        """Nothing beyond what all filters share."""
        return {}

    @classmethod
    def restore(
        cls, n: int, origin: Origin, header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]
    ) -> Self:
        """Build it again from a file."""
        return cls(n, arrays["tokens"], arrays["keys"], arrays["places"], origin)


def _prefix_keys(part: Chunk, n: int) -> NDArray[np.uint64]:
    return mix(window_states(token_values(part.ids), n - 1)[part.starts])


def _ordered(
    tokens: NDArray[np.int32], keys: NDArray[np.uint64], places: NDArray[np.int64], n: int
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Put n-grams in order of key and last token, and drop those that are there already."""
    order = np.argsort(keys)
    keys, places = keys[order], places[order]
    changes = np.concatenate(([False], keys[1:] != keys[:-1]))[: len(keys)]
    # The number of the key and the last token, side by side in one number.
    rank = np.cumsum(changes).astype(np.uint64) << np.uint64(32)
    rank |= tokens[places + (n - 1)].astype(np.uint64)
    order = np.argsort(rank)
    rank, places = rank[order], places[order]
    kept = np.ones(len(rank), dtype=np.bool_)
    # Equal keys may still be of different prefixes: only equal tokens are a repetition.
    again = np.flatnonzero(rank[1:] == rank[:-1]) + 1
    before = places[again - 1]
    kept[again] = ~_equal(tokens, places[again], n - 1, lambda place: tokens[before + place])
    return keys[kept], places[kept]


def _equal(
    tokens: NDArray[np.int32],
    places: NDArray[np.int64],
    width: int,
    column: Callable[[int], NDArray[np.integer]],
) -> NDArray[np.bool_]:
    """Whether the `width` tokens from each place on are those that `column` gives, one by one."""
    same = np.ones(len(places), dtype=np.bool_)
    for place in range(width):
        same &= tokens[places + place] == column(place)
    return same
