"""Files that are either whole or not there: temporary name, flush, rename."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from byrote.errors import ByroteError

if TYPE_CHECKING:
    import polars as pl

__all__ = ["full_disk_explained", "replacing", "sync_folder", "write_json", "write_parquet"]

_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def full_disk_explained(path: Path) -> Iterator[None]:
    """Say in one message that `path` could not be written because the disk is full.

    Raises:
        ByroteError: The disk, or the user's share of it, is full.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise ByroteError(
            f"cannot write {path}: the disk is full ({_free(path.parent)} free). Free some "
            "space and continue with `byrote resume`; what was finished is kept"
        ) from error


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path that becomes `path` when the block ends well.

    Args:
        path: The file to be written or replaced.

    Yields:
        A path in the same folder, to write to.

    Raises:
        ByroteError: The disk is full; `path` is as it was before.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with full_disk_explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            temporary.replace(path)
            sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make a rename inside `folder` survive a power cut, where the system can."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_json(path: Path, value: Any) -> None:
    """Write a value as indented JSON, whole or not at all."""
    with replacing(path) as temporary:
        text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
        temporary.write_text(text + "\n", encoding="utf-8")


def write_parquet(path: Path, frame: pl.DataFrame) -> None:
    """Write a table as Parquet, whole or not at all."""
    import pyarrow.parquet as pq

    with replacing(path) as temporary:
        # Not polars' own writer: it does not say of an error of the disk which one it was.
        pq.write_table(frame.to_arrow(), temporary, compression="zstd")


def _free(folder: Path) -> str:
    while not folder.exists():
        folder = folder.parent
    return f"{shutil.disk_usage(folder).free / 2**20:,.0f} MiB"
