"""What the study's charts share: which condition looks how, and curves over epochs.

A condition looks the same in every chart: pretrained models are blue circles, untrained ones
orange diamonds; alphabets run from light to dark with their size. Colour never stands alone: a
shape or a dash goes with it, except for ordered shades, which differ in lightness. What the paper's
authors measured is grey and open.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import polars as pl

from byrote.report.plotting import DASHES, layered, legend, plain, renamed, styled
from byrote.report.study import StudyData
from byrote.studies.looks import (
    Look,
    cycled_looks,
    epoch_axis,
    looks_of,
    ordered_looks,
    table,
)

__all__ = [
    "Look",
    "alphabet_looks",
    "cycled_looks",
    "epoch_axis",
    "held_curves",
    "init_looks",
    "looks_of",
    "ordered_looks",
    "phase_rows",
    "table",
    "training_curves",
]

# With more points a tooltip is offered at some of them only, which keeps the page small.
_TOOLTIPS = 26
_SMALL_HEIGHT = 220

_PRETRAINED = (
    ("chart-texts", "circle"),
    ("chart-control-3", "square"),
    ("chart-step-5", "triangle-down"),
)
_UNTRAINED = (
    ("chart-control-1", "diamond"),
    ("chart-control-2", "cross"),
    ("chart-muted", "triangle-right"),
)


def init_looks(series: Mapping[str, str]) -> list[Look]:
    """Looks for models, told apart by whether they are pretrained.

    Args:
        series: Name in the legend -> `pretrained` or `random`.
    """
    counts = {"pretrained": 0, "random": 0}
    found = []
    for name, init in series.items():
        palette = _UNTRAINED if init == "random" else _PRETRAINED
        place = counts["random" if init == "random" else "pretrained"]
        counts["random" if init == "random" else "pretrained"] += 1
        dash = tuple(DASHES[1]) if init == "random" else tuple(DASHES[0])
        found.append(Look(name, *palette[place % len(palette)], dash=dash))
    return found


def alphabet_looks(sizes: Sequence[int]) -> dict[int, Look]:
    """The shade of each alphabet size; give all sizes of the study, so that charts agree."""
    ordered = sorted(set(sizes))
    return dict(zip(ordered, ordered_looks([f"ℓ = {size}" for size in ordered]), strict=True))


def phase_rows(data: StudyData, *experiments: str) -> pl.DataFrame | None:
    """The strings of some experiments: their rows of `phases` with what else is known of them.

    Returns:
        Columns of `phases`, and `experiment`, `ladder`, `step`, `source`, `trained_parameters`.
    """
    phases, which = table(data, "phases"), table(data, "experiments")
    trainings = table(data, "trainings")
    if phases is None or which is None or trainings is None:
        return None
    chosen = which.filter(pl.col("experiment").is_in(experiments))
    more = trainings.select("training", "string", "source", "trained_parameters")
    found = chosen.join(phases, on="training", how="inner", maintain_order="left").join(
        more, on=["training", "string"], how="left", maintain_order="left"
    )
    return None if found.is_empty() else found


def held_curves(epochs: pl.DataFrame, measures: Sequence[str]) -> pl.DataFrame:
    """Mean, lowest and highest string of each exposure at each epoch, in long form.

    A string that ended early, being memorised, is held at its last value until the last string of
    its exposure ends: else the mean would be of other strings from there on.

    Args:
        epochs: Rows of the table `epochs` (or of another with `training`, `string`, `epoch`).
        measures: Columns of it.

    Returns:
        `training`, `measure`, `epoch`, `value`, `low`, `high`; only where all are finite.
    """
    keys = ["training", "string", "epoch"]
    grid = (
        epochs.select("training", "string")
        .unique(maintain_order=True)
        .join(epochs.select("training", "epoch").unique(), on="training")
        .join(epochs.select(*keys, *measures), on=keys, how="left")
        .sort(keys)
        .with_columns(pl.col(measures).forward_fill().over("training", "string"))
    )
    long = grid.unpivot(measures, index=keys, variable_name="measure", value_name="value")
    found = long.group_by("training", "measure", "epoch").agg(
        pl.col("value").mean().alias("value"),
        pl.col("value").min().alias("low"),
        pl.col("value").max().alias("high"),
    )
    finite = pl.all_horizontal(pl.col("value", "low", "high").is_finite())
    return (
        found.filter(finite)
        .with_columns(pl.col("value", "low", "high").round(4))
        .sort("training", "measure", "epoch")
    )


def training_curves(
    curves: pl.DataFrame,
    looks: Sequence[Look],
    y: alt.Y,
    *,
    title: str,
    subtitle: str = "",
    levels: pl.DataFrame | None = None,
    marks: pl.DataFrame | None = None,
    each: pl.DataFrame | None = None,
    height: int = _SMALL_HEIGHT,
) -> alt.LayerChart | None:
    """Curves over epochs with a band from the lowest to the highest string.

    Args:
        curves: `series`, `epoch`, `value`, `low`, `high`.
        looks: Of the series.
        y: The vertical encoding, of the field `value`.
        title: What is to be seen.
        subtitle: Below it.
        levels: Dashed horizontal levels: `series`, `value`.
        marks: Marks on the curves: `series`, `epoch`, `value`, `mark` (what it says), `sign`
            (shape).
        each: Further series, measured now and then: a thin line with points for each string;
            `series`, `string`, `epoch`, `value`.
        height: Of the plotting area.
    """
    if curves.is_empty():
        return None
    names = set(curves["series"].to_list())
    if each is not None:
        names |= set(each["series"].to_list())
    looks = [look for look in looks if look.name in names]
    x = epoch_axis(float(curves["epoch"].max()))  # type: ignore[arg-type]
    colour = looks_of(looks, "color")
    dashed = len({look.dash for look in looks}) > 1
    dash = looks_of(looks, "dash")
    base = alt.Chart(plain(curves)).encode(x=x, color=colour)
    band = base.mark_area(opacity=0.16 if len(looks) < 4 else 0.1, aria=False).encode(
        y=renamed(y, "low:Q"), y2="high:Q"
    )
    line = base.mark_line(strokeWidth=2.2, aria=False).encode(y=y)
    if dashed:
        line = line.encode(strokeDash=dash)
    every = max(1, math.ceil(curves["epoch"].n_unique() / _TOOLTIPS))
    tooltip = [
        alt.Tooltip("series:N", title="of"),
        alt.Tooltip("epoch:Q", title="epoch"),
        alt.Tooltip("value:Q", title="mean", format=".3~f"),
        alt.Tooltip("low:Q", title="lowest string", format=".3~f"),
        alt.Tooltip("high:Q", title="highest string", format=".3~f"),
    ]
    spot = (
        alt.Chart(plain(curves.filter(pl.col("epoch") % every == 0)))
        .mark_point(filled=True, size=55, opacity=0, aria=False)
        .encode(x=x, y=y, color=colour, tooltip=tooltip)
    )
    layers: list[Any] = [band]
    if levels is not None and not levels.is_empty():
        layers.append(
            alt.Chart(plain(levels))
            .mark_rule(strokeDash=[3, 3], strokeWidth=1.3, aria=False)
            .encode(y=y, color=colour)
        )
    layers += [line, spot]
    if each is not None and not each.is_empty():
        singles = alt.Chart(plain(each)).encode(x=x, y=y, color=colour, detail="string:N")
        layers.append(singles.mark_line(strokeWidth=1.3, aria=False).encode(strokeDash=dash))
        layers.append(
            singles.mark_point(filled=True, size=45, opacity=1, aria=False).encode(
                tooltip=[
                    alt.Tooltip("series:N", title="of"),
                    alt.Tooltip("epoch:Q", title="epoch"),
                    alt.Tooltip("value:Q", title="mean", format=".3~f"),
                ]
            )
        )
    if marks is not None and not marks.is_empty():
        layers.append(_curve_marks(marks, x, y, colour))
    return styled(layered(*layers), title, subtitle, height=height)


def _curve_marks(marks: pl.DataFrame, x: alt.X, y: alt.Y, colour: Any) -> alt.Chart:
    signs = dict(zip(marks["mark"].to_list(), marks["sign"].to_list(), strict=True))
    scale = alt.Scale(domain=list(signs), range=list(signs.values()))
    key = legend(orient="bottom", symbolType=alt.Undefined, symbolSize=85, columns=2)
    return (
        alt.Chart(plain(marks))
        .mark_point(filled=False, size=75, strokeWidth=2, opacity=1, aria=False)
        .encode(
            x=x,
            y=y,
            color=colour,
            shape=alt.Shape("mark:N", sort=list(signs), scale=scale, legend=key),
            tooltip=[
                alt.Tooltip("series:N", title="of"),
                alt.Tooltip("mark:N", title="mark"),
                alt.Tooltip("epoch:Q", title="epoch"),
            ],
        )
    )
