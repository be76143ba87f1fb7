"""Plain text: one file, or a folder of files; large files are cut into blocks, never held whole."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from byrote.errors import InputError
from byrote.texts.base import TextSource
from byrote.texts.files import FileSource, check_file, hash_files, not_utf8, opened, shown
from byrote.texts.records import Record

__all__ = ["TEXT_SUFFIXES", "PlainText", "TextFolder"]

TEXT_SUFFIXES = (".txt", ".text", ".md", ".rst")

# A file is cut into records of about this size, in bytes.
_BLOCK_BYTES = 1 << 20
_PARAGRAPH = re.compile(rb"\n[ \t\r]*\n")
_BOM = b"\xef\xbb\xbf"


class PlainText(FileSource):
    """One file of plain text."""

    def records(self) -> Iterator[Record]:
        """Yield the file as one record, or in blocks of about a megabyte.

        A block ends at a paragraph, else at a line end, else at white space, else (a block
        without any white space) between two characters. Ids are `<stem>:<line>` with the line
        that the block starts in.
        """
        for record_id, text in _blocks(self.path, self.path.stem):
            yield Record(id=record_id, source=self.name, text=text)


class TextFolder(TextSource):
    """All text files below a folder, in the order of their paths; hidden ones are left out."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.path = Path(name).expanduser()

    def files(self) -> list[Path]:
        """The files, sorted by their path in the folder.

        Raises:
            InputError: If there are none.
        """
        found = [
            path
            for path in self.path.rglob("*")
            if path.suffix.lower() in TEXT_SUFFIXES
            and path.is_file()
            and not any(part.startswith(".") for part in path.relative_to(self.path).parts)
        ]
        if not found:
            others = sorted({p.suffix for p in self.path.rglob("*") if p.is_file() and p.suffix})
            hint = f"; it holds {', '.join(others[:6])} files: give one of them" if others else ""
            raise InputError(
                f"{self.name} is a folder without text files ({', '.join(TEXT_SUFFIXES)}){hint}."
            )
        return sorted(found, key=lambda path: path.relative_to(self.path).parts)

    def records(self) -> Iterator[Record]:
        """Yield the files' texts, empty files apart; ids are `<path in the folder>:<line>`."""
        for path in self.files():
            if path.stat().st_size == 0:
                continue
            for record_id, text in _blocks(path, path.relative_to(self.path).as_posix()):
                yield Record(id=record_id, source=self.name, text=text)

    def fingerprint(self) -> str:
        """Hash the names and bytes of all files."""
        files = self.files()
        names = [path.relative_to(self.path).as_posix() for path in files]
        return f"sha256:{hash_files(files, names)}"

    def check(self) -> None:
        """Read all files once; see `TextSource.check`."""
        size = sum(path.stat().st_size for path in self.files())
        with shown(f"Checking {self.name}", size):
            super().check()


def _blocks(path: Path, stem: str) -> Iterator[tuple[str, str]]:
    """Yield (id, text) of a file's blocks; at most two blocks are held at a time."""
    check_file(path)
    offset, line, same_line = 0, 1, 1
    rest = b""
    with opened(path) as file:
        while True:
            # A few bytes more than a block, to see whether a cut would split a character.
            data = rest + file.read(_BLOCK_BYTES + 4 - len(rest))
            if not data:
                return
            cut = len(data) if len(data) <= _BLOCK_BYTES else _cut_at(data)
            block, rest = data[:cut], data[cut:]
            mark = len(_BOM) if offset == 0 and block.startswith(_BOM) else 0
            try:
                text = block[mark:].decode()
            except UnicodeDecodeError as error:
                bad_line = line + block.count(b"\n", 0, mark + error.start)
                raise not_utf8(path, error, offset + mark, bad_line) from None
            if text.strip():
                suffix = "" if same_line == 1 else f".{same_line}"
                yield f"{stem}:{line}{suffix}", text
            ends = block.count(b"\n")
            line, same_line = line + ends, 1 if ends else same_line + 1
            offset += cut


def _cut_at(data: bytes) -> int:
    """Where to cut: after the last paragraph, line or word that ends within the block's size."""
    window = data[:_BLOCK_BYTES]
    half = len(window) // 2
    ends = [match.end() for match in _PARAGRAPH.finditer(window, half)]
    if ends:
        return ends[-1]
    for start in (half, 1):
        for separator in (b"\n", b" ", b"\t"):
            at = window.rfind(separator, start)
            if at > 0:
                # A word keeps the space before it, as tokenizers have it; a line keeps its end.
                return at + 1 if separator == b"\n" else at
    at = len(window)
    while at > 1 and data[at] & 0xC0 == 0x80:
        at -= 1
    return at
