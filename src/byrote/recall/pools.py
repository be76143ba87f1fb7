"""Which passages are put together: each source and category, their pools, texts and controls."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import polars.selectors as cs
from numpy.typing import NDArray

from byrote.recall.schemas import TEXTS

__all__ = ["ALL", "Pool", "pools", "table_of"]

ALL = "all"
"""The name of a pool of sources or categories."""


@dataclass(frozen=True, slots=True)
class Pool:
    """Passages that are put together, and the record that each of them comes from."""

    source: str
    category: str
    prefix_len: int | None
    group: str
    frame: pl.DataFrame

    @property
    def documents(self) -> NDArray[np.int64]:
        """A number for each passage's record, `[passages]`."""
        return self.frame["_document"].to_numpy()

    def key(self) -> dict[str, Any]:
        """What names the pool in a table."""
        return {
            "source": self.source,
            "category": self.category,
            "prefix_len": self.prefix_len,
            "group": self.group,
        }


def pools(frame: pl.DataFrame, *, by_prefix: bool, categories: bool = True) -> Iterator[Pool]:
    """Split the frame of `passages.parquet` by group, source and category.

    Args:
        frame: The passages.
        by_prefix: Split by prefix length as well.
        categories: Whether categories get pools of their own.

    Yields:
        The pool of all, then of each source, of each category, of both; in an order that does not
        depend on the order of the rows.
    """
    record = pl.concat_str("source", "record", separator="\x1f")
    frame = frame.with_columns(
        pl.when("is_control").then(pl.col("control")).otherwise(pl.lit(TEXTS)).alias("_group"),
        record.rank("dense").cast(pl.Int64).alias("_document"),
    )
    split = ["prefix_len", "_group"] if by_prefix else ["_group"]
    levels: list[list[str]] = [[], ["source"]]
    if categories:
        levels += [["category"], ["source", "category"]]
    for names in levels:
        known = frame.drop_nulls(names) if names else frame
        keys = [*names, *split]
        for key, part in known.sort([*keys, "id"]).group_by(keys, maintain_order=True):
            labels = dict(zip(keys, key, strict=True))
            lengths = part["prefix_len"].unique()
            yield Pool(
                source=labels.get("source", ALL),
                category=labels.get("category", ALL),
                prefix_len=lengths.item() if len(lengths) == 1 else None,
                group=labels["_group"],
                frame=part,
            )


def table_of(rows: list[dict[str, Any]], schema: pl.Schema) -> pl.DataFrame:
    """Rows as a table, of which only the columns of the schema are kept."""
    named = [{name: row[name] for name in schema} for row in rows]
    # What is not defined is null on disk: NaN would sort above every number, and JSON has none.
    return pl.DataFrame(named, schema=schema).with_columns(cs.float().fill_nan(None))
