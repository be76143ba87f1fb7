"""CSV and TSV, read row by row with the standard library."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator
from typing import Any

from byrote.errors import InputError
from byrote.texts.fields import Place, describe, record_from_row
from byrote.texts.files import FileSource, lines_of
from byrote.texts.records import Record

__all__ = ["Delimited"]

_WORDS = {"true": True, "false": False, "yes": True, "no": False, "1": True, "0": False}


class Delimited(FileSource):
    """A table with a header line (`.csv`; `.tsv` is split at tabs)."""

    def records(self) -> Iterator[Record]:
        """Stream one record a row; an empty cell counts as absent."""
        # The module's own limit of 128 KiB a cell is too small for documents.
        csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
        delimiter = "\t" if self.path.suffix.lower() == ".tsv" else ","
        reader = csv.reader(
            (line for _, line in lines_of(self.path)), delimiter=delimiter, strict=True
        )
        header: list[str] | None = None
        start = 1
        try:
            for cells in reader:
                line, start = start, reader.line_num + 1
                if not cells:
                    continue
                if header is None:
                    header = self._header(cells)
                    continue
                place = Place(self.name, self.path.stem, "line", line)
                yield self._record(header, cells, place)
        except csv.Error as error:
            raise InputError(
                f"{self.name}, line {reader.line_num}: broken CSV ({error}); quote cells that hold "
                "commas, quotes or line ends."
            ) from None

    def _header(self, cells: list[str]) -> list[str]:
        header = [cell.strip() for cell in cells]
        known = {self.text_field, "prefix", "suffix", "input_ids"}
        if not known & set(header):
            shown = ", ".join(f'"{name}"' for name in header[:8])
            raise InputError(
                f'{self.name}, line 1: no column "{self.text_field}", "prefix" + "suffix", or '
                f'"input_ids" in the header ({shown}); name the text column with text_field.'
            )
        return header

    def _record(self, header: list[str], cells: list[str], place: Place) -> Record:
        if len(cells) != len(header):
            raise InputError(
                f"{place}: {len(cells)} cells, but the header has {len(header)} columns; quote "
                "cells that hold commas or line ends."
            )
        row: dict[str, Any] = {
            name: _typed(name, cell, place) if name != self.text_field else cell
            for name, cell in zip(header, cells, strict=True)
            if cell != ""
        }
        if not row.keys() & {self.text_field, "prefix", "suffix", "input_ids"}:
            # An empty cell in the text column: an empty text, which is counted as too short.
            row[self.text_field] = ""
        return record_from_row(row, place, source=self.name, text_field=self.text_field)


def _typed(name: str, cell: str, place: Place) -> Any:
    """Read a cell as the type that its column holds; a table of text has no types of its own."""
    if name == "input_ids":
        try:
            return json.loads(cell)
        except json.JSONDecodeError:
            raise InputError(
                f'{place}: "input_ids" must be a JSON list like [5, 17, 2], but it is '
                f"{describe(cell)}."
            ) from None
    if name in ("count", "prefix_len"):
        try:
            return int(cell)
        except ValueError:
            return cell
    if name == "member":
        return _WORDS.get(cell.strip().lower(), cell)
    return cell
