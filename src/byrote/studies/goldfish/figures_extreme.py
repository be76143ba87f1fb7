"""Charts of extreme memorisation (E1): a few passages shown again and again."""

from __future__ import annotations

import altair as alt
import polars as pl

from byrote.report.figures import Figure
from byrote.report.plotting import share_axis
from byrote.report.study import StudyData
from byrote.studies.charts import curves_chart, fitting_axis
from byrote.studies.goldfish.arms import Cast
from byrote.studies.goldfish.charts import overlap_axis
from byrote.studies.goldfish.config import GoldfishConfig
from byrote.studies.looks import epoch_axis, table

__all__ = ["extreme_figures"]

# Of the height of the axis, between lines that would lie on each other.
_STEP = 0.015
_LEARNED = {"learned tokens": (1, 0), "dropped tokens": (2, 2)}


def extreme_figures(data: StudyData, config: GoldfishConfig) -> list[list[Figure]]:
    """E1: what is recited, and losses, against epochs; then the arms shown for longer.

    Returns:
        Groups of figures that belong side by side.
    """
    epochs = table(data, "extreme_epochs")
    if epochs is None:
        return []
    cast = Cast.of(config, (*config.extreme.arms, *config.extreme.long_arms))
    groups = []
    for long in (False, True):
        here = pl.col("long") == long
        rows = epochs.filter(here & pl.col("arm").is_in(list(cast.arms)))
        if rows.is_empty():
            continue
        overlap = table(data, "extreme_overlap")
        looks = None if overlap is None else overlap.filter(here)
        found = [
            _recited(rows, cast, long),
            _overlap(looks, cast, long),
            _accuracy(rows, cast, long),
            _losses(rows, cast, long),
        ]
        groups.append([figure for figure in found if figure is not None])
    return groups


def _named(rows: pl.DataFrame, cast: Cast) -> pl.DataFrame:
    names = {name: cast.label(name) for name in cast.arms}
    return rows.with_columns(series=pl.col("arm").replace_strict(names, return_dtype=pl.String))


def _words(rows: pl.DataFrame, long: bool) -> tuple[str, str]:
    """End of a figure's name, and of how much it speaks."""
    seeds, n = int(rows["seeds"].max() or 0), int(rows["n"].max() or 0)  # type: ignore[arg-type]
    times = "1 repetition" if seeds == 1 else f"{seeds} repetitions"
    return "-long" if long else "", f"{n} passages, {times}"


def _recited(rows: pl.DataFrame, cast: Cast, long: bool) -> Figure | None:
    end, of = _words(rows, long)
    curves = _named(rows, cast).select(
        "series", "epoch", pl.col("value", "low", "high").round(4).clip(0, 1)
    )
    chart = curves_chart(
        _apart(curves),
        cast.looks(_in_order(rows, cast)),
        epoch_axis(float(rows["epoch"].max() or 1)),  # type: ignore[arg-type]
        alt.Y(
            "value:Q",
            title="passages recited in full",
            # A line at 0 would else lie under the axis.
            scale=alt.Scale(domain=[-0.05, 1.04], nice=False),
            axis=alt.Axis(format=".0%", values=[0, 0.2, 0.4, 0.6, 0.8, 1]),
        ),
        title=_title("Recited in full, by epoch", rows, cast),
        subtitle=f"{of}; bands: 95 % intervals; equal lines are set apart",
    )
    return _figure(f"extreme-recited{end}", chart, "share of passages recited in full by epoch")


def _apart(curves: pl.DataFrame) -> pl.DataFrame:
    """Curves of which none hides another: one that equals an earlier one lies below it."""
    seen: dict[tuple[float, ...], int] = {}
    found = []
    for _, curve in curves.group_by("series", maintain_order=True):
        values = tuple(curve.sort("epoch")["value"])
        below = seen[values] = seen.get(values, -1) + 1
        found.append(curve.with_columns(pl.col("value") - _STEP * below))
    return pl.concat(found)


def _overlap(rows: pl.DataFrame | None, cast: Cast, long: bool) -> Figure | None:
    if rows is None or rows.is_empty():
        return None
    rows = rows.filter(pl.col("arm").is_in(list(cast.arms)))
    # Of passages never shown there is one number, after the last epoch: what can be had without.
    unseen = rows.filter(~pl.col("member") & (pl.col("epoch") == pl.col("epoch").max()))
    level = pl.DataFrame({"text": ["never shown"], "value": [unseen["value"].mean()]})
    rows = rows.filter("member")
    if rows.is_empty():
        return None
    end, of = _words(rows, long)
    curves = _named(rows, cast).select(
        "series", "epoch", pl.col("value", "low", "high").round(4).clip(0, 1)
    )
    chart = curves_chart(
        curves,
        cast.looks(_in_order(rows, cast)),
        epoch_axis(float(rows["epoch"].max() or 1)),  # type: ignore[arg-type]
        overlap_axis(top=1.04),
        title=_title("ROUGE-L of what greedy decoding writes", rows, cast),
        subtitle=f"{of}; bands: 95 % t-intervals",
        levels=None if unseen.is_empty() else level,
        points=True,
    )
    return _figure(f"extreme-rouge{end}", chart, "ROUGE-L of greedy continuations by epoch")


def _accuracy(rows: pl.DataFrame, cast: Cast, long: bool) -> Figure | None:
    end, of = _words(rows, long)
    empty = pl.lit(None, dtype=pl.Float64)
    curves = _named(rows, cast).select(
        "series",
        "epoch",
        pl.col("accuracy").round(4).alias("value"),
        low=empty,
        high=empty,
    )
    chart = curves_chart(
        curves,
        cast.looks(_in_order(rows, cast)),
        epoch_axis(float(rows["epoch"].max() or 1)),  # type: ignore[arg-type]
        share_axis("suffix tokens that are right", top=1.04),
        title=_title("Tokens right, given all before them", rows, cast),
        subtitle=f"mean over {of}",
    )
    words = "share of suffix tokens that are the first choice, by epoch"
    return _figure(f"extreme-accuracy{end}", chart, words)


def _losses(rows: pl.DataFrame, cast: Cast, long: bool) -> Figure | None:
    end, of = _words(rows, long)
    parts = [
        _named(rows, cast).select(
            "series", "epoch", pl.col(column).round(4).alias("value"), pl.lit(kind).alias("tokens")
        )
        for column, kind in zip(("loss_learned", "loss_dropped"), _LEARNED, strict=True)
    ]
    empty = pl.lit(None, dtype=pl.Float64)
    curves = pl.concat(parts).drop_nulls("value").with_columns(low=empty, high=empty)
    y = fitting_axis("mean loss (nats per token)", [curves], digits=".1f")
    chart = curves_chart(
        curves,
        cast.looks(_in_order(rows, cast)),
        epoch_axis(float(rows["epoch"].max() or 1)),  # type: ignore[arg-type]
        y,
        title=_title("Loss of learned and of dropped tokens", rows, cast),
        subtitle=f"mean over {of}",
        split=("tokens", _LEARNED),
    )
    return _figure(f"extreme-loss{end}", chart, "loss of learned and of dropped tokens by epoch")


def _title(words: str, rows: pl.DataFrame, cast: Cast) -> str:
    """A chart of one arm has no legend: its title names it."""
    names = _in_order(rows, cast)
    return f"{words}: {cast.label(names[0])}" if len(names) == 1 else words


def _in_order(rows: pl.DataFrame, cast: Cast) -> list[str]:
    there = set(rows["arm"])
    return [name for name in cast.arms if name in there]


def _figure(name: str, chart: object, words: str) -> Figure | None:
    return None if chart is None else Figure(name, "extreme", chart, words)  # type: ignore[arg-type]
