"""JSON lines: one object a line, streamed. A `.json` file may hold one array of objects instead."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from byrote.errors import InputError
from byrote.texts.fields import Place, describe, record_from_row
from byrote.texts.files import FileSource, lines_of
from byrote.texts.records import Record

__all__ = ["JsonLines"]

# An array has no line to stream by; beyond this size the user is shown the way to lines.
_MAX_ARRAY_BYTES = 256 << 20


class JsonLines(FileSource):
    """A file of JSON objects (`.jsonl`, `.ndjson`, `.json`)."""

    def records(self) -> Iterator[Record]:
        """Stream one record a line; blank lines are skipped."""
        lines = lines_of(self.path)
        for number, line in lines:
            if not line.strip():
                continue
            if self.path.suffix.lower() == ".json" and line.lstrip().startswith("["):
                yield from self._array(line, lines)
                return
            try:
                row = json.loads(line.rstrip())
            except json.JSONDecodeError as error:
                raise self._broken(number, error) from None
            yield self._record(row, "line", number)

    def _record(self, row: Any, unit: str, number: int) -> Record:
        place = Place(self.name, self.path.stem, unit, number)
        if not isinstance(row, dict):
            raise InputError(
                f'{place}: must be an object like {{"text": "..."}}, but it is {describe(row)}.'
            )
        return record_from_row(row, place, source=self.name, text_field=self.text_field)

    def _array(self, first: str, lines: Iterator[tuple[int, str]]) -> Iterator[Record]:
        size = self.path.stat().st_size
        if size > _MAX_ARRAY_BYTES:
            raise InputError(
                f"{self.name} is one JSON array of {size:,} bytes, which cannot be streamed; "
                f"write one object a line instead: jq -c '.[]' {self.name} > texts.jsonl"
            )
        try:
            rows = json.loads(first + "".join(line for _, line in lines))
        except json.JSONDecodeError as error:
            raise self._broken(error.lineno, error) from None
        for number, row in enumerate(rows, start=1):
            yield self._record(row, "entry", number)

    def _broken(self, line: int, error: json.JSONDecodeError) -> InputError:
        hint = "each line must be one JSON object"
        if self.path.suffix.lower() == ".json":
            hint += ", or the file one array of them"
        return InputError(
            f"{self.name}, line {line}: broken JSON ({error.msg} at column {error.colno}); {hint}."
        )
