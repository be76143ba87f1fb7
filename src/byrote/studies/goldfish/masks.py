"""Which tokens an arm learns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from byrote.exposure.goldfish import Goldfish, keep_mask

__all__ = ["goldfish_of", "learned", "learned_documents"]


def goldfish_of(arm: Mapping[str, Any], seed: int) -> Goldfish | None:
    """The mask of an arm, or None if it drops nothing.

    Args:
        arm: Fields of an `Arm`.
        seed: Key of the hash and of the draws of `random`: other tokens in every repetition.
    """
    if arm["objective"] != "goldfish":
        return None
    return Goldfish(
        k=arm["k"],
        h=arm["h"],
        strategy=arm["strategy"],
        seed=seed,
        normalize=arm["normalize"] or None,
    )


def learned(
    rows: Sequence[NDArray[np.int32]], goldfish: Goldfish | None, tokenizer: Any
) -> list[NDArray[np.bool_]] | None:
    """Which tokens of each shown sequence are learned; None if all.

    Every row is shown once, so under `random` a draw for each row is a fresh draw for each showing.
    An end of text within a row ends a document.

    Args:
        rows: Token ids, each `[tokens]`, without BOS.
        goldfish: The mask.
        tokenizer: Of the model.
    """
    if goldfish is None:
        return None
    ends = [] if tokenizer.eos_token_id is None else [tokenizer.eos_token_id]
    lengths = {len(row) for row in rows}
    found: list[NDArray[np.bool_] | None] = [None] * len(rows)
    # Rows of one length are masked together.
    for length in lengths:
        chosen = [index for index, row in enumerate(rows) if len(row) == length]
        ids = np.stack([rows[index] for index in chosen])
        keep = keep_mask(
            ids,
            goldfish,
            exempt_ids=ends,
            separators=ends,
            indices=np.array(chosen),
            tokenizer=tokenizer if goldfish.normalization is not None else None,
        )
        for index, row in zip(chosen, keep, strict=True):
            found[index] = row
    return [row for row in found if row is not None]


def learned_documents(
    rows: Sequence[NDArray[np.int32]], goldfish: Goldfish | None, tokenizer: Any
) -> list[NDArray[np.bool_]] | None:
    """The same for documents that are asked for: None too where a draw decides, which is fresh."""
    if goldfish is None or goldfish.strategy == "random":
        return None
    return learned(rows, goldfish, tokenizer)
