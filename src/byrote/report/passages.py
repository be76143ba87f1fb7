"""Which passages the report shows token by token, and how they reach the page's script."""

from __future__ import annotations

import math
from typing import Any

import polars as pl

from byrote.report.data import TEXTS, ReportData
from byrote.report.numbers import finite

__all__ = ["MAX_PASSAGES", "MAX_TOKENS", "choose", "explorer_payload"]

MAX_PASSAGES = 1_000
MAX_TOKENS = 150_000
"""Together they keep the page at a few megabytes whatever the run's size."""
_BEST = 100


def choose(data: ReportData, limit: int = MAX_PASSAGES) -> tuple[pl.DataFrame, str]:
    """Choose the passages that the page holds.

    All of them where they fit. Else first those recited in full, then the texts with the longest
    verbatim stretches, then texts and controls alike at a regular step through their order by
    probability, so that what is shown spans the whole range.

    Args:
        data: The run.
        limit: How many passages and controls at most.

    Returns:
        The chosen rows in the run's order, and a sentence that says what was chosen.
    """
    rows = data.passages.with_row_index("order").with_columns(
        fit=(pl.col("logprob") / pl.col("suffix_len")).fill_null(-math.inf)
    )
    tokens = max(1, int(rows["suffix_len"].max() or 1))  # type: ignore[arg-type]
    limit = max(2, min(limit, MAX_TOKENS // tokens))
    texts = rows.filter(pl.col("group") == TEXTS)
    controls = rows.filter(pl.col("group") != TEXTS)
    of = f"{len(texts):,} passages and {len(controls):,} controls"
    if len(rows) <= limit:
        return rows, f"All {of} of this run are here."
    # Some room is kept for what is not recited: a page of recitals only would mislead.
    recited = rows.filter("extractable").sort("fit", "order", descending=[True, False])
    full = recited.head(limit * 3 // 5)
    rest = rows.join(full, on="order", how="anti")
    best = (
        rest.filter(pl.col("group") == TEXTS)
        .sort("longest_run", "order", descending=[True, False], nulls_last=True)
        .head(min(_BEST, (limit - len(full)) // 4))
    )
    rest = rest.join(best, on="order", how="anti").sort("fit", "order")
    room = limit - len(full) - len(best)
    rest_controls = rest.filter(pl.col("group") != TEXTS)
    rest_texts = rest.filter(pl.col("group") == TEXTS)
    some_controls = _regular(rest_controls, max(room // 2, room - len(rest_texts)))
    some_texts = _regular(rest_texts, room - len(some_controls))
    chosen = pl.concat([full, best, some_texts, some_controls]).sort("order")
    here = chosen.select(pl.col("is_control").sum()).item()
    all_full = "all" if len(full) == len(recited) else f"{len(full):,} of"
    return chosen, (
        f"Of {of}, {len(chosen) - here:,} passages and {here:,} controls are here: {all_full} "
        f"{len(recited):,} that are recited in full, the {len(best):,} others with the longest "
        "verbatim stretches, and the rest at regular steps from the least to the most probable. "
        "All are in tables/passages.parquet and tables/tokens.parquet; every number and chart "
        "above is of all of them."
    )


def explorer_payload(data: ReportData, chosen: pl.DataFrame) -> dict[str, Any]:
    """The chosen passages as JSON values, with their tokens as parallel arrays.

    Args:
        data: The run.
        chosen: Rows of `data.passages`.

    Returns:
        `passages`: one object each, with `t` (token texts), `l` (log-probabilities in nats), `r`
        (ranks) and `a` (what the model would have said, null where the token is its first choice).
    """
    tokens = _tokens(data, chosen["id"].to_list())
    passages = []
    for row in chosen.iter_rows(named=True):
        passage = {
            "id": row["id"],
            "source": row["source"],
            "category": row["category"],
            "group": row["group"],
            "of": row["control_of"],
            "record": row["record"],
            "offset": row["offset"],
            "prefix": row["prefix_text"],
            "n": row["suffix_len"],
            "np": row["prefix_len"],
            "full": bool(row["extractable"]),
            "run": row["longest_run"],
            "acc": _rounded(row["token_accuracy"], 4),
            "lp": _rounded(row["logprob"], 3),
            "lps": _rounded(row["logprob_sampled"], 3),
            "draws": _rounded(row["n_needed"], 1),
            "count": row["count"],
            "member": row["member"],
        }
        if row.get("generated_text") is not None:
            passage["gen"] = row["generated_text"]
            passage["rouge"] = _rounded(row.get("rouge_l"), 3)
        if row["id"] in tokens:
            passage |= tokens[row["id"]]
        else:
            passage["suffix"] = row["suffix_text"]
        passages.append({k: v for k, v in passage.items() if v is not None})
    return {"passages": passages}


def _tokens(data: ReportData, ids: list[str]) -> dict[str, dict[str, list[Any]]]:
    if data.tokens is None:
        return {}
    frame = (
        data.tokens.filter(pl.col("passage").is_in(ids))
        .sort("passage", "position")
        .group_by("passage", maintain_order=True)
        .agg(
            pl.col("text"),
            pl.col("logprob").cast(pl.Float64).round(3),
            pl.col("rank"),
            pl.when(~pl.col("hit")).then(pl.col("argmax_text").fill_null("")).alias("instead"),
        )
        .collect()
    )
    return {
        passage: {"t": text, "l": [finite(v) for v in logprob], "r": rank, "a": instead}
        for passage, text, logprob, rank, instead in frame.iter_rows()
    }


def _rounded(value: float | None, digits: int) -> float | None:
    number = finite(value)
    return None if number is None else round(number, digits)


def _regular(rows: pl.DataFrame, wanted: int) -> pl.DataFrame:
    """`wanted` rows at a regular step, first and last included."""
    if wanted >= len(rows):
        return rows
    if wanted <= 1:
        return rows.head(max(0, wanted))
    return rows[[round(i * (len(rows) - 1) / (wanted - 1)) for i in range(wanted)]]
