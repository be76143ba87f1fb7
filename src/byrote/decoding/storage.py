"""Filters on disk: one file, whole or not there, checked before it is believed.

    8 bytes   "BYROTENG"
    4 bytes   version of the format, little-endian
    4 bytes   length of the header
    32 bytes  sha256 of everything behind it
    header    JSON: kind, n, counts, tokenizer hash, rates, the arrays and where they lie
    arrays    each at a multiple of 64 bytes, little-endian

Nothing in it is code; the arrays are mapped and read when they are asked for.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from byrote._version import __version__
from byrote.errors import InputError
from byrote.progress import task
from byrote.runs.files import replacing

__all__ = ["FORMAT_VERSION", "damaged", "mapped", "read_file", "verify", "write_file"]

FORMAT_VERSION = 1

_MAGIC = b"BYROTENG"
_HEAD = struct.Struct("<8sII32s")
_ALIGN = 64
_BLOCK = 1 << 24
_LONGEST_HEADER = 1 << 24
_DTYPES = {"uint8": "<u1", "int32": "<i4", "uint32": "<u4", "int64": "<i8", "uint64": "<u8"}


def write_file(path: Path, fields: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Path:
    """Write a filter's file, or leave what was there.

    Args:
        path: Where.
        fields: What the header says besides the arrays; JSON values.
        arrays: One-dimensional.

    Raises:
        ByroteError: The disk is full.
    """
    plain = {
        name: np.ascontiguousarray(array, dtype=_DTYPES[array.dtype.name])
        for name, array in arrays.items()
    }
    header = _header(fields, plain)
    digest = hashlib.sha256()
    for part in _body(header, plain):
        digest.update(part)
    with replacing(path) as temporary, temporary.open("wb") as file:
        file.write(_HEAD.pack(_MAGIC, FORMAT_VERSION, len(header), digest.digest()))
        for part in _body(header, plain):
            file.write(part)
    return path


def _header(fields: Mapping[str, Any], arrays: dict[str, NDArray[Any]]) -> bytes:
    entries, place = [], 0
    for name, array in arrays.items():
        place = _aligned(place)
        entries.append(
            {"name": name, "dtype": array.dtype.name, "length": len(array), "offset": place}
        )
        place += array.nbytes
    whole = {**fields, "byrote": __version__, "arrays": entries, "size": place}
    return json.dumps(whole, ensure_ascii=True, allow_nan=False).encode()


def _body(header: bytes, arrays: dict[str, NDArray[Any]]) -> Iterator[bytes | memoryview]:
    """Everything behind the first 48 bytes."""
    yield header
    yield bytes(_start(len(header)) - _HEAD.size - len(header))
    place = 0
    for array in arrays.values():
        yield bytes(_aligned(place) - place)
        yield array.data.cast("B") if array.size else b""
        place = _aligned(place) + array.nbytes


def read_file(path: Path) -> tuple[dict[str, Any], bytes, int]:
    """Read all but the arrays: the header, the sha256, and where the arrays start.

    Raises:
        InputError: There is no such file, it is no filter, or it is truncated.
    """
    if not path.is_file():
        raise InputError(
            f"there is no filter at {path}; make one with: byrote filter build TEXTS --out {path}"
        )
    actual = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(_HEAD.size)
        if not head.startswith(_MAGIC) and (
            len(head) >= len(_MAGIC) or not _MAGIC.startswith(head)
        ):
            raise InputError(f"{path} is no filter of n-grams: it does not begin as one.")
        if len(head) < _HEAD.size:
            raise _truncated(path, actual, None)
        _, version, length, digest = _HEAD.unpack(head)
        if version != FORMAT_VERSION:
            raise InputError(
                f"{path} has version {version} of the format, and this byrote ({__version__}) "
                f"reads version {FORMAT_VERSION}; build it again with: byrote filter build."
            )
        if length > _LONGEST_HEADER:
            raise damaged(path, f"its header would have {length:,} bytes")
        if actual < _start(length):
            raise _truncated(path, actual, None)
        text = file.read(length)
    try:
        header = json.loads(text)
        expected = _start(length) + int(header["size"])
    except (ValueError, KeyError, TypeError) as error:
        raise damaged(path, "its header cannot be read") from error
    if actual < expected:
        raise _truncated(path, actual, expected)
    if actual > expected:
        raise damaged(path, f"it has {actual:,} bytes and should have {expected:,}")
    return header, digest, _start(length)


def verify(path: Path, expected: bytes) -> None:
    """Compare a file's content with its sha256.

    Raises:
        InputError: They differ.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file, task(f"Checking {path.name}", path.stat().st_size) as advance:
        file.seek(_HEAD.size)
        while block := file.read(_BLOCK):
            digest.update(block)
            advance(len(block))
    if digest.digest() != expected:
        raise damaged(path, "its content does not have the sha256 that it was written with")


def mapped(path: Path, entry: dict[str, Any], start: int, size: int) -> NDArray[Any]:
    """Map one array of a file.

    Raises:
        ValueError: It would lie outside of the file.
    """
    dtype = np.dtype(_DTYPES[entry["dtype"]])
    offset, length = int(entry["offset"]), int(entry["length"])
    if offset < 0 or length < 0 or offset + length * dtype.itemsize > size:
        raise ValueError(f"array {entry['name']!r} would lie outside the file")
    if not length:
        return np.zeros(0, dtype=dtype)
    mapped = np.memmap(path, dtype=dtype, mode="r", offset=start + offset, shape=(length,))
    # As a plain array: numpy's own class for mapped files makes each small lookup slower.
    return np.asarray(mapped)


def _start(header_len: int) -> int:
    return _aligned(_HEAD.size + header_len)


def _aligned(place: int) -> int:
    return -(-place // _ALIGN) * _ALIGN


def _truncated(path: Path, actual: int, expected: int | None) -> InputError:
    of = "" if expected is None else f" of {expected:,}"
    return InputError(
        f"{path} is truncated: {actual:,} bytes{of} are there. Copy it again, or build it again "
        "with: byrote filter build."
    )


def damaged(path: Path, why: str) -> InputError:
    """What to say of a file that is not as it was written."""
    return InputError(
        f"{path} is damaged: {why}. Copy it again, or build it again with: byrote filter build."
    )
