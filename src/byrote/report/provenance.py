"""The tables of what was run: question, model, data, versions, machine, files."""

from __future__ import annotations

from typing import Any

import polars as pl

from byrote.report.data import ReportData
from byrote.report.page import Block, Cell, ProseBlock, TableBlock

__all__ = ["duration", "provenance_blocks", "run_blocks"]

_TABLES = {
    "passages": "one row for each passage and each control, with all its measures",
    "tokens": "one row for each suffix token",
    "summary": "every measure of every group, with its interval",
    "discoverable": "the share extractable with n draws",
    "coverage": "the share of each document that recited spans cover",
    "fits": "log-linear fits of the sweeps",
}


_WORDS = {
    "prefix_len": "prefix length (tokens)",
    "suffix_len": "suffix length (tokens)",
    "stride": "stride (tokens)",
    "memory_gib": "memory (GiB)",
    "bos_id": "BOS token id",
    "cpu": "CPU",
    "dtype": "number type",
    "top_k": "top-k",
    "top_p": "top-p",
}


def provenance_blocks(data: ReportData) -> list[Block]:
    """Everything that is needed to tell, or to run again, what was run."""
    blocks = run_blocks(data.run)
    rows = []
    for name, words in _TABLES.items():
        path = data.folder / "tables" / f"{name}.parquet"
        if path.is_file():
            count = pl.scan_parquet(path).select(pl.len()).collect().item()
            rows.append(
                [
                    Cell(f"tables/{name}.parquet", heading=True),
                    Cell(f"{count:,}", number=True),
                    Cell(words),
                ]
            )
    blocks.append(TableBlock("Files of the run", ["file", "rows", "holds"], rows))
    blocks.append(
        ProseBlock(
            [
                "The charts are in charts/ as SVG and as Vega-Lite JSON. Every column of the "
                "tables is described, with its unit, in byrote.recall.COLUMNS."
            ]
        )
    )
    return blocks


def run_blocks(run: dict[str, Any], more: dict[str, Any] | None = None) -> list[Block]:
    """What `run.json` says of a run, as tables of names and values.

    Args:
        run: The content of `run.json`.
        more: Further lines about the run itself.
    """
    job = {
        **({"command": run["command"]} if run.get("command") else {}),
        "kind": run.get("kind"),
        "start": run.get("start"),
        "end": run.get("end"),
        "duration": duration(run.get("seconds")),
        "seed": run.get("seed"),
        "config hash": run.get("config_hash"),
        "status": run.get("status"),
        "schema version": run.get("schema_version"),
        **(more or {}),
    }
    blocks: list[Block] = [_pairs("The run", job)]
    for caption, key in (
        ("Model", "model"),
        ("Texts", "data"),
        ("Config", "config"),
        ("Machine", "hardware"),
        ("Versions", "versions"),
    ):
        values = run.get(key)
        if isinstance(values, dict) and values:
            blocks.append(_pairs(caption, values))
    return blocks


def _pairs(caption: str, values: dict[str, Any]) -> TableBlock:
    rows = [
        [Cell(_WORDS.get(name, name.replace("_", " ")), heading=True), Cell(text)]
        for name, text in _flat(values)
        if text
    ]
    return TableBlock(caption, ["", ""], rows, narrow=True)


def _flat(values: dict[str, Any], before: str = "") -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for key, value in values.items():
        name = f"{before}{key}"
        if isinstance(value, dict):
            pairs += _flat(value, f"{name}.")
        elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
            pairs += _flat({str(i): item for i, item in enumerate(value)}, f"{name}.")
        else:
            pairs.append((name, _text(value)))
    return pairs


def _text(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}" if abs(value) >= 10_000 else str(value)
    if isinstance(value, list | tuple):
        return ", ".join(_text(item) for item in value) or "–"
    return str(value)


def duration(seconds: Any) -> str | None:
    """Seconds as a reader says them; None for no number."""
    if not isinstance(seconds, int | float):
        return None
    if seconds < 90:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
