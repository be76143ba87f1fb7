"""Work that is kept part by part, so that a killed run continues where it was.

A part is a folder with one Parquet file a table. It is filled under a temporary name and renamed,
so a part is either whole or not there. When all parts are there, they are joined into the tables.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from byrote.runs.files import full_disk_explained, replacing, sync_folder, write_parquet

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Parts"]


class Parts:
    """The parts of a run under `folder/parts`.

    Attributes:
        folder: Where the parts live.
    """

    def __init__(self, run_folder: Path) -> None:
        self.folder = run_folder / "parts"

    def done(self) -> set[int]:
        """Indices of the parts that are there."""
        if not self.folder.exists():
            return set()
        return {int(p.name) for p in self.folder.iterdir() if p.name.isdigit()}

    def write(self, index: int, tables: dict[str, pl.DataFrame]) -> None:
        """Keep one part: all its tables or none of them.

        Raises:
            ByroteError: The disk is full; the parts that are there stay.
        """
        final = self.folder / f"{index:06d}"
        temporary = self.folder / f".{index:06d}.tmp"
        shutil.rmtree(temporary, ignore_errors=True)
        with full_disk_explained(final):
            temporary.mkdir(parents=True)
            for name, frame in tables.items():
                write_parquet(temporary / f"{name}.parquet", frame)
            sync_folder(temporary)
            temporary.rename(final)
            sync_folder(self.folder)

    def join(self, table: str, target: Path, count: int) -> None:
        """Write parts 0 … count − 1 of a table as one file, a part at a time in memory."""
        import pyarrow.parquet as pq

        with replacing(target) as temporary:
            writer: pq.ParquetWriter | None = None
            for index in range(count):
                piece = pq.read_table(self.folder / f"{index:06d}" / f"{table}.parquet")
                if writer is None:
                    writer = pq.ParquetWriter(temporary, piece.schema, compression="zstd")
                writer.write_table(piece)
            if writer is not None:
                writer.close()

    def remove(self) -> None:
        """Delete the parts; the joined tables hold the same."""
        shutil.rmtree(self.folder, ignore_errors=True)
