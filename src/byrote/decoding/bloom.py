"""A Bloom filter of n-grams: little memory, a few false positives, no false negatives."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from byrote.decoding.base import NGramFilter, Origin
from byrote.decoding.bits import BitArray
from byrote.decoding.hashing import (
    Chunk,
    append_token,
    as_ids,
    chunks,
    mix,
    row_states,
    token_values,
    window_states,
)

__all__ = ["BloomFilter"]

# The prefixes' own rate: it only decides how often a whole vocabulary is asked for in vain.
_PREFIX_FPR = 0.01


class BloomFilter(NGramFilter):
    """n-grams in a Bloom filter (Bloom 1970), and their first n - 1 tokens in another one.

    An n-gram is in if its prefix is in the one and itself in the other. The second lookup, for each
    token of a vocabulary, is only needed behind the few prefixes that pass the first.

    The rate of false positives that is asked for, stated and measured is that of n-grams whose
    prefix is a true one; of all others it is a hundred times smaller. It holds up to `capacity`
    distinct n-grams; beyond, the filter goes on to take them and `fpr` says what it has become.

    Attributes:
        capacity: Distinct n-grams that it was made for.
        target_fpr: The rate that was asked for.
    """

    kind: ClassVar[str] = "bloom"

    def __init__(
        self, n: int = 10, *, capacity: int, fpr: float = 0.001, origin: Origin | None = None
    ) -> None:
        """Make an empty filter.

        Args:
            n: Tokens of an n-gram.
            capacity: Distinct n-grams that it will hold; the number of tokens is enough.
            fpr: Wanted rate of false positives at capacity.
            origin: Where the n-grams will come from.

        Raises:
            InputError: n is below 2, the capacity below 1, or the rate not between 0 and 1.
        """
        super().__init__(n, origin or Origin())
        self.capacity = capacity
        self.target_fpr = fpr
        self._ngrams = BitArray.sized(capacity, fpr)
        self._prefixes = BitArray.sized(capacity, _PREFIX_FPR)

    @classmethod
    def build(
        cls,
        documents: Iterable[ArrayLike],
        n: int = 10,
        *,
        capacity: int | None = None,
        fpr: float = 0.001,
        origin: Origin | None = None,
    ) -> Self:
        """Build a filter from documents.

        Args:
            documents: Token ids of each document, `[tokens]`; n-grams do not cross documents.
            n: Tokens of an n-gram.
            capacity: Distinct n-grams to make room for. None keeps all ids in memory first (4 bytes
                a token) and counts; give it to stream.
            fpr: Wanted rate of false positives at capacity.
            origin: Where the documents come from, its counts left at zero.

        Raises:
            InputError: As the constructor, or a document is no vector of token ids.
        """
        parts: Iterable[Chunk] = chunks(documents, n)
        if capacity is None:
            parts = list(parts)
            capacity = max(1, sum(len(part.starts) for part in parts))
        made = cls(n, capacity=capacity, fpr=fpr, origin=origin)
        for part in parts:
            made._take(part)
        return made

    def add(self, documents: Iterable[ArrayLike]) -> None:
        """Put the n-grams of more documents in.

        Raises:
            InputError: A document is no vector of token ids.
        """
        for part in chunks(documents, self.n):
            self._take(part)

    def _take(self, part: Chunk) -> None:
        self.origin = self.origin.more(part.documents, len(part.ids))
        if not len(part.starts):
            return
        values = token_values(part.ids)
        states = window_states(values, self.n - 1)[part.starts]
        keys = mix(append_token(states, values[part.starts + self.n - 1]))
        self.count += _add_new(self._ngrams, keys)
        _add_new(self._prefixes, mix(states))

    def contains(self, ngrams: ArrayLike) -> NDArray[np.bool_]:
        """Whether each row of `[rows, n]` token ids is in the filter, or seems to be."""
        rows = self._rows(ngrams, self.n)
        return self._ask(row_states(rows[:, :-1]), token_values(rows[:, -1]))

    def matches(self, ids: ArrayLike) -> NDArray[np.bool_]:
        """Whether each window of n tokens of a sequence is in, or seems to be."""
        values = token_values(as_ids(ids, "the sequence"))
        if len(values) < self.n:
            return np.zeros(0, dtype=np.bool_)
        return self._ask(window_states(values, self.n - 1)[:-1], values[self.n - 1 :])

    def _ask(self, prefixes: NDArray[np.uint64], values: NDArray[np.uint64]) -> NDArray[np.bool_]:
        found = self._prefixes.contains(mix(prefixes))
        some = np.flatnonzero(found)
        found[some] = self._ngrams.contains(mix(append_token(prefixes[some], values[some])))
        return found

    def followers(
        self, prefixes: NDArray[np.integer], vocab_size: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Every token that would complete an n-gram of the filter, or seem to."""
        states = row_states(self._rows(prefixes, self.n - 1))
        rows = np.flatnonzero(self._prefixes.contains(mix(states)))
        tokens = [
            np.flatnonzero(
                self._ngrams.contains(
                    mix(append_token(states[row : row + 1], self._values(vocab_size)))
                )
            )
            for row in rows
        ]
        owners = np.repeat(rows, [len(found) for found in tokens])
        return owners, np.concatenate([*tokens, np.zeros(0, dtype=np.int64)])

    @property
    def fpr(self) -> float:
        """Expected rate of false positives as filled, of n-grams whose prefix is a true one."""
        return self._ngrams.fpr

    @property
    def prefix_fpr(self) -> float:
        """Expected rate at which a prefix that begins no n-gram seems to begin one."""
        return self._prefixes.fpr

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The bits of the n-grams and those of their prefixes."""
        return {"ngrams": self._ngrams.data, "prefixes": self._prefixes.data}

    def header(self) -> dict[str, Any]:
        """What it was made for, and how many bits a key has."""
        return {
            "capacity": self.capacity,
            "target_fpr": self.target_fpr,
            "fpr": self.fpr,
            "prefix_fpr": self.prefix_fpr,
            "ngram_probes": self._ngrams.probes,
            "prefix_probes": self._prefixes.probes,
        }

    @classmethod
    def restore(
        cls, n: int, origin: Origin, header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]
    ) -> Self:
        """Build it again from a file."""
        made = cls(n, capacity=1, origin=origin)
        made.capacity = int(header["capacity"])
        made.target_fpr = float(header["target_fpr"])
        made._ngrams = BitArray(arrays["ngrams"], int(header["ngram_probes"]))
        made._prefixes = BitArray(arrays["prefixes"], int(header["prefix_probes"]))
        return made


def _add_new(bits: BitArray, keys: NDArray[np.uint64]) -> int:
    """Put in what is not there yet; returns how many that were."""
    # Sorting finds repeats, and puts the writes in the order of memory. (np.unique would hash.)
    keys = np.sort(keys)
    keys = keys[np.concatenate(([True], keys[1:] != keys[:-1]))]
    new = keys[~bits.contains(keys)]
    bits.add(new)
    return len(new)
