"""From token ids to what is learned and what is not."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from byrote.errors import InputError
from byrote.exposure.goldfish import official
from byrote.exposure.goldfish.config import Goldfish
from byrote.exposure.goldfish.documents import as_numpy
from byrote.exposure.goldfish.hashing import key, mix, scramble, threshold, window_hashes
from byrote.exposure.goldfish.normalized import dropped_by_words
from byrote.exposure.sequences import IGNORED

__all__ = ["keep_mask", "mask_labels"]

Mask = NDArray[np.bool_]

_HIGH = np.uint64(32)


def keep_mask(
    ids: Any,
    goldfish: Goldfish,
    *,
    starts: Any = None,
    exempt_ids: Iterable[int] = (),
    separators: Iterable[int] = (),
    step: int = 0,
    indices: Any = None,
    tokenizer: Any = None,
) -> Any:
    """Say which tokens are learned: False where the goldfish forgets.

    Under `hash` a token is dropped iff the hash of the up to h tokens before it, in its document,
    is below 1/k: one passage has one mask, whatever row, offset or packing it stands in, once h
    tokens of it have gone by; a document has one from its first token. The mask is computed on the
    CPU, whatever device the ids are on, and is the same everywhere.

    Args:
        ids: Token ids, a numpy array or a torch tensor of integers, `[batch, tokens]` or
            `[tokens]`. Ids below 0 are padding.
        goldfish: Which tokens are dropped.
        starts: bool, of the ids' shape: True at the first token of each document of a packed row.
            None: each row is one document. `starts_from_position_ids` and others make it.
        exempt_ids: Special tokens and padding: never dropped, and, under `hash`, no context either:
            a passage has the same mask with a BOS as without.
        separators: Exempt ids that end a document: nothing before them is context.
        step: Of `random`: another number is another draw.
        indices: Of `random`: integers `[batch]`, which sequence each row is, so that the draw does
            not depend on how a step is split into batches. None: the number of the row.
        tokenizer: Under `normalize`: the Hugging Face tokenizer that made the ids.

    Returns:
        bool of the ids' shape, numpy for numpy and torch (on the same device) for torch; True where
        a token may be a target. `official` and `static` count as the reference does: `official`
        knows neither documents nor exempt ids.

    Raises:
        InputError: The mask, the shapes or the types make no sense.
    """
    goldfish.check()
    array = _rows(ids, "ids")
    marks = None
    if starts is not None:
        marks = as_numpy(starts)
        if marks.shape != as_numpy(ids).shape:
            raise InputError(
                f"`starts` has the shape {list(marks.shape)}, but the ids have "
                f"{list(as_numpy(ids).shape)}; they must be equal."
            )
        marks = marks.reshape(array.shape).astype(bool, copy=False)
    if goldfish.strategy == "official":
        keep = ~official.dropped(array, goldfish.k, goldfish.h)
    else:
        exempt, opens = _documents(array, marks, tuple(exempt_ids), tuple(separators))
        if goldfish.normalization is not None:
            dropped = dropped_by_words(array, exempt, opens, goldfish, tokenizer)
        elif goldfish.strategy == "hash":
            dropped = _hashed(array, exempt, opens, goldfish)
        elif goldfish.strategy == "static":
            dropped = _static(opens, goldfish)
        else:
            dropped = _random(array.shape, goldfish, step, indices)
        keep = ~dropped if exempt is None else ~dropped | exempt
    return _like(keep, ids)


def mask_labels(
    labels: Any,
    ids: Any,
    goldfish: Goldfish,
    *,
    shifted: bool = False,
    ignored: int = IGNORED,
    **options: Any,
) -> Any:
    """Put the ignored label wherever the goldfish forgets.

    Labels that are ignored already (prompts, padding) stay so, and their tokens stay context.

    Args:
        labels: Integers of the ids' shape, numpy or torch; not changed.
        ids: The token ids that the labels belong to.
        goldfish: Which tokens are dropped.
        shifted: False: the label at a position is the token there, as for transformers models,
            which shift by themselves. True: it is the next token.
        ignored: The label that the loss leaves out.
        options: `starts`, `exempt_ids`, `separators`, `step`, `indices`, `tokenizer` of
            `keep_mask`.

    Returns:
        New labels, of the same kind.

    Raises:
        InputError: The shapes differ, the labels are no signed integers, or something is wrong with
            the mask.
    """
    for what, array in (("labels", labels), ("ids", ids)):
        if not hasattr(array, "shape"):
            raise InputError(
                f"The {what} are a {type(array).__name__}; give a numpy array or a torch tensor, "
                "[batch, tokens] or [tokens]."
            )
    if tuple(labels.shape) != tuple(ids.shape):
        raise InputError(
            f"The labels have the shape {list(labels.shape)}, the ids {list(ids.shape)}; they must "
            "be equal. For labels that are shifted by one, give ids of the same length and say "
            "shifted=True."
        )
    # Unsigned labels have no room for the ignored one.
    if not re.fullmatch(r"(torch\.)?int\d+", str(labels.dtype)):
        raise InputError(
            f"The labels are {labels.dtype}, but they must be signed integers, such as int64."
        )
    if shifted:
        keep = _keep_next(labels, ids, goldfish, ignored, options)
    else:
        keep = as_numpy(keep_mask(as_numpy(ids), goldfish, **options))
    return _masked(labels, keep, ignored)


def _keep_next(labels: Any, ids: Any, goldfish: Goldfish, ignored: int, options: Any) -> Mask:
    """The mask of targets: that of the ids with the last target put behind them."""
    array, last = as_numpy(ids), as_numpy(labels)[..., -1:]
    # An ignored last label is padding as far as we know; it is not going to be learned.
    longer = np.concatenate([array, np.where(last == ignored, -1, last)], axis=-1)
    starts = options.get("starts")
    if starts is not None:
        marks = as_numpy(starts)
        options = {**options, "starts": np.concatenate([marks, np.zeros_like(last, bool)], axis=-1)}
    return keep_mask(longer, goldfish, **options)[..., 1:]


def _masked(labels: Any, keep: Mask, ignored: int) -> Any:
    if hasattr(labels, "masked_fill"):
        return labels.masked_fill(~_like(keep, labels), ignored)
    return np.where(keep, labels, np.asarray(ignored, dtype=labels.dtype))


def _like(keep: Mask, ids: Any) -> Any:
    keep = keep.reshape(tuple(ids.shape) if hasattr(ids, "shape") else np.shape(ids))
    if not hasattr(ids, "masked_fill"):
        return keep
    import torch

    return torch.from_numpy(keep).to(ids.device)


def _rows(ids: Any, name: str) -> NDArray[np.integer]:
    array = as_numpy(ids)
    if array.dtype.kind not in "iu":
        raise InputError(f"The {name} must be integers, but they are {array.dtype}.")
    if array.ndim not in (1, 2):
        raise InputError(
            f"The {name} must be [batch, tokens] or [tokens], but their shape is "
            f"{list(array.shape)}."
        )
    return np.atleast_2d(array)


def _documents(
    ids: NDArray[np.integer],
    starts: Mask | None,
    exempt_ids: tuple[int, ...],
    separators: tuple[int, ...],
) -> tuple[Mask | None, Mask]:
    """Which tokens are exempt (None: none is), and which are the first of their document."""
    opens = np.zeros(ids.shape, dtype=bool) if starts is None else starts.copy()
    opens[:, :1] = True
    exempt = _lookup(ids, (*exempt_ids, *separators), padding=True)
    if separators:
        opens[:, 1:] |= _lookup(ids, separators, padding=False)[:, :-1]
    return (exempt if exempt.any() else None), opens


def _lookup(ids: NDArray[np.integer], chosen: tuple[int, ...], *, padding: bool) -> Mask:
    """Which ids are among the chosen; those below 0 as `padding` says."""
    table = _table(chosen, padding)
    # Ids above the table end at its last entry, those below 0 at its first.
    return table[np.clip(ids, -1, len(table) - 2).astype(np.intp) + 1]


@lru_cache(maxsize=64)
def _table(chosen: tuple[int, ...], padding: bool) -> Mask:
    table = np.zeros(max((*chosen, -1)) + 3, dtype=bool)
    table[0] = padding
    for each in chosen:
        if each >= 0:
            table[each + 1] = True
    return table


def _hashed(ids: NDArray[np.integer], exempt: Mask | None, opens: Mask, goldfish: Goldfish) -> Mask:
    if exempt is None:
        return _hashed_row(ids.reshape(-1), opens.reshape(-1), goldfish).reshape(ids.shape)
    # Exempt tokens are taken out first, so that they are nobody's context.
    present = ~exempt
    document = np.cumsum(opens.reshape(-1), dtype=np.int64)[present.reshape(-1)]
    first = np.ones(len(document), dtype=bool)
    np.not_equal(document[1:], document[:-1], out=first[1:])
    dropped = np.zeros(ids.shape, dtype=bool)
    dropped[present] = _hashed_row(ids[present], first, goldfish)
    return dropped


def _hashed_row(ids: NDArray[np.integer], first: Mask, goldfish: Goldfish) -> Mask:
    """The same of documents one after the other, `[n]`; `first` is True where one starts."""
    before = np.minimum(since_start(first), goldfish.h)
    words = scramble(ids, goldfish.seed)
    hashes = window_hashes(words, slice(0, len(ids)), before, goldfish.seed)
    hashes >>= _HIGH
    dropped = hashes < threshold(goldfish.k)
    dropped &= before >= goldfish.context
    return dropped


def since_start(first: Mask) -> NDArray[np.int64]:
    """How many come before each in its document, from flags `[n]` at the first of each."""
    index = np.arange(len(first))
    return index - np.maximum.accumulate(np.where(first, index, 0))


def _static(opens: Mask, goldfish: Goldfish) -> Mask:
    place = since_start(opens.reshape(-1)).reshape(opens.shape) - 1 - goldfish.start
    return (place >= 0) & (place % goldfish.k == 0)


def _random(shape: tuple[int, ...], goldfish: Goldfish, step: int, indices: Any) -> Mask:
    rows = np.arange(shape[0]) if indices is None else as_numpy(indices).reshape(-1)
    if len(rows) != shape[0]:
        raise InputError(f"There are {len(rows)} indices, but {shape[0]} rows of ids.")
    per_row = scramble(rows, int(key(goldfish.seed, 3)), step)
    places = scramble(np.arange(shape[1]), goldfish.seed, 4)
    return mix(per_row[:, None] + places[None, :]) >> _HIGH < threshold(goldfish.k)
