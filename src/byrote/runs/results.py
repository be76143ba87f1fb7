"""The results of cells on disk: each whole or not there, joined in the order of the cells."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from byrote.runs.files import sync_folder, write_json, write_parquet
from byrote.runs.tasks import Work

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Results"]


class Results:
    """What the cells of a run gave (`folder/cells`) and their scratch (`folder/scratch`).

    Attributes:
        folder: Where the finished cells live: a folder each, with a Parquet file a table and
            `cell.json`.
        scratch: Where unfinished cells keep their checkpoints.
    """

    def __init__(self, run_folder: Path) -> None:
        self.folder = run_folder / "cells"
        self.scratch = run_folder / "scratch"

    def read(self, work: Work) -> dict[str, Any] | None:
        """What `cell.json` says of a finished cell; None where it is not finished.

        A cell that was finished with other params or another seed is not this one.
        """
        path = self.folder / work.id / "cell.json"
        if not path.exists():
            return None
        info = json.loads(path.read_text(encoding="utf-8"))
        same = (info["task"], info["params"], info["seed"]) == (work.task, work.params, work.seed)
        return info if same else None

    def write(
        self, work: Work, tables: dict[str, pl.DataFrame], *, seconds: float, threads: int
    ) -> None:
        """Keep one cell, all its tables or none, and drop its scratch.

        Args:
            work: The cell.
            tables: What its task gave.
            seconds: How long it took, in wall-clock seconds.
            threads: With how many threads; float sums depend on it.

        Raises:
            ByroteError: The disk is full; nothing of the cell is kept but its scratch.
        """
        final = self.folder / work.id
        temporary = self.folder / f".{work.id}.{os.getpid()}.tmp"
        shutil.rmtree(temporary, ignore_errors=True)
        try:
            temporary.mkdir(parents=True)
            for name, frame in tables.items():
                write_parquet(temporary / f"{name}.parquet", frame)
            info = {
                "id": work.id,
                "task": work.task,
                "params": work.params,
                "seed": work.seed,
                "cost": work.cost,
                "seconds": round(seconds, 3),
                "threads": threads,
                "tables": list(tables),
            }
            write_json(temporary / "cell.json", info)
            sync_folder(temporary)
            if final.exists():
                shutil.rmtree(final)
            temporary.rename(final)
            sync_folder(self.folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(self.scratch / work.id, ignore_errors=True)

    def join(self, works: Sequence[Work]) -> dict[str, pl.DataFrame]:
        """The tables of all cells, rows in the order of the cells, whoever finished first.

        A column `cell` with the cell's id is put before the others where a table has none. A
        column that some cells lack is null there.

        Args:
            works: All cells of the run; each must be finished.

        Returns:
            Tables by name, and the table `cells` with one row per cell.
        """
        import polars as pl

        parts: dict[str, list[pl.DataFrame]] = {}
        rows = []
        for work in works:
            info = self.read(work)
            if info is None:
                raise FileNotFoundError(f"cell {work.id} has no results in {self.folder}")
            rows.append(
                {
                    "cell": work.id,
                    "task": work.task,
                    "params": json.dumps(work.params, sort_keys=True, ensure_ascii=False),
                    "seed": work.seed,
                    "cost": work.cost,
                    "seconds": info["seconds"],
                    "threads": info["threads"],
                }
            )
            for name in info["tables"]:
                frame = pl.read_parquet(self.folder / work.id / f"{name}.parquet")
                if "cell" not in frame.columns:
                    frame = frame.select(pl.lit(work.id).alias("cell"), pl.all())
                parts.setdefault(name, []).append(frame)
        joined = {
            name: frames[0] if len(frames) == 1 else pl.concat(frames, how="diagonal_relaxed")
            for name, frames in parts.items()
        }
        joined["cells"] = pl.DataFrame(rows, schema_overrides={"seed": pl.UInt64})
        return joined

    def remove(self) -> None:
        """Delete the cells and all scratch; the joined tables hold the same."""
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.rmtree(self.scratch, ignore_errors=True)
