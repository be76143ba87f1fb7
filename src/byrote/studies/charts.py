"""Kinds of charts that studies draw: estimates beside each other, and curves with bands."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, cast

import altair as alt
import polars as pl

from byrote.report.palette import LIGHT
from byrote.report.plotting import layered, plain, renamed, styled
from byrote.studies.looks import Look, looks_of

__all__ = ["curves_chart", "estimates_chart", "fitting_axis"]

_TOOLTIPS = 30


def fitting_axis(title: str, frames: Sequence[pl.DataFrame], *, digits: str = ".2f") -> alt.Y:
    """A vertical axis that begins near the lowest value and ends near the highest."""
    found = [
        float(value)
        for frame in frames
        for name in ("value", "low", "high")
        if name in frame.columns
        for value in frame[name].drop_nulls()
        if math.isfinite(value)
    ]
    low, high = (min(found), max(found)) if found else (0.0, 1.0)
    room = 0.06 * ((high - low) or 1.0)
    return alt.Y(
        "value:Q",
        title=title,
        scale=alt.Scale(domain=[low - room, high + room], nice=False, zero=False),
        axis=alt.Axis(format=digits, tickCount=6),
    )


def estimates_chart(
    marks: pl.DataFrame,
    looks: Sequence[Look],
    order: Sequence[str],
    y: alt.Y,
    *,
    x_title: str,
    title: str,
    subtitle: str = "",
    seeds: pl.DataFrame | None = None,
    published: pl.DataFrame | None = None,
    ticks: pl.DataFrame | None = None,
    levels: pl.DataFrame | None = None,
    share: bool = True,
    height: int = 250,
) -> alt.LayerChart | None:
    """Estimates with intervals at named places, the series beside each other.

    Args:
        marks: `series`, `at`, `value`, `low`, `high`.
        looks: Of the series, and of what was published.
        order: The places.
        y: The vertical encoding, of the field `value`.
        x_title: What the places are.
        title: What is to be seen.
        subtitle: Below it.
        seeds: Small points, one for each repetition: `series`, `at`, `value`.
        published: Open marks: `series`, `at`, `value`.
        ticks: Short lines across a place: `at`, `value`.
        levels: Dashed lines across all places, with their names: `text`, `value`.
        share: Whether tooltips give percentages.
        height: Of the plotting area.
    """
    marks = marks.filter(pl.col("value").is_finite() & pl.col("at").is_in(list(order)))
    if marks.is_empty():
        return None
    names = set(marks["series"])
    if published is not None:
        published = published.filter(pl.col("at").is_in(list(order)))
        names |= set(published["series"])
    looks = [look for look in looks if look.name in names]
    x = alt.X(
        "at:N",
        sort=list(order),
        title=x_title,
        scale=alt.Scale(domain=list(order), paddingInner=0.25, paddingOuter=0.15),
        axis=alt.Axis(labelAngle=0, grid=False),
    )
    beside: dict[str, Any] = {}
    if len(looks) > 1:
        series = [look.name for look in looks]
        beside["xOffset"] = alt.XOffset(
            "series:N", sort=series, scale=alt.Scale(domain=series, paddingOuter=0.6)
        )
    colour, shape = looks_of(looks, "color", marks=True), looks_of(looks, "shape", marks=True)
    ink = LIGHT["chart-ink"]
    layers: list[Any] = []
    if levels is not None and not levels.is_empty():
        line = alt.Chart(plain(levels)).encode(y=y)
        layers.append(line.mark_rule(strokeDash=[3, 3], strokeWidth=1.3, color=ink, aria=False))
        words = line.mark_text(align="right", dy=-6, color=LIGHT["chart-muted"], aria=False)
        layers.append(words.encode(x=alt.value("width"), text="text:N"))
    if ticks is not None and not ticks.is_empty():
        short = alt.Chart(plain(ticks)).mark_tick(
            color=ink, thickness=2, bandSize=46, orient="horizontal", aria=False
        )
        layers.append(short.encode(x=x, y=y))
    where = {"x": x, **beside}
    base = alt.Chart(plain(marks)).encode(color=colour, **where)
    ranged = alt.Chart(plain(marks.filter(pl.col("low").is_finite())))
    layers.append(
        ranged.mark_rule(strokeWidth=2, opacity=0.55, aria=False).encode(
            color=colour, y=renamed(y, "low:Q"), y2="high:Q", **where
        )
    )
    if seeds is not None and not seeds.is_empty():
        layers.append(
            alt.Chart(plain(seeds.filter(pl.col("at").is_in(list(order)))))
            .mark_point(filled=True, size=16, opacity=0.9, aria=False)
            .encode(color=colour, y=y, **where)
        )
    if published is not None and not published.is_empty():
        layers.append(
            alt.Chart(plain(published))
            .mark_point(filled=False, size=60, strokeWidth=1.7, opacity=1, aria=False)
            .encode(color=colour, shape=shape, y=y, tooltip=_tooltip(share)[:3], **where)
        )
    layers.append(
        base.mark_point(filled=True, size=80, opacity=1, aria=False).encode(
            y=y, shape=shape, tooltip=_tooltip(share)
        )
    )
    return styled(layered(*layers), title, subtitle, height=height)


def _tooltip(share: bool) -> list[alt.Tooltip]:
    digits = ".1%" if share else ".3f"
    return [
        alt.Tooltip("series:N", title="of"),
        alt.Tooltip("at:N", title="at"),
        alt.Tooltip("value:Q", title="value", format=digits),
        alt.Tooltip("low:Q", title="interval from", format=digits),
        alt.Tooltip("high:Q", title="to", format=digits),
    ]


def curves_chart(
    curves: pl.DataFrame,
    looks: Sequence[Look],
    x: alt.X,
    y: alt.Y,
    *,
    title: str,
    subtitle: str = "",
    levels: pl.DataFrame | None = None,
    points: bool = False,
    split: tuple[str, dict[str, tuple[int, ...]]] | None = None,
    x_format: str = ",d",
    height: int = 240,
) -> alt.LayerChart | None:
    """Curves with their interval as a band.

    Args:
        curves: `series`, what `x` names, `value`, `low`, `high`.
        looks: Of the series.
        x: Horizontal encoding; its field has no type but quantitative.
        y: Vertical encoding, of the field `value`.
        title: What is to be seen.
        subtitle: Below it.
        levels: Dashed lines, with their names: `text`, `value`.
        points: Mark every point.
        split: A further column and the dash of each of its values; dashes then tell these apart
            and not the series.
        x_format: Of the field of `x` in the tooltips.
        height: Of the plotting area.
    """
    curves = curves.filter(pl.col("value").is_finite())
    if curves.is_empty():
        return None
    names = set(curves["series"])
    looks = [look for look in looks if look.name in names]
    field = str(cast("Any", x)["shorthand"]).split(":")[0]
    colour = looks_of(looks, "color", marks=points)
    clip: dict[str, Any] = {"clip": True, "aria": False}
    base = alt.Chart(plain(curves.sort("series", field))).encode(x=x, color=colour)
    if split is None:
        dash, detail = looks_of(looks, "dash", marks=points), []
    else:
        column, dashes = split
        scale = alt.Scale(domain=list(dashes), range=[list(d) for d in dashes.values()])
        key = alt.Legend(
            orient="bottom", title=None, symbolType="stroke", symbolSize=300, columns=2
        )
        dash = alt.StrokeDash(f"{column}:N", sort=list(dashes), scale=scale, legend=key)
        detail = [alt.Detail(f"{column}:N")]
    layers: list[Any] = []
    ranged = curves.filter(pl.col("low").is_finite() & pl.col("high").is_finite())
    if not ranged.is_empty():
        band = alt.Chart(plain(ranged.sort("series", field))).encode(x=x, color=colour)
        layers.append(
            band.mark_area(opacity=0.1, **clip).encode(
                y=renamed(y, "low:Q"), y2="high:Q", detail=detail
            )
        )
    if levels is not None and not levels.is_empty():
        line = alt.Chart(plain(levels)).encode(y=y)
        ink = LIGHT["chart-ink"]
        layers.append(line.mark_rule(strokeDash=[3, 3], strokeWidth=1.3, color=ink, aria=False))
        words = line.mark_text(align="right", dy=-6, color=LIGHT["chart-muted"], aria=False)
        layers.append(words.encode(x=alt.value("width"), text="text:N"))
    layers.append(base.mark_line(strokeWidth=2.2, **clip).encode(y=y, strokeDash=dash))
    tooltip = [
        alt.Tooltip("series:N", title="of"),
        alt.Tooltip(f"{field}:Q", title=field.replace("_", " "), format=x_format),
        alt.Tooltip("value:Q", title="value", format=".3f"),
        alt.Tooltip("low:Q", title="from", format=".3f"),
        alt.Tooltip("high:Q", title="to", format=".3f"),
    ]
    if split is not None:
        tooltip.insert(1, alt.Tooltip(f"{split[0]}:N", title="of"))
    spots = base
    if not points:
        places = curves[field].unique().sort()
        every = max(1, math.ceil(len(places) / _TOOLTIPS))
        some = curves.filter(pl.col(field).is_in(places.gather_every(every).implode()))
        spots = alt.Chart(plain(some)).encode(x=x, color=colour)
    else:
        spots = spots.encode(shape=looks_of(looks, "shape", marks=True))
    size, opacity = (60, 1) if points else (50, 0)
    layers.append(
        spots.mark_point(filled=True, size=size, opacity=opacity, **clip).encode(
            y=y, tooltip=tooltip
        )
    )
    return styled(layered(*layers), title, subtitle, height=height)
