"""What every filter of n-grams can do, whatever it stores."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from byrote.decoding.hashing import as_ids, token_values
from byrote.decoding.identity import tokenizer_hash
from byrote.decoding.storage import write_file
from byrote.errors import InputError

__all__ = ["NGramFilter", "Origin"]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the n-grams of a filter come from.

    Attributes:
        documents: Documents read.
        tokens: Tokens read.
        tokenizer: `tokenizer_hash` of what made the ids; None where nobody said.
        tokenizer_name: The tokenizer as the user named it.
        sources: The texts as the user named them.
    """

    documents: int = 0
    tokens: int = 0
    tokenizer: str | None = None
    tokenizer_name: str | None = None
    sources: tuple[str, ...] = ()

    def more(self, documents: int, tokens: int) -> Origin:
        """The origin after more documents."""
        return replace(self, documents=self.documents + documents, tokens=self.tokens + tokens)


class NGramFilter(ABC):
    """A set of n-grams of token ids, exact or with false positives, never with false negatives.

    Attributes:
        kind: Its name in a file's header.
        n: Tokens of an n-gram.
        origin: Where the n-grams come from.
        count: Distinct n-grams.
    """

    kind: ClassVar[str]

    def __init__(self, n: int, origin: Origin) -> None:
        check_n(n)
        self.n = n
        self.origin = origin
        self.count = 0
        self._vocabulary = np.zeros(0, dtype=np.uint64)

    @abstractmethod
    def contains(self, ngrams: ArrayLike) -> NDArray[np.bool_]:
        """Whether each row of `[rows, n]` token ids is in the filter.

        Raises:
            InputError: The rows are not of n token ids.
        """

    @abstractmethod
    def matches(self, ids: ArrayLike) -> NDArray[np.bool_]:
        """Whether each window of n tokens of a sequence `[tokens]` is in: `[tokens - n + 1]`.

        Raises:
            InputError: The sequence is no vector of token ids.
        """

    @abstractmethod
    def followers(
        self, prefixes: NDArray[np.integer], vocab_size: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Every token that would complete an n-gram of the filter.

        The same as asking `contains` for each prefix with each token, at the price of one lookup
        for a prefix that begins no n-gram.

        Args:
            prefixes: Token ids, `[rows, n - 1]`.
            vocab_size: Tokens asked for are 0 … vocab_size - 1.

        Returns:
            Rows and tokens of the pairs, sorted, each `[pairs]`.
        """

    @property
    @abstractmethod
    def fpr(self) -> float:
        """Expected rate of false positives, of n-grams that share a prefix with a true one."""

    @abstractmethod
    def arrays(self) -> dict[str, NDArray[Any]]:
        """What a file stores of it, by name."""

    @abstractmethod
    def header(self) -> dict[str, Any]:
        """What a file's header says of it, beyond what all filters share."""

    @classmethod
    @abstractmethod
    def restore(
        cls, n: int, origin: Origin, header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]
    ) -> Self:
        """Build it again from a file's header and arrays."""

    @property
    def nbytes(self) -> int:
        """Bytes in memory and, but for a header, on disk."""
        return sum(array.nbytes for array in self.arrays().values())

    def save(self, path: str | Path) -> Path:
        """Write it to one file, whole or not at all; `load_filter` reads it.

        Raises:
            ByroteError: The disk is full.
        """
        fields = {
            "kind": self.kind,
            "n": self.n,
            "count": self.count,
            "origin": asdict(self.origin),
            **self.header(),
        }
        return write_file(Path(path), fields, self.arrays())

    def check_tokenizer(self, tokenizer: Any, what: str = "this filter") -> None:
        """Refuse a tokenizer that gives other ids than the one that the filter was built with.

        Raises:
            InputError: The hashes differ; nothing is checked where none was recorded.
        """
        recorded = self.origin.tokenizer
        if recorded is None or recorded == (given := tokenizer_hash(tokenizer)):
            return
        named = f" ({self.origin.tokenizer_name})" if self.origin.tokenizer_name else ""
        raise InputError(
            f"{what} was built with another tokenizer{named}: its hash is {recorded[:16]}, that of "
            f"the one given {given[:16]}. Token ids mean other words there; build the filter again "
            "with this tokenizer: byrote filter build … --tokenizer MODEL."
        )

    def _rows(self, rows: ArrayLike, width: int) -> NDArray[np.int32]:
        array = np.asarray(rows)
        if array.ndim != 2 or array.shape[1] != width:
            raise InputError(
                f"Rows of shape {list(array.shape)} were asked for; a filter of {self.n}-grams "
                f"takes [rows, {width}] token ids here."
            )
        return as_ids(array.reshape(-1), "a row").reshape(array.shape)

    def _values(self, vocab_size: int) -> NDArray[np.uint64]:
        """`token_values` of a whole vocabulary, made once."""
        if len(self._vocabulary) < vocab_size:
            self._vocabulary = token_values(np.arange(vocab_size))
        return self._vocabulary[:vocab_size]

    def __repr__(self) -> str:
        return f"{type(self).__name__}(n={self.n}, {self.count:,} n-grams, {self.nbytes:,} bytes)"


def check_n(n: int) -> None:
    """Refuse n-grams that have no prefix.

    Raises:
        InputError: n is below 2.
    """
    if n < 2:
        raise InputError(f"n is {n}; an n-gram has at least 2 tokens (10 is usual).")
