"""From the scores of one passage to its row, and the list of what is summarised over many rows.

A new number per passage is a column in `schemas.py` and a line in `passage_row`; a new number per
group of passages is a `Measure` in `summary_measures`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from byrote.recall import extraction
from byrote.recall.membership import attacks
from byrote.recall.overlap import bleu, edit_similarity, rouge_l
from byrote.recall.schemas import PASSAGE_SCHEMA, TOKEN_SCHEMA
from byrote.recall.scores import Scores
from byrote.texts.passages import Passage

__all__ = [
    "LONG_RUN",
    "Measure",
    "generation_columns",
    "passage_row",
    "summary_measures",
    "token_frame",
    "verdict_row",
]

LONG_RUN = 20
"""Tokens from which on a verbatim run counts as long."""


def passage_row(
    passage: Passage, scores: Scores, *, prefix_text: str, suffix_text: str, p: float
) -> dict[str, Any]:
    """The row of a passage in `passages.parquet`.

    Args:
        passage: What was asked.
        scores: What the scoring pass said of it.
        prefix_text: The prefix, decoded.
        suffix_text: The suffix, decoded; the text that membership attacks see.
        p: The probability of (n, p)-discoverable extraction, for `n_needed`.

    Returns:
        A value for each column of `PASSAGE_SCHEMA`, in its order.

    Raises:
        InputError: `p` is not strictly between 0 and 1.
    """
    logprob_sampled = float(scores.logprob_sampled.sum(dtype=np.float64))
    row = _asked(passage, prefix_text, suffix_text) | {
        "nll": extraction.nll(scores),
        "perplexity": extraction.perplexity(scores),
        "token_accuracy": extraction.token_accuracy(scores),
        "longest_run": extraction.longest_run(scores.hit),
        "extractable": extraction.extractable(scores),
        "first_miss": extraction.first_miss(scores),
        "logprob": float(scores.logprob.sum(dtype=np.float64)),
        "logprob_sampled": logprob_sampled,
        "n_needed": extraction.draws_needed(logprob_sampled, p),
        "entropy": float(scores.entropy.mean(dtype=np.float64)),
    }
    registered = attacks()
    for name in PASSAGE_SCHEMA:
        if name.startswith("mia_"):
            row[name] = registered[name.removeprefix("mia_")](scores, suffix_text)
    return row


def verdict_row(
    passage: Passage, first_miss: int, *, prefix_text: str, suffix_text: str
) -> dict[str, Any]:
    """The row of a passage of which only the verdict is known; all other measures are null.

    Args:
        passage: What was asked.
        first_miss: Index of the first suffix token that is not the argmax, or the suffix length.
        prefix_text: The prefix, decoded.
        suffix_text: The suffix, decoded.

    Returns:
        A value for each column of `PASSAGE_SCHEMA`, in its order.
    """
    row = dict.fromkeys(PASSAGE_SCHEMA) | _asked(passage, prefix_text, suffix_text)
    row["first_miss"] = first_miss
    row["extractable"] = first_miss == passage.suffix_len
    return row


def generation_columns(
    suffix_text: str,
    suffix_ids: NDArray[np.integer],
    generated_text: str,
    generated_ids: Sequence[int] | NDArray[np.integer],
) -> dict[str, Any]:
    """The columns that a greedy continuation adds to a passage's row: `GENERATION_SCHEMA`."""
    return {
        "generated_text": generated_text,
        "rouge_l": rouge_l(suffix_text, generated_text).f1,
        "edit_similarity": edit_similarity(suffix_text, generated_text),
        "bleu": bleu(suffix_text, generated_text),
        "rouge_l_tokens": rouge_l(suffix_ids, generated_ids).f1,
        "edit_similarity_tokens": edit_similarity(suffix_ids, generated_ids),
        "bleu_tokens": bleu(suffix_ids, generated_ids),
    }


def token_frame(
    passage: Passage, scores: Scores, *, pieces: Sequence[str], argmax_pieces: Sequence[str]
) -> pl.DataFrame:
    """The rows of a passage in `tokens.parquet`, one per suffix token.

    Args:
        passage: What was asked.
        scores: What the scoring pass said of it.
        pieces: Text of each suffix token; joined, they are the suffix.
        argmax_pieces: Text of the likeliest token at each position.
    """
    columns = {
        "passage": [passage.id] * len(scores),
        "position": np.arange(len(scores), dtype=np.int32),
        "token": passage.suffix_ids.astype(np.int32),
        "text": list(pieces),
        "logprob": scores.logprob,
        "logprob_sampled": scores.logprob_sampled,
        "rank": scores.rank,
        "hit": scores.hit,
        "argmax": scores.argmax,
        "argmax_text": list(argmax_pieces),
        "entropy": scores.entropy,
        "logprob_var": scores.logprob_var,
    }
    return pl.DataFrame(columns, schema=TOKEN_SCHEMA)


@dataclass(frozen=True, slots=True)
class Measure:
    """A number that sums up many passages.

    Attributes:
        name: As in the column `measure` of the summary.
        label: In words.
        unit: Of the value; "share" is a number in 0..1, shown as a percentage.
        kind: How passages are put together: the rate of a truth value, the mean or median of a
            number, the exponential of its mean, or the largest of all.
        more: Whether a larger value means that more is recited.
        column: The column of `passages.parquet` that it is made from.
        transform: From that column `[passages]` to each passage's value; None takes it as it is.
        least_suffix: Tokens that a suffix must have for the value to be known.
    """

    name: str
    label: str
    unit: str
    kind: Literal["rate", "mean", "median", "exp_mean", "max"]
    more: bool
    column: str
    transform: Callable[[NDArray[np.float64]], NDArray[Any]] | None = None
    least_suffix: int = 0

    def of(self, frame: pl.DataFrame) -> NDArray[np.float64]:
        """Each passage's value `[passages]`; NaN where it is not known."""
        if self.column not in frame.columns:
            return np.full(len(frame), np.nan)
        values = frame[self.column].cast(pl.Float64).to_numpy()
        if self.least_suffix:
            long = (frame["suffix_len"] >= self.least_suffix).to_numpy()
            values = np.where(long, values, np.nan)
        if self.transform is None:
            return values
        return np.where(np.isnan(values), np.nan, self.transform(values))


def summary_measures(n: float, p: float) -> tuple[Measure, ...]:
    """What the summary holds, in its order.

    Args:
        n: Draws of (n, p)-discoverable extraction.
        p: Its probability, strictly between 0 and 1.
    """

    def seen(logprob: NDArray[np.float64]) -> NDArray[np.bool_]:
        return extraction.draws_needed(logprob, p) <= n

    def long(run: NDArray[np.float64]) -> NDArray[np.bool_]:
        return run >= LONG_RUN

    return (
        Measure("extractable", "recited in full", "share", "rate", True, "extractable"),
        Measure(
            f"run_ge_{LONG_RUN}",
            f"{LONG_RUN} or more tokens verbatim at a stretch",
            "share",
            "rate",
            True,
            "longest_run",
            long,
            least_suffix=LONG_RUN,
        ),
        Measure(
            "discoverable",
            f"seen in {n:,.0f} draws with probability {p:g} or more",
            "share",
            "rate",
            True,
            "logprob_sampled",
            seen,
        ),
        _mean("token_accuracy", "suffix tokens that are right", "share"),
        _mean("longest_run", "longest verbatim stretch, mean", "tokens"),
        Measure(
            "longest_run_median",
            "longest verbatim stretch, median",
            "tokens",
            "median",
            True,
            "longest_run",
        ),
        Measure(
            "longest_run_max",
            "longest verbatim stretch of all",
            "tokens",
            "max",
            True,
            "longest_run",
        ),
        _mean("nll", "negative log-likelihood", "nats per token", more=False),
        Measure("perplexity", "perplexity", "", "exp_mean", False, "nll"),
        _mean("rouge_l", "ROUGE-L of the greedy continuation, by words", "share"),
        _mean("rouge_l_tokens", "ROUGE-L of the greedy continuation, by tokens", "share"),
        _mean("edit_similarity", "edit similarity of the continuation, by characters", "share"),
        _mean("edit_similarity_tokens", "edit similarity of the continuation, by tokens", "share"),
        _mean("bleu", "BLEU-4 of the greedy continuation, by words", "share"),
        _mean("bleu_tokens", "BLEU-4 of the greedy continuation, by tokens", "share"),
    )


def _mean(name: str, label: str, unit: str, more: bool = True) -> Measure:
    return Measure(name, label, unit, "mean", more, name)


def _asked(passage: Passage, prefix_text: str, suffix_text: str) -> dict[str, Any]:
    return {
        "id": passage.id,
        "source": passage.source,
        "category": passage.category,
        "record": passage.record,
        "offset": passage.offset,
        "prefix_len": passage.prefix_len,
        "suffix_len": passage.suffix_len,
        "is_control": passage.control is not None,
        "control": passage.control,
        "control_of": passage.control_of,
        "count": passage.count,
        "member": passage.member,
        "prefix_text": prefix_text,
        "suffix_text": suffix_text,
    }
