"""What a command prints: a table for people, one JSON document for machines."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from byrote.cli.options import Common
from byrote.errors import InputError
from byrote.runs import Run

if TYPE_CHECKING:
    from byrote.models import Diagnosis

__all__ = ["show_diagnosis", "show_path", "show_run"]

# The columns of the terminal table: measure, header, how a value is written.
_COLUMNS = (
    ("extractable", "recited\nin full", "percent"),
    ("discoverable", "in {draws:,}\ndraws", "percent"),
    ("token_accuracy", "tokens\nright", "percent"),
    ("run_ge_20", "20 tokens\nin a row", "percent"),
    ("longest_run_max", "max\nrun", "count"),
)


def show_run(run: Run, common: Common) -> None:
    """Print the summary of a finished run."""
    if run.info["kind"] != "audit":
        raise InputError(f"{run.folder} is a run of kind {run.info['kind']!r}, not an audit")
    if not run.done:
        raise InputError(f"{run.folder} is not finished; `byrote resume {run.folder}` goes on")
    summary = pl.read_parquet(run.table("summary"))
    report = run.folder / "report.html"
    if common.json:
        rows = [_plain(row) for row in summary.iter_rows(named=True)]
        print(
            json.dumps({"run": str(run.folder), "report": str(report), **run.info, "summary": rows})
        )
        return
    if common.quiet:
        return
    console = Console(highlight=False)
    config, model = run.info["config"], run.info["model"]
    data = run.info["data"]
    console.print(
        f"\n[bold]{escape(model['source'])}[/bold] ({model['parameters'] / 1e6:,.3g} M parameters, "
        f"{model['dtype']}): {_count(data['passages'], 'passage')}, "
        f"{_count(data['controls'], 'control')}; "
        f"{100 * config['confidence']:.0f} % intervals in brackets"
    )
    console.print(_summary_table(summary, config))
    for note in run.info["notes"]:
        console.print(f"[dim]note[/dim]  {escape(note)}", soft_wrap=True)
    if licence := model["licence"]:
        console.print(f"[dim]licence of the weights[/dim]  {licence}", soft_wrap=True)
    console.print(
        f"[dim]run[/dim]     {escape(str(run.folder))}   ({run.info['seconds']:.0f} s)",
        soft_wrap=True,
    )
    console.print(f"[dim]report[/dim]  {escape(str(report))}", soft_wrap=True)


def show_path(name: str, path: Path, common: Common) -> None:
    """Print where something was written."""
    if common.json:
        print(json.dumps({name: str(path)}))
    elif not common.quiet:
        print(path)


def show_diagnosis(diagnosis: Diagnosis, common: Common) -> None:
    """Print what `byrote doctor` found."""
    if common.json:
        print(json.dumps(diagnosis.to_dict()))
        return
    if common.quiet:
        return
    console = Console(highlight=False)
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for name, value in diagnosis.to_rows():
        table.add_row(Text(name, style="dim"), Text(value))
    console.print(table)
    for finding in diagnosis.findings:
        console.print(f"[yellow]![/yellow] {escape(finding)}", soft_wrap=True)
    if not diagnosis.findings:
        console.print("[green]Everything that byrote does works with this model.[/green]")


def _summary_table(summary: pl.DataFrame, config: dict[str, Any]) -> Table:
    sweep = summary["prefix_len"].n_unique() > 1
    present = set(summary["measure"])
    columns = [column for column in _COLUMNS if column[0] in present]
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
    table.add_column("texts", overflow="fold", min_width=21)
    if sweep:
        table.add_column("prefix", justify="right")
    table.add_column("n\nrec.", justify="right")
    for _, header, _ in columns:
        table.add_column(header.format(draws=config["draws"]), justify="right")
    held_out = _held_out(summary)
    for source, length, group, cells in _table_rows(summary, held_out):
        is_control = group != "texts"
        name = f"  control: {group}" if is_control else source
        if is_control and source in held_out:
            name = f"{group}: {source}"
        row = [Text(name, style="dim" if is_control else "")]
        if sweep:
            row.append(Text(str(length), style="dim" if is_control else ""))
        shown = cells["extractable"]
        counts = f"{shown['n']:,}\n{shown['documents']:,}"
        row.append(Text(counts, style="dim" if is_control else ""))
        for measure, _, kind in columns:
            text = _cell(cells.get(measure), kind)
            row.append(Text(text, style="dim" if is_control else ""))
        table.add_row(*row, end_section=False)
    return table


def _held_out(summary: pl.DataFrame) -> list[str]:
    """Sources that hold no texts, only what the model cannot have seen."""
    texts = summary.filter(pl.col("group") == "texts")["source"]
    return [s for s in summary["source"].unique(maintain_order=True) if s not in set(texts)]


def _table_rows(
    summary: pl.DataFrame, held_out: list[str]
) -> Iterator[tuple[str, int | None, str, dict[str, dict[str, Any]]]]:
    """Each source of texts and then its controls; held-out sources; the pool of the texts last."""
    whole = summary.filter(pl.col("category") == "all")
    named = [s for s in whole["source"].unique(maintain_order=True) if s != "all"]
    texts = [s for s in named if s not in held_out]
    for source in [*texts, *held_out, *(["all"] if len(texts) > 1 else [])]:
        mine = whole.filter(pl.col("source") == source)
        for length in mine["prefix_len"].unique().sort():
            here = mine.filter(pl.col("prefix_len").eq_missing(length))
            groups = sorted(here["group"].unique(), key=lambda g: (g != "texts", g))
            for group in groups:
                rows = here.filter(pl.col("group") == group).iter_rows(named=True)
                yield source, length, group, {row["measure"]: row for row in rows}


def _cell(row: dict[str, Any] | None, kind: str) -> str:
    if row is None or row["value"] is None or math.isnan(row["value"]):
        return "–"
    if kind == "count":
        return f"{row['value']:.0f}"
    scale = 100.0
    value = f"{scale * row['value']:.1f} %"
    if row["low"] is None or math.isnan(row["low"]):
        return value
    return f"{value}\n{scale * row['low']:.1f}–{scale * row['high']:.1f}"


def _count(number: int, name: str) -> str:
    return f"{number:,} {name}{'s' if number != 1 else ''}"


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """JSON has no infinity and no NaN."""
    return {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in row.items()
    }
