"""Data sets of the `datasets` library: from the hub (streamed), or saved to a folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
from datasets.exceptions import DatasetsError

from byrote.errors import InputError
from byrote.texts.base import TextSource
from byrote.texts.files import hash_files
from byrote.texts.formats.arrow import check_schema, columns_read, records_of_batch
from byrote.texts.records import Record
from byrote.texts.specs import parse_query

__all__ = ["HubDataset", "SavedDataset"]

_ROWS = 256
_OPTIONS = ("split", "config", "field", "revision")


class SavedDataset(TextSource):
    """A folder that `save_to_disk` wrote; of several splits, `train` is taken."""

    def __init__(self, name: str, text_field: str = "text") -> None:
        super().__init__(name)
        self.path = Path(name).expanduser()
        self.text_field = text_field

    def records(self) -> Iterator[Record]:
        """Stream one record a row; the rows are memory-mapped."""
        try:
            data = datasets.load_from_disk(str(self.path))
        except (DatasetsError, OSError, ValueError, KeyError, pa.ArrowException) as error:
            raise InputError(
                f"{self.name} cannot be read as a data set saved by save_to_disk ({error})."
            ) from error
        if isinstance(data, datasets.DatasetDict):
            data = self._one_split(data)
        return _records(data, self.name, self.path.name, self.text_field)

    def _one_split(self, data: datasets.DatasetDict) -> datasets.Dataset:
        if len(data) == 1:
            return next(iter(data.values()))
        if "train" in data:
            return data["train"]
        folders = ", ".join(str(self.path / str(split)) for split in data)
        raise InputError(
            f"{self.name} holds several splits and none is called train; give one of {folders}."
        )

    def fingerprint(self) -> str:
        """Hash the names and bytes of the folder's files."""
        files = sorted(path for path in self.path.rglob("*") if path.is_file())
        names = [path.relative_to(self.path).as_posix() for path in files]
        return f"sha256:{hash_files(files, names)}"


class HubDataset(TextSource):
    """`hf:NAME?split=train&config=..&field=text&revision=..`, streamed from the hub.

    NAME may be a local folder as well, where `datasets` understands what is in it.
    """

    def __init__(self, name: str, text_field: str = "text") -> None:
        super().__init__(name)
        self.dataset, query = parse_query(name.removeprefix("hf:"), name, _OPTIONS)
        if not self.dataset:
            raise InputError(f"{name}: no data set is named; write hf:OWNER/NAME?split=train.")
        self.split = query.get("split", ["train"])[0]
        self.config = query.get("config", [None])[0]
        self.revision = query.get("revision", [None])[0]
        self.text_field = query.get("field", [text_field])[0]

    def records(self) -> Iterator[Record]:
        """Stream one record a row, straight from the hub."""
        data = self._open()
        stem = f"{self.dataset.rsplit('/', 1)[-1]}/{self.split}"
        return self._guarded(_records(data, self.name, stem, self.text_field))

    def check(self) -> None:
        """Open the data set and look at its first record: reading all would download all."""
        if next(self.records(), None) is None:
            raise InputError(f"{self.name} holds no records: name another split or config.")

    def fingerprint(self) -> str:
        """Name the commit that the hub serves; for a local folder hash its files."""
        if Path(self.dataset).is_dir():
            files = sorted(path for path in Path(self.dataset).rglob("*") if path.is_file())
            names = [path.relative_to(self.dataset).as_posix() for path in files]
            return f"sha256:{hash_files(files, names)}"
        from huggingface_hub import HfApi

        try:
            commit = HfApi().dataset_info(self.dataset, revision=self.revision).sha
        except (OSError, ValueError) as error:
            raise self._refused(error) from error
        return f"{self.dataset}@{commit};config={self.config};split={self.split}"

    def _open(self) -> Any:
        try:
            return datasets.load_dataset(
                self.dataset,
                name=self.config,
                split=self.split,
                revision=self.revision,
                streaming=True,
            )
        except (DatasetsError, OSError, ValueError) as error:
            raise self._refused(error) from error

    def _guarded(self, records: Iterator[Record]) -> Iterator[Record]:
        try:
            yield from records
        except (DatasetsError, OSError, pa.ArrowException) as error:
            raise self._refused(error) from error

    def _refused(self, error: Exception) -> InputError:
        first_line = (str(error).strip() or type(error).__name__).splitlines()[0]
        return InputError(
            f"{self.name}: the data set cannot be opened ({first_line}); check the name, split and "
            "config, and that this machine reaches the hub."
        )


def _records(data: Any, name: str, stem: str, text_field: str) -> Iterator[Record]:
    """Records of a data set, by way of Arrow batches: no Python list of ids is ever built."""
    row = 1
    for table in data.with_format("arrow").iter(batch_size=_ROWS):
        if row == 1:
            check_schema(table.schema, name, text_field)
        columns = columns_read(table.schema.names, text_field)
        for batch in table.select(columns).combine_chunks().to_batches():
            yield from records_of_batch(
                batch, row, origin=name, stem=stem, source=name, text_field=text_field
            )
            row += batch.num_rows
