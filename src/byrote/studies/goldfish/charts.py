"""What the charts of the study draw: estimates and repetitions of arms, from the tables."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np
import polars as pl

from byrote.recall.intervals import rate, t_mean
from byrote.report.study import StudyData
from byrote.studies.looks import table

__all__ = [
    "attack_means",
    "estimates",
    "means_over_seeds",
    "overlap_axis",
    "seed_values",
]


def overlap_axis(title: str = "ROUGE-L with the suffix", *, top: float = 1.0) -> alt.Y:
    """A vertical axis of ROUGE-L or another similarity."""
    return alt.Y(
        "value:Q",
        title=title,
        scale=alt.Scale(domain=[0, top], nice=False),
        axis=alt.Axis(format=".1f", tickCount=6),
    )


def estimates(
    data: StudyData,
    measure: str,
    names: Sequence[str],
    *,
    decoding: str = "greedy",
    member: bool = True,
) -> pl.DataFrame:
    """Rows of `extraction` of some arms; intervals of shares do not leave 0 to 1.

    Returns:
        `arm`, `value`, `low`, `high`, `seeds`, `n`; no rows where nothing was measured.
    """
    found = table(data, "extraction")
    columns = ["arm", "value", "low", "high", "seeds", "n"]
    if found is None:
        return pl.DataFrame(schema={c: pl.String if c == "arm" else pl.Float64 for c in columns})
    chosen = found.filter(
        pl.col("arm").is_in(list(names))
        & (pl.col("decoding") == decoding)
        & (pl.col("member") == member)
        & (pl.col("measure") == measure)
    )
    return chosen.select(columns).with_columns(pl.col("low", "high").clip(0, 1))


def seed_values(
    data: StudyData,
    measure: str,
    names: Sequence[str],
    *,
    decoding: str = "greedy",
    member: bool = True,
) -> pl.DataFrame:
    """Means over the documents of each repetition: `arm`, `seed`, `value`."""
    found = table(data, "documents")
    if found is None:
        schema = {"arm": pl.String, "seed": pl.Int32, "value": pl.Float64}
        return pl.DataFrame(schema=schema)
    return (
        found.filter(
            pl.col("arm").is_in(list(names))
            & (pl.col("decoding") == decoding)
            & (pl.col("member") == member)
        )
        .group_by("arm", "seed", maintain_order=True)
        .agg(pl.col(measure).cast(pl.Float64).mean().alias("value"))
    )


def means_over_seeds(
    values: pl.DataFrame, keys: Sequence[str], limits: tuple[float, float] | None = (0.0, 1.0)
) -> pl.DataFrame:
    """Mean and 95 % t-interval over repetitions.

    Args:
        values: The keys and `value`, one row for each repetition.
        keys: What names a condition.
        limits: Where the interval is cut; None for nowhere.

    Returns:
        The keys, `value`, `low`, `high`, `seeds`.
    """
    rows = []
    for key, group in values.group_by(*keys, maintain_order=True):
        found = t_mean(group["value"].to_numpy())
        named = dict(zip(keys, key, strict=True))
        ends = {"value": found.value, "low": found.low, "high": found.high}
        rows.append({**named, **ends, "seeds": found.n})
    schema: dict[str, Any] = {key: values.schema[key] for key in keys}
    more = {**dict.fromkeys(("value", "low", "high"), pl.Float64), "seeds": pl.Int32}
    result = pl.DataFrame(rows, schema={**schema, **more})
    return result if limits is None else result.with_columns(pl.col("low", "high").clip(*limits))


def attack_means(
    values: pl.DataFrame, keys: Sequence[str], measure: str, members: int
) -> pl.DataFrame:
    """A membership attack over repetitions, with intervals that do not vanish at the ceiling.

    Of a share of members found: Wilson's interval over the members of all repetitions, these being
    clusters. Of the AUC: the t-interval over repetitions, and none where all members are told apart
    in each of them, since that all agree says nothing of how sure it is.

    Args:
        values: The keys, `seed` and `value`, one row for each repetition.
        keys: What names a condition.
        measure: `auc`, or another one, which is a share of the members.
        members: How many there are in a repetition.

    Returns:
        The keys, `value`, `low`, `high`, `seeds`.
    """
    found = means_over_seeds(values, keys)
    if measure == "auc":
        apart = (pl.col("value") == 1) & (pl.col("low") == 1)
        nothing = pl.when(apart).then(pl.lit(math.nan))
        return found.with_columns(
            nothing.otherwise(pl.col(end)).alias(end) for end in ("low", "high")
        )
    rows = []
    for row in found.iter_rows(named=True):
        group = values.filter(pl.all_horizontal(pl.col(key) == row[key] for key in keys))
        counts = [round(share * members) for share in group["value"]]
        outcomes = np.concatenate([np.arange(members) < count for count in counts])
        ends = rate(outcomes, clusters=np.repeat(np.arange(len(counts)), members))
        rows.append(row | {"low": ends.low, "high": ends.high})
    return pl.DataFrame(rows, schema=found.schema)
