"""From a part of the plan to its rows: score, judge, decode for display."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import polars as pl

from byrote.audit.config import AuditConfig
from byrote.models.loading import LoadedModel
from byrote.recall.generation import continuations
from byrote.recall.measures import generation_columns, passage_row, token_frame, verdict_row
from byrote.recall.schemas import GENERATION_SCHEMA, PASSAGE_SCHEMA, TOKEN_SCHEMA
from byrote.recall.scores import Scores
from byrote.recall.scoring import Scorer
from byrote.recall.verdicts import first_misses
from byrote.texts.passages import Passage
from byrote.texts.pieces import token_pieces

__all__ = ["part_tables"]

Advance = Callable[[float], None]


def part_tables(
    passages: Sequence[Passage],
    scorer: Scorer,
    loaded: LoadedModel,
    config: AuditConfig,
    advance: Advance,
) -> dict[str, pl.DataFrame]:
    """Score one part of the plan.

    Args:
        passages: The part.
        scorer: Scores passages with the audited model.
        loaded: That model.
        config: The audit's config.
        advance: Called with the number of passages just finished.

    Returns:
        The tables `passages` and `tokens` of this part, rows in the order of the plan.
    """
    if config.verdict_only:
        return _verdicts(passages, scorer, loaded, advance)
    # Where text is written as well, half of a passage's work is still to come.
    share = 0.5 if config.generate else 1.0
    scores: list[Scores | None] = [None] * len(passages)
    for indices, batch in scorer.stream(passages):
        for index, score in zip(indices, batch, strict=True):
            scores[index] = score
        advance(share * len(indices))
    known = [score for score in scores if score is not None]
    rows, tokens = [], []
    names = _TokenNames(loaded.tokenizer)
    for passage, score in zip(passages, known, strict=True):
        pieces = token_pieces(loaded.tokenizer, passage.input_ids.tolist())
        suffix = pieces[passage.prefix_len :]
        rows.append(
            passage_row(
                passage,
                score,
                prefix_text="".join(pieces[: passage.prefix_len]),
                suffix_text="".join(suffix),
                p=config.probability,
            )
        )
        said = [names(int(token)) for token in score.argmax]
        tokens.append(token_frame(passage, score, pieces=suffix, argmax_pieces=said))
    schema: dict[str, Any] = dict(PASSAGE_SCHEMA)
    if config.generate:
        schema |= dict(GENERATION_SCHEMA)
        _add_continuations(
            rows, passages, known, scorer, loaded, lambda count: advance(share * count)
        )
    return {"passages": pl.DataFrame(rows, schema=schema), "tokens": pl.concat(tokens)}


def _verdicts(
    passages: Sequence[Passage], scorer: Scorer, loaded: LoadedModel, advance: Advance
) -> dict[str, pl.DataFrame]:
    misses = first_misses(loaded, passages, batch_size=scorer.batch_size, lead=scorer.lead)
    rows = []
    for passage, miss in zip(passages, misses, strict=True):
        pieces = token_pieces(loaded.tokenizer, passage.input_ids.tolist())
        prefix, suffix = pieces[: passage.prefix_len], pieces[passage.prefix_len :]
        rows.append(
            verdict_row(passage, miss, prefix_text="".join(prefix), suffix_text="".join(suffix))
        )
    advance(len(passages))
    return {
        "passages": pl.DataFrame(rows, schema=PASSAGE_SCHEMA),
        "tokens": pl.DataFrame(schema=TOKEN_SCHEMA),
    }


def _add_continuations(
    rows: list[dict[str, Any]],
    passages: Sequence[Passage],
    scores: Sequence[Scores],
    scorer: Scorer,
    loaded: LoadedModel,
    advance: Advance,
) -> None:
    written = continuations(loaded, passages, scores, lead=scorer.lead, advance=advance)
    for row, passage, ids in zip(rows, passages, written, strict=True):
        # Decoded behind the prefix, as the suffix was: some tokenizers drop a leading space.
        pieces = token_pieces(loaded.tokenizer, [*passage.prefix_ids.tolist(), *ids])
        text = "".join(pieces[passage.prefix_len :])
        row |= generation_columns(row["suffix_text"], passage.suffix_ids, text, ids)


class _TokenNames:
    """Texts of single tokens; a vocabulary is small next to the tokens of an audit."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._known: dict[int, str] = {}

    def __call__(self, token: int) -> str:
        if token not in self._known:
            self._known[token] = token_pieces(self._tokenizer, [token])[0]
        return self._known[token]
