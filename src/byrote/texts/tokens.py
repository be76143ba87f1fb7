"""From records to token ids: texts in batches, pairs cut at the character boundary."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import takewhile
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from byrote.errors import InputError
from byrote.texts.records import Record

__all__ = ["Tokenized", "tokenize"]

# A batch of records ends when it holds this many characters (or ids), or this many records.
_BATCH_SIZE = 1 << 20
_BATCH_RECORDS = 512

# How byte-level tokenizers write a space inside a token.
_BYTE_SPACE = "Ġ"


class Tokenized(NamedTuple):
    """A record and its ids, int32 `[tokens]`; `boundary` is where a pair is cut, in tokens."""

    record: Record
    ids: NDArray[np.int32]
    boundary: int | None


def tokenize(
    records: Iterable[Record], tokenizer: Any, *, vocab_size: int | None = None
) -> Iterator[Tokenized]:
    """Tokenize a stream of records in batches, in order, without special tokens.

    A pair is tokenized as one text, so that the ids are those that the model saw in training. A
    token that holds characters of both sides belongs to the suffix: no character of the suffix
    leaks into the prefix. Where the tokenizer has no offsets (a slow one), the boundary is the
    length of the longest common start of the prefix's own tokens and the pair's, which leaks
    nothing either, and may leave a token more to the suffix.

    Args:
        records: The records; at most a batch of them is held.
        tokenizer: Any Hugging Face tokenizer; None where all records hold ids.
        vocab_size: Number of embeddings of the model; None skips the check.

    Raises:
        InputError: If a record holds text and there is no tokenizer, or if an id is outside the
            vocabulary.
    """
    for batch in _batches(records):
        texts = [record.text for record in batch if _is_text(record)]
        pairs = [record for record in batch if record.input_ids is None and record.text is None]
        if (texts or pairs) and tokenizer is None:
            first = next(record for record in batch if record.input_ids is None)
            raise InputError(
                f'Record "{first.id}" of {first.source} holds text, but this model has no '
                'tokenizer; give records of "input_ids".'
            )
        text_ids = iter(_encode(tokenizer, texts)["input_ids"] if texts else [])
        cut_pairs = iter(_pairs(tokenizer, pairs) if pairs else [])
        done: list[Tokenized] = []
        for record in batch:
            if record.input_ids is not None:
                done.append(Tokenized(record, _as_int32(record), record.prefix_len))
            elif record.text is not None:
                done.append(Tokenized(record, np.array(next(text_ids), dtype=np.int32), None))
            else:
                done.append(Tokenized(record, *next(cut_pairs)))
        if vocab_size is not None:
            _check_range(done, vocab_size)
        yield from done


def _is_text(record: Record) -> bool:
    return record.input_ids is None and record.text is not None


def _batches(records: Iterable[Record]) -> Iterator[list[Record]]:
    batch: list[Record] = []
    size = 0
    for record in records:
        batch.append(record)
        if record.input_ids is not None:
            size += len(record.input_ids)
        elif record.text is not None:
            size += len(record.text)
        elif record.prefix is not None and record.suffix is not None:
            size += len(record.prefix) + len(record.suffix)
        else:
            raise InputError(
                f'Record "{record.id}" of {record.source} holds no text, no prefix with a suffix, '
                "and no input_ids."
            )
        if size >= _BATCH_SIZE or len(batch) >= _BATCH_RECORDS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _encode(tokenizer: Any, texts: Sequence[str | None], **options: Any) -> Any:
    return tokenizer(
        list(texts),
        add_special_tokens=False,
        padding=False,
        truncation=False,
        return_attention_mask=False,
        return_token_type_ids=False,
        verbose=False,
        **options,
    )


def _pairs(tokenizer: Any, records: list[Record]) -> Iterator[tuple[NDArray[np.int32], int]]:
    prefixes = [record.prefix or "" for record in records]
    joint = [
        prefix + (record.suffix or "") for prefix, record in zip(prefixes, records, strict=True)
    ]
    if getattr(tokenizer, "is_fast", False):
        encoded = _encode(tokenizer, joint, return_offsets_mapping=True)
        for index, (prefix, text) in enumerate(zip(prefixes, joint, strict=True)):
            ids = encoded["input_ids"][index]
            ends = [end for _, end in encoded["offset_mapping"][index]]
            boundary = _boundary(encoded.tokens(index), ends, text, len(prefix))
            yield np.array(ids, dtype=np.int32), boundary
    else:
        whole = _encode(tokenizer, joint)["input_ids"]
        alone = _encode(tokenizer, prefixes)["input_ids"]
        for ids, start in zip(whole, alone, strict=True):
            same = takewhile(lambda two: two[0] == two[1], zip(ids, start, strict=False))
            yield np.array(ids, dtype=np.int32), sum(1 for _ in same)


def _boundary(tokens: list[str], ends: list[int], text: str, prefix_chars: int) -> int:
    """Index of the first token that holds a character of the suffix."""
    before = 0
    for index, (token, end) in enumerate(zip(tokens, ends, strict=True)):
        # Byte-level tokenizers may leave a token's spaces out of its offsets: those at its end,
        # and all of a token of spaces that stands first.
        spaces = len(token) - len(token.rstrip(_BYTE_SPACE))
        start = before if spaces == len(token) else end
        if spaces and text[start - 1 : start] != " " and text.startswith(" " * spaces, start):
            end = max(end, start + spaces)
        if end > prefix_chars:
            return index
        before = end
    return len(tokens)


def _as_int32(record: Record) -> NDArray[np.int32]:
    ids = record.input_ids
    if isinstance(ids, np.ndarray) and ids.dtype == np.int32 and ids.ndim == 1:
        return ids
    array = np.asarray(ids)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise InputError(
            f'Record "{record.id}" of {record.source}: input_ids must be a list of integers, but '
            f"they are {array.dtype} of shape {list(array.shape)}."
        )
    outside = np.flatnonzero((array < 0) | (array > 2**31 - 1))
    if len(outside):
        at = int(outside[0])
        raise InputError(
            f'Record "{record.id}" of {record.source}: position {at} of input_ids holds '
            f"{array[at]}, which is no token id."
        )
    return array.astype(np.int32)


def _check_range(batch: list[Tokenized], vocab_size: int) -> None:
    # Seen as unsigned, a negative id is larger than any vocabulary: one pass finds both.
    together = np.concatenate([entry.ids for entry in batch]).view(np.uint32)
    if not together.size or int(together.max()) < vocab_size:
        return
    for record, ids, _ in batch:
        outside = np.flatnonzero((ids < 0) | (ids >= vocab_size))
        if not len(outside):
            continue
        at = int(outside[0])
        cause = (
            "these ids were made with another tokenizer"
            if record.input_ids is not None
            else "this tokenizer does not belong to this model"
        )
        raise InputError(
            f'Record "{record.id}" of {record.source}: position {at} holds token id {ids[at]}, '
            f"but the model's vocabulary has {vocab_size} ids (0 to {vocab_size - 1}); {cause}."
        )
