"""Charts of epochs until something is reached: over strings, with those that never get there.

A string that was not memorised within its epochs stands as an open triangle at the last epoch that
it had.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import altair as alt
import polars as pl

from byrote.recall.phases import times
from byrote.report.plotting import layered, plain, renamed, styled
from byrote.studies.dynamics.charts import Look, looks_of

__all__ = ["CENSORED_NOTE", "short_count", "time_marks", "times_chart"]

CENSORED_NOTE = "open triangles: not memorised"


def time_marks(
    rows: pl.DataFrame, keys: Sequence[str], which: str = "t_mem", last: str = "last_epoch"
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Epochs over strings as a chart draws them, with those that were not reached.

    Args:
        rows: One row a string: the keys, the epoch (null where not reached), and the last epoch.
        keys: Columns that name a condition.
        which: Column of the epoch.
        last: Column of the last epoch.

    Returns:
        One row a condition (keys, `epoch` the median over strings, `low`, `high`, `reached`,
        `open` for an interval without an upper end, `strings`, `censored`, `confidence`, `text`),
        and one a string (keys, `epoch`, `reached`).
        What was not reached stands at the last epoch, with `reached` false.
    """
    columns = [*keys, "epoch", "reached"]
    strings = rows.with_columns(
        epoch=pl.coalesce(pl.col(which), pl.col(last)).cast(pl.Float64),
        reached=pl.col(which).is_not_null(),
    )
    found = []
    for key, group in rows.group_by(*keys, maintain_order=True):
        most = float(group[last].max() or 0)  # type: ignore[arg-type]
        estimate = times(group[which].to_list())
        median = estimate.median
        ends = [median.value, median.low, median.high]
        epoch, low, high = (most if v is None or not math.isfinite(v) else v for v in ends)
        reached = math.isfinite(median.value)
        found.append(
            {
                **dict(zip(keys, key, strict=True)),
                "epoch": epoch,
                "low": low,
                "high": high,
                "reached": reached,
                "open": not math.isfinite(ends[2] or 0),
                "strings": estimate.n,
                "censored": estimate.censored,
                "confidence": median.confidence,
                "text": f"{median.value:g}" if reached else f"over {most:g}",
            }
        )
    schema: dict[str, Any] = {
        **{key: rows.schema[key] for key in keys},
        "epoch": pl.Float64,
        "low": pl.Float64,
        "high": pl.Float64,
        "reached": pl.Boolean,
        "open": pl.Boolean,
        "strings": pl.Int64,
        "censored": pl.Int64,
        "confidence": pl.Float64,
        "text": pl.String,
    }
    return pl.DataFrame(found, schema=schema), strings.select(columns)


def times_chart(
    medians: pl.DataFrame,
    strings: pl.DataFrame,
    place: alt.X | alt.Y,
    looks: Sequence[Look],
    *,
    title: str,
    subtitle: str,
    epochs: str = "epochs until memorised (median)",
    line: bool = True,
    reference: pl.DataFrame | None = None,
    height: int = 260,
) -> alt.LayerChart | None:
    """Epochs until something is reached, by condition: median, interval, and each string.

    Args:
        medians: As `time_marks` gives them, with `series`; where a column `joined` is true, only
            the line goes there, since another series has its mark at the same place.
        strings: Likewise.
        place: Where a condition stands; a horizontal encoding, or a vertical one for a dot plot.
        looks: Of the series.
        title: What is to be seen.
        subtitle: Below it.
        epochs: Title of the axis of epochs.
        line: Join the medians that were reached.
        reference: Published points: `series`, the field of `place`, `epoch`, `reached`.
        height: Of the plotting area.
    """
    if medians.is_empty():
        return None
    names = set(medians["series"].to_list())
    most = float(strings["epoch"].max() or 1)  # type: ignore[arg-type]
    if reference is not None:
        names |= set(reference["series"].to_list())
        most = max([most, *reference["epoch"].to_list()])
    looks = [look for look in looks if look.name in names]
    scale = alt.Scale(domain=[0, 1.06 * most], nice=False)
    upright = isinstance(place, alt.X)
    axis = alt.Axis(format="d", tickCount=6, tickMinStep=1, grid=True)
    value: Any = (alt.Y if upright else alt.X)("epoch:Q", title=epochs, scale=scale, axis=axis)
    colour = looks_of(looks, "color", marks=True)
    shape = looks_of(looks, "shape", marks=True)
    dash = looks_of(looks, "dash", marks=True)
    where: dict[str, Any] = {"x": place, "y": value} if upright else {"y": place, "x": value}
    low: dict[str, Any] = {("y" if upright else "x"): renamed(value, "low:Q")}
    high: dict[str, Any] = {("y2" if upright else "x2"): "high:Q"}
    if "joined" not in medians.columns:
        medians = medians.with_columns(joined=pl.lit(False))
    marked = medians.filter(~pl.col("joined"))
    reached = pl.col("reached")
    base = alt.Chart(plain(marked))
    rule = base.mark_rule(strokeWidth=2, opacity=0.55, aria=False).encode(
        color=colour, **{**where, **low}, **high
    )
    tooltip = [
        alt.Tooltip("series:N", title="of"),
        alt.Tooltip("at:N", title="at"),
        alt.Tooltip("text:N", title="median epochs"),
        alt.Tooltip("low:Q", title="interval from", format="~g"),
        alt.Tooltip("high:Q", title="to (at least)", format="~g"),
        alt.Tooltip("strings:Q", title="strings"),
        alt.Tooltip("censored:Q", title="not memorised"),
    ]
    layers: list[Any] = []
    if reference is not None:
        layers += _reference_layers(reference, where, colour, shape, dash)
    layers.append(rule)
    for rows, size in ((strings, 16), (marked, 85)):
        if rows is marked and line:
            joined = alt.Chart(plain(medians.filter(reached)))
            layers.append(
                joined.mark_line(strokeWidth=1.8, aria=False).encode(
                    color=colour, strokeDash=dash, **where
                )
            )
        large: dict[str, Any] = {"tooltip": tooltip} if rows is marked else {}
        known, never = rows.filter(reached), rows.filter(~reached)
        if not known.is_empty():
            layers.append(
                alt.Chart(plain(known))
                .mark_point(filled=True, size=size, opacity=1, aria=False)
                .encode(color=colour, **where, **(large and {**large, "shape": shape}))
            )
        if not never.is_empty():
            layers.append(
                alt.Chart(plain(never))
                .mark_point(
                    filled=False,
                    shape="triangle-up",
                    size=1.5 * size,
                    strokeWidth=2.2 if large else 1.2,
                    aria=False,
                )
                .encode(color=colour, **where, **large)
            )
    return styled(layered(*layers), title, subtitle, height=height)


def _reference_layers(
    points: pl.DataFrame, where: dict[str, Any], colour: Any, shape: Any, dash: Any
) -> list[Any]:
    """Numbers measured by others, on another model: open marks, dotted lines."""
    tooltip = [alt.Tooltip("series:N", title="of"), alt.Tooltip("epoch:Q", title="epochs")]
    open_mark: dict[str, Any] = {"filled": False, "strokeWidth": 1.6, "aria": False}
    known = alt.Chart(points.filter("reached")).encode(color=colour, **where)
    layers: list[Any] = [
        known.mark_line(strokeWidth=1.4, aria=False).encode(strokeDash=dash),
        known.mark_point(size=55, **open_mark).encode(shape=shape, tooltip=tooltip),
    ]
    if not points["reached"].all():
        never = alt.Chart(points.filter(~pl.col("reached"))).encode(color=colour, **where)
        marks = never.mark_point(shape="triangle-up", size=70, **open_mark)
        layers.append(marks.encode(tooltip=tooltip))
    return layers


def short_count(number: float) -> str:
    """A number of parameters in few signs: "135 M"."""
    # From 999.5 on a number rounds to the next unit.
    place = 0
    while number >= 999.5 and place < 4:
        number, place = number / 1000, place + 1
    digits = 0 if number >= 99.95 or not place else 1
    text = f"{number:.{digits}f}".removesuffix(".0")
    return f"{text} {('', 'k', 'M', 'G', 'T')[place]}".strip()
