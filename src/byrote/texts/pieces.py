"""The text of each token, such that the pieces of a passage join to its text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["token_pieces"]

_UNFINISHED = "\ufffd"
# A UTF-8 character spans at most four bytes, so at most four byte-level tokens.
_LONGEST_CHARACTER = 4


def token_pieces(tokenizer: Any, ids: Sequence[int]) -> list[str]:
    """Decode ids into one piece of text a token, for display only.

    A token that holds only a part of a character gets an empty piece; the character appears with
    the token that completes it. Some byte-fallback tokenizers decode each byte that is part of no
    whole character to a mark of its own; how many marks then stand for a broken character depends
    on its neighbours, so there the pieces may hold other marks than the text decoded at once.

    Args:
        tokenizer: A Hugging Face tokenizer; None shows each id as `⟨id⟩`.
        ids: Token ids `[tokens]`.

    Returns:
        As many pieces as ids; joined, they are the decoded text, but for broken characters.
    """
    ids = [int(i) for i in ids]
    if tokenizer is None:
        return [f"⟨{i}⟩" for i in ids]
    pieces: list[str] = []
    # Decoding starts at `start`, whose text is known up to `shown`: a tokenizer may treat the first
    # token of a text specially (a dropped space), so a token is never decoded without company.
    start, shown = 0, 0
    for end in range(1, len(ids) + 1):
        before = _decode(tokenizer, ids[start:shown])
        text = _decode(tokenizer, ids[start:end])
        waiting = end - shown
        last = end == len(ids)
        if text.endswith(_UNFINISHED) and waiting < _LONGEST_CHARACTER and not last:
            pieces.append("")
            continue
        pieces.append(text[len(before) :])
        start, shown = shown, end
    return pieces


def _decode(tokenizer: Any, ids: list[int]) -> str:
    if not ids:
        return ""
    return tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
