"""Find a model's feed-forward down-projections by what its modules compute, not by their names.

One forward pass over a few tokens is traced with the output of every linear map cut from the
graph, so that each linear map sees only the linear maps directly before it. A down-projection is
then a linear map of a decoder layer

1. that gives the hidden width,
2. whose input depends on the outputs of linear maps at the *same position only*, through something
   else than the identity (in attention, keys and values of other positions come in; a LoRA pair has
   nothing in between), and
3. whose output reaches the layer's output without passing another linear map, at the same position.

It therefore does not matter whether attention and feed-forward run one after the other or side by
side, whether the gate is fused, or whether the block is a module of its own.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from byrote.errors import InputError
from byrote.models.experts import (
    Leading,
    fused_experts_width,
    is_fused_experts,
    transformed_experts,
)
from byrote.models.modes import evaluating
from byrote.models.neurons import NeuronMap, NeuronSite

__all__ = ["decoder_layers", "find_neurons"]

_POSITIONS = 4


@dataclass(slots=True)
class _Call:
    """One linear map's part in the traced pass."""

    name: str
    input: Tensor
    output: Tensor  # a leaf: the graph is cut here


def decoder_layers(model: nn.Module) -> tuple[str, nn.ModuleList]:
    """The repeated layers of a model: the module list that holds most of its parameters.

    Raises:
        InputError: It has none.
    """
    lists = [
        (name, module)
        for name, module in model.named_modules()
        if isinstance(module, nn.ModuleList) and len(module)
    ]
    if not lists:
        raise InputError(_refusal(model, "it has no list of layers"))
    # The first of equals is the outermost.
    return max(lists, key=lambda item: sum(p.numel() for p in item[1].parameters()))


@torch.inference_mode(False)
@torch.enable_grad()
def find_neurons(model: nn.Module) -> NeuronMap:
    """Find the neurons of a causal language model by its structure.

    Args:
        model: The model; its weights, mode and hooks are the same afterwards.

    Returns:
        Where they are.

    Raises:
        InputError: A layer has none that can be found; the message says what was looked for.
    """
    list_name, layers = decoder_layers(model)
    names = tuple(f"{list_name}.{index}" for index in range(len(layers)))
    calls, outputs = _trace(model, dict(zip(names, layers, strict=True)))
    sites: list[NeuronSite] = []
    tried: set[type] = set()
    for index, (name, layer) in enumerate(zip(names, layers, strict=True)):
        found: list[NeuronSite] = []
        for inner, module in layer.named_modules(prefix=name):
            if is_fused_experts(module):
                if type(module) not in tried:
                    _try_experts(model, module)
                    tried.add(type(module))
                experts, width = fused_experts_width(module)
                found.append(NeuronSite(index, inner, width, experts))
        for call in calls[name]:
            if _is_down_projection(call, calls[name], outputs.get(name)):
                _check_rows(model, call)
                found.append(NeuronSite(index, call.name, int(call.input.shape[-1])))
        if not found:
            raise InputError(
                _refusal(model, f"layer {index} ({name}, {type(layer).__name__}) has none")
            )
        start = 0
        for site in found:
            sites.append(NeuronSite(index, site.module, site.width, site.experts, start))
            start += site.size
    return NeuronMap(tuple(sites), names)


def _refusal(model: nn.Module, what: str) -> str:
    family = getattr(getattr(model, "config", None), "model_type", "unknown")
    return (
        f"The neurons of {type(model).__name__} (family {family!r}) cannot be found: {what}. "
        "Looked for in every decoder layer: a linear map from an inner to the hidden width that "
        "follows other linear maps position by position, or transformers' fused experts. What "
        "needs no neurons (auditing, exposure) works with this model; localization does not."
    )


def _trace(
    model: nn.Module, layers: dict[str, nn.Module]
) -> tuple[dict[str, list[_Call]], dict[str, Tensor]]:
    """Run a few tokens; give each layer's linear calls in order, and its output."""
    calls: dict[str, list[_Call]] = {name: [] for name in layers}
    outputs: dict[str, Tensor] = {}

    def linear_hook(layer: str, name: str) -> Any:
        def hook(_: nn.Module, args: tuple[Any, ...], output: Any) -> Tensor | None:
            if not isinstance(output, Tensor):
                return None  # a router that calls itself a linear map
            leaf = output.detach().requires_grad_(True)
            calls[layer].append(_Call(name, args[0], leaf))
            return leaf.clone()  # what follows may work in place

        return hook

    def layer_hook(name: str) -> Any:
        def hook(_: nn.Module, _args: Any, output: Any) -> None:
            outputs[name] = output[0] if isinstance(output, tuple) else output

        return hook

    with ExitStack() as stack:
        for name, layer in layers.items():
            stack.callback(layer.register_forward_hook(layer_hook(name)).remove)
            for inner, module in layer.named_modules(prefix=name):
                if _is_linear(module):
                    handle = module.register_forward_hook(linear_hook(name, inner))
                    stack.callback(handle.remove)
        stack.enter_context(evaluating(model))
        stack.enter_context(torch.enable_grad())
        model(input_ids=_few_tokens(model), use_cache=False)
    return calls, outputs


def _few_tokens(model: Any) -> Tensor:
    rows = int(model.get_input_embeddings().weight.shape[0])
    return (torch.arange(1, _POSITIONS + 1, device=model.device) * 7 % rows).unsqueeze(0)


def _is_linear(module: nn.Module) -> bool:
    if isinstance(module, nn.Linear | Conv1D):
        return True
    # Quantized stand-ins keep the two attributes.
    return hasattr(module, "in_features") and hasattr(module, "out_features")


def _is_down_projection(call: _Call, calls: list[_Call], output: Tensor | None) -> bool:
    if output is None or call.output.shape[-1] != output.shape[-1]:
        return False
    return _adds_at_its_position(output, call) and _follows_position_by_position(call, calls)


def _adds_at_its_position(output: Tensor, call: _Call) -> bool:
    reached = _dependence(output, [call.output])[0]
    return reached is not None and _local(reached)


def _follows_position_by_position(call: _Call, calls: list[_Call]) -> bool:
    others = [other for other in calls if other is not call]
    before = [
        (other, reached)
        for other, reached in zip(
            others, _dependence(call.input, [o.output for o in others]), strict=True
        )
        if reached is not None
    ]
    return bool(before) and all(
        _local(reached) and not _identical(other.output, call.input) for other, reached in before
    )


def _dependence(value: Tensor, sources: list[Tensor]) -> list[Tensor | None]:
    """How the last position of a value depends on each source, per position; None if not at all."""
    if not value.requires_grad or not sources:
        return [None] * len(sources)
    last = value.reshape(-1, value.shape[-1])[-1]
    # Uneven weights, lest contributions cancel.
    weights = torch.linspace(1.0, 2.0, last.numel(), device=last.device, dtype=last.dtype)
    gradients = torch.autograd.grad(
        (last * weights).sum(), sources, retain_graph=True, allow_unused=True
    )
    found: list[Tensor | None] = []
    for gradient in gradients:
        if gradient is None:
            found.append(None)
            continue
        rows = gradient.reshape(-1, gradient.shape[-1]).abs().sum(dim=-1)
        found.append(rows if bool(rows.any()) else None)
    return found


def _local(rows: Tensor) -> bool:
    return bool(rows[-1] > 0) and not bool(rows[:-1].any())


def _identical(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and bool(torch.equal(one, other))


def _check_rows(model: nn.Module, call: _Call) -> None:
    if call.input.numel() // call.input.shape[-1] != _POSITIONS:
        raise InputError(
            _refusal(
                model,
                f"{call.name} sees only some of the positions (an expert that is a module of its "
                "own), so its neurons cannot be told apart by text",
            )
        )


def _try_experts(model: nn.Module, module: Any) -> None:
    """See that scaling a block's neurons does what scaling its weights does.

    Raises:
        InputError: It does not.
    """
    experts, width = fused_experts_width(module)
    down = module.down_proj
    generator = torch.Generator().manual_seed(0)
    hidden_size = down.shape[2] if getattr(module, "is_transposed", False) else down.shape[1]
    hidden = torch.randn(_POSITIONS, hidden_size, generator=generator).to(down)
    top_k = min(2, experts)
    chosen = torch.stack(
        [torch.randperm(experts, generator=generator)[:top_k] for _ in range(_POSITIONS)]
    ).to(down.device)
    weights = torch.full((_POSITIONS, top_k), 1.0 / top_k).to(down)
    mask = torch.rand(experts, width, generator=generator).to(down)
    columns = mask.unsqueeze(2 if getattr(module, "is_transposed", False) else 1)
    with torch.no_grad():
        state = {"down_proj": down * columns}
        expected = torch.func.functional_call(module, state, (hidden, chosen, weights))
        with transformed_experts(
            module, experts, lambda v: v * mask.reshape(-1), Leading(1, _POSITIONS)
        ):
            got = module(hidden, chosen, weights)
    if torch.allclose(got, expected, rtol=1e-2, atol=1e-3 * float(expected.abs().max())):
        return
    raise InputError(
        _refusal(
            model,
            f"the experts in {type(module).__name__} are computed in a way that is not known",
        )
    )
