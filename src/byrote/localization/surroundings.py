"""What stands around a passage that is to be located or erased, where the user names nothing.

Three things are needed: passages to compare with (references), passages that ought to be kept, and
general texts. The first two are the windows of some corpora that the model recites best, since what
it knows by heart is what an erasure harms first; one half each, so that what is guarded is not what
the neurons were chosen against.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from byrote._options import whole
from byrote.errors import InputError
from byrote.localization.copies import shares_text
from byrote.localization.references import general_references
from byrote.models.loading import LoadedModel
from byrote.progress import task
from byrote.recall.extraction import token_accuracy
from byrote.recall.scoring import Scorer
from byrote.texts.passages import Passage

__all__ = ["GENERAL_TEXTS", "KNOWN_TEXTS", "Surroundings", "find_surroundings", "general_rows"]

KNOWN_TEXTS = ("corpus:wellknown", "corpus:licenses")
"""Where references and passages to be kept come from by default."""

GENERAL_TEXTS = ("corpus:stdlib",)
"""Where general texts come from by default."""

_LONGEST = 64


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a passage is compared with, and what is guarded.

    Attributes:
        references: Passages to contrast with.
        retain: Others, to be kept.
        text: Token ids of general texts, without any BOS.
    """

    references: tuple[Passage, ...]
    retain: tuple[Passage, ...]
    text: tuple[NDArray[np.int32], ...]


def find_surroundings(
    loaded: LoadedModel,
    passages: Sequence[Passage],
    *,
    known: Sequence[str] = KNOWN_TEXTS,
    general: Sequence[str] = GENERAL_TEXTS,
    count: int = 16,
    seed: int = 0,
) -> Surroundings:
    """Find references, passages to be kept and general texts for some passages.

    Of each source in `known`, twice `count` windows are drawn, with the median lengths of the
    passages; those that share text with a passage are left out. The `2 * count` of which the model
    gets most right become, by turns, references and passages to be kept.

    Args:
        loaded: The model; it needs a tokenizer.
        passages: What is to be located or erased.
        known: Sources of texts that the model may know by heart.
        general: Sources of general texts; none gives none.
        count: References, and passages to be kept.
        seed: Of what is drawn.

    Raises:
        InputError: The model has no tokenizer, a source cannot be used, or nothing is left of them.
    """
    whole("surroundings", "count", count, 1)
    prefix_len, suffix_len = (
        min(_LONGEST, max(1, int(np.median([getattr(p, name) for p in passages]))))
        for name in ("prefix_len", "suffix_len")
    )
    pool: list[Passage] = []
    for source in known:
        drawn = general_references(
            loaded.tokenizer,
            source,
            count=2 * count,
            prefix_len=prefix_len,
            suffix_len=suffix_len,
            seed=seed,
            vocab_size=loaded.vocab_size,
        )
        # A record's id is unique in its source only.
        pool += [replace(passage, id=f"{source}:{passage.id}") for passage in drawn]
    taken = shares_text(pool, passages)
    pool = [passage for passage, shared in zip(pool, taken, strict=True) if not shared]
    if len(pool) < 2:
        raise InputError(
            f"{', '.join(known)} hold no passages besides those given to compare with: name other "
            "sources."
        )
    with task("Looking for passages to compare with"):
        right = [token_accuracy(scores) for scores in Scorer(loaded).score(pool)]
    best = sorted(range(len(pool)), key=lambda i: (-right[i], i))[: 2 * count]
    rows = [row for source in general for row in general_rows(loaded, source, seed=seed)]
    return Surroundings(
        tuple(pool[i] for i in best[::2]), tuple(pool[i] for i in best[1::2]), tuple(rows)
    )


def general_rows(
    loaded: LoadedModel, source: str, *, count: int = 8, length: int = 128, seed: int = 0
) -> list[NDArray[np.int32]]:
    """Draw rows of a text source, for `text_loss`.

    Args:
        loaded: The model; it needs a tokenizer.
        source: As for `open_source`.
        count: How many; fewer where the source has no more.
        length: Tokens of each.
        seed: Of the draw.

    Raises:
        InputError: The model has no tokenizer, or the source cannot be used.
    """
    drawn = general_references(
        loaded.tokenizer,
        source,
        count=count,
        prefix_len=1,
        suffix_len=length - 1,
        seed=seed,
        vocab_size=loaded.vocab_size,
    )
    return [passage.input_ids for passage in drawn]
