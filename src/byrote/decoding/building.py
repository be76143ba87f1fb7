"""From any texts to a filter of their n-grams."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from byrote.decoding.base import NGramFilter, Origin, check_n
from byrote.decoding.bits import BitArray
from byrote.decoding.bloom import BloomFilter
from byrote.decoding.identity import tokenizer_hash
from byrote.decoding.sets import NGramSet
from byrote.errors import InputError
from byrote.progress import task
from byrote.texts.base import TextSource
from byrote.texts.sources import open_source
from byrote.texts.tokens import tokenize

__all__ = ["build_filter", "check_options"]


def build_filter(
    sources: Sequence[str | TextSource],
    tokenizer: Any,
    *,
    n: int = 10,
    exact: bool = False,
    fpr: float = 0.001,
    capacity: int | None = None,
    vocab_size: int | None = None,
    tokenizer_name: str | None = None,
    text_field: str = "text",
) -> NGramFilter:
    """Build a filter from texts: every n-gram of every record.

    Args:
        sources: What `byrote.texts.open_source` takes, or sources.
        tokenizer: The tokenizer of the model that the filter is for; None where all records hold
            ids.
        n: Tokens of an n-gram.
        exact: Make an `NGramSet`, which keeps all ids in memory, instead of a `BloomFilter`.
        fpr: Wanted rate of false positives of a Bloom filter.
        capacity: Distinct n-grams that a Bloom filter has room for. None counts them first, with
            all ids in memory (4 bytes a token); with a capacity the texts are streamed.
        vocab_size: Number of ids that the model knows; None leaves the ids unchecked.
        tokenizer_name: What to call the tokenizer, for people.
        text_field: The field or column that holds the text.

    Returns:
        The filter, with the hash of its tokenizer.

    Raises:
        InputError: n, the rate or the capacity make no sense, a source cannot be used, or no record
            has n tokens.
    """
    check_options(n, None if exact else fpr, capacity)
    opened = [
        source if isinstance(source, TextSource) else open_source(source, text_field=text_field)
        for source in sources
    ]
    if not opened:
        raise InputError("No texts are named to build a filter from; give at least one source.")
    origin = Origin(
        tokenizer=None if tokenizer is None else tokenizer_hash(tokenizer),
        tokenizer_name=tokenizer_name,
        sources=tuple(source.name for source in opened),
    )
    documents = _documents(opened, tokenizer, vocab_size)
    made: NGramFilter
    if exact:
        made = NGramSet.build(documents, n, origin=origin)
    else:
        made = BloomFilter.build(documents, n, capacity=capacity, fpr=fpr, origin=origin)
    if not made.count:
        raise InputError(
            f"{', '.join(origin.sources)}: none of {made.origin.documents:,} records has {n} "
            "tokens, so there is no n-gram; give a smaller n, or longer texts."
        )
    return made


def check_options(n: int, fpr: float | None, capacity: int | None) -> None:
    """Refuse options that make no sense, before any work.

    Args:
        n: Tokens of an n-gram.
        fpr: Wanted rate of false positives; None for an exact set.
        capacity: Distinct n-grams to make room for; None where they are counted.

    Raises:
        InputError: One of them makes no sense.
    """
    check_n(n)
    if fpr is not None:
        # Memory is not touched before it is written to, so this is no expense.
        BitArray.sized(1 if capacity is None else capacity, fpr)


def _documents(
    sources: Sequence[TextSource], tokenizer: Any, vocab_size: int | None
) -> Iterator[NDArray[np.int32]]:
    for source in sources:
        with task(f"Reading {source.name}") as advance:
            for _, ids, _ in tokenize(source.records(), tokenizer, vocab_size=vocab_size):
                yield ids
                advance(1)
