"""Run the upper decoder layers alone, from changed outputs of a lower one.

A change of neurons in layer l leaves everything below as it was, and changes that layer's output in
a way that needs no layer to be run (`write_back`). So the layers above l, the final norm and the
output head on the suffix are all there is to compute. How each layer was called, with which mask
and position embeddings, is read off a clean pass, so that no family needs code of its own; and as
nothing of this can be presumed of every architecture, the parts are run against the whole model
before they are used. Where they differ there is no stack, and the caller takes the plain way.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from byrote.localization.losses import target_nll
from byrote.localization.passes import Layout, lay_out
from byrote.localization.write_back import (
    LayerPass,
    WriteBack,
    close,
    find_write_back,
    first,
    named_arguments,
)
from byrote.models.head import OutputHead
from byrote.models.loading import LoadedModel
from byrote.texts.passages import Passage

__all__ = ["MISFITS", "Clean", "Stack", "build_stack", "half_silent"]

# What may go wrong inside a layer that is called in a way it was not made for.
MISFITS = (AttributeError, TypeError, ValueError, RuntimeError, LookupError)
# Tokens that a stack is tried on.
_TRIED = 16


@dataclass(frozen=True, slots=True, eq=False)
class Stack:
    """A model's layers, and what follows the last one.

    Attributes:
        loaded: The model.
        head: Its output head.
        writes: For each layer how its neurons reach its output.
        tail: What follows the last layer (the final norm); None if nothing does.
    """

    loaded: LoadedModel
    head: OutputHead
    writes: tuple[WriteBack, ...]
    tail: nn.Module | None

    @torch.no_grad()
    def clean(self, passage: Passage) -> Clean | None:
        """Run the model once on a passage and keep what every layer was given and did.

        Returns:
            None where the layers, run again, do not give what they gave in the whole model.
        """
        layout = lay_out(self.loaded, [passage])
        traced = _trace(self.loaded, self.head, layout.ids)
        if traced is None:
            return None
        clean = Clean(self, layout, traced[0], traced[1])
        try:
            again = clean.hidden(0, clean.passes[0].output[None])[0]
        except MISFITS:
            return None
        return clean if close(again, clean.final[layout.columns]) else None


@dataclass(frozen=True, slots=True, eq=False)
class Clean:
    """One passage's clean pass, and the layers above any one run again on changes.

    Attributes:
        stack: Of the model.
        layout: The passage as a row.
        passes: What each layer was given and did.
        final: `[positions, hidden]`, what the head is given.
    """

    stack: Stack
    layout: Layout
    passes: tuple[LayerPass, ...]
    final: Tensor

    def changed(self, layer: int, change: Tensor) -> Tensor:
        """A layer's output after a change of what its down-projection gives.

        Args:
            layer: Which one.
            change: `[batch, positions, hidden]`, added to the down-projection's output.
        """
        return self.stack.writes[layer].output(self.passes[layer], slice(None), change)

    def hidden(self, layer: int, residual: Tensor) -> Tensor:
        """Run all layers above one, and what follows them.

        Args:
            layer: The layer that was changed.
            residual: Its outputs, `[batch, positions, hidden]`.

        Returns:
            What the head takes where the suffix is predicted: `[batch, suffix, hidden]`.
        """
        for above in self.passes[layer + 1 :]:
            residual = above.again(residual)
        suffix = residual[:, int(self.layout.columns[0]) : int(self.layout.columns[-1]) + 1]
        tail = self.stack.tail
        return suffix if tail is None else tail(suffix.contiguous())

    def losses(self, layer: int, residual: Tensor) -> Tensor:
        """The loss of each suffix token, nats: float64 `[batch, suffix]`; see `hidden`."""
        hidden = self.hidden(layer, residual)
        targets = self.layout.targets.repeat(len(hidden))
        return target_nll(self.stack.head, hidden.flatten(0, 1), targets).view(len(hidden), -1)


@torch.no_grad()
def build_stack(loaded: LoadedModel, head: OutputHead | None, passage: Passage) -> Stack | None:
    """Take a model's layers apart and see that they work so.

    Args:
        loaded: The model, in evaluation mode.
        head: Its output head, if it can be split off.
        passage: What to try it on.

    Returns:
        None where it cannot be done: a mixture of experts, layers that pass more to one another
        than the residual stream, neurons that reach it in a way that is not known.
    """
    sites = loaded.neurons.sites
    dense = all(site.experts is None for site in sites) and len(sites) == loaded.neurons.layers
    if head is None or not dense:
        return None
    # Its beginning will do: each passage as a whole is tried again in `clean`.
    short = passage.input_ids[:_TRIED]
    few = replace(passage, input_ids=short, prefix_len=min(passage.prefix_len, len(short) // 2))
    layout = lay_out(loaded, [few])
    try:
        traced = _trace(loaded, head, layout.ids)
        if traced is None:
            return None
        passes, final, tails = traced
        writes = [
            find_write_back(clean, loaded.model.get_submodule(site.module))
            for clean, site in zip(passes, sites, strict=True)
        ]
        known = tuple(write for write in writes if write is not None)
        if len(known) < len(writes):
            return None
        for tail in tails:
            stack = Stack(loaded, head, known, tail)
            if _tried(Clean(stack, layout, passes, final)):
                return stack
    except MISFITS:
        return None
    return None


def _trace(
    loaded: LoadedModel, head: OutputHead, ids: Tensor
) -> tuple[tuple[LayerPass, ...], Tensor, list[nn.Module | None]] | None:
    """One clean pass: the layers, what the head is given, and what may stand between."""
    model, neurons = loaded.model, loaded.neurons
    layers = [model.get_submodule(name) for name in neurons.layer_modules]
    calls: dict[int, tuple[Tensor, dict[str, Any]]] = {}
    outputs: dict[int, Tensor] = {}
    entered: dict[int, Tensor] = {}
    left: dict[int, Tensor] = {}
    last: list[tuple[nn.Module, Tensor, Any]] = []

    # Copies, since what follows may work in place.
    def before(index: int) -> Any:
        def hook(layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            named = named_arguments(layer, args, kwargs)
            if named is not None:
                calls[index] = (named[0].clone(), named[1])

        return hook

    def after(index: int) -> Any:
        def hook(_: nn.Module, _args: Any, output: Any) -> None:
            outputs[index] = first(output).clone()

        return hook

    def projected(index: int) -> Any:
        def hook(_: nn.Module, args: tuple[Any, ...], output: Tensor) -> None:
            entered[index], left[index] = args[0].clone(), output.clone()

        return hook

    def follows(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        if len(outputs) == len(layers) and args and isinstance(output, Tensor):
            last.append((module, args[0], output))

    inside = {module for layer in layers for module in layer.modules()}
    with ExitStack() as stack:
        for index, (layer, site) in enumerate(zip(layers, neurons.sites, strict=True)):
            down = model.get_submodule(site.module)
            stack.callback(layer.register_forward_pre_hook(before(index), with_kwargs=True).remove)
            stack.callback(layer.register_forward_hook(after(index)).remove)
            stack.callback(down.register_forward_hook(projected(index)).remove)
        for module in head.decoder.modules():
            if module not in inside and module is not head.decoder:
                stack.callback(module.register_forward_hook(follows).remove)
        final = head.backbone(ids, use_cache=False)
    if not len(calls) == len(outputs) == len(left) == len(layers):
        return None
    passes: list[LayerPass] = []
    for index, layer in enumerate(layers):
        if not outputs[index].shape == calls[index][0].shape == final.shape:
            return None
        rows = (t[index].reshape(ids.shape[1], -1) for t in (entered, left))
        passes.append(LayerPass(layer, *calls[index], outputs[index][0], *rows))
    tails: list[nn.Module | None] = [
        module
        for module, given, gave in last
        if torch.equal(given, outputs[len(layers) - 1]) and torch.equal(gave, final)
    ]
    if torch.equal(final, outputs[len(layers) - 1]):
        tails.append(None)
    return tuple(passes), final[0], tails


def _tried(clean: Clean) -> bool:
    """Whether the upper layers, run alone, do what the whole model does.

    Half the neurons of a layer are zeroed, in the lowest, a middle and the last layer; one after
    the other, lest something that a layer keeps from call to call goes unnoticed.
    """
    loaded, columns = clean.stack.loaded, clean.layout.columns
    layers = loaded.neurons.layers
    for layer in sorted({0, layers // 2, layers - 1}):
        mask, change = half_silent(clean, layer)
        with loaded.neurons.scale(loaded.model, mask):
            whole = clean.stack.head.backbone(clean.layout.ids, use_cache=False)[0, columns]
        # Two rows, since what was captured is of one.
        parts = clean.hidden(layer, clean.changed(layer, change.expand(2, -1, -1)))
        if not (close(parts[0], whole) and close(parts[1], whole)):
            return False
    return True


def half_silent(clean: Clean, layer: int) -> tuple[Tensor, Tensor]:
    """Half the neurons of a layer zeroed, to try things out.

    Returns:
        The mask, `[layers, width]`, and what it changes of what the layer's down-projection gives,
        `[positions, hidden]`.
    """
    neurons = clean.stack.loaded.neurons
    generator = torch.Generator().manual_seed(layer)
    mask = torch.ones(neurons.layers, neurons.width)
    mask[layer] = torch.randint(0, 2, (neurons.width,), generator=generator).float()
    mask = mask.to(clean.final.device)
    own = clean.passes[layer].neurons
    return mask, (own * (mask[layer] - 1.0).to(own)) @ clean.stack.writes[layer].rows
