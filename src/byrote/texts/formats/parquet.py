"""Parquet, read batch by batch; token ids stay where Arrow put them."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from byrote.errors import InputError
from byrote.texts.files import FileSource, check_file
from byrote.texts.formats.arrow import check_schema, columns_read, records_of_batch
from byrote.texts.records import Record

__all__ = ["Parquet"]

_ROWS = 512
# Pages are read through a buffer of this size: without it a whole row group is held at once.
_BUFFER_BYTES = 1 << 20


class Parquet(FileSource):
    """One Parquet file."""

    def records(self) -> Iterator[Record]:
        """Stream one record a row."""
        check_file(self.path)
        row = 1
        try:
            with pq.ParquetFile(
                self.path, buffer_size=_BUFFER_BYTES, pre_buffer=False, memory_map=False
            ) as file:
                check_schema(file.schema_arrow, self.name, self.text_field)
                columns = columns_read(file.schema_arrow.names, self.text_field)
                for batch in file.iter_batches(
                    batch_size=_ROWS, columns=columns, use_threads=False
                ):
                    yield from records_of_batch(
                        batch,
                        row,
                        origin=self.name,
                        stem=self.path.stem,
                        source=self.name,
                        text_field=self.text_field,
                    )
                    row += batch.num_rows
        except (pa.ArrowException, OSError) as error:
            raise InputError(
                f"{self.name} cannot be read as Parquet near row {row} ({error}); "
                "check that the file was written to its end."
            ) from error
