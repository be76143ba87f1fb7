"""How a study describes its tables: each column with its type and its meaning, in one place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import polars as pl

__all__ = ["CELL", "FLAG", "LONG", "REAL", "SHORT", "TEXT", "Columns", "Described", "described"]

Columns = dict[str, tuple[pl.DataType, str]]
"""Name of a column -> its type and what it means; a whole sentence or more."""

TEXT, SHORT, LONG, REAL, FLAG = (
    pl.String(), pl.Int32(), pl.Int64(), pl.Float64(), pl.Boolean(),
)  # fmt: skip

CELL: Columns = {"cell": (TEXT, "Id of the cell that measured the row.")}
"""What the frame adds to every row of a cell."""


class Described(NamedTuple):
    """The tables of a study in the form that tests and the documentation take.

    Attributes:
        schemas: Table -> names and types of its columns, in their order.
        about: Table -> what its rows are.
        columns: `table.column` -> what it means.
    """

    schemas: dict[str, pl.Schema]
    about: dict[str, str]
    columns: dict[str, str]


def described(tables: Mapping[str, tuple[str, Columns]]) -> Described:
    """Take apart what a study says of its tables.

    Args:
        tables: Table -> what its rows are, and its columns.
    """
    return Described(
        schemas={
            name: pl.Schema({column: kind for column, (kind, _) in columns.items()})
            for name, (_, columns) in tables.items()
        },
        about={name: about for name, (about, _) in tables.items()},
        columns={
            f"{name}.{column}": meaning
            for name, (_, columns) in tables.items()
            for column, (_, meaning) in columns.items()
        },
    )
