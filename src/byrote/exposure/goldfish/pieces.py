"""The text of tokens, fast: what a token says by itself is asked once per vocabulary entry."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from byrote.texts.pieces import token_pieces

__all__ = ["pieces"]

_UNFINISHED = "\ufffd"


@dataclass
class _Known:
    # Decoded behind another token, a token at the start of a text keeps its space.
    anchor: list[int]
    anchor_length: int
    pieces: dict[int, str] = field(default_factory=dict)


_KNOWN: WeakKeyDictionary[Any, _Known] = WeakKeyDictionary()


def pieces(tokenizer: Any, ids: list[int]) -> list[str]:
    """Give each token its piece of text, such that together they are the text.

    Most tokens say the same anywhere, so their piece is found once. Tokens that hold a part of a
    character only make sense together; runs of them are decoded as they come.

    Args:
        tokenizer: A Hugging Face tokenizer, fast or slow.
        ids: Token ids `[tokens]`.

    Returns:
        As many pieces as ids.
    """
    known = _KNOWN.get(tokenizer)
    if known is None:
        anchor = tokenizer.encode("a", add_special_tokens=False)[-1:]
        known = _KNOWN[tokenizer] = _Known(anchor, len(_decode(tokenizer, anchor)))
    for token in set(ids) - known.pieces.keys():
        known.pieces[token] = _decode(tokenizer, [*known.anchor, token])[known.anchor_length :]
    found = [known.pieces[token] for token in ids]
    partial = [_UNFINISHED in piece for piece in found]
    if any(partial):
        for start, end in _runs(partial):
            run = [*known.anchor, *ids[start:end]]
            found[start:end] = token_pieces(tokenizer, run)[len(known.anchor) :]
    return found


def _runs(flags: list[bool]) -> list[tuple[int, int]]:
    starts = [i for i, flag in enumerate(flags) if flag and (i == 0 or not flags[i - 1])]
    ends = [
        i + 1 for i, flag in enumerate(flags) if flag and (i + 1 == len(flags) or not flags[i + 1])
    ]
    return list(zip(starts, ends, strict=True))


def _decode(tokenizer: Any, ids: list[int]) -> str:
    return tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
