"""Charts of how long memorisation takes: by entropy, length, size, pretraining, trained part."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import altair as alt
import polars as pl

from byrote.report.figures import Figure
from byrote.report.palette import LIGHT
from byrote.report.plotting import layered, plain, renamed, share_axis, styled
from byrote.report.study import StudyData
from byrote.studies.dynamics.charts import (
    Look,
    cycled_looks,
    held_curves,
    init_looks,
    phase_rows,
    table,
    training_curves,
)
from byrote.studies.dynamics.charts_times import (
    CENSORED_NOTE,
    short_count,
    time_marks,
    times_chart,
)

__all__ = [
    "checkpoint_figures",
    "entropy_figures",
    "length_figures",
    "partial_figures",
    "size_figures",
    "untrained_figures",
]

# Spec, section 5, Run B: first epoch with loss below 0.1; None was not reached in 100 epochs.
_RUN_B = {
    "pretrained": {16: 16, 32: 15, 64: 18, 128: 16, 256: 18, 512: 18, 1024: 22},
    "step 0": {16: 15, 32: 25, 64: 31, 128: 47, 256: 85, 512: None, 1024: None},
}
# The same along pretraining, n = 1024.
_RUN_B_STEPS = {
    64: None, 256: 87, 512: 58, 1000: 36, 2000: 20, 10_000: 17, 20_000: 16, 100_000: 21,
    143_000: 22,
}  # fmt: skip
_RUN_B_EPOCHS = 100
_LOGS = {
    name: Look(name, "chart-muted", shape, (1, 3))
    for name, shape in (
        ("Pythia-1B pretrained (authors' logs)", "circle"),
        ("Pythia-1B untrained (authors' logs)", "diamond"),
    )
}
_STEP_LOG = Look("Pythia-1B, n = 1024 (authors' logs)", "chart-muted", "square", (1, 3))
_POINTS = 300

_KINDS = {
    "uniform": Look("uniform, fewer letters", "chart-texts"),
    "skewed": Look("one letter more likely", "chart-control-2", "square", (6, 3)),
    "markov": Look("each letter hints at the next", "chart-control-3", "triangle-down", (2, 2)),
}


def _interval_words(medians: pl.DataFrame) -> str:
    """How sure the drawn intervals are; with few strings order statistics reach no 95 %."""
    sure = medians["confidence"].filter(medians["strings"] > 1).drop_nulls()
    if sure.is_empty():
        return "one string each"
    least, most = float(sure.min()), float(sure.max())  # type: ignore[arg-type]
    words = f"{least:.0%}" if round(least, 2) == round(most, 2) else f"{least:.0%} or more"
    return f"bars: {words.replace('%', ' %')} intervals"


def _ends(rows: pl.DataFrame, medians: pl.DataFrame, place: str) -> str:
    """The ends of the series that the run names first: "9 epochs at n = 16, 15 at n = 256"."""
    first = medians.filter(pl.col("series") == rows["series"][0])
    if len(first) < 2:
        return "epochs until memorised"
    texts, places = first["text"], first[place]
    return f"{texts[0]} epochs at {places[0]}, {texts[-1]} at {places[-1]}"


def _subtitle(medians: pl.DataFrame, *more: str) -> str:
    parts = [*more, _interval_words(medians)]
    if medians["censored"].sum():
        parts.append(CENSORED_NOTE)
    return "; ".join(parts)


def entropy_figures(data: StudyData) -> list[Figure]:
    """E2: epochs until memorised against entropy, by fewer letters and by skew; per model."""
    rows = phase_rows(data, "phases", "entropy")
    if rows is None:
        return []
    figures = []
    rows = rows.filter(pl.col("part") == "all").unique(
        ["training", "string"], keep="first", maintain_order=True
    )
    for (model, n), group in rows.group_by("model", "n", maintain_order=True):
        if group["training"].n_unique() < 2:
            continue
        kinds = group["distribution"].unique().to_list()
        names = {kind: look.name for kind, look in _KINDS.items() if kind in kinds}
        letters = int(group["letters"].max())  # type: ignore[arg-type]
        # All three kinds begin at the same source: uniform over the full alphabet.
        full = group.filter((pl.col("distribution") == "uniform") & (pl.col("letters") == letters))
        also = [
            full.with_columns(distribution=pl.lit(k), joined=pl.lit(True))
            for k in names
            if k != "uniform"
        ]
        group = pl.concat([group.with_columns(joined=pl.lit(False)), *also]).with_columns(
            series=pl.col("distribution").replace_strict(names, return_dtype=pl.String),
            at=pl.format("{} nats", pl.col("entropy_rate").round(2)),
        )
        keys = ["series", "training", "entropy_rate", "at", "joined"]
        medians, strings = time_marks(group, keys)
        medians, strings = medians.sort("entropy_rate"), strings.filter(~pl.col("joined"))
        x = alt.X(
            "entropy_rate:Q",
            title="entropy of the source (nats per letter, given those before)",
            scale=alt.Scale(domain=[0, math.log(letters) * 1.05], nice=False),
            axis=alt.Axis(format=".1f", tickCount=7, grid=False),
        )
        looks = [look for kind, look in _KINDS.items() if kind in names]
        chart = times_chart(
            medians,
            strings,
            x,
            looks,
            title=f"{model}: {_ends(group, medians, 'at')}",
            subtitle=_subtitle(medians, f"n = {n}"),
        )
        if chart is not None:
            name = f"entropy-{model}-{n}"
            figures.append(Figure(name, "entropy", chart, f"epochs until memorised, {model}"))
    return figures


def length_figures(data: StudyData) -> list[Figure]:
    """E3: epochs until memorised against length, with the published logs of another model."""
    rows = phase_rows(data, "length", "untrained")
    if rows is None:
        return []
    init = pl.col("init").replace("random", "untrained")
    series = pl.format("{} ({})", pl.col("model"), init)
    if rows["letters"].n_unique() > 1:
        series = pl.format("{}, ℓ = {}", series, pl.col("letters"))
    rows = rows.unique(["training", "string"], keep="first", maintain_order=True).with_columns(
        at=pl.format("n = {}", pl.col("n")), series=series
    )
    if rows["n"].n_unique() < 2:
        return []
    inits = dict(rows.select("series", "init").unique(maintain_order=True).iter_rows())
    medians, strings = time_marks(rows, ["series", "n", "at"])
    medians, strings = medians.sort("n"), strings.sort("n")
    lengths = sorted(rows["n"].unique().to_list())
    sizes = [str(size) for size in rows["letters"].unique().sort()]
    x = alt.X(
        "n:Q",
        title="length of the string, n (tokens, logarithmic)",
        scale=alt.Scale(
            type="log", base=2, nice=False, domain=[lengths[0] / 1.1, lengths[-1] * 1.1]
        ),
        axis=alt.Axis(values=lengths, format="d", grid=False),
    )
    logs = dict(zip(_LOGS, _RUN_B.values(), strict=True))
    points = _reference(logs, "n", lengths[0], lengths[-1])
    chart = times_chart(
        medians,
        strings,
        x,
        [*init_looks(inits), *_LOGS.values()],
        title=f"{rows['model'][0]}: {_ends(rows, medians, 'at')}",
        subtitle=_subtitle(medians, f"ℓ = {', '.join(sizes)}"),
        reference=points,
        height=300,
    )
    if chart is None:
        return []
    return [Figure("length", "length", chart, "epochs until memorised against string length")]


def _reference(
    logs: dict[str, dict[int, Any]], field: str, least: float, most: float
) -> pl.DataFrame | None:
    """What the authors' logs say between two places; None for nothing."""
    rows = [
        {
            "series": name,
            field: at,
            "epoch": float(_RUN_B_EPOCHS if epoch is None else epoch),
            "reached": epoch is not None,
        }
        for name, log in logs.items()
        for at, epoch in log.items()
        if least <= at <= most
    ]
    if not rows:
        return None
    schema = {
        "series": pl.String,
        field: pl.Int64,
        "epoch": pl.Float64,
        "reached": pl.Boolean,
    }
    return pl.DataFrame(rows, schema=schema)


def _tick_names(labels: Mapping[int, str]) -> str:
    """A Vega expression that names the ticks of an axis."""
    expression = "'' + datum.value"
    for value, words in labels.items():
        expression = f"datum.value == {value} ? '{words}' : {expression}"
    return expression


def size_figures(data: StudyData) -> list[Figure]:
    """E4: epochs until memorised against parameters, a line for each family."""
    rows = phase_rows(data, "size")
    if rows is None:
        return []
    sizes = sorted(rows["parameters"].unique().to_list())
    labels = {size: short_count(size) for size in sizes}
    rows = rows.with_columns(
        series=pl.col("ladder"),
        at=pl.col("model"),
        size=pl.col("parameters").replace_strict(labels, return_dtype=pl.String),
    )
    medians, strings = time_marks(rows, ["series", "parameters", "at", "size"])
    medians, strings = medians.sort("parameters"), strings.sort("parameters")
    x = alt.X(
        "parameters:Q",
        title="parameters (logarithmic)",
        scale=alt.Scale(type="log", nice=False, domain=[sizes[0] / 1.3, sizes[-1] * 1.3]),
        axis=alt.Axis(values=sizes, labelExpr=_tick_names(labels), grid=False),
    )
    chart = times_chart(
        medians,
        strings,
        x,
        cycled_looks(rows["series"].unique(maintain_order=True).to_list()),
        title=f"{rows['series'][0]}: {_ends(rows, medians, 'size')} parameters",
        subtitle=_subtitle(medians, f"ℓ = {rows['letters'][0]}, n = {rows['n'][0]}"),
    )
    if chart is None:
        return []
    return [Figure("size", "size", chart, "epochs until memorised against model size")]


def untrained_figures(data: StudyData) -> list[Figure]:
    """E8: curves of untrained models beside pretrained ones on the same strings."""
    rows, epochs = phase_rows(data, "untrained"), table(data, "epochs")
    phases = table(data, "phases")
    trainings = table(data, "trainings")
    if rows is None or epochs is None or phases is None or trainings is None:
        return []
    sources = trainings.select("training", "source").unique(maintain_order=True)
    pretrained = phases.filter(
        (pl.col("init") != "random")
        & (pl.col("part") == "all")
        & (pl.col("distribution") == "uniform")
    ).join(sources, on="training")
    figures = []
    lengths = sorted(rows["n"].unique().to_list())
    # Every length has its point in the chart of lengths; curves of a few will do.
    shown = lengths if len(lengths) <= 3 else [lengths[0], lengths[len(lengths) // 2], lengths[-1]]
    for n in shown:
        untrained = rows.filter(pl.col("n") == n)
        letters = untrained["letters"][0]
        beside = pretrained.filter((pl.col("n") == n) & (pl.col("letters") == letters))
        twins = beside.filter(pl.col("source").is_in(untrained["source"].to_list()))
        both = pl.concat(
            [part.select("training", "model", "init") for part in (twins, untrained)]
        ).unique(maintain_order=True)
        inits = dict(both.select("model", "init").iter_rows())
        words = {m: f"{m} ({'untrained' if i == 'random' else i})" for m, i in inits.items()}
        curves = held_curves(
            epochs.join(both.select("training"), on="training", how="semi"), ["loss", "accuracy"]
        ).join(both, on="training")
        curves = curves.with_columns(
            series=pl.col("model").replace_strict(words, return_dtype=pl.String)
        )
        looks = init_looks({words[m]: i for m, i in inits.items()})
        compared = "with and without" if len(set(inits.values())) > 1 else "without"
        who = "" if len(looks) > 1 else f"{looks[0].name}; "
        guess = math.log(letters)
        modal = float(untrained["modal"].mean() or 0)  # type: ignore[arg-type]
        for measure, level in (("loss", guess), ("accuracy", modal)):
            chosen = curves.filter(pl.col("measure") == measure)
            top = float(chosen["high"].max() or 1)  # type: ignore[arg-type]
            y = (
                share_axis("recollection accuracy")
                if measure == "accuracy"
                else alt.Y(
                    "value:Q",
                    title="mean loss (nats per token)",
                    scale=alt.Scale(domain=[0, 1.04 * top]),
                )
            )
            levels = pl.DataFrame({"series": [looks[-1].name], "value": [level]})
            chart = training_curves(
                chosen.select("series", "epoch", "value", "low", "high"),
                looks,
                y,
                title=f"{measure.capitalize()} {compared} pretraining, n = {n}",
                subtitle=f"{who}ℓ = {letters}; dashed: guessing; band: all strings",
                levels=levels,
            )
            if chart is not None:
                name = f"untrained-{measure}-{n}"
                figures.append(Figure(name, "untrained", chart, f"{measure} by epoch, n = {n}"))
    return figures


def checkpoint_figures(data: StudyData) -> list[Figure]:
    """E8: epochs until memorised, first loss and pretraining loss along pretraining steps."""
    rows = phase_rows(data, "checkpoints")
    figures = []
    if rows is not None:
        rows = rows.filter(pl.col("step").is_not_null()).with_columns(
            series=pl.lit("this run"),
            at=pl.format(
                "step {}", pl.col("step").map_elements(short_count, return_dtype=pl.String)
            ),
        )
    if rows is not None and rows["step"].n_unique() > 1:
        steps = sorted(rows["step"].unique().to_list())
        x = _step_axis(steps)
        medians, strings = time_marks(rows.sort("step"), ["series", "step", "at"])
        # The published steps belong beside a published series only.
        logs: dict[int, Any] = _RUN_B_STEPS if steps[-1] >= 1000 else {}
        points = _reference({_STEP_LOG.name: logs}, "step", 0, steps[-1])
        chart = times_chart(
            medians,
            strings,
            x,
            [Look("this run", "chart-texts"), _STEP_LOG],
            title=f"Pretraining: {_ends(rows, medians, 'at')}",
            subtitle=_subtitle(medians, f"ℓ = {rows['letters'][0]}, n = {rows['n'][0]}"),
            reference=points,
        )
        if chart is not None:
            words = "epochs until memorised by pretraining step"
            figures.append(Figure("checkpoints-time", "checkpoints", chart, words))
        figures.append(
            Figure(
                "checkpoints-first-loss",
                "checkpoints",
                _first_loss(rows, x),
                "loss before exposure by pretraining step",
            )
        )
    pretraining = table(data, "pretraining")
    if pretraining is not None:
        chart = _pretraining(pretraining)
        figures.append(Figure("pretraining", "checkpoints", chart, "loss while pretraining"))
    return figures


def _step_axis(steps: list[int]) -> alt.X:
    names = {step: short_count(step) for step in steps}
    smallest = min((s for s in steps if s), default=1)
    return alt.X(
        "step:Q",
        title="pretraining steps before the exposure",
        scale=alt.Scale(type="symlog", constant=smallest / 2, nice=False, padding=12),
        axis=alt.Axis(values=steps, labelExpr=_tick_names(names), grid=False),
    )


def _first_loss(rows: pl.DataFrame, x: alt.X) -> alt.LayerChart:
    found = (
        rows.group_by("step", maintain_order=True)
        .agg(
            pl.col("first_loss").mean().alias("value"),
            pl.col("first_loss").min().alias("low"),
            pl.col("first_loss").max().alias("high"),
        )
        .sort("step")
    )
    top = float(found["high"].max() or 1)  # type: ignore[arg-type]
    letters = int(rows["letters"][0])
    y = alt.Y(
        "value:Q",
        title="loss before exposure (nats per token)",
        scale=alt.Scale(domain=[0, 1.05 * top]),
    )
    base = alt.Chart(plain(found)).encode(x=x)
    colour = LIGHT["chart-texts"]
    level = alt.Chart(pl.DataFrame({"value": [math.log(letters)]})).mark_rule(
        color=LIGHT["chart-muted"], strokeDash=[3, 3], strokeWidth=1.3, aria=False
    )
    chart = layered(
        level.encode(y=y),
        base.mark_rule(color=colour, strokeWidth=2, opacity=0.55, aria=False).encode(
            y=renamed(y, "low:Q"), y2="high:Q"
        ),
        base.mark_line(color=colour, strokeWidth=1.8, aria=False).encode(y=y),
        base.mark_point(color=colour, filled=True, size=85, opacity=1, aria=False).encode(
            y=y,
            tooltip=[
                alt.Tooltip("step:Q", title="step"),
                alt.Tooltip("value:Q", title="mean", format=".2f"),
                alt.Tooltip("low:Q", title="lowest string", format=".2f"),
                alt.Tooltip("high:Q", title="highest string", format=".2f"),
            ],
        ),
    )
    subtitle = f"bars: lowest to highest string; dashed: ln {letters} = {math.log(letters):.2f}"
    return styled(chart, "Loss on the strings before exposure", subtitle, height=260)


def _pretraining(table_: pl.DataFrame) -> alt.LayerChart:
    wide = max(1, math.ceil(len(table_) / _POINTS))
    found = (
        table_.filter(pl.col("loss").is_finite())
        .with_columns(step=pl.col("step") // wide * wide)
        .group_by("step")
        .agg(pl.col("loss").mean().round(4).alias("value"))
        .sort("step")
    )
    x = alt.X(
        "step:Q",
        title="pretraining step",
        scale=alt.Scale(nice=False),
        axis=alt.Axis(format="~s", grid=False, tickCount=6, tickMinStep=1),
    )
    y = alt.Y("value:Q", title="loss (nats per byte)", scale=alt.Scale(zero=True))
    line = alt.Chart(plain(found)).mark_line(
        color=LIGHT["chart-texts"], strokeWidth=2, aria=False
    ).encode(x=x, y=y)  # fmt: skip
    subtitle = f"mean of {wide} steps a point" if wide > 1 else "each step"
    return styled(layered(line), "Loss while pretraining", subtitle, height=260)


def partial_figures(data: StudyData) -> list[Figure]:
    """Beyond the paper: epochs until memorised when only a part is trained, one chart a model."""
    rows = phase_rows(data, "partial")
    if rows is None:
        return []
    figures = []
    for (model, n), group in rows.group_by("model", "n", maintain_order=True):
        counts = dict(group.select("part", "trained_parameters").unique().iter_rows())
        labels = {part: f"{part} ({short_count(counts[part])})" for part in counts}
        group = group.with_columns(
            series=pl.lit("this run"),
            at=pl.col("part").replace_strict(labels, return_dtype=pl.String),
        )
        medians, strings = time_marks(group, ["series", "part", "at"])
        order = medians.sort(["epoch", "low"])["at"].to_list()
        order = (
            [labels["all"], *(o for o in order if o != labels["all"])] if "all" in labels else order
        )
        y = alt.Y(
            "at:N",
            sort=order,
            title=None,
            axis=alt.Axis(grid=True, ticks=False, labelPadding=8, labelLimit=240),
        )
        chart = times_chart(
            medians,
            strings,
            y,
            [Look("this run", "chart-texts")],
            title=f"{model}: epochs until memorised, by trained part",
            subtitle=_subtitle(medians, f"ℓ = {group['letters'][0]}, n = {n}"),
            line=False,
            height=max(90, 30 * len(order)),
        )
        if chart is not None:
            words = f"epochs until memorised by trained part, {model}"
            figures.append(Figure(f"partial-{model}", "partial", chart, words))
    return figures
