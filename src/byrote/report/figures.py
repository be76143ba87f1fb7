"""Which charts a run gets, and their files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import altair as alt

from byrote.progress import track
from byrote.report.charts import coverage_chart, discoverable_chart, headline_chart
from byrote.report.curves import longest_run_chart, suffix_probability_chart, token_accuracy_chart
from byrote.report.data import ReportData
from byrote.report.plotting import chart_svg, on_white
from byrote.report.sweeps import count_chart, prefix_length_chart
from byrote.runs import replacing

__all__ = [
    "MAX_SOURCES",
    "Figure",
    "audit_figures",
    "draw",
    "save_charts",
    "save_figures",
    "shown_sources",
]

MAX_SOURCES = 6
"""With more sources, curves are drawn for the pool and the largest ones only."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A chart with its place.

    Attributes:
        name: File name without ending; also the anchor within a page.
        family: Which charts belong together, such as "longest-run".
        chart: The chart.
        description: What it shows, for those who cannot see it.
    """

    name: str
    family: str
    chart: alt.TopLevelMixin
    description: str


def shown_sources(data: ReportData) -> list[str | None]:
    """For which sources curves are drawn; None stands for the pool."""
    sources = data.sources
    if len(sources) == 1:
        return [None]
    if len(sources) <= MAX_SOURCES:
        return list(sources)
    return [None, *sources[: MAX_SOURCES - 1]]


def audit_figures(data: ReportData) -> list[Figure]:
    """All charts of an audit, in the order of the report; those without data are left out."""
    figures: list[Figure] = []

    def add(name: str, family: str, chart: alt.TopLevelMixin | None, description: str) -> None:
        if chart is not None:
            figures.append(Figure(name, family, chart, description))

    for measure in ("extractable", "run_ge_20", "token_accuracy", "longest_run"):
        name = f"headline-{measure.replace('_', '-')}"
        words = measure.replace("_", " ")
        add(name, "headline", headline_chart(data, measure), f"{words} by group, with controls")
    for i, source in enumerate(shown_sources(data)):
        end = "" if source is None else f"-{i}"
        of = "all sources" if source is None else source
        families = (
            ("longest-run", longest_run_chart, "longest verbatim stretch"),
            ("token-accuracy", token_accuracy_chart, "share of suffix tokens that are right"),
            ("suffix-probability", suffix_probability_chart, "probability of the suffix"),
            ("discoverable", discoverable_chart, "share extractable against the number of draws"),
        )
        for family, make, words in families:
            add(f"{family}{end}", family, make(data, source), f"{words}: {of}")
        for measure in ("extractable", "token_accuracy"):
            word = measure.replace("_", "-")
            words = measure.replace("_", " ")
            add(
                f"prefix-length-{word}{end}",
                "prefix-length",
                prefix_length_chart(data, measure, source),
                f"{words} against prefix length: {of}",
            )
            add(
                f"count-{word}{end}",
                "count",
                count_chart(data, measure, source),
                f"{words} against the count in training: {of}",
            )
    add("coverage", "coverage", coverage_chart(data), "coverage of documents by recited spans")
    return figures


def draw(figures: Sequence[Figure]) -> dict[str, str]:
    """Each figure's SVG, on a transparent ground."""
    return {f.name: chart_svg(f.chart) for f in track(figures, "Drawing charts")}


def save_figures(
    figures: Sequence[Figure], folder: Path, pictures: dict[str, str] | None = None
) -> list[Path]:
    """Write each chart as SVG and as Vega-Lite JSON, whole or not at all.

    Args:
        figures: The charts.
        folder: Where to; charts of an earlier report that are no longer drawn are removed.
        pictures: What `draw` gave, where the figures are drawn already.

    Returns:
        The SVG files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pictures = draw(figures) if pictures is None else pictures
    paths = []
    for figure in figures:
        path = folder / f"{figure.name}.svg"
        _write(path, on_white(pictures[figure.name]))
        spec: dict[str, Any] = cast("Any", figure.chart).to_dict()
        text = json.dumps(spec, indent=1, ensure_ascii=False, allow_nan=False)
        _write(path.with_suffix(".json"), text + "\n")
        paths.append(path)
    names = {figure.name for figure in figures}
    for old in folder.iterdir():
        if old.suffix in (".svg", ".json") and old.stem not in names:
            old.unlink()
    return paths


def save_charts(data: ReportData, folder: Path) -> list[Path]:
    """Write all charts of an audit to a folder, as SVG and Vega-Lite JSON."""
    return save_figures(audit_figures(data), folder)


def _write(path: Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
