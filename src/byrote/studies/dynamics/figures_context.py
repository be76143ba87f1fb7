"""Charts of the local prefix against the global context (E6)."""

from __future__ import annotations

import altair as alt
import polars as pl

from byrote.report.figures import Figure
from byrote.report.palette import LIGHT
from byrote.report.plotting import layered, plain, renamed, share_axis, styled
from byrote.report.study import StudyData
from byrote.studies.dynamics.charts import Look, looks_of, table

__all__ = ["CONDITION_LOOKS", "context_figures", "context_rows"]

_CEILING = "k-gram ceiling"
_INTACT = "intact"
# From one condition to the next, on the logarithmic axis.
_STEP = 1.025

# Blues and green keep the distribution of the letters, orange and purple do not.
CONDITION_LOOKS = {
    "shuffle": Look("shuffled", "chart-step-5", "circle"),
    "other": Look("another string", "chart-texts", "square"),
    "fresh": Look("fresh draw", "chart-control-3", "triangle-up"),
    "constant": Look("one letter repeated", "chart-control-1", "diamond", (6, 3)),
    "other-alphabet": Look("other letters", "chart-control-2", "cross", (6, 3)),
    "random-vocab": Look("any tokens", "chart-control-1", "triangle-down", (2, 2)),
    "truncate": Look("nothing (truncated)", "chart-muted", "triangle-right", (8, 3, 2, 3)),
}
"""By the condition's name, what stands in the place of the global context."""


def context_rows(data: StudyData) -> pl.DataFrame | None:
    """Accuracy over strings by exposure, epoch, condition and k, with the exposure's facts.

    The rows of the ceiling are without an epoch, those of the intact context without k.
    """
    contexts, trainings = table(data, "contexts"), table(data, "trainings")
    if contexts is None or trainings is None:
        return None
    facts = trainings.select("training", "model", "letters", "n").unique(maintain_order=True)
    rows = contexts.filter((pl.col("measure") == "accuracy") & pl.col("value").is_finite())
    rows = rows.join(facts, on="training", maintain_order="left").with_columns(
        pl.col("low", "high").clip(0, 1)
    )
    return None if rows.is_empty() else rows


def context_figures(data: StudyData) -> list[Figure]:
    """E6: accuracy against k for each condition; a panel for each model, alphabet and epoch."""
    rows = context_rows(data)
    if rows is None:
        return []
    figures = []
    keys = ("model", "letters", "n", "training")
    for (model, letters, n, training), group in rows.group_by(*keys, maintain_order=True):
        epochs = group["epoch"].drop_nulls().unique().sort().to_list()
        for epoch in epochs:
            panel = group.filter(pl.col("epoch").is_null() | (pl.col("epoch") == epoch))
            chart = _panel(panel, f"{model}, ℓ = {letters}: recall from k tokens, epoch {epoch}", n)
            name = f"context-{training}-{epoch}"
            words = f"accuracy by local prefix and global context, {model}, epoch {epoch}"
            figures.append(Figure(name, "context", chart, words))
    return figures


def _panel(panel: pl.DataFrame, title: str, n: int) -> alt.LayerChart:
    ks = panel["k"].drop_nulls().unique().sort().to_list()
    x = alt.X(
        "k:Q",
        title="local prefix kept, k (tokens, logarithmic)",
        scale=alt.Scale(type="log", nice=False, domain=[ks[0] / 1.2, ks[-1] * 1.2]),
        axis=alt.Axis(values=ks, format="d", grid=False),
    )
    y = share_axis("positions recalled", top=1.04)
    looks = [CONDITION_LOOKS[c] for c in CONDITION_LOOKS if c in set(panel["condition"])]
    names = {condition: look.name for condition, look in CONDITION_LOOKS.items()}
    curves = panel.filter(pl.col("condition").is_in(list(names))).with_columns(
        series=pl.col("condition").replace_strict(names, return_dtype=pl.String)
    )
    # Beside each other, so that the intervals of several conditions can be told apart.
    order = [look.name for look in looks]
    aside = {name: _STEP ** (i - (len(order) - 1) / 2) for i, name in enumerate(order)}
    curves = curves.select(
        "series",
        "k",
        "strings",
        "positions",
        pl.col("value", "low", "high").round(4),
        at=(pl.col("k") * pl.col("series").replace_strict(aside, return_dtype=pl.Float64)).round(3),
    )
    base = alt.Chart(plain(curves.sort("series", "k"))).encode(x=renamed(x, "at:Q"), y=y)
    colour, dash = looks_of(looks, "color", marks=True), looks_of(looks, "dash", marks=True)
    tooltip = [
        alt.Tooltip("series:N", title="global context"),
        alt.Tooltip("k:Q", title="k"),
        alt.Tooltip("value:Q", title="recalled", format=".1%"),
        alt.Tooltip("low:Q", title="interval from", format=".1%"),
        alt.Tooltip("high:Q", title="to", format=".1%"),
        alt.Tooltip("strings:Q", title="strings"),
        alt.Tooltip("positions:Q", title="positions of each"),
    ]
    ceiling = panel.filter(pl.col("condition") == _CEILING).sort("k")
    intact = panel.filter(pl.col("condition") == _INTACT).select("value", "low", "high")
    ink = LIGHT["chart-ink"]
    layers = []
    if not ceiling.is_empty():
        frame = alt.Chart(plain(ceiling.select("k", "value"))).encode(x=x, y=y)
        # What lies above the ceiling cannot come from the k tokens alone.
        layers.append(
            frame.mark_area(color=LIGHT["chart-grid"], opacity=0.55, aria=False).encode(
                y2=alt.datum(0)
            )
        )
        layers.append(
            frame.mark_line(color=ink, strokeDash=[2, 2], strokeWidth=1.6, aria=False).encode(
                tooltip=[
                    alt.Tooltip("k:Q", title="k"),
                    alt.Tooltip("value:Q", title="k-gram ceiling", format=".1%"),
                ]
            )
        )
    if not intact.is_empty():
        layers.append(
            alt.Chart(plain(intact.head(1)))
            .mark_rule(color=ink, strokeWidth=1.6, aria=False)
            .encode(y=y)
        )
    # One string has no interval.
    sure = curves.filter(pl.all_horizontal(pl.col("low", "high").is_finite()))
    if not sure.is_empty():
        bars = alt.Chart(plain(sure.sort("series", "k"))).mark_rule(
            strokeWidth=1.6, opacity=0.5, aria=False
        )
        layers.append(
            bars.encode(x=renamed(x, "at:Q"), y=renamed(y, "low:Q"), y2="high:Q", color=colour)
        )
    layers.append(base.mark_line(strokeWidth=2, aria=False).encode(color=colour, strokeDash=dash))
    layers.append(
        base.mark_point(filled=True, size=55, opacity=1, aria=False).encode(
            color=colour, shape=looks_of(looks, "shape", marks=True), tooltip=tooltip
        )
    )
    strings = int(panel["strings"].max() or 0)  # type: ignore[arg-type]
    subtitle = f"n = {n}, {strings} strings; solid: whole prefix; dotted: ceiling"
    subtitle += "; bars: 95 %" if not sure.is_empty() else ""
    return styled(layered(*layers), title, subtitle, height=260)
