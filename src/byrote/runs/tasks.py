"""What an engine runs: work as plain data, and what a task is told about its surroundings."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl

__all__ = ["CellContext", "Failure", "Work", "call"]


@dataclass(frozen=True, slots=True)
class Work:
    """One cell as the engines see it; plain data that can cross to another process or machine.

    Attributes:
        id: Stable and fit for a file name.
        task: `module:function`, imported where the cell runs.
        params: JSON values.
        seed: 64-bit seed of the cell.
        cost: Rough core-seconds.
    """

    id: str
    task: str
    params: dict[str, Any]
    seed: int
    cost: float = 1.0


@dataclass(frozen=True, slots=True)
class CellContext:
    """What a task is told besides its params.

    Attributes:
        id: The cell's id.
        seed: 64-bit seed, derived from the study's seed and the cell's id.
        folder: Scratch space of this cell alone. It outlives a kill, so that a checkpoint in it
            is found by the next attempt, and is removed when the cell is done.
        threads: Threads that the cell may compute with; already set for what reads
            OMP_NUM_THREADS when it is imported.
        progress: Call with the finished fraction of the cell (0 to 1), as often as you like.
    """

    id: str
    seed: int
    folder: Path
    threads: int
    progress: Callable[[float], None]


@dataclass(frozen=True, slots=True)
class Failure:
    """A cell that did not end well.

    Attributes:
        cell: Its id.
        message: What happened, in one line.
        traceback: Where, for the log.
    """

    cell: str
    message: str
    traceback: str = ""


def call(task: str, params: dict[str, Any], context: CellContext) -> dict[str, pl.DataFrame]:
    """Import a task and run it.

    Raises:
        TypeError: The task gave something else than tables by name.
    """
    import polars as pl

    module, _, name = task.partition(":")
    tables = getattr(importlib.import_module(module), name)(params, context)
    if not isinstance(tables, dict) or not all(
        isinstance(key, str) and key.isidentifier() and isinstance(value, pl.DataFrame)
        for key, value in tables.items()
    ):
        raise TypeError(f"{task} must return a dict of polars tables by name, not {tables!r:.80}")
    return tables
