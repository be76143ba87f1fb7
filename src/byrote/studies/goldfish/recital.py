"""What a trained model recites of its documents, and how well membership shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from byrote.models import LoadedModel
from byrote.recall import Scorer, continuations, edit_similarity, rouge_l
from byrote.recall.generation import write_after
from byrote.recall.membership import attacks
from byrote.texts.passages import Passage

__all__ = [
    "MEMBERSHIP",
    "RECITAL",
    "greedy",
    "membership_table",
    "recital_table",
    "written",
]

# Rows of a batch of `generate`, beams counted.
_ROWS = 240

RECITAL: dict[str, Any] = {
    "document": pl.String,
    "member": pl.Boolean,
    "decoding": pl.String,
    "exact": pl.Boolean,
    "rouge_l": pl.Float64,
    "edit_similarity": pl.Float64,
    "first_divergence": pl.Int32,
    "at_dropped": pl.Boolean,
    "dropped_share": pl.Float64,
}
"""Columns of the table `documents`."""

MEMBERSHIP: dict[str, Any] = {
    "document": pl.String,
    "member": pl.Boolean,
    "attack": pl.String,
    "score": pl.Float64,
}
"""Columns of the table `scores`."""


def greedy(
    loaded: LoadedModel, passages: Sequence[Passage], lead: Sequence[int]
) -> list[list[int]]:
    """What greedy decoding writes after each prefix: token ids, at most as many as the suffix."""
    scores = Scorer(loaded, lead=lead).score(passages)
    return continuations(loaded, passages, scores, lead=lead)


def written(
    loaded: LoadedModel, passages: Sequence[Passage], lead: Sequence[int], **how: Any
) -> list[list[int]]:
    """What `generate` writes after each prefix, as long as its suffix.

    Args:
        loaded: The model.
        passages: All with one length of suffix.
        lead: Token ids before every prefix.
        **how: For `generate`, such as `num_beams` or `logits_processor`.
    """
    length = passages[0].suffix_len
    at_once = max(1, _ROWS // how.get("num_beams", 1))
    found: list[list[int]] = []
    for start in range(0, len(passages), at_once):
        contexts = [[*lead, *p.prefix_ids.tolist()] for p in passages[start : start + at_once]]
        found += write_after(loaded, contexts, length, min_new_tokens=length, **how)
    return found


def recital_table(
    loaded: LoadedModel,
    passages: Sequence[Passage],
    results: Sequence[Sequence[int]],
    decoding: str,
    keep: Sequence[NDArray[np.bool_]] | None = None,
) -> pl.DataFrame:
    """Set what was written beside what follows; columns as in `RECITAL`.

    Args:
        loaded: For its tokenizer: ROUGE-L and the edit distance are of the decoded texts.
        passages: What was asked, from member and other documents.
        results: Token ids written after each prefix.
        decoding: How they were written.
        keep: For each passage, whether each of its tokens was learned, `[tokens]`; None where none
            was dropped.
    """
    tokenizer: Any = loaded.tokenizer
    rows = []
    for index, (passage, ids) in enumerate(zip(passages, results, strict=True)):
        true = passage.suffix_ids.tolist()
        differs = [i for i, token in enumerate(true) if i >= len(ids) or ids[i] != token]
        reference, candidate = tokenizer.decode(true), tokenizer.decode(list(ids))
        learned = None if keep is None else keep[index][passage.prefix_len :]
        at_dropped = None
        if learned is not None and differs:
            at_dropped = not bool(learned[differs[0]])
        rows.append(
            {
                "document": passage.record,
                "member": passage.member,
                "decoding": decoding,
                "exact": not differs,
                "rouge_l": rouge_l(reference, candidate).f1,
                "edit_similarity": edit_similarity(reference, candidate),
                "first_divergence": differs[0] if differs else None,
                "at_dropped": at_dropped,
                "dropped_share": None if learned is None else float(1 - learned.mean()),
            }
        )
    return pl.DataFrame(rows, schema=RECITAL)


def membership_table(
    loaded: LoadedModel, passages: Sequence[Passage], lead: Sequence[int]
) -> pl.DataFrame:
    """Scores of the membership attacks on whole documents; columns as in `MEMBERSHIP`.

    Args:
        loaded: The model.
        passages: Members and others; their prefix should be as short as can be.
        lead: Token ids before every prefix.
    """
    tokenizer: Any = loaded.tokenizer
    rows = []
    for passage, score in zip(passages, Scorer(loaded, lead=lead).score(passages), strict=True):
        text = tokenizer.decode(passage.suffix_ids.tolist())
        rows += [
            {
                "document": passage.record,
                "member": passage.member,
                "attack": name,
                "score": function(score, text),
            }
            for name, function in attacks().items()
        ]
    return pl.DataFrame(rows, schema=MEMBERSHIP)
