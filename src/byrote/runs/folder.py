"""A run: the folder that holds the config, provenance, tables, charts and report of one job."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from byrote.errors import ByroteError, InputError
from byrote.runs.files import write_json
from byrote.runs.provenance import hardware, now, versions

__all__ = ["SCHEMA_VERSION", "Run", "config_hash"]

SCHEMA_VERSION = 1


def config_hash(kind: str, config: dict[str, Any]) -> str:
    """Hash what was asked for, so that two runs can be told apart (12 hex digits)."""
    text = json.dumps([kind, config], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


class Run:
    """A run folder that is open for writing or reading.

    Attributes:
        folder: Where the run lives.
        info: The content of `run.json`; change it with `update`.
    """

    def __init__(self, folder: Path, info: dict[str, Any]) -> None:
        self.folder = folder
        self.info = info

    @classmethod
    def start(cls, folder: Path, kind: str, config: dict[str, Any], **more: Any) -> Run:
        """Create a run, or continue the unfinished run of the same config in `folder`.

        Args:
            folder: A new or empty folder, or one with a run of exactly this config.
            kind: `audit` or the name of a study.
            config: What was asked for; JSON values only.
            **more: Further fields for a new `run.json`.

        Raises:
            InputError: `folder` holds something else, which is never overwritten, or nothing may be
                written there.
        """
        if folder.exists() and not folder.is_dir():
            raise InputError(f"{folder} is a file; give a new folder for the run")
        if (folder / "run.json").exists():
            run = cls.open(folder)
            if run.info["config_hash"] != config_hash(kind, config):
                raise InputError(
                    f"{folder} holds a run of another config ({_difference(run, kind, config)}); "
                    "it is left as it is. Give another --out folder"
                )
            return run
        if folder.exists() and any(folder.iterdir()):
            raise InputError(
                f"{folder} is not empty and holds no run.json; give a new folder for the run"
            )
        info = {
            "schema_version": SCHEMA_VERSION,
            "kind": kind,
            "status": "running",
            "config": config,
            "config_hash": config_hash(kind, config),
            "versions": versions(),
            "hardware": hardware(),
            "start": now(),
            "end": None,
            "seconds": 0.0,
            "notes": [],
            **more,
        }
        with _writable(folder):
            folder.mkdir(parents=True, exist_ok=True)
            write_json(folder / "run.json", info)
        return cls(folder, info)

    @classmethod
    def open(cls, folder: Path) -> Run:
        """Open an existing run.

        Raises:
            InputError: No run is in `folder`, or one of a schema that this byrote cannot read.
        """
        path = folder / "run.json"
        if not folder.is_dir():
            raise InputError(f"no run folder at {folder}")
        if not path.exists():
            raise InputError(f"{folder} is no run folder: it holds no run.json")
        try:
            info = json.loads(path.read_text(encoding="utf-8"))
            version = info["schema_version"]
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise InputError(f"{path} is not a byrote run file: {error}") from error
        if version != SCHEMA_VERSION:
            raise InputError(
                f"{path} has schema version {version}; this byrote reads {SCHEMA_VERSION}. "
                f"It was written by byrote {info.get('versions', {}).get('byrote', '?')}"
            )
        return cls(folder, info)

    @property
    def done(self) -> bool:
        """Whether the run has ended well."""
        return self.info["status"] == "done"

    def update(self, **fields: Any) -> None:
        """Change fields of `run.json`, on disk at once."""
        self.info.update(fields)
        write_json(self.folder / "run.json", self.info)

    def note(self, text: str) -> None:
        """Add a remark that the report must show; the same remark is kept once."""
        if text not in self.info["notes"]:
            self.update(notes=[*self.info["notes"], text])

    def table(self, name: str) -> Path:
        """Path of a table."""
        return self.folder / "tables" / f"{name}.parquet"

    def clean(self) -> None:
        """Remove the temporary files that a killed process left."""
        for path in self.folder.rglob(".*.tmp"):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from working on this run at the same time.

        What another process has changed meanwhile is read first: `info` is as it is on disk.

        Raises:
            ByroteError: Another process holds the run.
            InputError: Nothing may be written in the folder.
        """
        with _writable(self.folder):
            file = (self.folder / ".lock").open("a+")
        with file:
            if not _lock(file.fileno()):
                file.seek(0)
                holder = file.read().strip() or "another process"
                raise ByroteError(
                    f"{self.folder} is being worked on by {holder}; wait for it or stop it"
                )
            file.truncate(0)
            file.write(f"process {os.getpid()}")
            file.flush()
            self.info = self.open(self.folder).info
            yield


@contextmanager
def _writable(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise InputError(
            f"nothing can be written to {folder}: {reason}. Give another --out folder"
        ) from error


def _lock(handle: int) -> bool:
    """Take an exclusive lock that the system drops when the process dies, however it dies."""
    try:
        import fcntl
    except ImportError:  # Windows: no advisory locks; two writers are then the user's care.
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _difference(run: Run, kind: str, config: dict[str, Any]) -> str:
    if run.info["kind"] != kind:
        return f"it is a run of kind {run.info['kind']!r}"
    old = run.info["config"]
    keys = sorted(k for k in old.keys() | config.keys() if old.get(k) != config.get(k))
    return "; ".join(f"{k} is {old.get(k)!r}, asked for {config.get(k)!r}" for k in keys[:3])
