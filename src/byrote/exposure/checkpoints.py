"""One file that holds an exposure's state; the one before stays until the new one is whole."""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from byrote.errors import ByroteError, InputError
from byrote.runs.files import replacing

__all__ = ["CHECKPOINT", "read_checkpoint", "write_checkpoint"]

CHECKPOINT = "checkpoint.safetensors"
"""The file's name in its folder."""

_DTYPES = {
    torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16",
    torch.int64: "I64", torch.int32: "I32", torch.int16: "I16", torch.int8: "I8",
    torch.uint8: "U8", torch.bool: "BOOL",
}  # fmt: skip
_ARRAY = "array in tensor"
_KEY = "byrote"


def write_checkpoint(folder: Path, state: Any, tensors: Mapping[str, Tensor]) -> None:
    """Write a checkpoint in the place of the one before.

    The tensors are streamed to the file: no second copy of the model is held.

    Args:
        folder: Where; made if need be.
        state: Numbers, text, None, NumPy arrays, lists and dicts of these.
        tensors: By name.

    Raises:
        ByroteError: There is no room; the checkpoint before is as it was.
    """
    arrays: dict[str, Tensor] = {}
    text = json.dumps(_without_arrays(state, arrays))
    whole = {**tensors, **arrays}
    header: dict[str, Any] = {"__metadata__": {_KEY: text}}
    end = 0
    for name, tensor in whole.items():
        start, end = end, end + tensor.nbytes
        header[name] = {
            "dtype": _DTYPES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [start, end],
        }
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    need = 8 + len(head) + end
    folder.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(folder).free < need:
        raise _full(folder, need)
    try:
        with replacing(folder / CHECKPOINT) as temporary, temporary.open("wb") as file:
            file.write(len(head).to_bytes(8, "little") + head)
            for tensor in whole.values():
                _write(file, tensor)
    except ByroteError as error:
        cause = error.__cause__
        if isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _full(folder, need) from error
        raise


def read_checkpoint(folder: Path) -> tuple[Any, dict[str, Tensor]] | None:
    """Read what `write_checkpoint` wrote.

    Returns:
        The state and the tensors; None if there is no checkpoint.

    Raises:
        InputError: The file is damaged or of another kind.
    """
    path = folder / CHECKPOINT
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            state = json.loads((file.metadata() or {})[_KEY])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, KeyError, ValueError) as error:
        raise InputError(
            f"{path} is no checkpoint of an exposure, or damaged ({error}). Remove it to begin "
            "again."
        ) from error
    return _with_arrays(state, tensors), tensors


def _full(folder: Path, need: int) -> ByroteError:
    free = shutil.disk_usage(folder).free
    kept = " The checkpoint before is kept." if (folder / CHECKPOINT).exists() else ""
    return ByroteError(
        f"cannot write a checkpoint to {folder}: it needs {need / 2**20:,.1f} MiB beside the one "
        f"before, {free / 2**20:,.1f} MiB are free.{kept} Free some space and run the same again: "
        "it continues there. Or choose another folder, or fewer checkpoints."
    )


def _write(file: BinaryIO, tensor: Tensor) -> None:
    data = tensor.detach().to("cpu").contiguous().reshape(-1).view(torch.uint8)
    buffer: Any = data.numpy()
    file.write(memoryview(buffer))


def _without_arrays(value: Any, arrays: dict[str, Tensor]) -> Any:
    """A value that JSON can hold; arrays go among the tensors, where they take no text."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray | Tensor):
        name = f"state/{len(arrays)}"
        tensor = value if isinstance(value, Tensor) else torch.from_numpy(np.array(value))
        arrays[name] = tensor
        return {_ARRAY: name}
    if isinstance(value, Mapping):
        return {str(key): _without_arrays(inner, arrays) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_without_arrays(inner, arrays) for inner in value]
    return value


def _with_arrays(value: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, dict):
        if list(value) == [_ARRAY]:
            return tensors.pop(value[_ARRAY]).numpy()
        return {key: _with_arrays(inner, tensors) for key, inner in value.items()}
    if isinstance(value, list):
        return [_with_arrays(inner, tensors) for inner in value]
    return value
