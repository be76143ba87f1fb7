"""Masks that live on the words of a text, not on its tokens.

Copies of a text that differ in line breaks, capitals or tokens get the same words dropped, where a
mask of token ids would give each copy another one, so that together they teach the whole text
(Apertus report, arXiv 2509.14233: the texts that were memorised in spite of the goldfish loss are
canonical ones, whose copies differ in just this). A word is dropped with all its tokens iff the
hash of the h words before it is below 1/k.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from byrote.errors import InputError
from byrote.exposure.goldfish.config import Goldfish, Normalization
from byrote.exposure.goldfish.hashing import key, mix, threshold, window_hashes
from byrote.exposure.goldfish.pieces import pieces
from byrote.exposure.goldfish.words import BREAK, Units, units_of

__all__ = ["dropped_by_words", "normalized_keep_mask"]

Mask = NDArray[np.bool_]


def normalized_keep_mask(text: str, offsets: Any, goldfish: Goldfish) -> Mask:
    """Say which tokens of a text are learned, deciding by its words.

    A token goes with the word that its first character belongs to; a token of white space alone
    with the word that follows.

    Args:
        text: One document.
        offsets: Integers `[tokens, 2]`: where each token starts and ends in the text, in
            characters, as fast tokenizers say with `return_offsets_mapping=True`. A token at
            (0, 0) is a special one and kept.
        goldfish: With the strategy `hash`; without `normalize` it gets `Normalization()`.

    Returns:
        bool `[tokens]`; False where the goldfish forgets.

    Raises:
        InputError: The mask makes no sense, or an offset lies outside the text.
    """
    goldfish.check()
    if goldfish.strategy != "hash":
        raise InputError(
            f"Masks of normalised text work with the strategy hash, not with {goldfish.strategy}."
        )
    spans = np.asarray(offsets, dtype=np.int64).reshape(-1, 2)
    if len(spans) and not 0 <= int(spans.min()) <= int(spans.max()) <= len(text):
        raise InputError(
            f"The offsets go from {spans.min()} to {spans.max()}, but the text has {len(text)} "
            "characters; offsets and text must belong together."
        )
    options = goldfish.normalization or Normalization()
    dropped = _dropped(text, spans[:, 0], goldfish, options)
    return ~dropped | (spans == 0).all(axis=1)


def dropped_by_words(
    ids: NDArray[np.integer], exempt: Mask | None, opens: Mask, goldfish: Goldfish, tokenizer: Any
) -> Mask:
    """The same for packed ids, whose text is put together from the tokens' own pieces.

    Args:
        ids: `[batch, tokens]`.
        exempt: Which are special or padding; they end words and are nothing themselves.
        opens: Which are the first of their document.
        goldfish: With `normalize`.
        tokenizer: That made the ids.

    Returns:
        bool `[batch, tokens]`, True where dropped.

    Raises:
        InputError: There is no tokenizer.
    """
    if tokenizer is None:
        raise InputError(
            "goldfish normalize decides by the text, so it needs the tokenizer that made the ids: "
            "give tokenizer=…."
        )
    options = goldfish.normalization or Normalization()
    flat = ids.reshape(-1)
    skipped = None if exempt is None else exempt.reshape(-1)
    edges = [*np.flatnonzero(opens.reshape(-1)).tolist(), len(flat)]
    dropped = np.zeros(len(flat), dtype=bool)
    for start, end in pairwise(edges):
        text, begins = _joined(
            tokenizer, flat[start:end], None if skipped is None else skipped[start:end]
        )
        dropped[start:end] = _dropped(text, begins, goldfish, options)
    return dropped.reshape(ids.shape)


def _joined(
    tokenizer: Any, ids: NDArray[np.integer], skipped: Mask | None
) -> tuple[str, NDArray[np.int64]]:
    """The text of a document, and where each token begins in it."""
    if skipped is None:
        parts = pieces(tokenizer, ids.tolist())
    else:
        parts = [BREAK] * len(ids)
        present = np.flatnonzero(~skipped)
        said = pieces(tokenizer, ids[present].tolist())
        for place, piece in zip(present.tolist(), said, strict=True):
            parts[place] = piece
    begins = np.zeros(len(parts), dtype=np.int64)
    np.cumsum([len(part) for part in parts[:-1]], out=begins[1:])
    return "".join(parts), begins


def _dropped(
    text: str, begins: NDArray[np.int64], goldfish: Goldfish, options: Normalization
) -> Mask:
    units = units_of(text, options, goldfish.seed)
    # Behind the last unit nothing is dropped.
    decided = np.append(_decide(units, goldfish, options), False)
    return decided[units.following[begins]]


def _decide(units: Units, goldfish: Goldfish, options: Normalization) -> Mask:
    context = ~units.signs if options.punctuation else np.ones(len(units.signs), dtype=bool)
    ends = np.cumsum(context) - context
    lengths = np.minimum(ends, goldfish.h)
    hashes = window_hashes(units.hashes[context], ends, lengths, goldfish.seed)
    # Signs have no words of their own to be told apart by, so they draw apart from the word after.
    hashes[units.signs] ^= key(goldfish.seed, 6)
    hashes = mix(hashes) >> np.uint64(32)
    return (hashes < threshold(goldfish.k)) & (lengths >= goldfish.context)
