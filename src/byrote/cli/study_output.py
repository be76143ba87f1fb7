"""What the commands about studies print: tables for people, one JSON document for machines."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import polars as pl
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from byrote.cli.options import Common
from byrote.errors import InputError
from byrote.runs import Run
from byrote.studies import (
    STUDIES,
    CellsFailedError,
    claims_markdown,
    flat_fields,
    get_study,
    judged,
    plan_cells,
    to_json,
)

if TYPE_CHECKING:
    from byrote.studies import Study

__all__ = [
    "show_cells",
    "show_fields",
    "show_markdown",
    "show_studies",
    "show_study_run",
    "show_what_ended",
]

_MARKS = {
    "holds": ("✓ holds", "green"),
    "fails": ("✗ fails", "red"),
    "not tested": ("– not tested", "dim"),
}


def show_study_run(run: Run, common: Common) -> None:
    """Print the claims table of a run of a study that has been judged."""
    claims = _claims(run)
    report = run.folder / "report.html"
    if common.json:
        rows = list(claims.iter_rows(named=True))
        document = {"run": str(run.folder), "report": str(report), **run.info, "claims": rows}
        print(json.dumps(_finite(document)))
        return
    if common.quiet:
        return
    console = Console(highlight=False)
    study, cells = run.info["study"], run.info["cells"]
    console.print()
    console.print(Text(study["title"], style="bold"), Text(f"({study['paper']})"), soft_wrap=True)
    console.print(_claims_table(claims))
    if failures := run.info["failures"]:
        console.print(Text(f"{len(failures)} of {cells['total']} cells failed", style="red"))
    counts = [f"{int((claims['verdict'] == verdict).sum())} {verdict}" for verdict in _MARKS]
    console.print(Text(f"{len(claims)} claims: {', '.join(counts)}"))
    for note in run.info["notes"]:
        console.print(Text("note    ", style="dim"), Text(note), soft_wrap=True)
    took = f"({cells['total']} cells, {run.info['seconds']:.0f} s)"
    for label, text in (("run", f"{run.folder}   {took}"), ("report", str(report))):
        console.print(Text(f"{label:<8}", style="dim"), Text(text), soft_wrap=True)


def show_what_ended(work: Callable[[], Run], common: Common) -> None:
    """Run a study and print its claims; where cells failed, those that could be judged.

    Raises:
        CellsFailedError: Cells failed.
    """
    try:
        run = work()
    except CellsFailedError as error:
        if judged(error.run):
            show_study_run(error.run, common)
        raise
    show_study_run(run, common)


def show_markdown(run: Run, common: Common) -> None:
    """Print the claims table for a page of documentation."""
    text = claims_markdown(_claims(run))
    if not common.quiet:
        print(text, end="")


def show_studies(common: Common) -> None:
    """Print which studies there are, and their presets."""
    studies = [get_study(name) for name in STUDIES]
    if common.json:
        print(
            json.dumps(
                [
                    {
                        "name": study.name,
                        "title": study.title,
                        "arxiv": study.paper.arxiv,
                        "paper": study.paper.title,
                        "presets": list(study.presets),
                        "claims": len(study.claims),
                    }
                    for study in studies
                ]
            )
        )
        return
    if common.quiet:
        return
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for header in ("study", "what it shows", "paper", "presets"):
        table.add_column(header)
    for study in studies:
        paper = f"{study.paper.title} ({study.paper.arxiv})"
        table.add_row(
            Text(study.name), Text(study.title), Text(paper), Text(", ".join(study.presets))
        )
    Console(highlight=False).print(table)


def show_cells(study: Study, config: Any, workers: int | None, common: Common) -> None:
    """Print the cells of a config, their cost and the total; nothing is run.

    Args:
        study: The study.
        config: Its config.
        workers: Cells at a time; None where nobody knows, and the time is then not told.
        common: How to speak.
    """
    cells = plan_cells(study, config)
    total = sum(cell.cost for cell in cells)
    at_once = None if workers is None else min(workers, len(cells))
    # No plan is shorter than its longest cell.
    about = at_once and max(total / at_once, max(cell.cost for cell in cells))
    if common.json:
        rows = [{"id": c.id, "task": c.task, "cost": c.cost, "params": c.params} for c in cells]
        print(json.dumps({"cells": rows, "cost": total, "workers": at_once, "seconds": about}))
        return
    if common.quiet:
        return
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("cell", overflow="fold")
    table.add_column("core-seconds", justify="right")
    for cell in cells:
        table.add_row(Text(cell.id), Text(f"{cell.cost:,.1f}"))
    console = Console(highlight=False)
    console.print(table)
    time = "" if about is None else f"; with {at_once} at a time about {_time(about)}"
    console.print(
        f"{len(cells):,} cells, about {total:,.0f} core-seconds{time} (a rough estimate, made for "
        "a laptop)"
    )


def show_fields(config: Any, common: Common) -> None:
    """Print all fields of a config by the names that `--set` takes."""
    if common.json:
        print(json.dumps(to_json(config)))
        return
    if common.quiet:
        return
    console = Console(highlight=False)
    for name, value in flat_fields(config).items():
        console.print(Text(name), Text("="), Text(_value(value)), soft_wrap=True)


def _claims(run: Run) -> pl.DataFrame:
    if not judged(run):
        failures = run.info.get("failures") or []
        why = f" ({failures[0]['cell']}: {failures[0]['message']})" if failures else ""
        raise InputError(f"{run.folder} is not finished{why}; `byrote resume {run.folder}` goes on")
    return pl.read_parquet(run.table("claims"))


def _claims_table(claims: pl.DataFrame) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, show_lines=True)
    table.add_column("verdict", no_wrap=True)
    table.add_column("claim", overflow="fold", ratio=4)
    table.add_column("published", overflow="fold", ratio=2)
    table.add_column("measured here", overflow="fold", ratio=4)
    for row in claims.iter_rows(named=True):
        words, style = _MARKS[row["verdict"]]
        statement = Text(row["statement"])
        statement.append(f"\n{row['section']} [{row['provenance']}]", style="dim")
        ours = Text(row["text"])
        if row["why"]:
            ours.append(f"\n{row['why']}" if row["text"] else row["why"], style="dim")
        table.add_row(Text(words, style=style), statement, Text(row["published"]), ours)
    return table


def _value(value: Any) -> str:
    """A value as `--set` reads it."""
    if value is None:
        return "none"
    if isinstance(value, list) and not any(isinstance(item, list | dict) for item in value):
        return ",".join(map(_value, value))
    return value if isinstance(value, str) else json.dumps(value)


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _finite(value: Any) -> Any:
    """JSON has no infinity and no NaN."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
