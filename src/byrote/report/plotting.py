"""The look that all charts share, and how a chart becomes a picture."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, TypeVar, cast

import altair as alt
import polars as pl
import vl_convert

from byrote.report.data import ReportData
from byrote.report.numbers import group_label
from byrote.report.palette import LIGHT

__all__ = [
    "DASHES",
    "HEIGHT",
    "MEASURE_TITLES",
    "WIDTH",
    "at_headline",
    "chart_png",
    "chart_svg",
    "curves",
    "group_encoding",
    "layered",
    "legend",
    "on_white",
    "passage_numbers",
    "plain",
    "renamed",
    "share_axis",
    "styled",
]

MEASURE_TITLES = {
    "extractable": "passages recited in full",
    "token_accuracy": "suffix tokens that are right",
    "longest_run": "longest verbatim stretch (tokens)",
    "longest_run_median": "longest verbatim stretch, median (tokens)",
    "run_ge_20": "passages with 20 or more tokens verbatim",
    "discoverable": "passages extractable by sampling",
}

WIDTH, HEIGHT = 440, 250
_Channel = TypeVar("_Channel", alt.X, alt.Y)
_FONT = "system-ui, -apple-system, 'Segoe UI', 'Liberation Sans', Arial, sans-serif"
_GROUP_COLOURS = ("chart-texts", "chart-control-1", "chart-control-2", "chart-control-3")
_GROUP_SHAPES = ("circle", "diamond", "square", "triangle-up")
DASHES: tuple[list[int], ...] = ([1, 0], [6, 3], [2, 2], [8, 3, 2, 3])


def _domain(groups: Sequence[str]) -> tuple[list[str], list[int]]:
    """Legend entries and, for each, its place in the palette (a fifth group wraps around)."""
    labels = [group_label(group) for group in groups]
    places = [0 if i == 0 else 1 + (i - 1) % 3 for i in range(len(labels))]
    return labels, places


def legend(title: str | None = None, **options: Any) -> alt.Legend:
    """A legend above the chart, in rows that fit a narrow screen."""
    settings: dict[str, Any] = {
        "orient": "top",
        "title": title,
        "symbolType": "stroke",
        "symbolStrokeWidth": 2.5,
        "symbolSize": 300,
        "symbolOpacity": 1,
        "columns": 2,
        **options,
    }
    return alt.Legend(**settings)


def group_encoding(groups: Sequence[str], kind: str) -> Any:
    """How texts and controls are told apart: by colour and, never by colour alone, a second sign.

    Args:
        groups: The texts, then the controls.
        kind: "color", "shape" or "dash".
    """
    labels, places = _domain(groups)
    field = "label:N"
    if kind == "color":
        colours = [LIGHT[_GROUP_COLOURS[i]] for i in places]
        return alt.Color(
            field, scale=alt.Scale(domain=labels, range=colours), sort=labels, legend=legend()
        )
    if kind == "shape":
        shapes = [_GROUP_SHAPES[i] for i in places]
        scale = alt.Scale(domain=labels, range=shapes)
        return alt.Shape(
            field, scale=scale, sort=labels, legend=legend(symbolType=alt.Undefined, symbolSize=85)
        )
    dashes = [DASHES[i] for i in places]
    return alt.StrokeDash(
        field, scale=alt.Scale(domain=labels, range=dashes), sort=labels, legend=legend()
    )


def renamed(channel: _Channel, field: str) -> _Channel:
    """The same axis, scale and title for another field."""
    copy = cast("Any", channel).copy(deep=False)
    copy["shorthand"] = field
    return copy


def layered(*charts: Any) -> alt.LayerChart:
    """Charts on top of each other; none of them is faceted."""
    return cast("alt.LayerChart", alt.layer(*charts))


def share_axis(title: str, *, root: bool = False, top: float = 1.0) -> alt.Y:
    """A vertical axis for shares.

    Args:
        title: Axis title in words.
        root: Square-root scale, which keeps rare events visible and zero on the axis.
        top: Largest share on the axis.
    """
    if root:
        ticks = [0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 1]
        return alt.Y(
            "value:Q",
            title=title,
            scale=alt.Scale(type="pow", exponent=0.5, domain=[0, 1], nice=False),
            axis=alt.Axis(values=ticks, format=".0%"),
        )
    return alt.Y(
        "value:Q",
        title=title,
        scale=alt.Scale(domain=[0, top], nice=False),
        axis=alt.Axis(format=".1~%", tickCount=5),
    )


def curves(
    frame: pl.DataFrame,
    groups: Sequence[str],
    x: alt.X,
    y: alt.Y,
    tooltip: list[alt.Tooltip],
    *,
    points: bool = False,
    detail: str | None = None,
) -> alt.LayerChart:
    """Lines of texts and controls with their interval as a band.

    Args:
        frame: Columns `label`, `value`, `low`, `high` and what `x`, `tooltip`, `detail` name.
        groups: The texts, then the controls.
        x: Horizontal encoding.
        y: Vertical encoding, of the field `value`.
        tooltip: Shown at each point.
        points: Mark the points; else they only catch the pointer.
        detail: A further field that splits lines.
    """
    base = alt.Chart(frame).encode(x=x)
    if detail is not None:
        base = base.encode(detail=alt.Detail(detail))
    colour = group_encoding(groups, "color")
    band = base.mark_area(opacity=0.14, aria=False).encode(
        y=renamed(y, "low:Q"),
        y2="high:Q",
        color=colour,
    )
    line = base.mark_line(strokeWidth=2.2, aria=False).encode(
        y=y, color=colour, strokeDash=group_encoding(groups, "dash")
    )
    shown = base.mark_point(filled=True, size=60, opacity=1 if points else 0, aria=False).encode(
        y=y, color=colour, tooltip=tooltip
    )
    return layered(band, line, shown)


def styled(
    chart: alt.Chart | alt.LayerChart,
    title: str,
    subtitle: str = "",
    *,
    height: int = HEIGHT,
) -> alt.LayerChart:
    """Give a chart its title, size and the common style.

    Args:
        chart: One view or a layer, so that the page can fit it to its own width.
        title: What is shown.
        subtitle: Of how many passages, and anything the reader must know at once.
        height: Height of the plotting area in pixels.
    """
    ink, muted, grid = LIGHT["chart-ink"], LIGHT["chart-muted"], LIGHT["chart-grid"]
    options: dict[str, Any] = {"subtitle": subtitle} if subtitle else {}
    dressed = (
        chart.properties(
            width=WIDTH,
            height=height,
            title=alt.Title(title, anchor="start", frame="bounds", **options),
            background="transparent",
            autosize=alt.AutoSizeParams(type="fit-x", contains="padding"),
        )
        .configure(font=_FONT, padding=6)
        .configure_view(stroke=None)
        .configure_title(
            color=ink,
            subtitleColor=muted,
            fontSize=14,
            subtitleFontSize=12,
            fontWeight=600,
            offset=10,
            subtitlePadding=4,
        )
        .configure_axis(
            labelColor=muted,
            titleColor=ink,
            titleFontWeight="normal",
            titleFontSize=12,
            labelFontSize=11,
            gridColor=grid,
            domainColor=muted,
            tickColor=muted,
            titlePadding=8,
            labelLimit=190,
            labelOverlap="greedy",
        )
        .configure_legend(
            labelColor=ink,
            titleColor=ink,
            labelFontSize=12,
            labelLimit=220,
        )
        .configure_text(color=ink, fontSize=11)
    )
    return cast("alt.LayerChart", dressed)


def chart_svg(chart: alt.TopLevelMixin) -> str:
    """Draw a chart as SVG on a transparent ground, without a network."""
    svg = vl_convert.vegalite_to_svg(cast("Any", chart).to_dict(), allowed_base_urls=[])
    # Vega counts its clip paths through the whole process; the same chart is the same picture.
    found = dict.fromkeys(re.findall(r"clip\d+", svg))
    names = {name: f"clip{i}" for i, name in enumerate(found)}
    return re.sub(r'(id="|url\(#)(clip\d+)', lambda m: m[1] + names[m[2]], svg)


def on_white(svg: str) -> str:
    """The same SVG on white, for a file that is looked at on its own."""
    end = svg.index(">") + 1
    return f'{svg[:end]}<rect width="100%" height="100%" fill="#ffffff"/>{svg[end:]}'


def chart_png(chart: alt.TopLevelMixin, scale: float = 2.0) -> bytes:
    """Draw a chart as PNG on white, without a network."""
    spec = {**cast("Any", chart).to_dict(), "background": "#ffffff"}
    return vl_convert.vegalite_to_png(spec, scale=scale, allowed_base_urls=[])


def at_headline(data: ReportData, rows: pl.DataFrame) -> pl.DataFrame:
    """The rows at the prefix length of the headline."""
    if data.prefix_len is None:
        return rows
    return rows.filter(pl.col("prefix_len") == data.prefix_len)


def passage_numbers(data: ReportData, source: str | None) -> str:
    """Of how many passages and controls a chart speaks, for its subtitle."""
    rows = data.of_source(data.asked, source)
    controls = int(rows["is_control"].sum())
    prefix = "" if data.prefix_len is None else f"; prefix of {data.prefix_len} tokens"
    texts = len(rows) - controls
    return (
        f"{texts:,} passage{'s' if texts != 1 else ''}, "
        f"{controls:,} control{'s' if controls != 1 else ''}{prefix}"
    )


def plain(frame: pl.DataFrame) -> pl.DataFrame:
    """Numbers that JSON can hold: infinite and undefined become null."""
    floats = [name for name, dtype in frame.schema.items() if dtype.is_float()]
    return frame.with_columns(
        pl.when(pl.col(name).is_finite()).then(pl.col(name)).alias(name) for name in floats
    )
