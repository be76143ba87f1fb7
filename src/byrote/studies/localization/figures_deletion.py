"""Charts of DEL: what a target loses, what others lose, and how far that can be had apart."""

from __future__ import annotations

import altair as alt
import polars as pl

from byrote.report.figures import Figure
from byrote.report.plotting import share_axis
from byrote.report.study import StudyData
from byrote.studies.charts import curves_chart
from byrote.studies.localization.charts import confusion_chart, methods_chart
from byrote.studies.localization.config import LocalizationConfig
from byrote.studies.localization.labels import label, looks, names, percent
from byrote.studies.localization.showing import SIDES, labelled, passages, telling
from byrote.studies.looks import Look, table

__all__ = [
    "confusion_figures",
    "curve_figures",
    "deletion_figures",
    "together_figures",
]

_OF = {"self_lost": ((1, 0), "the target"), "neg_lost": ((2, 2), "the other passages")}
_ERASED = {True: Look("deleted", "chart-texts"), False: Look("not", "chart-control-1", "diamond")}
_MOST_CELLS = 60
_SHORT = 24


def deletion_figures(data: StudyData, config: LocalizationConfig) -> list[Figure]:
    """Accuracy that the target and the other passages lose, for each setting and fraction."""
    means = table(data, "deletion_means")
    if means is None:
        return []
    figures = []
    found = means.filter(pl.col("measure").is_in(list(SIDES)))
    for (setting, fraction, scope), rows in found.group_by(
        "setting", "fraction", "scope", maintain_order=True
    ):
        series = {measure: look.name for measure, look in SIDES.items()}
        lost = labelled(rows, config).select(
            "at",
            value=-pl.col("value"),
            low=-pl.col("high"),
            high=-pl.col("low"),
            series=pl.col("measure").replace_strict(series, return_dtype=pl.String),
        )
        share = float(fraction)  # type: ignore[arg-type]
        where = "of every layer" if scope == "layer" else "ranked over all layers"
        chart = methods_chart(
            lost.with_columns(pl.col("low", "high").clip(-1, 1)),
            list(SIDES.values()),
            [label(config, name) for name in names(config)],
            x_title="accuracy lost (share of suffix tokens)",
            title=f"{percent(share)} of the neurons dropped: {setting}",
            subtitle=f"{where}; {passages(rows)}; bars: 95 % t-intervals",
        )
        if chart is not None:
            end = "" if scope == "layer" else "-model"
            name = f"deletion-{setting}-{_slug(share)}{end}"
            figures.append(
                Figure(name, "deletion", chart, f"accuracy lost by method, {percent(share)}")
            )
    return figures


def curve_figures(data: StudyData, config: LocalizationConfig) -> list[Figure]:
    """Accuracy lost as more and more neurons are dropped."""
    found = table(data, "curves")
    if found is None:
        return []
    figures = []
    for (setting,), rows in found.group_by("setting", maintain_order=True):
        chosen = [name for name in names(config) if name in set(rows["method"])]
        styles = looks(config, chosen)
        means = rows.group_by("method", "fraction", maintain_order=True).agg(
            pl.col("self_lost").mean(), pl.col("neg_lost").mean()
        )
        long = means.unpivot(index=["method", "fraction"], variable_name="of", value_name="value")
        series = {name: look.name for name, look in styles.items()}
        ends = {column: words for column, (_, words) in _OF.items()}
        curves = long.filter(pl.col("method").is_in(chosen)).select(
            percent=(100 * pl.col("fraction")).round(4),
            value=pl.col("value").round(4),
            series=pl.col("method").replace_strict(series, return_dtype=pl.String),
            of=pl.col("of").replace_strict(ends, return_dtype=pl.String),
            low=pl.lit(None, dtype=pl.Float64),
            high=pl.lit(None, dtype=pl.Float64),
        )
        x = alt.X(
            "percent:Q",
            title="neurons of every layer dropped (%)",
            scale=alt.Scale(type="log", nice=False),
            axis=alt.Axis(format="~g", grid=False, values=sorted(curves["percent"].unique())),
        )
        chart = curves_chart(
            curves,
            list(styles.values()),
            x,
            share_axis("accuracy lost", top=1.04),
            title=f"How specific, by how much is dropped: {setting}",
            subtitle=f"mean of {rows['target'].n_unique()} passages",
            split=("of", {words: dash for dash, words in _OF.values()}),
            x_format="~g",
        )
        if chart is not None:
            words = "accuracy lost by the target and by others, by share of neurons dropped"
            figures.append(Figure(f"specificity-curve-{setting}", "specificity", chart, words))
    return figures


def confusion_figures(data: StudyData, config: LocalizationConfig) -> list[Figure]:
    """Which passage loses how much when the neurons of which other are dropped."""
    found, recited = table(data, "confusion"), table(data, "passages")
    if found is None or recited is None:
        return []
    figures = []
    here = found.filter(pl.col("scope") == "layer")
    for (setting,), rows in here.group_by("setting", maintain_order=True):
        own = recited.filter((pl.col("setting") == setting) & (pl.col("split") == "test"))
        ordered = own.sort("category", "passage", nulls_last=True)
        place = {passage: i for i, passage in enumerate(ordered["passage"], start=1)}
        if len(place) > _MOST_CELLS:
            continue
        texts = [_short(row) for row in ordered.iter_rows(named=True)]
        fraction = float(rows["fraction"].max())  # type: ignore[arg-type]
        for name in telling(config, rows, most=4):
            cells = rows.filter((pl.col("method") == name) & (pl.col("fraction") == fraction))
            lost = pl.col("accuracy_before") - pl.col("accuracy_after")
            named = dict(zip(place.values(), texts, strict=True))
            cells = cells.filter(
                pl.col("target").is_in(list(place)) & pl.col("passage").is_in(list(place))
            ).select(
                target=pl.col("target").replace_strict(place, return_dtype=pl.Int64),
                passage=pl.col("passage").replace_strict(place, return_dtype=pl.Int64),
                lost=lost,
                shade=lost.clip(0, 1),
            )
            cells = cells.with_columns(
                target_text=pl.col("target").replace_strict(named, return_dtype=pl.String),
                passage_text=pl.col("passage").replace_strict(named, return_dtype=pl.String),
            )
            chart = confusion_chart(
                cells,
                texts,
                title=f"Who is hurt: {label(config, name)}, {setting}",
                subtitle=f"{percent(fraction)} of every layer; darker: more accuracy lost",
            )
            words = "accuracy that each passage loses when another's neurons are dropped"
            figures.append(Figure(f"confusion-{setting}-{name}", "confusion", chart, words))
    return figures


def together_figures(data: StudyData, config: LocalizationConfig) -> list[Figure]:
    """Several passages deleted at once: what they lose and what others lose."""
    found = table(data, "together")
    if found is None:
        return []
    figures = []
    lost = found.with_columns(lost=pl.col("accuracy_before") - pl.col("accuracy_after"))
    for (setting,), rows in lost.group_by("setting", maintain_order=True):
        series = {erased: look.name for erased, look in _ERASED.items()}
        means = rows.group_by("method", "erased", maintain_order=True).agg(
            pl.col("lost").mean().alias("value"),
            low=pl.col("lost").min(),
            high=pl.col("lost").max(),
        )
        chart = methods_chart(
            labelled(means, config).with_columns(
                series=pl.col("erased").replace_strict(series, return_dtype=pl.String)
            ),
            list(_ERASED.values()),
            [label(config, name) for name in names(config)],
            x_title="accuracy lost (share of suffix tokens)",
            title=f"Several passages at once: {setting}",
            subtitle=f"{int(rows['erased'].sum() / max(rows['method'].n_unique(), 1))} passages "
            "deleted; bars: lowest to highest",
        )
        if chart is not None:
            words = "accuracy lost by deleted and by other passages"
            figures.append(Figure(f"together-{setting}", "together", chart, words))
    return figures


def _short(row: dict[str, str | None]) -> str:
    words = " ".join(str(row["record"]).split())
    return words if len(words) <= _SHORT else f"{words[: _SHORT - 1]}…"


def _slug(share: float) -> str:
    return f"{share:g}".replace(".", "")
