"""What `byrote locate` and `byrote erase` print."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import polars as pl
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from byrote.cli.options import Common
from byrote.localization import Erasure, read_location
from byrote.runs import Run

__all__ = ["show_erasure", "show_location"]

_SHOWN_NEURONS = 8
_STOPPED = {
    "retain": "more would cost the passages to be kept more than --retain-floor allows",
    "text": "more would cost general texts more than --text-ceiling allows",
    "fractions": "a larger --fraction is needed",
}


def show_location(run: Run, common: Common) -> None:
    """Print what a run of `byrote locate` found."""
    location, recital = read_location(run)
    tables = {
        "passages": recital,
        "dependence": location.dependence,
        "layers": location.layers,
        "neurons": location.neurons,
    }
    report = run.folder / "report.html"
    if common.json:
        rows = {name: _rows(table) for name, table in tables.items()}
        print(json.dumps({"run": str(run.folder), "report": str(report), **run.info, **rows}))
        return
    if common.quiet:
        return
    console = Console(highlight=False)
    for row in recital.iter_rows(named=True):
        name = row["passage"]
        console.print(
            f"\n[bold]{escape(name)}[/bold]: {row['accuracy']:.0%} of the tokens right, "
            f"{row['nll']:.3f} nats per token"
        )
        console.print(Text(f"… {row['suffix_text'].strip()}", style="dim"), soft_wrap=True)
        mine = {key: table.filter(pl.col("passage") == name) for key, table in tables.items()}
        console.print(_dependence(mine["dependence"]))
        console.print(_layers(mine["layers"], row["accuracy"], location.fraction))
        console.print(_neurons(mine["neurons"], row["nll"]))
    _where(console, {"run": run.folder, "report": report})


def show_erasure(erasure: Erasure, folder: Path | None, common: Common) -> None:
    """Print what an erasure did, and where the model was written."""
    if common.json:
        document = {
            "out": str(folder) if folder else None,
            "model": erasure.loaded.source,
            "localizer": erasure.localizer,
            "erased": erasure.erased,
            "stopped": erasure.stopped,
            "fraction": erasure.fraction,
            "neurons": len(erasure.selection),
            "tied": erasure.selection.tied,
            "summary": _rows(erasure.summary),
            "passages": _rows(erasure.passages),
            "steps": _rows(erasure.steps),
        }
        print(json.dumps(document))
        return
    if common.quiet:
        return
    console = Console(highlight=False)
    total = erasure.loaded.neurons.total
    console.print(
        f"\n[bold]{escape(erasure.loaded.source)}[/bold]: {len(erasure.selection):,} of {total:,} "
        f"neurons dropped ({erasure.fraction:.2%} for each passage, by {escape(erasure.localizer)})"
    )
    console.print(_summary(erasure.summary))
    if not erasure.erased:
        why = _STOPPED[erasure.stopped or "fractions"]
        console.print(f"[yellow]not erased in full[/yellow]: {why}", soft_wrap=True)
    if erasure.selection.tied:
        console.print(
            f"[dim]note[/dim]  {erasure.selection.tied} of the neurons have the same score as one "
            "that was left; lower layers and indices were taken first",
            soft_wrap=True,
        )
    if licence := erasure.loaded.licence:
        console.print(f"[dim]licence of the weights[/dim]  {licence}", soft_wrap=True)
    if folder is None:
        console.print("[dim]nothing was written[/dim] (give --out FOLDER)")
    else:
        _where(console, {"written": folder})


def _dependence(table: pl.DataFrame) -> Table:
    made = _table(
        "dropped", "neurons", "tokens right", "other\npassages", "random\nneurons", "tied"
    )
    for row in table.iter_rows(named=True):
        made.add_row(
            f"{row['fraction']:.2%}",
            f"{row['neurons']:,}",
            _percent(row["accuracy"]),
            _percent(row["others_accuracy"]),
            _percent(row["random_accuracy"]),
            str(row["tied"] or ""),
        )
    return made


def _layers(table: pl.DataFrame, accuracy: float, fraction: float) -> Table:
    made = _table("layer", f"of the highest\n{fraction:.2%}", "tokens right\nwithout", "", "neuron")
    for row in table.iter_rows(named=True):
        lost = max(0.0, accuracy - row["accuracy"])
        made.add_row(
            str(row["layer"]),
            str(row["neurons"]),
            _percent(row["accuracy"]),
            Text("█" * round(20 * lost), style="cyan"),
            str(row["top_neuron"]),
        )
    return made


def _neurons(table: pl.DataFrame, nll: float) -> Table:
    made = _table("layer", "neuron", "score", "nats more\nwithout it", "tokens right")
    for row in table.head(_SHOWN_NEURONS).iter_rows(named=True):
        made.add_row(
            str(row["layer"]),
            str(row["neuron"]),
            f"{row['score']:.4g}",
            f"{row['nll'] - nll:+.4f}",
            _percent(row["accuracy"]),
        )
    return made


def _summary(table: pl.DataFrame) -> Table:
    made = _table("", "n", "", "before", "after", "change")
    names = {"erased": "to be erased", "retained": "to be kept", "text": "general texts"}
    words = {
        "accuracy": "tokens right",
        "recited": "recited in full",
        "distance": "distance (characters)",
        "nll": "loss (nats per token)",
        "perplexity": "perplexity",
    }
    shown = None
    for row in table.iter_rows(named=True):
        share = row["unit"] == "share"
        write = _percent if share else "{:.3f}".format
        first = row["group"] != shown
        shown = row["group"]
        change = f"{100 * row['change']:+.1f} points" if share else f"{row['change']:+.3f}"
        made.add_row(
            names[shown] if first else "",
            str(row["n"]) if first else "",
            words[row["measure"]],
            write(row["before"]),
            write(row["after"]),
            change,
        )
    return made


def _table(*headers: str) -> Table:
    made = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
    for index, header in enumerate(headers):
        made.add_column(header, justify="right" if index else "left")
    return made


def _where(console: Console, places: dict[str, Path]) -> None:
    for name, path in places.items():
        console.print(f"[dim]{name:<8}[/dim]{escape(str(path))}", soft_wrap=True)


def _percent(value: float | None) -> str:
    return "–" if value is None or math.isnan(value) else f"{100 * value:.1f} %"


def _rows(table: pl.DataFrame) -> list[dict[str, Any]]:
    """JSON has no infinity and no NaN."""
    return [
        {
            key: None if isinstance(value, float) and not math.isfinite(value) else value
            for key, value in row.items()
        }
        for row in table.iter_rows(named=True)
    ]
