"""Arrow batches to records: shared by Parquet files and data sets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from byrote.errors import InputError
from byrote.texts.fields import OPTIONAL_FIELDS, Place, record_from_row
from byrote.texts.records import Record

__all__ = ["check_schema", "columns_read", "records_of_batch"]


def columns_read(names: list[str], text_field: str) -> list[str]:
    """Of a table's columns, those that a record can be built from; the others are never read."""
    forms = ("input_ids", "prefix_len", "prefix", "suffix", text_field)
    return [name for name in (*forms, *OPTIONAL_FIELDS) if name in names]


def check_schema(schema: pa.Schema, origin: str, text_field: str) -> None:
    """Refuse a table whose columns cannot hold what they are named for.

    Raises:
        InputError: Naming the column and its type, or the columns that there are.
    """
    names = set(schema.names)
    if not ({text_field, "input_ids"} & names or {"prefix", "suffix"} <= names):
        shown = ", ".join(f'"{name}"' for name in schema.names[:8])
        raise InputError(
            f'{origin}: no column "{text_field}", "prefix" + "suffix", or "input_ids" (it has '
            f"{shown}); name the column that holds the text with text_field."
        )
    for name in (text_field, "prefix", "suffix"):
        if name in names and not _is_text(schema.field(name).type):
            kind = schema.field(name).type
            raise InputError(
                f'{origin}: column "{name}" must hold strings, but its type is {kind}.'
            )
    if "input_ids" in names:
        kind = schema.field("input_ids").type
        if not _is_list(kind) or not pa.types.is_integer(kind.value_type):
            raise InputError(
                f'{origin}: column "input_ids" must hold lists of integers, but its type is {kind}.'
            )


def records_of_batch(
    batch: pa.RecordBatch, first: int, *, origin: str, stem: str, source: str, text_field: str
) -> Iterator[Record]:
    """Yield the records of a batch; token ids are views on the batch, not copies.

    Args:
        batch: Rows with the columns of `columns_read`.
        first: Row number of the first row, from 1.
        origin: The file, for messages.
        stem: Start of the default ids.
        source: Name of the source.
        text_field: The column that holds the text.
    """
    columns: dict[str, Any] = {}
    for name in columns_read(batch.schema.names, text_field):
        column = batch.column(name)
        if name == "input_ids":
            columns[name] = _id_views(column, Place(origin, stem, "row", first))
        else:
            columns[name] = column.to_pylist()
    names = list(columns)
    for index, values in enumerate(zip(*columns.values(), strict=True)):
        place = Place(origin, stem, "row", first + index)
        row = dict(zip(names, values, strict=True))
        yield record_from_row(row, place, source=source, text_field=text_field)


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    views = getattr(pa.types, "is_string_view", lambda _: False)
    return (
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_null(kind)
        or bool(views(kind))
    )


def _is_list(kind: pa.DataType) -> bool:
    return (
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )


def _id_views(column: pa.Array, place: Place) -> list[NDArray[np.int32] | None]:
    """Slice the flat values of a list column: one range check and no copy for the whole batch."""
    if pa.types.is_fixed_size_list(column.type):
        column = column.cast(pa.list_(column.type.value_type))
    offsets = column.offsets.to_numpy()
    low, high = int(offsets[0]), int(offsets[-1])
    values = column.values.slice(low, high - low)
    bounds = (offsets - low).tolist()

    def refuse(at: int, what: str) -> InputError:
        row = int(np.searchsorted(offsets - low, at, side="right")) - 1
        here = place._replace(number=place.number + row)
        return InputError(
            f'{here}: "input_ids" must be token ids of 0 or more (and below 2^31), but position '
            f"{at - bounds[row]} holds {what}."
        )

    if values.null_count:
        at = int(np.flatnonzero(values.is_null().to_numpy(zero_copy_only=False))[0])
        raise refuse(at, "a null")
    flat = values.to_numpy(zero_copy_only=False)
    if len(flat) and (flat.min() < 0 or flat.max() > 2**31 - 1):
        at = int(np.flatnonzero((flat < 0) | (flat > 2**31 - 1))[0])
        raise refuse(at, str(flat[at]))
    flat = flat.astype(np.int32, copy=False)
    valid = column.is_valid().to_pylist() if column.null_count else [True] * len(column)
    return [flat[bounds[i] : bounds[i + 1]] if valid[i] else None for i in range(len(column))]
