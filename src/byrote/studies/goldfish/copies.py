"""Copies of documents that are nearly the same: the case that breaks goldfish masks in the field.

Apertus (2509.14233) found its only recited texts among those whose web copies differ in line breaks
or tokens. Here half of the copies of a document stay as they are and half differ: by other tokens
(`edited`), or by nothing but white space, line breaks and soft hyphens (`reformatted`).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from byrote.studies.goldfish.world import Document

__all__ = ["copies", "edited", "reformatted", "stretches"]

_SOFT_HYPHEN, _NO_BREAK_SPACE = "\u00ad", "\u00a0"
_HYPHENATED, _UNBROKEN, _DOUBLE = 0.03, 0.05, 0.1
_LONG_WORD = 6


def copies(
    document: Document,
    count: int,
    how: str,
    rng: np.random.Generator,
    *,
    tokenizer: Any,
    edit_every: int,
    longest: int | None = None,
) -> list[NDArray[np.int32]]:
    """Copies of a document.

    Exact and edited ones have as many tokens as it has. A reformatted one takes more for the same
    words, about a quarter, and lacks its last words where these are too many.

    Args:
        document: What is copied.
        count: How many copies.
        how: `exact`, `edited` or `reformatted`; of the latter two every other copy stays exact.
        rng: Draws the differences, new ones for each copy.
        tokenizer: Of the model.
        edit_every: Tokens for one edit, about: see `edited`.
        longest: Tokens that a copy can have; None has no limit.
    """
    found = []
    for number in range(count):
        if how == "exact" or number % 2 == 0:
            found.append(document.ids)
        elif how == "edited":
            special = tokenizer.all_special_ids
            found.append(edited(document.ids, len(tokenizer), edit_every, rng, special))
        else:
            text = reformatted(document.text, rng)
            ids = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
            found.append(np.array(ids[:longest], dtype=np.int32))
    return found


def edited(
    ids: NDArray[np.int32],
    vocab: int,
    every: int,
    rng: np.random.Generator,
    special: Iterable[int] = (),
) -> NDArray[np.int32]:
    """Replace one token in every stretch of about `every` by another.

    Args:
        ids: int32 `[tokens]`.
        vocab: Token ids are 0 … vocab - 1.
        every: Length of a stretch; there are as many equal ones as come nearest, at least one.
        rng: Draws places and tokens.
        special: Never put in: the end of a text, for one, would end the context of a mask.
    """
    result = ids.copy()
    allowed = np.setdiff1d(np.arange(vocab), list(special))
    edges = np.linspace(0, len(ids), stretches(len(ids), every) + 1).astype(int)
    for start, end in itertools.pairwise(edges):
        where = int(rng.integers(start, end))
        result[where] = rng.choice(allowed[allowed != result[where]])
    return result


def stretches(tokens: int, every: int) -> int:
    """How many equal stretches of about `every` tokens there are, and with it edits; at least 1."""
    return max(1, round(tokens / every))


def reformatted(text: str, rng: np.random.Generator) -> str:
    """Wrap a text anew, with some double and unbroken spaces and soft hyphens.

    No letter, capital or punctuation mark changes.
    """
    width = int(rng.integers(30, 70))
    lines: list[str] = [""]
    for word in text.split():
        if len(word) >= _LONG_WORD and rng.random() < _HYPHENATED:
            middle = len(word) // 2
            word = word[:middle] + _SOFT_HYPHEN + word[middle:]
        if lines[-1] and len(lines[-1]) + len(word) >= width:
            lines.append(word)
            continue
        draw = rng.random()
        space = _NO_BREAK_SPACE if draw < _UNBROKEN else "  " if draw < _UNBROKEN + _DOUBLE else " "
        lines[-1] += (space if lines[-1] else "") + word
    return "\n".join(lines)
