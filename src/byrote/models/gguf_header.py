"""Read what stands at the head of a GGUF file, without torch and in a fraction of a second.

Layout after the GGUF specification (ggml-org/ggml, docs/gguf.md): magic, version, two counts, then
key-value pairs, then the tensor table, then the aligned tensor data.
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from byrote.errors import InputError

__all__ = ["GgufHeader", "read_gguf_header"]

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_STRING, _ARRAY = 8, 9
# The struct letter of each scalar value type.
_SCALARS = dict(zip((0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12), "BbHhIif?Qqd", strict=True))


@dataclass(frozen=True, slots=True)
class GgufHeader:
    """The head of a GGUF file.

    Attributes:
        metadata: The scalar and string entries; of an array, its length.
        tensors: How many tensors the file says it holds.
        elements: How many numbers they hold together.
        data_bytes: Where the last tensor ends, in bytes from the start of the file; None where a
            tensor has a type that the installed `gguf` does not know.
    """

    metadata: dict[str, Any]
    tensors: int
    elements: int
    data_bytes: int | None

    @property
    def architecture(self) -> str:
        """What `general.architecture` says, "" where it is missing."""
        return str(self.metadata.get("general.architecture", ""))


class _Cursor:
    def __init__(self, data: mmap.mmap) -> None:
        self.data = data
        self.at = 0

    def take(self, layout: str) -> Any:
        value = struct.unpack_from("<" + layout, self.data, self.at)
        self.at += struct.calcsize("<" + layout)
        return value[0] if len(value) == 1 else value

    def string(self) -> str:
        length = self.take("Q")
        end = self.at + length
        if end > len(self.data):
            raise struct.error("a string runs past the end of the file")
        text = self.data[self.at : end].decode("utf-8", errors="replace")
        self.at = end
        return text

    def value(self, kind: int) -> Any:
        if kind in _SCALARS:
            return self.take(_SCALARS[kind])
        if kind == _STRING:
            return self.string()
        if kind != _ARRAY:
            raise ValueError(f"unknown value type {kind}")
        element, count = self.take("IQ")
        if element in _SCALARS:
            self.at += count * struct.calcsize("<" + _SCALARS[element])
        elif element == _STRING:
            unpack = struct.Struct("<Q").unpack_from
            at, data = self.at, self.data
            for _ in range(count):
                at += 8 + unpack(data, at)[0]
            self.at = at
        else:
            for _ in range(count):
                self.value(element)
        return count


def read_gguf_header(path: str | Path) -> GgufHeader:
    """Read the metadata and the tensor table of a GGUF file.

    Args:
        path: The file.

    Returns:
        The header.

    Raises:
        InputError: It is not a GGUF file, of a version that is not known, or cut short.
    """
    path = Path(path)
    size = path.stat().st_size
    with path.open("rb") as file:
        magic = file.read(4)
        if magic != _MAGIC:
            raise InputError(
                f"{path} is not a GGUF file: it starts with {magic!r}, not {_MAGIC!r}. "
                "Give a .gguf file, a folder saved by save_pretrained, or a hub id."
            )
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            try:
                return _parse(_Cursor(data), path)
            except (struct.error, OverflowError) as error:
                raise InputError(
                    f"{path} is cut short: its {size:,} bytes end inside the header ({error}). "
                    "Fetch the file again."
                ) from error
            except ValueError as error:
                raise InputError(
                    f"{path} is damaged: {error} in its header. Fetch the file again."
                ) from error


def _parse(cursor: _Cursor, path: Path) -> GgufHeader:
    cursor.at = len(_MAGIC)
    version = cursor.take("I")
    if version not in _VERSIONS:
        raise InputError(
            f"{path} is GGUF version {version}; versions {', '.join(map(str, _VERSIONS))} can be "
            "read (little-endian). Convert it again with a current llama.cpp."
        )
    tensors, entries = cursor.take("QQ")
    metadata: dict[str, Any] = {}
    for _ in range(entries):
        key = cursor.string()
        metadata[key] = cursor.value(cursor.take("I"))
    elements, end = _tensor_table(cursor, tensors)
    if end is not None:
        alignment = metadata.get("general.alignment", 32)
        end += cursor.at + -cursor.at % alignment
    return GgufHeader(metadata, tensors, elements, end)


def _tensor_table(cursor: _Cursor, tensors: int) -> tuple[int, int | None]:
    from gguf.constants import GGML_QUANT_SIZES

    sizes = {int(kind): size for kind, size in GGML_QUANT_SIZES.items()}
    elements, end, known = 0, 0, True
    for _ in range(tensors):
        cursor.string()
        count = 1
        for _ in range(cursor.take("I")):
            count *= cursor.take("Q")
        kind, offset = cursor.take("IQ")
        elements += count
        if kind in sizes:
            block, width = sizes[kind]
            end = max(end, offset + count // block * width)
        else:
            known = False
    return elements, end if known else None
