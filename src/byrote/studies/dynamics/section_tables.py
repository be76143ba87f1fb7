"""The tables of the study's report: what its charts show, in numbers."""

from __future__ import annotations

import math

import polars as pl

from byrote.report.page import Cell, TableBlock
from byrote.report.study import StudyData
from byrote.studies.dynamics.charts import phase_rows
from byrote.studies.dynamics.charts_times import short_count, time_marks
from byrote.studies.dynamics.figures_context import CONDITION_LOOKS, context_rows

__all__ = ["context_table", "partial_table", "times_table"]

_TIMES = {
    "t_in_alphabet": "in the alphabet",
    "t_guess": "end of guessing",
    "t_mem": "memorised",
}


def times_table(data: StudyData) -> TableBlock | None:
    """E1: when the phases ended, medians over strings."""
    rows = phase_rows(data, "phases")
    if rows is None:
        return None
    keys = ["training", "model", "letters", "n"]
    columns = {name: time_marks(rows, keys, name)[0] for name in _TIMES}
    lines = []
    for index in range(len(columns["t_mem"])):
        parts = [found.row(index, named=True) for found in columns.values()]
        first = parts[0]
        cells = [
            Cell(first["model"], heading=True),
            Cell(f"{first['letters']}", number=True),
            Cell(f"{first['n']}", number=True),
        ]
        cells += [Cell(part["text"], _time_words(part), number=True) for part in parts]
        cells.append(Cell(f"{parts[-1]['censored']} of {parts[-1]['strings']}", number=True))
        lines.append(cells)
    sure = columns["t_mem"]["confidence"].drop_nulls()
    at = f" ({float(sure.min()):.0%} or more)".replace("%", " %") if len(sure) else ""  # type: ignore[arg-type]
    header = ["model", "ℓ", "n", *(f"{words} (epoch)" for words in _TIMES.values())]
    caption = f"Median epochs over strings, with the interval of the median{at}"
    return TableBlock(caption, [*header, "not memorised"], lines)


def _time_words(part: dict[str, object]) -> str:
    """The interval of a median; what was not reached is said to be above the last epoch."""
    if part["strings"] == 1:
        return "one string"
    if part["censored"] == part["strings"]:
        return f"all {part['strings']} never"
    end = f"over {part['high']:g}" if part["open"] else f"{part['high']:g}"
    missing = f", {part['censored']} never" if part["censored"] else ""
    return f"{part['low']:g}–{end}{missing}"


def context_table(data: StudyData) -> TableBlock | None:
    """E6: accuracy by condition and k with its interval."""
    rows = context_rows(data)
    if rows is None:
        return None
    names = {
        **{name: look.name for name, look in CONDITION_LOOKS.items()},
        "intact": "whole prefix",
        "k-gram ceiling": "k-gram ceiling",
    }
    ks = rows["k"].drop_nulls().unique().sort().to_list()
    lines = []
    keys = ["model", "letters", "epoch", "condition"]
    for (model, letters, epoch, condition), group in rows.group_by(*keys, maintain_order=True):
        at = {row["k"]: row for row in group.iter_rows(named=True)}
        cells = [
            Cell(f"{model}, ℓ = {letters}", heading=True),
            Cell("any" if epoch is None else f"{epoch}", number=True),
            Cell(names.get(str(condition), str(condition))),
        ]
        for k in ks:
            row = at.get(k, at.get(None))
            if row is None:
                cells.append(Cell("–", number=True))
                continue
            cells.append(Cell(f"{100 * row['value']:.0f} %", _interval(row), number=True))
        lines.append(cells)
    header = ["strings of", "epoch", "global context", *(f"k = {k}" for k in ks)]
    caption = "Accuracy by condition and k: mean over strings, 95 % t-interval"
    return TableBlock(caption, header, lines, collapsed=True)


def _interval(row: dict[str, float]) -> str:
    low, high = row["low"], row["high"]
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return ""
    return f"{100 * low:.0f}–{100 * high:.0f}"


def partial_table(data: StudyData) -> TableBlock | None:
    """What training a part of the model comes to."""
    rows = phase_rows(data, "partial")
    if rows is None:
        return None
    keys = ["model", "part", "trained_parameters"]
    medians, _ = time_marks(rows, keys)
    ends = rows.group_by(*keys, maintain_order=True).agg(
        pl.col("last_epoch").max(),
        *(
            getattr(pl.col(name), how)().alias(f"{name}_{how}")
            for name in ("last_loss", "last_accuracy")
            for how in ("mean", "min", "max")
        ),
    )
    lines = [
        [
            Cell(row["part"], heading=True),
            Cell(row["model"]),
            Cell(short_count(row["trained_parameters"]), number=True),
            Cell(row["text"], _time_words(row), number=True),
            Cell(
                f"{row['last_loss_mean']:.2f}",
                f"{row['last_loss_min']:.2f}–{row['last_loss_max']:.2f}",
                number=True,
            ),
            Cell(
                f"{100 * row['last_accuracy_mean']:.0f} %",
                f"{100 * row['last_accuracy_min']:.0f}–{100 * row['last_accuracy_max']:.0f}",
                number=True,
            ),
        ]
        for row in medians.join(ends, on=keys, maintain_order="left").iter_rows(named=True)
    ]
    header = [
        "part",
        "model",
        "parameters",
        "memorised (epoch)",
        "loss at the end",
        "accuracy at the end",
    ]
    caption = "Trained parts: median epoch; mean at the end, lowest and highest string below"
    return TableBlock(caption, header, lines)
