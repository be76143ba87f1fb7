"""From what a cell found to the study's tables."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from byrote.studies.localization.methods import Timed
from byrote.studies.localization.schemas import SCHEMAS

__all__ = ["measured", "table_of", "timings_table", "tuned_by", "tuning_table"]


def tuned_by(
    name: str, combinations: Sequence[dict[str, Any]], values: Sequence[float], examples: int
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The combination with the highest value (the first among equals), and rows of `tuning`."""
    best = max(range(len(values)), key=lambda index: values[index])
    rows = [
        {
            "method": name,
            "options": json.dumps(each, sort_keys=True),
            "value": value,
            "examples": examples,
            "chosen": index == best,
        }
        for index, (each, value) in enumerate(zip(combinations, values, strict=True))
    ]
    return dict(combinations[best]), rows


def tuning_table(marks: Mapping[str, Any], rows: Sequence[dict[str, Any]]) -> pl.DataFrame:
    """Rows of `tuning` as a table."""
    return table_of("tuning", [{**marks, **row} for row in rows])


def timings_table(
    marks: Mapping[str, Any], timed: Mapping[str, Timed], threads: int
) -> pl.DataFrame:
    """How long the methods took, as the table `timings`."""
    rows = [
        {
            **marks,
            "method": name,
            "passages": one.passages,
            "seconds": one.seconds,
            "threads": threads,
        }
        for name, one in timed.items()
    ]
    return table_of("timings", rows)


def table_of(name: str, rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """Rows as one of the study's tables, without the column that the frame adds."""
    schema = {column: kind for column, kind in SCHEMAS[name].items() if column != "cell"}
    return pl.DataFrame(
        [{column: row.get(column) for column in schema} for row in rows], schema=schema
    )


def measured(name: str, table: pl.DataFrame) -> pl.DataFrame:
    """A table with the columns and types of the study's schema."""
    schema = {column: kind for column, kind in SCHEMAS[name].items() if column != "cell"}
    return table.select(pl.col(column).cast(kind) for column, kind in schema.items())
