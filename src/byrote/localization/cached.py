"""Tables that cost a model's time, kept from one process to the next."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from byrote.models.convert import cache_dir
from byrote.runs.files import write_parquet

__all__ = ["cached_table"]


def cached_table(
    kind: str,
    key: str,
    schema: Mapping[str, pl.DataType | type[pl.DataType]],
    ask: Callable[[], pl.DataFrame],
) -> pl.DataFrame:
    """Give what was found before, or is found now.

    Processes that ask the same wait for one another, so that only the first one works.

    Args:
        kind: A folder in `cache_dir()`.
        key: Hash of all that the table depends on; the file's name.
        schema: Columns and types that it must have; a file with others counts as damaged.
        ask: Does the work.
    """
    path = cache_dir() / kind / f"{key}.parquet"
    if (known := _read(path, schema)) is not None:
        return known
    with _alone(path):
        known = _read(path, schema)
        if known is None:
            known = ask()
            write_parquet(path, known)
    return known


def _read(path: Path, schema: Mapping[str, pl.DataType | type[pl.DataType]]) -> pl.DataFrame | None:
    try:
        found = pl.read_parquet(path)
    except (FileNotFoundError, pl.exceptions.PolarsError):
        return None  # never asked, or damaged: ask (again)
    return found if dict(found.schema) == dict(schema) else None


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Wait until no other process works at the same file, where the system can tell."""
    try:
        import fcntl
    except ImportError:  # Windows: both work, and both write the same.
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
