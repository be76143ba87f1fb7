"""Reading files: early checks, content hashes, and lines of UTF-8 with the place of what is not."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from byrote.errors import InputError
from byrote.progress import task
from byrote.texts.base import TextSource

__all__ = [
    "FileSource",
    "check_file",
    "hash_files",
    "lines_of",
    "not_utf8",
    "opened",
    "shown",
]

_BLOCK = 1 << 20
# Below this size a pass over a file takes no second, and a progress line would only be noise.
_WORTH_SHOWING = 64 << 20
_BOM = b"\xef\xbb\xbf"


class FileSource(TextSource):
    """A source that is one file."""

    def __init__(self, name: str, text_field: str = "text") -> None:
        super().__init__(name)
        self.path = Path(name).expanduser()
        self.text_field = text_field

    def fingerprint(self) -> str:
        """Hash the file's bytes (sha256), block by block."""
        check_file(self.path)
        return f"sha256:{hash_files([self.path])}"

    def check(self) -> None:
        """Read the whole file once; see `TextSource.check`."""
        check_file(self.path)
        with shown(f"Checking {self.path.name}", self.path.stat().st_size):
            super().check()


def check_file(path: Path) -> None:
    """Refuse a path that is no file, or a file that holds nothing.

    Raises:
        InputError: With what is there instead.
    """
    if not path.exists():
        near = path.parent if path.parent.is_dir() else None
        hint = f"the folder {near} exists" if near else f"the folder {path.parent} is missing too"
        raise InputError(f"{path} does not exist ({hint}); check the path.")
    if not path.is_file():
        raise InputError(f"{path} is not a file; give a text file, or a folder of text files.")
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty (0 bytes); give a file that holds some text.")


@contextmanager
def shown(description: str, size: int) -> Iterator[Callable[[float], None]]:
    """Progress for a pass over `size` bytes, where that takes long enough to show."""
    if size < _WORTH_SHOWING:
        yield lambda _: None
    else:
        with task(description) as advance:
            yield advance


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file for reading bytes, with one message for whatever the system refuses."""
    check_file(path)
    try:
        file = path.open("rb")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from error
    with file:
        yield file


def hash_files(paths: Iterable[Path], names: Iterable[str] | None = None) -> str:
    """Hash the bytes of one file, or names and bytes of several, without holding them in memory.

    Args:
        paths: The files, in a fixed order.
        names: Names to hash along with them, so that a renamed or moved text is seen.

    Returns:
        The sha256 as hex.
    """
    digest = hashlib.sha256()
    paths = list(paths)
    labels = list(names) if names is not None else [""] * len(paths)
    size = sum(path.stat().st_size for path in paths)
    with shown("Hashing the texts", size):
        for path, label in zip(paths, labels, strict=True):
            if label:
                digest.update(f"{len(label)}:{label}:{path.stat().st_size}:".encode())
            with path.open("rb") as file:
                while block := file.read(_BLOCK):
                    digest.update(block)
    return digest.hexdigest()


def not_utf8(path: Path, error: UnicodeDecodeError, offset: int, line: int) -> InputError:
    """Say where a byte stands that is not UTF-8.

    Args:
        path: The file.
        error: What decoding said; its `start` counts from `offset`.
        offset: Where the decoded block starts in the file, in bytes.
        line: Number of the line that the bad byte stands in, from 1.
    """
    at = offset + error.start
    bad = error.object[error.start]
    hint = "save the file as UTF-8 (for example with iconv -f latin1 -t utf-8)"
    if at == 0 and bytes(error.object[:2]) in (b"\xff\xfe", b"\xfe\xff"):
        hint = "it looks like UTF-16: convert it with iconv -f utf-16 -t utf-8"
    return InputError(
        f"{path}, line {line}: byte 0x{bad:02x} at byte offset {at} is not UTF-8; {hint}."
    )


def lines_of(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (line number from 1, line with its end) of a UTF-8 file, one line in memory at a time.

    Raises:
        InputError: On the first byte that is not UTF-8, with line and byte offset.
    """
    offset = 0
    with opened(path) as file:
        for number, raw in enumerate(file, start=1):
            mark = len(_BOM) if number == 1 and raw.startswith(_BOM) else 0
            try:
                line = raw[mark:].decode()
            except UnicodeDecodeError as error:
                raise not_utf8(path, error, offset + mark, number) from None
            yield number, line
            offset += len(raw)
