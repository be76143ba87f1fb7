"""The tables behind the curves: shares with at least so much, and recall by count in training."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from byrote.recall.intervals import bootstrap_mean, rate
from byrote.recall.pools import pools, table_of
from byrote.recall.schemas import COUNT_SCHEMA, SURVIVAL_SCHEMA

__all__ = ["count_table", "survival_table"]

_CURVES = ("longest_run", "token_accuracy", "logprob")
_POINTS = 80
# With more different counts than this, they are put into bins of powers of two.
_COUNTS = 12


def survival_table(
    frame: pl.DataFrame, *, confidence: float = 0.95, method: str = "wilson", sweep: bool = True
) -> pl.DataFrame:
    """The share of passages with at least so much, over the values that there are.

    Args:
        frame: The passages.
        confidence: The level of the intervals.
        method: "wilson" or "clopper-pearson".
        sweep: Keep the prefix lengths apart, as in `summarise`.

    Returns:
        A frame of `SURVIVAL_SCHEMA`: for each pool and measure up to 80 points, the least and the
        greatest value among them.

    Raises:
        InputError: An option is outside its range.
    """
    rows: list[dict[str, Any]] = []
    for pool in pools(frame, by_prefix=sweep, categories=False):
        for measure in _CURVES:
            values = pool.frame[measure].cast(pl.Float64).fill_null(np.nan).to_numpy()
            known = np.isfinite(values)
            values, documents = values[known], pool.documents[known]
            places = np.unique(values)
            if len(places) > _POINTS:
                places = places[np.linspace(0, len(places) - 1, _POINTS).round().astype(int)]
            for place in places.tolist():
                share = rate(
                    values >= place, clusters=documents, confidence=confidence, method=method
                )
                rows.append(
                    pool.key()
                    | {"measure": measure, "at_least": place, "passages": share.n}
                    | {"rate": share.value, "low": share.low, "high": share.high}
                )
    return table_of(rows, SURVIVAL_SCHEMA)


def count_table(
    frame: pl.DataFrame, *, confidence: float = 0.95, seed: int = 0, method: str = "wilson"
) -> pl.DataFrame:
    """Recall by how often a text was in training; all prefix lengths together.

    Args:
        frame: The passages; those without a count, or with a count of zero, are left out.
        confidence: The level of the intervals.
        seed: Seed of the bootstrap over records.
        method: Of the rates: "wilson" or "clopper-pearson".

    Returns:
        A frame of `COUNT_SCHEMA`. More than 12 different counts of a source are put into bins of
        powers of two. Empty where there are fewer than two counts.

    Raises:
        InputError: An option is outside its range.
    """
    rows: list[dict[str, Any]] = []
    for pool in pools(frame.filter(pl.col("count") > 0), by_prefix=False, categories=False):
        distinct = pool.frame["count"].n_unique()
        if distinct < 2:
            continue
        bins = (2.0 ** pl.col("count").log(2).floor()).cast(pl.Int64)
        start = bins if distinct > _COUNTS else pl.col("count")
        split = pool.frame.with_columns(_start=start).sort("_start", "id")
        for _, part in split.group_by("_start", maintain_order=True):
            documents = part["_document"].to_numpy()
            options: dict[str, Any] = {"clusters": documents, "confidence": confidence}
            found = {"extractable": rate(part["extractable"].to_numpy(), method=method, **options)}
            accuracy = part["token_accuracy"]
            if not accuracy.null_count():
                found["token_accuracy"] = bootstrap_mean(accuracy.to_numpy(), seed=seed, **options)
            for measure, estimate in found.items():
                rows.append(
                    pool.key()
                    | {"measure": measure, "count": part["_start"][0], "n": estimate.n}
                    | {"count_to": part["count"].max(), "documents": len(np.unique(documents))}
                    | {"value": estimate.value, "low": estimate.low, "high": estimate.high}
                    | {"method": estimate.method}
                )
    return table_of(rows, COUNT_SCHEMA)
