"""Curves of "the share of passages with at least this much": how well texts are recited.

They show what a rate of full recitals hides: a model may recite none of the passages in full and
still get most of their tokens right.
"""

from __future__ import annotations

import math

import altair as alt
import polars as pl

from byrote.report.data import ReportData
from byrote.report.numbers import group_label
from byrote.report.plotting import (
    at_headline,
    curves,
    passage_numbers,
    plain,
    share_axis,
    styled,
)

__all__ = ["longest_run_chart", "suffix_probability_chart", "token_accuracy_chart"]


def suffix_probability_chart(data: ReportData, source: str | None = None) -> alt.LayerChart | None:
    """How probable the whole suffix is: the share of passages with at least that probability."""
    x = alt.X(
        "x:Q",
        title="probability of the whole suffix (likelier to the right)",
        scale=alt.Scale(type="symlog", constant=3, nice=False),
        axis=alt.Axis(
            values=[-300, -200, -100, -50, -25, -10, -5, -2, 0],
            labelExpr="datum.value == 0 ? '1' : '1e' + datum.value",
            grid=False,
        ),
    )
    return _survival_chart(
        data,
        source,
        "logprob",
        x,
        "how probable the suffixes are",
        alt.Tooltip("x:Q", title="log10 probability, at least", format=".2f"),
        at_least="with at least this probability",
        unit=math.log(10),
    )


def token_accuracy_chart(data: ReportData, source: str | None = None) -> alt.LayerChart | None:
    """How many of the suffix tokens are right: the share of passages with at least that many."""
    x = alt.X(
        "x:Q",
        title="suffix tokens that are the model's first choice",
        scale=alt.Scale(domain=[0, 1], nice=False),
        axis=alt.Axis(format=".0%", tickCount=6, grid=False),
    )
    return _survival_chart(
        data,
        source,
        "token_accuracy",
        x,
        "how many tokens are right",
        alt.Tooltip("x:Q", title="tokens right, at least", format=".1%"),
        at_least="with at least this many right",
    )


def longest_run_chart(data: ReportData, source: str | None = None) -> alt.LayerChart | None:
    """How long the recited stretches are: share of passages whose longest run is at least L."""
    longest = int(data.asked["suffix_len"].max() or 1)  # type: ignore[arg-type]
    x = alt.X(
        "x:Q",
        title="longest verbatim stretch, at least L tokens",
        scale=alt.Scale(domain=[0, longest], nice=False),
        axis=alt.Axis(format="d", tickCount=min(10, longest), grid=False),
    )
    return _survival_chart(
        data,
        source,
        "longest_run",
        x,
        "how long the recited stretches are",
        alt.Tooltip("x:Q", title="tokens, at least", format="d"),
        at_least="with a stretch of L or more",
    )


def _survival_chart(
    data: ReportData,
    source: str | None,
    measure: str,
    x: alt.X,
    title: str,
    x_tooltip: alt.Tooltip,
    *,
    at_least: str,
    unit: float = 1.0,
) -> alt.LayerChart | None:
    """Share of passages whose value is at least x, for texts and each control."""
    if data.survival is None:
        return None
    rows = at_headline(data, data.survival.filter(pl.col("measure") == measure))
    rows = data.of_source(rows, source)
    if rows.is_empty():
        return None
    rows = rows.select(
        "passages",
        "low",
        "high",
        label=pl.col("group").map_elements(group_label, return_dtype=pl.String),
        x=pl.col("at_least") / unit,
        value=pl.col("rate"),
    )
    # A share is not negative and starts at zero; a log-probability starts at the least of all.
    start = min(0.0, float(rows["x"].min() or 0))  # type: ignore[arg-type]
    least = rows.sort("x").group_by("label", maintain_order=True).first()
    least = least.filter(pl.col("x") > start).with_columns(x=pl.lit(start))
    rows = pl.concat([least.select(rows.columns), rows]).sort("label", "x")
    y = share_axis(f"share of passages {at_least}", root=True)
    tooltip = [
        alt.Tooltip("label:N", title="of"),
        x_tooltip,
        alt.Tooltip("value:Q", title="share", format=".1%"),
        alt.Tooltip("low:Q", title="interval from", format=".1%"),
        alt.Tooltip("high:Q", title="to", format=".1%"),
        alt.Tooltip("passages:Q", title="of passages", format=","),
    ]
    chart = curves(plain(rows), data.groups, x, y, tooltip)
    subtitle = f"{passage_numbers(data, source)}; bands: {data.level} intervals"
    return styled(chart, f"{data.source_name(source)}: {title}", subtitle)
