"""Whether the cells of a study fit in memory, said before they are run."""

from __future__ import annotations

import math
from collections.abc import Mapping

from byrote.errors import InputError
from byrote.runs import gpus, memory_bytes

__all__ = ["check_room"]


def check_room(needed: Mapping[str, float], *, engine: str, workers: int | None) -> str:
    """Compare what cells need with what the devices have.

    Args:
        needed: Bytes that each cell needs at least, by its id; empty where nobody knows.
        engine: What will run them. What a Ray cluster has is not known here.
        workers: Cells at a time.

    Returns:
        A remark for the user; empty where there is nothing to say.

    Raises:
        InputError: A cell cannot fit.
    """
    if not needed or engine == "ray":
        return ""
    devices = gpus()
    room = min(gpu.memory for gpu in devices) if devices else memory_bytes()
    if room is None:
        return ""
    where = "a GPU here" if devices else "this machine"
    cell = max(needed, key=lambda name: needed[name])
    if needed[cell] > room:
        raise InputError(
            f"{cell} needs at least {_size(needed[cell])} of memory for weights, gradients, "
            f"optimiser and logits, and {where} has {_size(room)}. Leave its model out, train a "
            "part of it, or take a machine with more"
        )
    share = min(math.ceil((workers or 1) / len(devices or (None,))), len(needed))
    together = sum(sorted(needed.values(), reverse=True)[:share])
    text = f"memory: the largest cell needs at least {_size(needed[cell])}"
    if share > 1:
        text += f", {share} at a time up to {_size(together)}"
    text += f"; {where} has {_size(room)}"
    if together > room:
        text += ". That may not be enough: fewer --workers need less"
    return text


def _size(number: float) -> str:
    return f"{number / 1e9:,.1f} GB"
