"""Charts of the control: never-seen strings of the same source (E9)."""

from __future__ import annotations

import math

import altair as alt
import polars as pl

from byrote.report.figures import Figure
from byrote.report.plotting import layered, plain, styled
from byrote.report.study import StudyData
from byrote.studies.dynamics.charts import (
    Look,
    held_curves,
    looks_of,
    phase_rows,
    table,
    training_curves,
)

__all__ = ["control_figures", "position_figures", "position_losses"]

# Measurements of never-seen strings that a chart shows of each.
_MEASURED = 26
# Positions are put together into at most so many groups.
_GROUPS = 32
_MOMENTS = {
    "first": Look("before training", "chart-muted", "circle", (2, 2)),
    "least": Look("where their loss is lowest", "chart-step-5", "square"),
    "last": Look("at the end", "chart-control-2", "triangle-up", (6, 3)),
}


def control_figures(data: StudyData) -> list[Figure]:
    """E9: the loss on the learned string against that on never-seen ones of the same source."""
    rows, epochs = phase_rows(data, "phases"), table(data, "epochs")
    heldout = table(data, "heldout")
    if rows is None or epochs is None or heldout is None:
        return []
    looks = [
        Look("the learned string", "chart-texts"),
        Look("never-seen strings, same source", "chart-control-2", "square", (6, 3)),
    ]
    figures = []
    trainings = rows.select("training", "model", "letters", "n", "entropy_rate")
    for row in trainings.unique(maintain_order=True).iter_rows(named=True):
        here = pl.col("training") == row["training"]
        # Strings of one exposure may have several held-out ones; these are averaged first.
        control = (
            heldout.filter(here)
            .group_by("training", "string", "epoch")
            .agg(pl.col("loss").mean())
            .sort("string", "epoch")
        )
        if control.is_empty():
            continue
        seen, unseen = (look.name for look in looks)
        curves = held_curves(epochs.filter(here), ["loss"]).with_columns(series=pl.lit(seen))
        # Strings end at different epochs: their few measurements are not averaged.
        measured = control["epoch"].unique().sort()
        thinned = measured.gather_every(math.ceil(len(measured) / _MEASURED)).to_list()
        shown = pl.col("epoch").is_in(thinned) | (
            pl.col("epoch") == pl.col("epoch").max().over("string")
        )
        each = control.filter(pl.col("loss").is_finite() & shown).select(
            "string", "epoch", series=pl.lit(unseen), value=pl.col("loss").round(4)
        )
        tops = [*curves["high"].to_list(), *each["value"].to_list()]
        top = max(tops, default=1.0)
        level = pl.DataFrame({"series": [unseen], "value": [row["entropy_rate"]]})
        chart = training_curves(
            curves.select("series", "epoch", "value", "low", "high"),
            looks,
            alt.Y(
                "value:Q",
                title="mean loss (nats per token)",
                scale=alt.Scale(domain=[0, 1.04 * top]),
            ),
            title=f"{row['model']}, ℓ = {row['letters']}: learned and never-seen strings",
            subtitle=f"n = {row['n']}; dashed: ln ℓ = {row['entropy_rate']:.2f}",
            levels=level,
            each=each,
        )
        if chart is not None:
            name = f"control-{row['training']}"
            words = f"loss on learned and held-out strings, {row['model']}, ℓ = {row['letters']}"
            figures.append(Figure(name, "control", chart, words))
    return figures


def position_figures(data: StudyData) -> list[Figure]:
    """E9: the loss on never-seen strings by position, at three epochs.

    What a model infers in context helps later positions more than early ones.
    """
    rows, heldout = phase_rows(data, "phases"), table(data, "heldout")
    if rows is None or heldout is None or "position_loss" not in heldout.columns:
        return []
    figures = []
    trainings = rows.select("training", "model", "letters", "n", "entropy_rate")
    for row in trainings.unique(maintain_order=True).iter_rows(named=True):
        losses = position_losses(heldout.filter(pl.col("training") == row["training"]))
        if losses.is_empty():
            continue
        figures.append(
            Figure(
                f"control-positions-{row['training']}",
                "control",
                _by_position(losses, row),
                f"held-out loss by position, {row['model']}, ℓ = {row['letters']}",
            )
        )
    return figures


def position_losses(heldout: pl.DataFrame) -> pl.DataFrame:
    """The mean loss by position before training, where it is lowest, and at the end.

    Args:
        heldout: Rows of the table `heldout` of one exposure. Each string has its own epochs of the
            lowest and of the last measurement; long strings are put into groups of positions.

    Returns:
        `moment` (first, least, last), `position` (the middle of its group), `value` in nats.
    """
    by_epoch = heldout.group_by("string", "epoch").agg(pl.col("loss").mean()).sort("epoch")
    ends = by_epoch.group_by("string").agg(
        pl.col("epoch").first().alias("first"),
        pl.col("epoch").get(pl.col("loss").arg_min()).alias("least"),
        pl.col("epoch").last().alias("last"),
    )
    moments = ends.unpivot(
        list(_MOMENTS), index="string", variable_name="moment", value_name="epoch"
    )
    each = (
        heldout.join(moments, on=["string", "epoch"])
        .select(
            "moment",
            "position_loss",
            pl.int_ranges(pl.col("position_loss").list.len()).alias("position"),
        )
        .explode("position_loss", "position")
        .drop_nulls()
    )
    if each.is_empty():
        return pl.DataFrame(
            schema={"moment": pl.String, "position": pl.Float64, "value": pl.Float64}
        )
    width = math.ceil((each["position"].max() + 1) / _GROUPS)  # type: ignore[operator]
    return (
        each.group_by("moment", group=pl.col("position") // width)
        .agg(pl.col("position_loss").mean().alias("value"), pl.col("position").mean())
        .select("moment", "position", "value")
        .sort("moment", "position")
    )


def _by_position(losses: pl.DataFrame, row: dict[str, object]) -> alt.LayerChart:
    names = {moment: look.name for moment, look in _MOMENTS.items()}
    frame = losses.select(
        pl.col("position").round(1),
        pl.col("value").round(4),
        series=pl.col("moment").replace_strict(names, return_dtype=pl.String),
    )
    looks = list(_MOMENTS.values())
    x = alt.X(
        "position:Q",
        title="position in the string",
        scale=alt.Scale(domain=[0, int(str(row["n"]))], nice=False),
        axis=alt.Axis(format="d", tickCount=8, tickMinStep=1, grid=False),
    )
    top = float(frame["value"].max() or 1)  # type: ignore[arg-type]
    y = alt.Y(
        "value:Q",
        title="mean loss (nats per token)",
        scale=alt.Scale(domain=[0, 1.04 * top]),
    )
    colour = looks_of(looks, "color")
    base = alt.Chart(plain(frame)).encode(x=x, y=y, color=colour)
    level = alt.Chart(pl.DataFrame({"value": [row["entropy_rate"]]}))
    chart = layered(
        level.mark_rule(strokeDash=[3, 3], strokeWidth=1.3, aria=False).encode(y=y),
        base.mark_line(strokeWidth=2, aria=False).encode(strokeDash=looks_of(looks, "dash")),
        base.mark_point(filled=True, size=30, opacity=1, aria=False).encode(
            tooltip=[
                alt.Tooltip("series:N", title="never-seen strings"),
                alt.Tooltip("position:Q", title="position"),
                alt.Tooltip("value:Q", title="loss", format=".3~f"),
            ]
        ),
    )
    groups = frame["position"].n_unique()
    long = "" if groups >= int(str(row["n"])) - 1 else "; means of neighbouring positions"
    subtitle = f"n = {row['n']}; dashed: ln ℓ = {row['entropy_rate']:.2f}{long}"
    title = f"{row['model']}, ℓ = {row['letters']}: never-seen strings by position"
    return styled(chart, title, subtitle)
