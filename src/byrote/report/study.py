"""The report of a study: its claims on top, its own sections, what was run. Knows no paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import polars as pl

from byrote.errors import InputError
from byrote.report.page import Block, Cell, Page, ProseBlock, Section, TableBlock
from byrote.report.provenance import duration, run_blocks
from byrote.runs import Run

__all__ = ["StudyData", "claims_blocks", "load_study_data", "study_page", "verdict_facts"]

_VERDICTS: dict[str, tuple[str, Literal["good", "bad", "open"]]] = {
    "holds": ("✓ holds", "good"),
    "fails": ("✗ fails", "bad"),
    "not tested": ("– not tested", "open"),
}


@dataclass(frozen=True, slots=True)
class StudyData:
    """What the report knows of a run of a study.

    Attributes:
        folder: The run folder.
        run: The content of `run.json`.
        tables: All its tables by name, those of the cells and those derived from them.
        claims: The verdicts, one row per claim.
    """

    folder: Path
    run: dict[str, Any]
    tables: dict[str, pl.DataFrame]
    claims: pl.DataFrame


def load_study_data(folder: Path) -> StudyData:
    """Read a finished run of a study.

    Raises:
        InputError: It has no claims table: it is not of a study, or not finished.
    """
    run = Run.open(folder)
    if not run.table("claims").exists():
        raise InputError(f"{folder} has no table of claims; `byrote resume {folder}` goes on")
    named = run.info.get("tables") or {}
    names = [name for names in named.values() for name in names]
    tables = {name: pl.read_parquet(run.table(name)) for name in names}
    return StudyData(folder, run.info, tables, tables["claims"])


def study_page(
    data: StudyData,
    *,
    sections: Sequence[Section] = (),
    facts: Sequence[tuple[str, str, str]] | None = None,
    provenance: Mapping[str, str] | None = None,
) -> Page:
    """Build the report of a study.

    Args:
        data: The run.
        sections: The study's own, between the claims and what was run.
        facts: Tiles at the top: value, label, what stands beside it. None counts the verdicts.
        provenance: What the marks in the claims' column `provenance` mean.
    """
    run = data.run
    study = run.get("study") or {}
    date = str(run.get("end") or run.get("start") or "")[:10]
    paper = f"{study.get('paper', '')} (arXiv {study.get('arxiv', '')})"
    preset = f"preset {run['preset']}" if run.get("preset") else ""
    version = run.get("versions", {}).get("byrote", "")
    return Page(
        title=str(study.get("title") or run["kind"]),
        subtitle=" · ".join(part for part in (paper, preset, date) if part),
        sections=[
            Section(
                "claims",
                "What was claimed, and what this run says",
                claims_blocks(data, provenance or {}),
                "Claims",
            ),
            *sections,
            Section("run", "What was run", _run_blocks(data), "The run"),
        ],
        footer=f"Made by byrote {version}. This file needs no network and makes no requests.",
        facts=verdict_facts(data.claims) if facts is None else facts,
    )


def verdict_facts(claims: pl.DataFrame) -> list[tuple[str, str, str]]:
    """How many claims hold, fail and were not tested, as tiles."""
    total = len(claims)
    words = {"holds": "claims hold", "fails": "claims fail", "not tested": "were not tested"}
    facts = []
    for verdict, label in words.items():
        number = int((claims["verdict"] == verdict).sum())
        facts.append((f"{number:,}", label, f"of {total:,}"))
    return facts


def claims_blocks(data: StudyData, provenance: Mapping[str, str]) -> list[Block]:
    """The remarks of the run, the claims table, and how to read it.

    Args:
        data: The run.
        provenance: What the marks in the column `provenance` mean.
    """
    blocks: list[Block] = []
    notes = [str(note) for note in data.run.get("notes") or []]
    if notes:
        blocks.append(ProseBlock(notes, tone="note"))
    if data.claims.is_empty():
        return [*blocks, ProseBlock(["This study makes no claims."])]
    rows = []
    for row in data.claims.iter_rows(named=True):
        words, mark = _VERDICTS[row["verdict"]]
        rows.append(
            [
                Cell(row["statement"], f"{row['section']} [{row['provenance']}]", heading=True),
                Cell(words, mark=mark),
                Cell(row["published"]),
                Cell(row["text"] or "–", row["measured"]),
                Cell(row["why"]),
            ]
        )
    header = ["claim", "verdict", "published", "measured here", "why"]
    blocks.append(TableBlock("Claims and verdicts", header, rows, sentences=True))
    reading = [
        "A claim holds or fails by a fixed predicate on the tables of this run; where a table is "
        "missing or too small to decide, it is not tested. The numbers, with their intervals and "
        "n, are in tables/claims.parquet."
    ]
    used = {mark.strip() for marks in data.claims["provenance"] for mark in marks.split(",")}
    if words := [f"{mark}: {text}" for mark, text in provenance.items() if mark in used]:
        where = "The marks in brackets say where the published statement was found."
        reading.append(f"{where} {'; '.join(words)}.")
    blocks.append(ProseBlock(reading))
    return blocks


def _run_blocks(data: StudyData) -> list[Block]:
    run = data.run
    cells, execution = run.get("cells") or {}, run.get("execution") or {}
    more = {
        "preset": run.get("preset"),
        "cells": cells.get("total"),
        "time of all cells": duration(run.get("cell_seconds")),
        **execution,
    }
    blocks = run_blocks(run, {name: value for name, value in more.items() if value is not None})
    kinds = {
        name: words
        for words, key in (("of the cells", "cells"), ("derived", "derived"))
        for name in (run.get("tables") or {}).get(key, [])
    }
    rows = [
        [
            Cell(f"tables/{name}.parquet", heading=True),
            Cell(f"{len(data.tables[name]):,}", number=True),
            Cell(kind),
            Cell(", ".join(data.tables[name].columns)),
        ]
        for name, kind in kinds.items()
    ]
    blocks.append(TableBlock("Files of the run", ["file", "rows", "kind", "columns"], rows))
    blocks.append(_cells_table(data))
    return blocks


def _cells_table(data: StudyData) -> TableBlock:
    rows = [
        [
            Cell(row["cell"], heading=True),
            Cell(f"{row['seconds']:.1f} s", number=True),
            Cell(row["params"]),
        ]
        for row in data.tables["cells"].iter_rows(named=True)
    ]
    return TableBlock("The cells", ["cell", "took", "params"], rows, collapsed=True)
