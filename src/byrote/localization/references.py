"""What a passage is contrasted with: the other passages, or general text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from byrote.errors import InputError
from byrote.texts.passages import Passage
from byrote.texts.sampling import draw
from byrote.texts.sources import open_source
from byrote.texts.windows import cut

__all__ = ["general_references", "negatives"]


def negatives(passages: Sequence[Passage], target: Passage) -> list[Passage]:
    """All passages but the target itself, by id (Chang et al. 2311.09060, section 3.2)."""
    return [passage for passage in passages if passage.id != target.id]


def general_references(
    tokenizer: Any,
    source: str,
    *,
    count: int = 32,
    prefix_len: int = 32,
    suffix_len: int = 48,
    seed: int = 0,
    avoid: Sequence[Passage] = (),
    vocab_size: int | None = None,
) -> list[Passage]:
    """Draw windows of a text source: what the model does with text in general.

    Args:
        tokenizer: The model's.
        source: As for `open_source`: a file, a folder, `corpus:NAME`.
        count: How many; fewer where the source has no more.
        prefix_len: Prefix tokens of each.
        suffix_len: Suffix tokens of each.
        seed: Of the draw.
        avoid: No window of a record that one of these was cut from is taken.
        vocab_size: Ids that the model knows; None leaves the ids unchecked.

    Raises:
        InputError: The source or a length cannot be used, or nothing is left of the source.
    """
    if tokenizer is None:
        raise InputError(f"{source} holds text, and this model has no tokenizer: give one.")
    windows = cut(
        open_source(source).records(),
        tokenizer,
        prefix_len=prefix_len,
        suffix_len=suffix_len,
        vocab_size=vocab_size,
    )
    taken = {(passage.source, passage.record) for passage in avoid}
    free = (passage for passage in windows if (passage.source, passage.record) not in taken)
    drawn = list(draw(free, count, seed))
    if not drawn:
        raise InputError(
            f"{source} has no record besides those that the passages are cut from: give another "
            "source of references."
        )
    return drawn
