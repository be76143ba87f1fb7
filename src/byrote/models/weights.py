"""A content hash of a model's weights that does not depend on the file they came from."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from torch import nn

from byrote.errors import InputError
from byrote.progress import track

__all__ = ["check_complete", "hash_weights"]

# Below this, hashing takes less than a second and shows no progress.
_LARGE_BYTES = 1 << 30


def check_complete(info: dict[str, Any], source: str) -> None:
    """See that every weight came from the checkpoint: transformers fills gaps with random numbers.

    Args:
        info: What `from_pretrained(..., output_loading_info=True)` gives beside the model.
        source: What the model was loaded from.

    Raises:
        InputError: Some did not.
    """
    gaps = [str(name) for name in info.get("missing_keys") or ()]
    gaps += [str(entry[0]) for entry in info.get("mismatched_keys") or ()]
    if gaps:
        shown = ", ".join(sorted(gaps)[:5]) + (" …" if len(gaps) > 5 else "")
        raise InputError(
            f"{source} lacks {len(gaps)} of the weights that its configuration asks for ({shown}), "
            "or has them in another shape. Save the whole causal language model, head included."
        )


def hash_weights(model: nn.Module) -> str:
    """Hash the parameters' names, dtypes, shapes and bytes.

    The same weights give the same hash from safetensors, a pickle or GGUF; one changed number, or
    another dtype, gives another. Tied parameters count once.

    Args:
        model: Any module.

    Returns:
        A sha256 in hexadecimal. Takes about a second per gigabyte.
    """
    named = sorted(model.named_parameters(), key=lambda item: item[0])
    # hashlib lets go of the interpreter lock, so threads do help.
    with ThreadPoolExecutor(max_workers=min(8, torch.get_num_threads())) as pool:
        hashed = pool.map(lambda item: _digest(item[1]), named)
        large = sum(parameter.nbytes for _, parameter in named) > _LARGE_BYTES
        digests = list(track(hashed, "Hashing the weights", len(named)) if large else hashed)
    whole = hashlib.sha256()
    for (name, parameter), digest in zip(named, digests, strict=True):
        whole.update(f"{name} {parameter.dtype} {tuple(parameter.shape)} {digest}\n".encode())
    return whole.hexdigest()


def _digest(parameter: torch.Tensor) -> str:
    data = parameter.detach().to("cpu").contiguous().reshape(-1)
    buffer: Any = data.view(torch.uint8).numpy()
    return hashlib.sha256(buffer).hexdigest()
