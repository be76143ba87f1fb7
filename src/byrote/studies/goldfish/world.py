"""The texts of one repetition: what is repeated, what is read once, what is never shown.

All arms of a repetition share one world, and with it documents, order and weights, so that they can
be compared pair by pair.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from byrote.errors import InputError
from byrote.texts.passages import Passage
from byrote.texts.seeds import derive_seed
from byrote.texts.sources import open_source

__all__ = [
    "Document",
    "World",
    "corpus_texts",
    "first_windows",
    "learned_tokenizer",
    "passage_of",
    "world",
]

END = "<|endoftext|>"
_TOKENIZER_CHARS = 1_000_000


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


@lru_cache(maxsize=2)
def corpus_texts(corpus: str) -> tuple[tuple[str, str], ...]:
    """Ids and texts of a corpus's records.

    Raises:
        InputError: The corpus cannot be read, or its records hold no text.
    """
    found = tuple((r.id, r.text) for r in open_source(corpus).records() if r.text)
    if not found:
        raise InputError(f"{corpus} has no records with a text to cut documents from")
    return found


@lru_cache(maxsize=2)
def learned_tokenizer(corpus: str, vocab: int) -> Any:
    """Learn a byte-level BPE vocabulary from about a million characters, spread over a corpus.

    Returns:
        A fast tokenizer whose token 0 is the end of text; it puts nothing before a text by itself.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    texts = [text for _, text in corpus_texts(corpus)]
    step = max(1, sum(map(len, texts)) // _TOKENIZER_CHARS)
    plain = Tokenizer(models.BPE())
    plain.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)  # pyright: ignore
    plain.decoder = decoders.ByteLevel()  # pyright: ignore[reportAttributeAccessIssue]
    trainer = trainers.BpeTrainer(
        vocab_size=vocab,
        special_tokens=[END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    plain.train_from_iterator(texts[::step], trainer)
    return PreTrainedTokenizerFast(tokenizer_object=plain, bos_token=END, eos_token=END)


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
