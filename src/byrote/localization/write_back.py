"""How a layer's neurons reach the layer's output.

Mostly the down-projection's output `o = b + Σ_i h_i v_i` is simply added; in some families it goes
through a norm before (Gemma 2 and 3, OLMo 2). Which it is, is tried out and not presumed.
"""

from __future__ import annotations

import inspect
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

__all__ = ["LayerPass", "WriteBack", "close", "find_write_back", "first", "named_arguments"]


@dataclass(frozen=True, slots=True, eq=False)
class LayerPass:
    """What one decoder layer was given, and did, in a pass of one row.

    Attributes:
        layer: The module.
        given: `[1, positions, hidden]`, the residual stream that came in.
        rest: Its other arguments, by name.
        output: `[positions, hidden]`, the residual stream that went out.
        neurons: `[positions, width]`, what entered the down-projection.
        written: `[positions, hidden]`, what left it.
    """

    layer: nn.Module
    given: Tensor
    rest: dict[str, Any]
    output: Tensor
    neurons: Tensor
    written: Tensor

    def again(self, hidden: Tensor, **changed: Any) -> Tensor:
        """Run the layer on other hidden states, `[batch, positions, hidden]`."""
        return first(self.layer(hidden, **{**self.rest, **changed}))


@dataclass(frozen=True, slots=True, eq=False)
class WriteBack:
    """What becomes of a down-projection's output `o = bias + h @ rows`: `rest + put(o)`.

    Attributes:
        rows: `[width, hidden]`, the vectors v_i; the model's own memory.
        bias: `[hidden]` or None.
        factor: What `o` is multiplied by where there is no norm.
        norm: What it goes through before it is added, or None.
    """

    rows: Tensor
    bias: Tensor | None
    factor: float = 1.0
    norm: nn.Module | None = None

    def output(self, clean: LayerPass, where: slice | Tensor, change: Tensor) -> Tensor:
        """The layer's output after a change of what its down-projection gives.

        Args:
            clean: The layer in the clean pass.
            where: Positions.
            change: What is added to `o` there, `[..., positions, hidden]`.
        """
        out, written = clean.output[where], clean.written[where]
        if self.norm is None:
            return out + change if self.factor == 1.0 else out + self.factor * change
        # Once more for the clean one, so that both are rounded alike.
        return (out - self.norm(written)) + self.norm(written + change)


def first(output: Any) -> Tensor:
    """The hidden states among what a module gives."""
    return output[0] if isinstance(output, tuple) else output


def named_arguments(
    layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Tensor, dict[str, Any]] | None:
    """Sort a layer's arguments into the hidden states and the rest, by name.

    Returns:
        None where there are arguments without a name, or the first is no tensor.
    """
    signature = inspect.signature(layer.forward)
    kinds = {name: p.kind for name, p in signature.parameters.items()}
    if inspect.Parameter.VAR_POSITIONAL in kinds.values() or not kinds:
        return None
    rest = dict(signature.bind(*args, **kwargs).arguments)
    for name, kind in kinds.items():
        if kind is inspect.Parameter.VAR_KEYWORD:
            rest |= rest.pop(name, {})
    hidden = rest.pop(next(iter(kinds)), None)
    return (hidden, rest) if isinstance(hidden, Tensor) else None


def close(one: Tensor, other: Tensor, scale: Tensor | None = None) -> bool:
    """Whether two tensors differ by rounding only.

    Args:
        one: Any shape.
        other: The same shape.
        scale: What its size is judged by beside each element's own; else `other`.
    """
    if one.shape != other.shape:
        return False
    step = 1024 * torch.finfo(one.dtype).eps
    typical = (other if scale is None else scale).double().square().mean().sqrt()
    apart = (one.double() - other.double()).abs()
    return bool((apart <= step * (other.double().abs() + typical)).all())


@torch.no_grad()
def find_write_back(clean: LayerPass, down: nn.Module) -> WriteBack | None:
    """Find how a layer's down-projection reaches its output, by moving what it gives.

    Args:
        clean: The layer in some pass.
        down: Its down-projection.

    Returns:
        None if it does so in neither of the known ways.
    """
    weight = getattr(down, "weight", None)
    if not isinstance(weight, Tensor) or weight.ndim != 2 or not weight.is_floating_point():
        return None
    # A view for either: Conv1D keeps the vectors as rows.
    if isinstance(down, Conv1D):
        rows = weight
    elif isinstance(down, nn.Linear):
        rows = weight.t()
    else:
        return None
    bias = down.bias
    product = clean.neurons @ rows
    if not close(product if bias is None else product + bias, clean.written):
        return None
    # As large as the residual stream, or the change would drown in its rounding.
    size = float(clean.output.float().std() + clean.written.float().std())
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(clean.written.shape, generator=generator).to(clean.written) * size
    moved, takers = _moved(clean, down, noise)
    change = moved - clean.output
    factor = float((change.double() * noise.double()).sum() / noise.double().square().sum())
    if factor and close(clean.output + factor * noise, moved, change):
        return WriteBack(rows, bias, 1.0 if abs(factor - 1.0) < 1e-5 else factor)
    for taker in takers:
        found = WriteBack(rows, bias, norm=taker)
        if close(found.output(clean, slice(None), noise), moved, change):
            return found
    return None


def _moved(clean: LayerPass, down: nn.Module, noise: Tensor) -> tuple[Tensor, list[nn.Module]]:
    """The layer's output with noise on the down-projection's, and the modules that took that in."""
    target = clean.written + noise
    takers: list[nn.Module] = []

    def add(_: nn.Module, _args: Any, output: Tensor) -> Tensor:
        return target.reshape(output.shape).clone()

    def note(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        if not args or not isinstance(args[0], Tensor) or not isinstance(output, Tensor):
            return
        if args[0].numel() == target.numel() and torch.equal(args[0].reshape_as(target), target):
            takers.append(module)

    with ExitStack() as stack:
        stack.callback(down.register_forward_hook(add).remove)
        for module in clean.layer.modules():
            stack.callback(module.register_forward_hook(note).remove)
        moved = clean.again(clean.given)[0]
    return moved, takers
