"""Cells: the independent, seeded, resumable units of work that a study splits into."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from byrote.runs.tasks import CellContext, Work
from byrote.texts.seeds import derive_seed

__all__ = ["Cell", "CellContext", "seeded"]

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._=+-]{0,119}")


@dataclass(frozen=True)
class Cell:
    """One unit of work; nothing but its own fields and the study's seed decides its tables.

    Attributes:
        id: Stable name, unique within the study, fit for a file name: letters, digits, `._=+-`.
        task: `module:function` of what does the work, with the signature
            `run(params: dict, context: CellContext) -> dict[str, pl.DataFrame]`. It is imported in
            the process that runs the cell.
        params: What it is asked to do; JSON values only.
        cost: Rough core-seconds; the longest cells start first, and the time left is told by it.
    """

    id: str
    task: str
    params: dict[str, Any]
    cost: float = 1.0


def seeded(cells: Sequence[Cell], seed: int) -> list[Work]:
    """Check the cells of a study and give each its seed, derived from the study's and its id.

    Args:
        cells: The cells, in the order that the rows of the tables will have.
        seed: The study's seed.

    Returns:
        The same cells as the engines take them. Parameters are as JSON gives them back (tuples
        become lists), so that a cell sees the same whichever engine runs it.

    Raises:
        ValueError: A cell is not fit to be run: a defect of the study.
    """
    if not cells:
        raise ValueError("the study has no cells")
    seen: set[str] = set()
    works = []
    for cell in cells:
        if not _ID.fullmatch(cell.id):
            raise ValueError(f"cell id {cell.id!r} is not fit for a file name")
        # Some file systems do not tell upper from lower case.
        if cell.id.lower() in seen:
            raise ValueError(f"two cells have the id {cell.id!r}, or differ in case alone")
        seen.add(cell.id.lower())
        if ":" not in cell.task:
            raise ValueError(f"cell {cell.id}: task {cell.task!r} is not `module:function`")
        if not 0.0 < cell.cost < float("inf"):
            raise ValueError(f"cell {cell.id}: cost {cell.cost!r} is not a positive number")
        try:
            params = json.loads(json.dumps(cell.params, allow_nan=False))
        except (TypeError, ValueError) as error:
            raise ValueError(f"cell {cell.id}: its params are not JSON: {error}") from error
        works.append(Work(cell.id, cell.task, params, derive_seed(seed, cell.id), float(cell.cost)))
    return works
