"""Charts of the two phases (E1) and of the order of memorisation (E5)."""

from __future__ import annotations

import math

import altair as alt
import numpy as np
import polars as pl

from byrote.report.figures import Figure
from byrote.report.palette import LIGHT
from byrote.report.plotting import layered, plain, renamed, share_axis, styled
from byrote.report.study import StudyData
from byrote.studies.dynamics.analysis import over_strings
from byrote.studies.dynamics.charts import (
    Look,
    alphabet_looks,
    held_curves,
    init_looks,
    looks_of,
    phase_rows,
    table,
    training_curves,
)
from byrote.studies.dynamics.charts_times import time_marks

__all__ = [
    "order_figures",
    "phase_figures",
    "raster_cells",
    "raster_figures",
]

# Column of `epochs`, title of the axis, words for a title.
_MEASURES = (
    ("loss", "mean loss (nats per token)", "loss"),
    ("accuracy", "recollection accuracy", "recollection accuracy"),
    ("mass", "probability on the alphabet", "probability on the alphabet"),
    ("entropy", "entropy of the prediction (nats)", "entropy of the prediction"),
    (
        "kl_empirical_model",
        "KL(letters || model), nats (log)",
        "distance to the letters' frequencies",
    ),
)
_SHARES = {"accuracy", "mass"}
_MARKS = {
    "t_guess": ("end of guessing", "square"),
    "t_mem": ("memorised", "circle"),
}
_NEVER = ("not memorised within its epochs", "triangle-up")

_MAX_RASTERS = 6
_RASTER_POSITIONS, _RASTER_EPOCHS = 128, 128
_LEVELS = 4
_LEAST_KL = 0.01


def phase_figures(data: StudyData) -> list[tuple[str, list[Figure]]]:
    """E1: the curves of each model, a line for each alphabet size.

    Returns:
        Model name and its figures, one for each measure.
    """
    rows, epochs = phase_rows(data, "phases"), table(data, "epochs")
    if rows is None or epochs is None:
        return []
    looks = alphabet_looks(rows["letters"].unique().to_list())
    found = []
    for (model,), of_model in rows.group_by("model", maintain_order=True):
        figures = []
        trainings = of_model.select("training", "letters").unique(maintain_order=True)
        names = {size: look.name for size, look in looks.items()}
        series = pl.col("letters").replace_strict(names, return_dtype=pl.String).alias("series")
        curves = held_curves(
            epochs.join(trainings.select("training"), on="training", how="semi"),
            [name for name, *_ in _MEASURES],
        ).join(trainings.with_columns(series), on="training")
        strings = of_model.group_by("training").len()["len"].max()
        only = f"ℓ = {of_model['letters'][0]}, " if len(trainings) == 1 else ""
        subtitle = f"{only}n = {of_model['n'][0]}; mean of {strings} strings, band: all of them"
        for measure, axis, words in _MEASURES:
            chosen = curves.filter(pl.col("measure") == measure)
            levels = _guess_levels(of_model, measure).with_columns(series)
            marks = _phase_marks(of_model, chosen) if measure in ("loss", "accuracy") else None
            if measure in _SHARES:
                y = share_axis(axis)
            elif measure.startswith("kl_"):
                # The dip to the best guess is small beside what memorisation comes to.
                chosen = chosen.with_columns(pl.col("value", "low", "high").clip(_LEAST_KL))
                y = alt.Y(
                    "value:Q",
                    title=axis,
                    scale=alt.Scale(type="log", domainMin=_LEAST_KL, nice=False),
                    axis=alt.Axis(values=[0.01, 0.1, 1, 10], format="~g"),
                )
            else:
                top = float(chosen["high"].max() or 1)  # type: ignore[arg-type]
                y = alt.Y("value:Q", title=axis, scale=alt.Scale(domain=[0, 1.04 * top]))
            chart = training_curves(
                chosen.select("series", "epoch", "value", "low", "high"),
                list(looks.values()),
                y,
                title=f"{model}: {words}",
                subtitle=subtitle,
                levels=levels,
                marks=marks,
            )
            if chart is not None:
                name = f"phases-{measure.replace('_', '-')}-{model}"
                figures.append(
                    Figure(name, "phases", chart, f"{words} by epoch and alphabet size, {model}")
                )
        found.append((str(model), figures))
    return found


def _guess_levels(rows: pl.DataFrame, measure: str) -> pl.DataFrame:
    """What the best guess gives: the entropy of the letters, the share of the commonest one."""
    columns = {"loss": "floor", "entropy": "floor", "accuracy": "modal"}
    if measure not in columns:
        return pl.DataFrame(schema={"letters": rows.schema["letters"], "value": pl.Float64})
    return rows.group_by("letters").agg(pl.col(columns[measure]).mean().alias("value"))


def _phase_marks(rows: pl.DataFrame, curves: pl.DataFrame) -> pl.DataFrame:
    """Median T_guess and T_mem as points on the mean curves."""
    found = []
    for which, (mark, sign) in _MARKS.items():
        medians, _ = time_marks(rows, ["training", "letters"], which)
        for row in medians.iter_rows(named=True):
            if not row["reached"] and which == "t_guess":
                continue
            words, shape = (f"{mark} (median)", sign) if row["reached"] else _NEVER
            curve = curves.filter(pl.col("training") == row["training"])
            if curve.is_empty():
                continue
            value = np.interp(row["epoch"], curve["epoch"].to_numpy(), curve["value"].to_numpy())
            found.append(
                {
                    "series": curve["series"][0],
                    "epoch": row["epoch"],
                    "value": round(float(value), 4),
                    "mark": words,
                    "sign": shape,
                }
            )
    return pl.DataFrame(found, schema=_MARK_SCHEMA)


_MARK_SCHEMA = {
    "series": pl.String,
    "epoch": pl.Float64,
    "value": pl.Float64,
    "mark": pl.String,
    "sign": pl.String,
}


def _order_labels(rows: pl.DataFrame) -> pl.DataFrame:
    letters = pl.format(
        "{}, ℓ = {}, n = {}", pl.col("model"), pl.col("letters"), pl.col("n")
    ).alias("label")
    return rows.with_columns(letters)


def order_figures(data: StudyData) -> list[Figure]:
    """E5: Spearman's correlation of position and epoch of memorisation, for each exposure."""
    rows, order = phase_rows(data, "phases", "untrained"), table(data, "order")
    if rows is None or order is None:
        return []
    known = (
        _order_labels(rows)
        .select("training", "string", "label", "init")
        .unique(maintain_order=True)
        .join(order, on=["training", "string"])
        .filter(pl.col("spearman").is_finite())
        .with_columns(series=_init_words())
    )
    if known.is_empty():
        return []
    means = [
        {"label": label, "series": series, **over_strings(group["spearman"])}
        for (label, series), group in known.group_by("label", "series", maintain_order=True)
    ]
    frame = pl.DataFrame(means).with_columns(pl.col("low", "high").clip(-1, 1))
    looks = _by_init(known)
    labels = frame["label"].to_list()
    x = alt.X(
        "value:Q",
        title="Spearman's ρ",
        scale=alt.Scale(domain=[-1, 1], nice=False),
        axis=alt.Axis(tickCount=5, format="~g"),
    )
    y = alt.Y(
        "label:N",
        sort=labels,
        title=None,
        axis=alt.Axis(grid=True, ticks=False, labelPadding=8, labelLimit=260),
    )
    base = alt.Chart(plain(frame)).encode(y=y, color=looks_of(looks, "color", marks=True))
    chart = layered(
        alt.Chart(pl.DataFrame({"value": [0.0]}))
        .mark_rule(color=LIGHT["chart-muted"], strokeDash=[3, 3], strokeWidth=1.3, aria=False)
        .encode(x=x),
        base.mark_rule(strokeWidth=2, opacity=0.6, aria=False).encode(
            x=renamed(x, "low:Q"), x2="high:Q"
        ),
        alt.Chart(plain(known.select("label", "series", value="spearman")))
        .mark_point(filled=True, size=16, opacity=0.75, aria=False)
        .encode(x=x, y=y, color=looks_of(looks, "color", marks=True)),
        base.mark_point(filled=True, size=85, opacity=1, aria=False).encode(
            x=x,
            shape=looks_of(looks, "shape", marks=True),
            tooltip=[
                alt.Tooltip("label:N", title="of"),
                alt.Tooltip("value:Q", title="mean ρ", format=".2f"),
                alt.Tooltip("low:Q", title="interval from", format=".2f"),
                alt.Tooltip("high:Q", title="to", format=".2f"),
                alt.Tooltip("strings:Q", title="strings"),
            ],
        ),
    )
    chart = styled(
        chart,
        "Is one end of a string memorised first?",
        "rank correlation of position and epoch: mean, 95 % t-interval; small: strings",
        height=max(80, 26 * len(labels)),
    )
    return [Figure("order", "order", chart, "rank correlation of position and epoch learned")]


def _init_words() -> pl.Expr:
    return pl.when(pl.col("init") == "random").then(pl.lit("untrained")).otherwise(
        pl.lit("pretrained")
    )  # fmt: skip


def _by_init(rows: pl.DataFrame) -> list[Look]:
    there = set(rows["series"].to_list())
    both = {"pretrained": "pretrained", "untrained": "random"}
    return init_looks({name: init for name, init in both.items() if name in there})


def raster_figures(data: StudyData) -> list[Figure]:
    """E5: which positions are right at which epoch; one string a panel, untrained beside.

    For each model of E1 its largest alphabet; then the untrained exposures nearest in length.
    """
    rows, positions = phase_rows(data, "phases", "untrained"), table(data, "positions")
    if rows is None or positions is None:
        return []
    firsts = rows.group_by("training", "experiment", maintain_order=True).first()
    phases = firsts.filter(pl.col("experiment") == "phases").sort("letters", descending=True)
    chosen = phases.unique("model", keep="first", maintain_order=True)
    n = int(chosen["n"][0]) if len(chosen) else 0
    nearest = (
        firsts.filter(pl.col("experiment") == "untrained")
        .sort((pl.col("n") - n).abs())
        .unique("model", keep="first", maintain_order=True)
    )
    shown = pl.concat([chosen, nearest]).unique("training", keep="first", maintain_order=True)
    figures = []
    for row in shown.head(_MAX_RASTERS).iter_rows(named=True):
        of_string = positions.filter(
            (pl.col("training") == row["training"]) & (pl.col("string") == row["string"])
        )
        if of_string.is_empty():
            continue
        colour = "chart-control-1" if row["init"] == "random" else "chart-texts"
        chart = _raster(of_string, colour, row)
        name = f"raster-{row['training']}"
        figures.append(
            Figure(
                name, "raster", chart, f"right predictions by position and epoch, {row['model']}"
            )
        )
    return figures


def raster_cells(positions: pl.DataFrame) -> pl.DataFrame:
    """Runs of equal shares of right predictions, for a picture of bounded size.

    Positions and epochs are put into at most 128 bins each; the share of hits of a bin is rounded
    to quarters, and equal neighbours along the epochs become one run. Runs without a hit are left
    out.

    Args:
        positions: Rows of the table `positions` of one string.

    Returns:
        `x`, `x2` (epochs), `y`, `y2` (positions), `s` (share).
    """
    ordered = positions.sort("epoch", "position")
    epochs = ordered["epoch"].unique().sort().to_numpy()
    places = ordered["position"].unique().sort().to_numpy()
    hits = ordered["hit"].to_numpy().reshape(len(epochs), len(places)).astype(float)
    wide = math.ceil(len(places) / _RASTER_POSITIONS)
    long = math.ceil(len(epochs) / _RASTER_EPOCHS)
    columns = np.arange(0, len(places), wide)
    lines = np.arange(0, len(epochs), long)
    sums = np.add.reduceat(np.add.reduceat(hits, columns, axis=1), lines, axis=0)
    ones = np.ones_like(hits)
    counts = np.add.reduceat(np.add.reduceat(ones, columns, axis=1), lines, axis=0)
    level = np.round(sums / counts * _LEVELS).astype(int)
    ends = [*epochs[lines].tolist(), int(epochs[-1]) + 1]
    edges = [*places[columns].tolist(), int(places[-1]) + 1]
    runs = []
    for j in range(len(columns)):
        start = 0
        for i in range(1, len(lines) + 1):
            if i < len(lines) and level[i, j] == level[start, j]:
                continue
            if level[start, j]:
                runs.append((ends[start], ends[i], edges[j], edges[j + 1], level[start, j]))
            start = i
    schema = {"x": pl.Int64, "x2": pl.Int64, "y": pl.Int64, "y2": pl.Int64, "s": pl.Int64}
    frame = pl.DataFrame(runs, schema=schema, orient="row")
    return frame.with_columns(s=pl.col("s") / _LEVELS)


def _raster(positions: pl.DataFrame, colour: str, row: dict[str, object]) -> alt.LayerChart:
    cells = raster_cells(positions)
    last = int(positions["epoch"].max()) + 1  # type: ignore[arg-type]
    first = int(positions["position"].min())  # type: ignore[arg-type]
    end = int(positions["position"].max()) + 1  # type: ignore[arg-type]
    binned = math.ceil((end - first) / _RASTER_POSITIONS)
    frame = pl.DataFrame({"x": [0], "x2": [last], "y": [first], "y2": [end]})
    x = alt.X(
        "x:Q",
        title="epoch (exposures so far)",
        scale=alt.Scale(domain=[0, last], nice=False),
        axis=alt.Axis(format="d", tickCount=8, tickMinStep=1, grid=False),
    )
    y = alt.Y(
        "y:Q",
        title="position in the string",
        scale=alt.Scale(domain=[first, end], nice=False, reverse=True),
        axis=alt.Axis(format="d", tickCount=6, tickMinStep=1, grid=False),
    )
    ground = (
        alt.Chart(frame)
        .mark_rect(color=LIGHT["chart-grid"], opacity=0.45, aria=False)
        .encode(x=x, x2="x2:Q", y=y, y2="y2:Q")
    )
    hits = (
        alt.Chart(cells)
        .mark_rect(color=LIGHT[colour], aria=False)
        .encode(
            x=x,
            x2="x2:Q",
            y=y,
            y2="y2:Q",
            opacity=alt.Opacity("s:Q", scale=alt.Scale(domain=[0, 1], range=[0, 1]), legend=None),
        )
    )
    kind = "untrained" if row["init"] == "random" else "pretrained"
    subtitle = f"{kind}, string {int(str(row['string'])) + 1}; coloured: right"
    subtitle += f"; shade: share of {binned} positions" if binned > 1 else ""
    # Rows of whole pixels leave no seams between them.
    lines = math.ceil((end - first) / binned)
    height = lines * max(1, round(260 / lines))
    title = f"{row['model']}: positions recalled, ℓ = {row['letters']}, n = {row['n']}"
    return styled(layered(ground, hits), title, subtitle, height=height)
