"""Charts of strings learned one after the other (E7)."""

from __future__ import annotations

import math

import altair as alt
import polars as pl

from byrote.report.figures import Figure
from byrote.report.palette import LIGHT
from byrote.report.plotting import layered, plain, renamed, share_axis, styled
from byrote.report.study import StudyData
from byrote.studies.dynamics.analysis import over_strings
from byrote.studies.dynamics.charts import Look, looks_of, ordered_looks, table
from byrote.studies.dynamics.charts_times import CENSORED_NOTE, time_marks, times_chart

__all__ = ["sequence_figures"]

_OPTIMISERS = {
    "fresh": Look("fresh optimiser", "chart-texts"),
    "carried": Look("carried optimiser", "chart-control-2", "square", (6, 3)),
}


def sequence_figures(data: StudyData) -> list[list[Figure]]:
    """E7: loss of every string over all stages; then times, retention and natural text.

    Returns:
        Groups of figures that belong side by side.
    """
    groups = []
    sequential = table(data, "sequential")
    if sequential is None:
        return []
    for (model,), rows in sequential.group_by("model", maintain_order=True):
        curves = [
            _losses(part, str(model), str(optimiser))
            for (optimiser,), part in rows.group_by("optimiser", maintain_order=True)
        ]
        here = pl.col("model") == model
        others = [
            _stage_times(data, here, str(model), int(rows["epoch"].max() or 0)),  # type: ignore[arg-type]
            _retention(data, here, str(model)),
            _text(data, here, str(model)),
        ]
        groups += [curves, [figure for figure in others if figure is not None]]
    return [group for group in groups if group]


def _stage_name(stage: pl.Expr, strings: int) -> pl.Expr:
    """Strings count from 1; the last stage learns the first once more."""
    return pl.when(stage >= strings).then(pl.lit("1 again")).otherwise((stage + 1).cast(pl.String))


def _losses(rows: pl.DataFrame, model: str, optimiser: str) -> Figure:
    per_stage = int(rows["epoch"].max() or 1)  # type: ignore[arg-type]
    strings = int(rows["measured"].max() or 0) + 1  # type: ignore[arg-type]
    means = (
        rows.filter(pl.col("loss").is_finite())
        .group_by("measured", "stage", "epoch")
        .agg(pl.col("loss").mean().round(4).alias("value"))
        .with_columns(
            at=pl.col("stage") * per_stage + pl.col("epoch"),
            series=pl.format("string {}", pl.col("measured") + 1),
        )
        # The end of one stage is the start of the next: the same model, twice.
        .sort("measured", "at", "stage")
        .unique(["measured", "at"], keep="first", maintain_order=True)
    )
    stages = int(rows["stage"].max() or 0) + 1  # type: ignore[arg-type]
    # The first string, which is forgotten the longest, is the strongest.
    looks = ordered_looks([f"string {j + 1}" for j in reversed(range(strings))])[::-1]
    x = alt.X(
        "at:Q",
        title="exposures so far; a stage learns one string",
        scale=alt.Scale(domain=[0, stages * per_stage], nice=False),
        axis=alt.Axis(format="d", tickCount=8, grid=False),
    )
    top = float(means["value"].max() or 1)  # type: ignore[arg-type]
    y = alt.Y(
        "value:Q",
        title="mean loss (nats per token)",
        scale=alt.Scale(domain=[0, 1.12 * top], nice=False),
    )
    learned = dict(rows.select("stage", "learned").unique().iter_rows())
    bounds = pl.DataFrame(
        {
            "at": [float(s * per_stage) for s in range(stages)],
            "middle": [(s + 0.5) * per_stage for s in range(stages)],
            "text": [str(learned.get(s, s) + 1) for s in range(stages)],
            "value": [1.12 * top] * stages,
        }
    )
    colour = looks_of(looks, "color")
    line = alt.Chart(plain(means.select("series", "at", "value", "stage", "epoch"))).encode(
        x=x, y=y
    )
    layers = [
        alt.Chart(bounds)
        .mark_rule(color=LIGHT["chart-grid"], strokeWidth=1.3, aria=False)
        .encode(x=x),
        alt.Chart(bounds)
        .mark_text(color=LIGHT["chart-muted"], baseline="top", dy=2, fontSize=11, aria=False)
        .encode(x=renamed(x, "middle:Q"), y=y, text="text:N"),
        line.mark_line(strokeWidth=2, aria=False).encode(
            color=colour, strokeDash=looks_of(looks, "dash")
        ),
    ]
    chains = rows["chain"].n_unique()
    return Figure(
        f"sequence-{model}-{optimiser}",
        "sequence",
        styled(
            layered(*layers),
            f"{model}: loss on every string, {optimiser} optimiser",
            f"mean of {chains} chains; at the top: which string is being learned",
            height=260,
        ),
        f"loss on each string over all stages, {model}, {optimiser} optimiser",
    )


def _looks(rows: pl.DataFrame) -> list[Look]:
    there = set(rows["optimiser"].to_list())
    return [look for name, look in _OPTIMISERS.items() if name in there]


def _named(rows: pl.DataFrame) -> pl.DataFrame:
    names = {name: look.name for name, look in _OPTIMISERS.items()}
    return rows.with_columns(
        series=pl.col("optimiser").replace_strict(names, return_dtype=pl.String)
    )


def _stage_times(data: StudyData, here: pl.Expr, model: str, epochs: int) -> Figure | None:
    stages = table(data, "stages")
    if stages is None or (rows := stages.filter(here)).is_empty():
        return None
    strings = int(rows["learned"].max() or 0) + 1  # type: ignore[arg-type]
    rows = _named(rows).with_columns(
        at=_stage_name(pl.col("stage"), strings), last=pl.lit(epochs, dtype=pl.Int64)
    )
    medians, each = time_marks(rows, ["series", "stage", "at"], last="last")
    order = rows.sort("stage")["at"].unique(maintain_order=True).to_list()
    x = alt.X(
        "at:O",
        sort=order,
        title="string being learned, in order",
        axis=alt.Axis(labelAngle=0, grid=False),
        scale=alt.Scale(type="point", padding=0.5),
    )
    more = f"; {CENSORED_NOTE}" if medians["censored"].sum() else ""
    chart = times_chart(
        medians.sort("stage"),
        each.sort("stage"),
        x,
        _looks(rows),
        title=f"{model}: epochs until memorised, by stage",
        subtitle=f"median, small: each chain{more}",
    )
    if chart is None:
        return None
    return Figure(
        f"sequence-times-{model}", "sequence", chart, f"epochs until memorised by stage, {model}"
    )


def _retention(data: StudyData, here: pl.Expr, model: str) -> Figure | None:
    retention = table(data, "retention")
    if retention is None or (rows := retention.filter(here)).is_empty():
        return None
    # Within a chain all strings count alike; the interval is over chains.
    by_chain = rows.group_by("optimiser", "since", "chain", maintain_order=True).agg(
        pl.col("accuracy").mean()
    )
    found = [
        {"optimiser": optimiser, "since": since, **over_strings(group["accuracy"])}
        for (optimiser, since), group in by_chain.group_by(
            "optimiser", "since", maintain_order=True
        )
    ]
    frame = _named(pl.DataFrame(found)).with_columns(pl.col("low", "high").clip(0, 1))
    x = alt.X(
        "since:Q",
        title="stages since the string was learned",
        axis=_whole(frame["since"]),
        scale=alt.Scale(nice=False, padding=8),
    )
    return Figure(
        f"sequence-retention-{model}",
        "sequence",
        _bars_and_lines(
            frame,
            x,
            share_axis("recollection accuracy", top=1.04),
            _looks(frame),
            _change(frame, "since", f"{model}: recalled", ".0%"),
            "mean over chains, 95 % t-interval",
            ".1%",
        ),
        f"accuracy on earlier strings by stages since, {model}",
    )


def _text(data: StudyData, here: pl.Expr, model: str) -> Figure | None:
    text = table(data, "sequential_text")
    if text is None or (rows := text.filter(here & pl.col("loss").is_finite())).is_empty():
        return None
    found = [
        {"optimiser": optimiser, "stage": stage, **over_strings(group["loss"])}
        for (optimiser, stage), group in rows.group_by("optimiser", "stage", maintain_order=True)
    ]
    frame = _named(pl.DataFrame(found)).with_columns(done=pl.col("stage") + 1)
    most = float(frame.select(pl.max_horizontal("value", "high").max()).item() or 1)
    if not math.isfinite(most):
        most = float(frame["value"].max() or 1)  # type: ignore[arg-type]
    x = alt.X(
        "done:Q",
        title="stages done",
        axis=_whole(frame["done"]),
        scale=alt.Scale(nice=False, padding=8),
    )
    y = alt.Y(
        "value:Q",
        title="loss on natural text (nats per token)",
        scale=alt.Scale(domain=[0, 1.05 * most], nice=False),
    )
    return Figure(
        f"sequence-text-{model}",
        "sequence",
        _bars_and_lines(
            frame,
            x,
            y,
            _looks(frame),
            _change(frame, "done", f"{model}: loss on text", ".2f"),
            "mean over chains, 95 % t-interval",
            ".2f",
        ),
        f"loss on natural text by stage, {model}",
    )


def _change(frame: pl.DataFrame, place: str, what: str, form: str) -> str:
    """The first and the last value of the first series, in words."""
    rows = frame.filter(pl.col("series") == frame["series"][0]).sort(place)
    first, last = (format(rows["value"][i], form).replace("%", " %") for i in (0, -1))
    return f"{what} {first}; after {rows[place][-1]} stages {last}"


def _whole(numbers: pl.Series) -> alt.Axis:
    """Ticks at whole numbers only."""
    return alt.Axis(values=numbers.unique().sort().to_list(), format="d", grid=False)


def _bars_and_lines(
    frame: pl.DataFrame,
    x: alt.X,
    y: alt.Y,
    looks: list[Look],
    title: str,
    subtitle: str,
    form: str,
) -> alt.LayerChart:
    base = alt.Chart(plain(frame)).encode(x=x, color=looks_of(looks, "color", marks=True))
    layers = [
        base.mark_area(opacity=0.13, aria=False, clip=True).encode(
            y=renamed(y, "low:Q"), y2="high:Q"
        ),
        base.mark_line(strokeWidth=2, aria=False).encode(
            y=y, strokeDash=looks_of(looks, "dash", marks=True)
        ),
        base.mark_point(filled=True, size=70, opacity=1, aria=False).encode(
            y=y,
            shape=looks_of(looks, "shape", marks=True),
            tooltip=[
                alt.Tooltip("series:N", title="with"),
                alt.Tooltip("value:Q", title="mean", format=form),
                alt.Tooltip("low:Q", title="interval from", format=form),
                alt.Tooltip("high:Q", title="to", format=form),
                alt.Tooltip("strings:Q", title="chains"),
            ],
        ),
    ]
    return styled(layered(*layers), title, subtitle, height=240)
