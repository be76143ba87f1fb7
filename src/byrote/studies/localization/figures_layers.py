"""Charts of DEL: in which layers neurons lie, if one is enough, if passages share their neurons."""

from __future__ import annotations

import altair as alt
import polars as pl

from byrote.report.figures import Figure
from byrote.report.plotting import share_axis
from byrote.report.study import StudyData
from byrote.studies.charts import curves_chart
from byrote.studies.localization.charts import methods_chart
from byrote.studies.localization.config import LocalizationConfig
from byrote.studies.localization.labels import label, looks, names, percent
from byrote.studies.localization.showing import SIDES, labelled, telling
from byrote.studies.looks import Look, table

__all__ = ["layer_figures", "one_layer_figures", "overlap_figures"]

_LOST = ("self_lost", "neg_lost")
_SHARED = {
    "jaccard": Look("shared", "chart-texts"),
    "by_chance": Look("by chance", "chart-muted", "square"),
}


def one_layer_figures(data: StudyData, config: LocalizationConfig) -> list[Figure]:
    """As many neurons from one layer as are otherwise spread over all."""
    found = table(data, "one_layer")
    if found is None:
        return []
    figures = []
    for (setting, method), rows in found.group_by("setting", "method", maintain_order=True):
        if method not in config.methods:
            continue
        single = rows.filter(pl.col("layer").is_not_null())
        spread = rows.filter(pl.col("layer").is_null())
        sides = dict(zip(_LOST, SIDES.values(), strict=True))
        parts = []
        for column, look in sides.items():
            means = single.group_by("layer", maintain_order=True).agg(pl.col(column).mean())
            parts.append(
                means.select(
                    "layer",
                    value=pl.col(column).round(4),
                    series=pl.lit(look.name),
                    low=pl.lit(None, dtype=pl.Float64),
                    high=pl.lit(None, dtype=pl.Float64),
                )
            )
        levels = pl.DataFrame(
            {
                "text": [f"spread over all layers: {look.name}" for look in sides.values()],
                "value": [float(spread[column].mean() or 0.0) for column in sides],  # type: ignore[arg-type]
            }
        )
        x = alt.X(
            "layer:Q",
            title="layer that all neurons are taken from",
            scale=alt.Scale(zero=False, nice=False),
            axis=alt.Axis(format="d", tickMinStep=1, grid=False),
        )
        neurons = int(rows["neurons"].max() or 0)  # type: ignore[arg-type]
        chart = curves_chart(
            pl.concat(parts),
            list(sides.values()),
            x,
            share_axis("accuracy lost", top=1.04),
            title=f"One layer or all: {label(config, str(method))}, {setting}",
            subtitle=f"{neurons} neurons; mean of {rows['target'].n_unique()} passages",
            levels=levels,
            points=True,
        )
        if chart is not None:
            words = "accuracy lost by the layer that neurons are taken from"
            figures.append(Figure(f"one-layer-{setting}-{method}", "one-layer", chart, words))
    return figures


def layer_figures(data: StudyData, config: LocalizationConfig) -> list[Figure]:
    """In which layers the highest scores lie."""
    found = table(data, "layers")
    if found is None:
        return []
    figures = []
    for (setting,), rows in found.group_by("setting", maintain_order=True):
        chosen = telling(config, rows, most=6)
        if not chosen:
            continue
        styles = looks(config, chosen)
        series = {name: look.name for name, look in styles.items()}
        means = rows.filter(pl.col("method").is_in(chosen)).group_by(
            "method", "layer", maintain_order=True
        )
        curves = means.agg(pl.col("share").mean().round(4).alias("value")).with_columns(
            series=pl.col("method").replace_strict(series, return_dtype=pl.String),
            low=pl.lit(None, dtype=pl.Float64),
            high=pl.lit(None, dtype=pl.Float64),
        )
        top = float(curves["value"].max() or 1.0)  # type: ignore[arg-type]
        x = alt.X(
            "layer:Q",
            title="layer",
            scale=alt.Scale(nice=False),
            axis=alt.Axis(format="d", tickMinStep=1, grid=False),
        )
        chart = curves_chart(
            curves,
            list(styles.values()),
            x,
            share_axis("share of those with the highest scores", top=min(1.0, 1.08 * top)),
            title=f"Where the highest scores lie: {setting}",
            subtitle=f"{percent(float(rows['fraction'][0]))} of all neurons, ranked over the model",
        )
        if chart is not None:
            words = "share of the highest-scoring neurons by layer"
            figures.append(Figure(f"layers-{setting}", "layers", chart, words))
    return figures


def overlap_figures(data: StudyData, config: LocalizationConfig) -> list[Figure]:
    """How many neurons the sets of two passages share."""
    found = table(data, "overlaps")
    if found is None:
        return []
    figures = []
    here = found.filter((pl.col("scope") == "layer") & pl.col("jaccard").is_not_null())
    here = here.filter(pl.col("fraction") == pl.col("fraction").max().over("setting"))
    for (setting,), rows in here.group_by("setting", maintain_order=True):
        parts = []
        for column, look in _SHARED.items():
            spread = rows.group_by("method", maintain_order=True).agg(
                pl.col(column).mean().alias("value"),
                low=pl.col(column).quantile(0.1),
                high=pl.col(column).quantile(0.9),
            )
            parts.append(labelled(spread, config).with_columns(series=pl.lit(look.name)))
        pairs = rows.select("one", "other").unique()
        chart = methods_chart(
            pl.concat(parts),
            list(_SHARED.values()),
            [label(config, name) for name in names(config)],
            x_title="neurons in both sets over those in either (Jaccard)",
            title=f"Do passages share their neurons? {setting}",
            subtitle=f"{len(pairs)} pairs, {percent(float(rows['fraction'][0]))}; bars: 10th to "
            "90th percentile",
        )
        if chart is not None:
            figures.append(
                Figure(f"overlap-{setting}", "overlap", chart, "Jaccard index of selected sets")
            )
    return figures
