"""Reach the neurons inside transformers' fused experts.

transformers keeps the experts of a layer as three-dimensional parameters and computes them with one
of several registered functions, all of which pass the inner layer through the module's own
`_apply_gate` (gated experts) or `act_fn` (others), one row per (token, chosen expert). That is
where these functions step in: the rows are spread to `[batch, positions, experts × width]`,
changed, and gathered again, so that the arithmetic around them stays the library's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from byrote.errors import InputError

__all__ = ["Leading", "fused_experts_width", "is_fused_experts", "transformed_experts"]

# In which order each of transformers' implementations computes the rows.
_ROWS_BY_EXPERT = {"grouped_mm": True, "batched_mm": False}


@dataclass(slots=True)
class Leading:
    """Batch and positions of the pass that is running."""

    batch: int = 0
    positions: int = 0


def is_fused_experts(module: nn.Module) -> bool:
    """Whether a module is one of transformers' blocks of fused experts."""
    down = getattr(module, "down_proj", None)
    return isinstance(down, Tensor) and down.ndim == 3 and hasattr(module, "_apply_gate")


def fused_experts_width(module: Any) -> tuple[int, int]:
    """How many experts a block has, and how many neurons each."""
    experts, rows, columns = module.down_proj.shape
    return int(experts), int(rows if getattr(module, "is_transposed", False) else columns)


@contextmanager
def transformed_experts(
    module: nn.Module,
    experts: int,
    function: Callable[[Tensor], Tensor],
    shape: Leading,
) -> Iterator[None]:
    """Put a function between the experts' neurons and their down-projections.

    Args:
        module: The block of fused experts.
        experts: How many there are.
        function: From and to `[batch, positions, experts × width]`.
        shape: Tells batch and positions.

    Raises:
        InputError: When the model runs, and computes its experts in a way that is not known here.
    """
    chosen: list[Tensor] = []

    def note(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        _rows_by_expert(module)
        tensors = [v for v in (*args, *kwargs.values()) if isinstance(v, Tensor)]
        chosen[:] = [v for v in tensors if not v.is_floating_point()][:1]

    def change(rows: Tensor) -> Tensor:
        top_k = chosen[0].shape[-1]
        ids = chosen[0].reshape(-1)
        tokens = torch.arange(ids.shape[0], device=ids.device) // top_k
        if _rows_by_expert(module):
            # The same call as in the library, so that ties fall the same way.
            ids, order = torch.sort(ids)
            tokens = order // top_k
        width = rows.shape[-1]
        spread = rows.new_zeros(shape.batch * shape.positions, experts, width)
        spread = spread.index_put((tokens, ids), rows)
        changed = function(spread.reshape(shape.batch, shape.positions, experts * width))
        return changed.reshape(spread.shape)[tokens, ids]

    handle = module.register_forward_pre_hook(note, with_kwargs=True)
    try:
        with _after_activation(module, change):
            yield
    finally:
        handle.remove()


def _rows_by_expert(module: Any) -> bool:
    """Whether the rows come sorted by expert rather than by token.

    Asked for on every pass: `generate` changes the implementation between prefill and decoding.
    """
    name = getattr(getattr(module, "config", None), "_experts_implementation", None)
    if name not in _ROWS_BY_EXPERT:
        raise InputError(
            f"The neurons of {type(module).__name__} cannot be reached with the experts "
            f"implementation {name!r}. Choose one of {', '.join(_ROWS_BY_EXPERT)}: "
            "model.set_experts_implementation(...)."
        )
    return _ROWS_BY_EXPERT[name]


@contextmanager
def _after_activation(module: Any, change: Callable[[Tensor], Tensor]) -> Iterator[None]:
    if not getattr(module, "has_gate", True):
        handle = module.act_fn.register_forward_hook(lambda _m, _a, output: change(output))
        try:
            yield
        finally:
            handle.remove()
        return
    inner, own = module._apply_gate, "_apply_gate" in module.__dict__
    module._apply_gate = lambda *args, **kwargs: change(inner(*args, **kwargs))
    try:
        yield
    finally:
        if own:
            module._apply_gate = inner
        else:
            del module._apply_gate
