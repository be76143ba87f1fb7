"""What the reports of every study share: which condition looks how, sections, axes of epochs.

Colour never stands alone: a shape or a dash goes with it, except for ordered shades, which differ
in lightness.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import polars as pl

from byrote.report.figures import Figure
from byrote.report.page import Block, ChartBlock, ProseBlock, Section
from byrote.report.palette import LIGHT
from byrote.report.plotting import DASHES, legend
from byrote.report.study import StudyData

__all__ = [
    "Look",
    "charts_of",
    "cycled_looks",
    "epoch_axis",
    "looks_of",
    "ordered_looks",
    "section_of",
    "table",
]

_STEPS = 5
_CYCLE = (
    ("chart-texts", "circle"),
    ("chart-control-1", "diamond"),
    ("chart-control-3", "square"),
    ("chart-control-2", "cross"),
    ("chart-step-5", "triangle-down"),
)


@dataclass(frozen=True, slots=True)
class Look:
    """How a condition is drawn.

    Attributes:
        name: What the legend calls it.
        colour: Name of a colour of the palette.
        shape: Of its marks.
        dash: Of its lines.
    """

    name: str
    colour: str
    shape: str = "circle"
    dash: tuple[int, ...] = (1, 0)


def ordered_looks(names: Sequence[str]) -> list[Look]:
    """Shades from light to dark for conditions that have an order; more than five get dashes."""
    count = len(names)
    if count <= 1:
        places = [_STEPS - 2] * count
    elif count <= _STEPS:
        places = [round(i * (_STEPS - 1) / (count - 1)) for i in range(count)]
    else:
        places = [i % _STEPS for i in range(count)]
    return [
        Look(
            name,
            f"chart-step-{1 + place}",
            dash=tuple(DASHES[i // _STEPS % len(DASHES)]),
        )
        for i, (name, place) in enumerate(zip(names, places, strict=True))
    ]


def cycled_looks(names: Sequence[str]) -> list[Look]:
    """Different hues for conditions without an order."""
    return [
        Look(name, *_CYCLE[i % len(_CYCLE)], dash=tuple(DASHES[i % len(DASHES)]))
        for i, name in enumerate(names)
    ]


def looks_of(looks: Sequence[Look], kind: str, *, marks: bool = False) -> Any:
    """The encoding of a condition as colour, shape or dash.

    Args:
        looks: The conditions, in the order of the legend.
        kind: "color", "shape" or "dash".
        marks: Whether the legend shows marks (colour and shape), not lines (colour and dash).
    """
    field = "series:N"
    names = [look.name for look in looks]
    # Without a stroke, the dash of the lines does not fray the outline of the marks.
    marked = {"symbolType": alt.Undefined, "symbolSize": 85, "symbolStrokeWidth": 0}
    key = None
    if len(looks) > 1:
        key = legend(columns=_columns(names), **(marked if marks else {}))
    if kind == "color":
        colours = [LIGHT[look.colour] for look in looks]
        scale = alt.Scale(domain=names, range=colours)
        return alt.Color(field, sort=names, scale=scale, legend=key)
    if kind == "shape":
        shapes = [look.shape for look in looks]
        scale = alt.Scale(domain=names, range=shapes)
        return alt.Shape(field, sort=names, scale=scale, legend=key)
    dashes = [list(look.dash) for look in looks]
    scale = alt.Scale(domain=names, range=dashes)
    return alt.StrokeDash(field, sort=names, scale=scale, legend=key)


def _columns(names: Sequence[str]) -> int:
    """How many legend entries fit beside each other."""
    longest = sorted(len(name) for name in names)[-2:]
    if longest[-1] <= 9:
        return 5
    return 2 if sum(longest) <= 50 else 1


def table(data: StudyData, name: str) -> pl.DataFrame | None:
    """A table of the run, or None where it is missing or empty."""
    found = data.tables.get(name)
    return None if found is None or found.is_empty() else found


def epoch_axis(last: float, title: str = "epoch (exposures so far)") -> alt.X:
    """A horizontal axis of epochs from 0."""
    return alt.X(
        "epoch:Q",
        title=title,
        scale=alt.Scale(domain=[0, max(last, 1)], nice=False),
        axis=alt.Axis(format="d", tickCount=8, tickMinStep=1, grid=False),
    )


def section_of(
    anchor: str, title: str, short: str, text: Sequence[str], blocks: Sequence[Block | None]
) -> Section | None:
    """A section with its text on top; None where it has nothing to show.

    Args:
        anchor: Its anchor in the page.
        title: Its heading.
        short: A short form of it for the contents.
        text: What was done, what to look for, what was published; a paragraph each.
        blocks: Charts and tables; None for what this run does not have.
    """
    shown = [block for block in blocks if block is not None]
    if not shown:
        return None
    return Section(anchor, title, [ProseBlock(text), *shown], short)


def charts_of(figures: Sequence[Figure], reading: str) -> ChartBlock | None:
    """Charts side by side and how to read them; None where there are none."""
    return ChartBlock(figures, reading) if figures else None
