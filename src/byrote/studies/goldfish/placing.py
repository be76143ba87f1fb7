"""Arms at named places of a chart: by k, by strategy, by kind of copy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import altair as alt
import polars as pl

from byrote.report.figures import Figure
from byrote.report.plotting import share_axis
from byrote.report.study import StudyData
from byrote.studies.goldfish.arms import CONTROL, STANDARD, Cast
from byrote.studies.goldfish.charts import estimates, overlap_axis
from byrote.studies.goldfish.config import GoldfishConfig

__all__ = [
    "MEASURES",
    "add",
    "levels",
    "measure_axis",
    "placed",
    "scratch_cast",
    "steps",
    "subtitle",
    "there",
]

MEASURES = {
    "exact": ("documents recited in full", "Recited in full"),
    "rouge_l": ("ROUGE-L with the suffix", "ROUGE-L"),
}
"""What is drawn of a recital: column of `documents` -> title of its axis, and of its chart."""


def scratch_cast(config: GoldfishConfig) -> Cast:
    """The arms of training from scratch."""
    return Cast.of(config, config.scratch.arms)


def steps(cast: Cast) -> dict[str, str]:
    """The control, the masks by k, and standard training: arm -> place on the axis."""
    found = {} if cast.control is None else {cast.control: "control"}
    found |= {name: f"{k}" for k, name in cast.ladder().items()}
    return found if cast.standard is None else {**found, cast.standard: "standard"}


def placed(rows: pl.DataFrame, places: Mapping[str, str], series: str) -> pl.DataFrame:
    """Rows of the arms that have a place, with `at` and `series`."""
    return rows.filter(pl.col("arm").is_in(list(places))).with_columns(
        at=pl.col("arm").replace_strict(places, default=None, return_dtype=pl.String),
        series=pl.lit(series),
    )


def measure_axis(measure: str) -> alt.Y:
    """The vertical axis of a measure of `MEASURES`."""
    words = MEASURES[measure][0]
    return share_axis(words, top=1.04) if measure == "exact" else overlap_axis(words, top=1.04)


def _of(rows: pl.DataFrame) -> str:
    """Of how many documents and repetitions a chart speaks."""
    seeds, n = int(rows["seeds"].max() or 0), int(rows["n"].max() or 0)  # type: ignore[arg-type]
    return f"{n} documents, {seeds} repetition{'s' if seeds != 1 else ''} (small)"


def subtitle(rows: pl.DataFrame) -> str:
    """Of how much a chart speaks, and what its marks are."""
    if rows.is_empty():
        return ""
    return f"{_of(rows)}; bars: 95 % intervals"


def there(places: Mapping[str, str], marks: Sequence[pl.DataFrame]) -> list[str]:
    """Places in order that some mark stands at."""
    there = {at for rows in marks for at in rows["at"]}
    return [at for at in places.values() if at in there]


def levels(
    data: StudyData, cast: Cast, measure: str, *, standard: bool = True
) -> pl.DataFrame | None:
    """What the control and standard training come to, as lines across a chart."""
    names = {cast.control: CONTROL.name}
    if standard:
        names[cast.standard] = STANDARD.name
    named = {name: words for name, words in names.items() if name}
    rows = estimates(data, measure, list(named))
    if rows.is_empty():
        return None
    return rows.select(
        pl.col("arm").replace_strict(named, return_dtype=pl.String).alias("text"), "value"
    )


def add(
    figures: list[Figure],
    name: str,
    chart: alt.LayerChart | None,
    words: str,
    family: str = "extraction",
) -> None:
    """Keep a chart that has something to show."""
    if chart is not None:
        figures.append(Figure(name, family, chart, words))
