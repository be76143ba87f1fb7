"""Kinds of charts that only this study draws: a method a row, and who hurts whom."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt
import polars as pl

from byrote.report.palette import LIGHT
from byrote.report.plotting import layered, plain, renamed, styled
from byrote.studies.looks import Look, looks_of

__all__ = ["confusion_chart", "methods_chart"]

_ROW = 26
_SIDE = 300


def methods_chart(
    marks: pl.DataFrame,
    looks: Sequence[Look],
    order: Sequence[str],
    *,
    x_title: str,
    title: str,
    subtitle: str = "",
    published: pl.DataFrame | None = None,
    levels: pl.DataFrame | None = None,
    share: bool = True,
) -> alt.LayerChart | None:
    """Estimates with intervals, a method a row, the series beside each other within it.

    Args:
        marks: `series`, `at`, `value`, `low`, `high`.
        looks: Of the series.
        order: The methods, from the top.
        x_title: Of the values.
        title: What is to be seen.
        subtitle: Below it.
        published: Open marks: `series`, `at`, `value`.
        levels: Dashed lines down all rows, with their names: `text`, `value`.
        share: Whether values are shares.
    """
    marks = marks.filter(pl.col("value").is_finite() & pl.col("at").is_in(list(order)))
    if marks.is_empty():
        return None
    there = [at for at in order if at in set(marks["at"])]
    names = set(marks["series"])
    looks = [look for look in looks if look.name in names]
    y = alt.Y(
        "at:N",
        sort=there,
        title=None,
        scale=alt.Scale(domain=there, paddingInner=0.3, paddingOuter=0.15),
        axis=alt.Axis(labelLimit=220, ticks=False, domain=False, grid=True),
    )
    digits = ".0%" if share else ".2f"
    x = alt.X("value:Q", title=x_title, axis=alt.Axis(format=digits, tickCount=6))
    beside: dict[str, Any] = {}
    if len(looks) > 1:
        series = [look.name for look in looks]
        beside["yOffset"] = alt.YOffset(
            "series:N", sort=series, scale=alt.Scale(domain=series, paddingOuter=0.6)
        )
    colour, shape = looks_of(looks, "color", marks=True), looks_of(looks, "shape", marks=True)
    where = {"y": y, **beside}
    layers: list[Any] = []
    if levels is not None and not levels.is_empty():
        line = alt.Chart(plain(levels)).encode(x=x)
        ink = LIGHT["chart-ink"]
        layers.append(line.mark_rule(strokeDash=[3, 3], strokeWidth=1.3, color=ink, aria=False))
        words = line.mark_text(
            align="left", baseline="top", dx=4, dy=2, color=LIGHT["chart-muted"], aria=False
        )
        layers.append(words.encode(y=alt.value(0), text="text:N"))
    ranged = alt.Chart(plain(marks.filter(pl.col("low").is_finite())))
    layers.append(
        ranged.mark_rule(strokeWidth=2, opacity=0.55, aria=False).encode(
            color=colour, x=renamed(x, "low:Q"), x2="high:Q", **where
        )
    )
    if published is not None and not published.is_empty():
        layers.append(
            alt.Chart(plain(published.filter(pl.col("at").is_in(there))))
            .mark_point(filled=False, size=60, strokeWidth=1.7, opacity=1, aria=False)
            .encode(color=colour, shape=shape, x=x, tooltip=_tooltip(share)[:3], **where)
        )
    layers.append(
        alt.Chart(plain(marks))
        .mark_point(filled=True, size=70, opacity=1, aria=False)
        .encode(color=colour, shape=shape, x=x, tooltip=_tooltip(share), **where)
    )
    height = len(there) * _ROW * max(1.0, 0.62 * len(looks))
    return styled(layered(*layers), title, subtitle, height=round(height))


def _tooltip(share: bool) -> list[alt.Tooltip]:
    digits = ".1%" if share else ".3f"
    return [
        alt.Tooltip("at:N", title="method"),
        alt.Tooltip("series:N", title="of"),
        alt.Tooltip("value:Q", title="value", format=digits),
        alt.Tooltip("low:Q", title="interval from", format=digits),
        alt.Tooltip("high:Q", title="to", format=digits),
    ]


def confusion_chart(
    cells: pl.DataFrame, order: Sequence[str], *, title: str, subtitle: str = ""
) -> alt.LayerChart:
    """Which passage loses how much when the neurons of which other are dropped.

    Args:
        cells: `target`, `passage` (by their place, from 1), `target_text`, `passage_text`, `lost`
            (accuracy, a share), `shade` (the same from 0 on).
        order: What stands at the axis for each place, in order.
        title: What is to be seen.
        subtitle: Below it.
    """
    count = len(order)
    words = ", ".join(f"'{_quoted(text)}'" for text in order)
    named = f"[{words}][datum.value - 1]"
    places = list(range(1, count + 1))
    scale = alt.Scale(domain=[0.5, count + 0.5], nice=False)
    axis = alt.Axis(values=places, labelExpr=named, grid=False, labelLimit=150)
    x = alt.X("x:Q", title="measured: passage", scale=scale, axis=axis.copy())
    x.axis.labelAngle = -90  # pyright: ignore[reportAttributeAccessIssue]
    down = alt.Scale(domain=[count + 0.5, 0.5], nice=False)
    y = alt.Y("y:Q", title="dropped: neurons of", scale=down, axis=axis)
    corners = cells.with_columns(
        x=pl.col("passage") - 0.5,
        x2=pl.col("passage") + 0.5,
        y=pl.col("target") - 0.5,
        y2=pl.col("target") + 0.5,
    )
    base = alt.Chart(plain(corners)).encode(x=x, x2="x2:Q", y=y, y2="y2:Q")
    ground = base.mark_rect(color=LIGHT["chart-grid"], opacity=0.45, aria=False)
    shade = alt.Opacity("shade:Q", scale=alt.Scale(domain=[0, 1], range=[0, 1]), legend=None)
    harm = base.mark_rect(color=LIGHT["chart-control-1"], aria=False).encode(
        opacity=shade,
        tooltip=[
            alt.Tooltip("target_text:N", title="neurons of"),
            alt.Tooltip("passage_text:N", title="passage"),
            alt.Tooltip("lost:Q", title="accuracy lost", format=".0%"),
        ],
    )
    return styled(layered(ground, harm), title, subtitle, height=_SIDE)


def _quoted(text: str) -> str:
    """A text that may stand between single quotes in an expression of Vega."""
    return text.replace("\\", "").replace("'", "’")
