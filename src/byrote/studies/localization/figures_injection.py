"""Charts of INJ: which share of the neurons that a sentence was written into is found."""

from __future__ import annotations

import polars as pl

from byrote.report.figures import Figure
from byrote.report.study import StudyData
from byrote.studies.localization.charts import methods_chart
from byrote.studies.localization.config import LocalizationConfig
from byrote.studies.localization.labels import label, model_label, names, percent
from byrote.studies.localization.methods import part_of
from byrote.studies.localization.plan import model_names
from byrote.studies.localization.published import MODELS, RECALL
from byrote.studies.looks import Look, ordered_looks, table

__all__ = ["recall_figures", "scope_figures"]

_SCOPES = {
    "layer": Look("of every layer", "chart-texts"),
    "model": Look("of the whole model", "chart-control-1", "diamond"),
}


def recall_figures(data: StudyData, config: LocalizationConfig) -> list[Figure]:
    """Recall@k per layer for each model and fraction, with chance and ceiling."""
    means = table(data, "recall_means")
    if means is None:
        return []
    figures = []
    short = model_names(config.injection.models)
    layerwise = means.filter(pl.col("scope") == "layer")
    for (model, fraction), rows in layerwise.group_by("model", "fraction", maintain_order=True):
        source, share = str(model), float(fraction)  # type: ignore[arg-type]
        multiples = sorted(rows["multiple"].unique())
        words = {multiple: _at(multiple, share) for multiple in multiples}
        first = rows.filter(pl.col("multiple") == multiples[0]).row(0, named=True)
        levels = pl.DataFrame(
            {
                "text": [f"ceiling, {words[multiples[0]]}", "chance"],
                "value": [first["ceiling"], first["random"]],
            }
        )
        chart = methods_chart(
            _labelled(rows, config).with_columns(
                series=pl.col("multiple").replace_strict(words, return_dtype=pl.String)
            ),
            ordered_looks(list(words.values())),
            [label(config, name) for name in names(config)],
            x_title="share of the sentence's neurons among those taken",
            title=f"Recall of {percent(share)} injected neurons: {model_label(config, source)}",
            subtitle=f"{_sentences(rows)}; bars: 95 % t-intervals",
            published=_published(source, share, words, config),
            levels=levels,
        )
        if chart is not None:
            name = f"injection-recall-{short.get(source, 'model')}-{_slug(share)}"
            figures.append(
                Figure(name, "injection", chart, f"Recall@k of each method at r = {share:g}")
            )
    return figures


def scope_figures(data: StudyData, config: LocalizationConfig) -> list[Figure]:
    """Recall@r with the highest of every layer, and of the whole model."""
    means = table(data, "recall_means")
    if means is None:
        return []
    figures = []
    short = model_names(config.injection.models)
    smallest = means.filter(pl.col("multiple") == pl.col("multiple").min())
    for (model, fraction), rows in smallest.group_by("model", "fraction", maintain_order=True):
        source, share = str(model), float(fraction)  # type: ignore[arg-type]
        if rows["scope"].n_unique() < 2:
            continue
        words = {scope: look.name for scope, look in _SCOPES.items()}
        chart = methods_chart(
            _labelled(rows, config).with_columns(
                series=pl.col("scope").replace_strict(words, return_dtype=pl.String)
            ),
            list(_SCOPES.values()),
            [label(config, name) for name in names(config)],
            x_title="share of the sentence's neurons among those taken",
            title=f"Taken per layer or over all: {model_label(config, source)}, {percent(share)}",
            subtitle=f"{_sentences(rows)}; bars: 95 % t-intervals",
        )
        if chart is not None:
            name = f"injection-scope-{short.get(source, 'model')}-{_slug(share)}"
            figures.append(Figure(name, "injection", chart, "Recall@r per layer and over all"))
    return figures


def _labelled(rows: pl.DataFrame, config: LocalizationConfig) -> pl.DataFrame:
    own = rows.filter(pl.col("method").is_in(list(config.methods)))
    labels = {name: label(config, name) for name in own["method"].unique()}
    return own.with_columns(
        pl.col("low", "high").clip(0, 1),
        at=pl.col("method").replace_strict(labels, return_dtype=pl.String),
    )


def _published(
    source: str, fraction: float, words: dict[float, str], config: LocalizationConfig
) -> pl.DataFrame | None:
    """The paper's numbers where it has this model and fraction."""
    if source not in MODELS:
        return None
    rows = []
    for name in names(config):
        part = part_of(config.methods[name])
        numbers = RECALL.get((MODELS[source], fraction, part or ""))
        for multiple, value in zip((1.0, 2.0, 5.0), numbers or (), strict=False):
            if multiple in words:
                rows.append({"series": words[multiple], "at": label(config, name), "value": value})
    schema = {"series": pl.String, "at": pl.String, "value": pl.Float64}
    return pl.DataFrame(rows, schema=schema)


def _sentences(rows: pl.DataFrame) -> str:
    least, most = int(rows["n"].min() or 0), int(rows["n"].max() or 0)  # type: ignore[arg-type]
    return f"{most} sentences" if least == most else f"{least} to {most} sentences"


def _at(multiple: float, fraction: float) -> str:
    return f"k = {percent(multiple * fraction)}"


def _slug(share: float) -> str:
    return f"{share:g}".replace(".", "")
