"""Train a part of a model only.

Layers, feed-forward blocks and attention are found by what modules compute, as in
`byrote.models.discovery`: attention is what mixes positions within a layer, the norms are modules
that hold vectors only, and the rest of a layer is its feed-forward block.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from byrote.errors import InputError
from byrote.models.discovery import decoder_layers
from byrote.models.modes import evaluating

__all__ = ["PARTS", "Selection", "check_part", "select"]

PARTS: dict[str, str] = {
    "all": "every parameter",
    "mlp": "the feed-forward blocks (experts and their routers included), without norms",
    "attention": "what mixes positions within the layers, with norms of queries and keys",
    "layer:K": "everything in layer K, from 0",
    "mlp:K": "the feed-forward block of layer K",
    "attention:K": "the attention of layer K",
    "bias": "every bias, those of norms included",
    "norm": "every norm, weights and biases",
    "input-embeddings": "the token embeddings",
    "output-embeddings": "the output head",
    "embeddings": "both of them",
}
"""What can be trained alone."""

_POSITIONS = 4
_IN_LAYERS = ("mlp", "attention", "layer")


@dataclass(frozen=True, slots=True)
class Selection:
    """What is being trained.

    Attributes:
        part: What was asked for.
        names: The parameters' names, in the model's order.
        parameters: How many numbers they are.
        total: How many the model has.
        note: What the reader of a result should know; empty if nothing.
    """

    part: str
    names: tuple[str, ...]
    parameters: int
    total: int
    note: str = ""


def check_part(part: str) -> None:
    """See that a part is written as in `PARTS`.

    Raises:
        InputError: It is not.
    """
    name, colon, index = part.partition(":")
    known = name in _IN_LAYERS and index.isdecimal() if colon else part in PARTS
    if not known:
        near = difflib.get_close_matches(part, PARTS, n=2, cutoff=0.6)
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        raise InputError(
            f"trainable={part!r} is not known.{hint} Choose one of {', '.join(PARTS)} "
            "(K: a layer, from 0)."
        )


def select(model: Any, part: str = "all") -> Selection:
    """Let a part of a model learn and freeze the rest.

    Args:
        model: The model; `requires_grad` of its parameters is set.
        part: See `PARTS`.

    Returns:
        What was selected.

    Raises:
        InputError: There is no such part, or this model has nothing of it.
    """
    check_part(part)
    chosen = {id(parameter) for parameter in _parameters(model, part)}
    named = list(model.named_parameters())
    names = tuple(name for name, parameter in named if id(parameter) in chosen)
    if not names:
        raise InputError(
            f"trainable={part!r} selects nothing in {type(model).__name__}: this model has no such "
            "parameters. Choose another part."
        )
    for _, parameter in named:
        parameter.requires_grad_(id(parameter) in chosen)
    count = sum(parameter.numel() for _, parameter in named if id(parameter) in chosen)
    total = sum(parameter.numel() for _, parameter in named)
    tied = "embeddings" in part and _tied(model)
    note = "input and output embeddings are one tensor in this model; both learn" if tied else ""
    return Selection(part, names, count, total, note)


def _parameters(model: Any, part: str) -> Iterator[nn.Parameter]:
    name, _, index = part.partition(":")
    if name == "all":
        yield from model.parameters()
    elif name in _IN_LAYERS:
        yield from _in_layers(model, name, int(index) if index else None)
    elif name == "bias":
        # Experts keep theirs as down_proj_bias and the like.
        yield from (p for n, p in model.named_parameters() if n.endswith("bias"))
    elif name == "norm":
        yield from (p for norm in _norms(model) for p in norm.parameters())
    if name in ("input-embeddings", "embeddings"):
        yield from model.get_input_embeddings().parameters()
    if name in ("output-embeddings", "embeddings"):
        head = model.get_output_embeddings()
        if head is not None:
            yield from head.parameters()


def _tied(model: Any) -> bool:
    head = model.get_output_embeddings()
    return head is not None and head.weight is model.get_input_embeddings().weight


def _in_layers(model: Any, name: str, index: int | None) -> Iterator[nn.Parameter]:
    list_name, layers = decoder_layers(model)
    if index is not None and index >= len(layers):
        raise InputError(
            f"trainable='{name}:{index}': this model has {len(layers)} layers, 0 to "
            f"{len(layers) - 1}."
        )
    chosen = list(layers) if index is None else [layers[index]]
    if name == "layer":
        for layer in chosen:
            yield from layer.parameters()
        return
    mixers = _mixers(model, list_name, layers)
    for layer in chosen:
        attention = {
            id(p) for n, m in layer.named_children() if m in mixers for p in m.parameters()
        }
        norms = {id(p) for norm in _norms(layer) for p in norm.parameters()}
        for parameter in layer.parameters():
            inside = id(parameter) in attention
            if inside if name == "attention" else not inside and id(parameter) not in norms:
                yield parameter


def _norms(module: nn.Module) -> Iterator[nn.Module]:
    """Modules without children that hold vectors only, and scale what they are given."""
    for inner in module.modules():
        own = list(inner.parameters(recurse=False))
        if own and not list(inner.children()) and all(p.ndim == 1 for p in own):
            yield inner


@torch.inference_mode(False)
def _mixers(model: Any, list_name: str, layers: nn.ModuleList) -> set[nn.Module]:
    """The direct parts of layers whose output at a position depends on other positions."""
    found: set[nn.Module] = set()
    given: dict[nn.Module, list[Tensor]] = {}

    def before(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        leaves: list[Tensor] = []

        def cut(value: Any) -> Any:
            if isinstance(value, Tensor) and value.is_floating_point() and value.ndim == 3:
                leaves.append(value.detach().clone().requires_grad_(True))
                return leaves[-1].clone()
            return value

        given[module] = leaves
        return tuple(map(cut, args)), {key: cut(value) for key, value in kwargs.items()}

    def after(module: nn.Module, _args: Any, output: Any) -> None:
        first = output[0] if isinstance(output, tuple) else output
        leaves = given.pop(module, [])
        if not isinstance(first, Tensor) or not first.requires_grad or not leaves:
            return
        last = first.reshape(-1, first.shape[-1])[-1]
        weights = torch.linspace(1.0, 2.0, last.numel(), device=last.device, dtype=last.dtype)
        gradients = torch.autograd.grad(
            (last * weights).sum(), leaves, retain_graph=True, allow_unused=True
        )
        if any(g is not None and g.shape[1] > 1 and bool(g[:, :-1].any()) for g in gradients):
            found.add(module)

    with ExitStack() as stack, evaluating(model), torch.enable_grad():
        for layer in layers:
            for child in layer.children():
                stack.callback(child.register_forward_pre_hook(before, with_kwargs=True).remove)
                stack.callback(child.register_forward_hook(after).remove)
        rows = int(model.get_input_embeddings().weight.shape[0])
        ids = torch.arange(1, _POSITIONS + 1, device=model.device) * 7 % rows
        model(input_ids=ids.unsqueeze(0), use_cache=False)
    if not found:
        raise InputError(
            f"The attention of {type(model).__name__} ({list_name}) cannot be told from its "
            "feed-forward blocks: no part of a layer was seen to mix positions. Train whole layers "
            "(layer:K) or everything."
        )
    return found
