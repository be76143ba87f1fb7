"""The texts of one repetition: what is repeated, what is read once, what is never shown.

All arms of a repetition share one world, and with it documents, order and weights, so that they can
be compared pair by pair.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from byrote.errors import InputError
from byrote.studies.vocabulary import corpus_texts
from byrote.texts.passages import Passage
from byrote.texts.seeds import derive_seed

__all__ = [
    "Document",
    "World",
    "first_windows",
    "passage_of",
    "world",
]


@dataclass(frozen=True, slots=True, eq=False)
class Document:
    """The beginning of a record.

    Attributes:
        record: Id of the record.
        ids: int32 `[tokens]`, without BOS.
        text: The characters that the tokens cover.
    """

    record: str
    ids: NDArray[np.int32]
    text: str


@dataclass(frozen=True, slots=True, eq=False)
class World:
    """What one repetition of the study is made of.

    Attributes:
        documents: Shown again and again, but not in the control.
        heldout: Never shown; of other records.
        validation: int32 `[sequences, tokens]`, never shown; of further records.
        background: int32 `[sequences, tokens]`, of the remaining records, one after the other.
    """

    documents: list[Document]
    heldout: list[Document]
    validation: NDArray[np.int32]
    background: NDArray[np.int32]


def world(
    tokenizer: Any,
    corpus: str,
    seed: int,
    *,
    documents: int,
    heldout: int,
    validation: int,
    background: int,
    tokens: int,
) -> World:
    """Draw the texts of a repetition.

    Args:
        tokenizer: Of the model.
        corpus: A text source.
        seed: Of the draw of records.
        documents: Number of repeated documents.
        heldout: Number of documents that are never shown.
        validation: Sequences of the validation loss.
        background: Sequences read once.
        tokens: Of each, without BOS.

    Raises:
        InputError: The corpus has too little text.
    """
    records = _shuffled(corpus, seed)
    found = list(_documents(records, tokenizer, documents + heldout, tokens, corpus))
    end = tokenizer.eos_token_id
    checked = _windows(records, tokenizer, validation, tokens, end, corpus, "validation")
    read = _windows(records, tokenizer, background, tokens, end, corpus, "background")
    return World(found[:documents], found[documents:], checked, read)


def first_windows(
    tokenizer: Any, corpus: str, seed: int, *, count: int, tokens: int
) -> list[Document]:
    """The first tokens of records drawn from a corpus.

    Raises:
        InputError: Too few records are long enough.
    """
    return list(_documents(_shuffled(corpus, seed), tokenizer, count, tokens, corpus))


def passage_of(document: Document, prefix: int, *, member: bool) -> Passage:
    """A document as a passage, cut after `prefix` tokens."""
    return Passage(
        id=f"{document.record}@0",
        source="goldfish",
        record=document.record,
        offset=0,
        input_ids=document.ids,
        prefix_len=prefix,
        member=member,
    )


def _shuffled(corpus: str, seed: int) -> Iterator[tuple[str, str]]:
    records = corpus_texts(corpus)
    order = np.random.default_rng(derive_seed(seed, "records")).permutation(len(records))
    return (records[index] for index in order)


def _documents(
    records: Iterator[tuple[str, str]], tokenizer: Any, count: int, tokens: int, corpus: str
) -> Iterator[Document]:
    found = 0
    while found < count:
        try:
            record, text = next(records)
        except StopIteration:
            raise InputError(
                f"{corpus} has only {found} records of at least {tokens} tokens; {count} documents "
                "are asked for. Take fewer or shorter ones, or another corpus"
            ) from None
        encoded = tokenizer(
            text, add_special_tokens=False, return_offsets_mapping=True, verbose=False
        )
        ids = encoded["input_ids"]
        if len(ids) < tokens:
            continue
        end = encoded["offset_mapping"][tokens - 1][1]
        found += 1
        yield Document(record, np.array(ids[:tokens], dtype=np.int32), text[:end])


def _windows(
    records: Iterator[tuple[str, str]],
    tokenizer: Any,
    count: int,
    tokens: int,
    end: int | None,
    corpus: str,
    what: str,
) -> NDArray[np.int32]:
    """Records one after the other, an end of text behind each, cut into sequences."""
    stream: list[int] = []
    for _, text in records:
        if len(stream) >= count * tokens:
            break
        stream += tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        stream += [] if end is None else [end]
    if len(stream) < count * tokens:
        raise InputError(
            f"{corpus} has text for {len(stream) // tokens} of the {count} {what} sequences of "
            f"{tokens} tokens. Ask for fewer, or take a larger corpus"
        )
    return np.array(stream[: count * tokens], dtype=np.int32).reshape(count, tokens)
