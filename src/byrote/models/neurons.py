"""Read, scale and zero a model's neurons.

A neuron is one component of the input of a feed-forward down-projection (Geva et al. 2012.14913
call it a memory coefficient; the benchmarks of Chang et al. 2311.09060 score and drop these). In a
mixture of experts every expert has its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from byrote._options import whole
from byrote.errors import InputError
from byrote.models.experts import Leading, transformed_experts

__all__ = ["Activations", "Mask", "NeuronMap", "NeuronSite"]

Mask = Tensor | Sequence[Tensor]
"""Factors for neurons: `[layers, width]` for all texts, `[batch, layers, width]` for each its own.

Where widths differ, a list of `[width]` or of `[batch, width]`, one per layer."""


@dataclass(frozen=True, slots=True)
class NeuronSite:
    """A module whose input, or whose experts' inner layer, is neurons.

    Attributes:
        layer: The decoder layer, from 0.
        module: Its name in the model: the down-projection, or the block of fused experts.
        width: Neurons, per expert where there are experts.
        experts: How many experts; None for a plain down-projection.
        start: Index of the site's first neuron among its layer's.
    """

    layer: int
    module: str
    width: int
    experts: int | None = None
    start: int = 0

    @property
    def size(self) -> int:
        """How many neurons there are, over all experts."""
        return self.width * (self.experts or 1)


@dataclass(slots=True)
class Activations:
    """What the neurons were in the last forward pass.

    `activations[layer]` is `[batch, positions, width]`, in the autograd graph where there is one.
    Of an expert to which a token was not sent the neurons are 0: it added nothing.
    """

    _parts: dict[tuple[int, int], Tensor] = field(default_factory=dict)

    def __getitem__(self, layer: int) -> Tensor:
        parts = [
            part for (at, _), part in sorted(self._parts.items(), key=lambda i: i[0]) if at == layer
        ]
        if not parts:
            raise InputError(
                f"No activations of layer {layer} were read: run the model inside the block first."
            )
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1)

    def __len__(self) -> int:
        return len({layer for layer, _ in self._parts})

    def __iter__(self) -> Iterator[Tensor]:
        return (self[layer] for layer in range(len(self)))


@dataclass(frozen=True, slots=True)
class NeuronMap:
    """Where a model's neurons are. Holds names only, so it serves every copy of the model.

    Attributes:
        sites: In order of layer, and of computation within a layer.
        layer_modules: The names of the decoder layers.
    """

    sites: tuple[NeuronSite, ...]
    layer_modules: tuple[str, ...]

    @property
    def layers(self) -> int:
        """How many decoder layers there are."""
        return len(self.layer_modules)

    @property
    def widths(self) -> tuple[int, ...]:
        """Neurons per layer (experts × width for a mixture of experts)."""
        return tuple(
            sum(site.size for site in self.sites if site.layer == layer)
            for layer in range(self.layers)
        )

    @property
    def width(self) -> int:
        """Neurons per layer, where all layers have the same number.

        Raises:
            InputError: They do not.
        """
        if len(set(self.widths)) != 1:
            raise InputError(
                f"The layers of this model have different numbers of neurons ({self.widths}): use "
                "a list with one tensor per layer."
            )
        return self.widths[0]

    @property
    def total(self) -> int:
        """Neurons in the whole model."""
        return sum(self.widths)

    @contextmanager
    def read(self, model: nn.Module) -> Iterator[Activations]:
        """Collect the neurons' activations of forward passes inside the block.

        They are read as they reach the down-projection, so after any scaling whose block was
        entered before.

        Args:
            model: The model that this map is of.

        Yields:
            The activations of the last pass: per layer `[batch, positions, width]`.
        """
        activations = Activations()

        def keeper(site: NeuronSite) -> Callable[[Tensor], Tensor]:
            def keep(values: Tensor) -> Tensor:
                activations._parts[site.layer, site.start] = values
                return values

            return keep

        with self._transformed(model, {site: keeper(site) for site in self.sites}):
            yield activations

    @contextmanager
    def scale(self, model: nn.Module, mask: Mask, *, spare: int = 0) -> Iterator[None]:
        """Multiply neurons by factors in forward passes inside the block.

        A mask of ones leaves the logits bit-identical; a zero is the same as a zero column in the
        down-projection's weight. Differentiable with respect to the mask. Blocks may be nested.

        Args:
            model: The model that this map is of.
            mask: See `Mask`. With one mask per example the batch sizes must agree.
            spare: The first so many positions of each row of a pass are left alone: those of the
                BOS, say, where the neurons that make an attention sink are large.

        Raises:
            InputError: The mask does not fit the map (at once) or the batch (when the model runs),
                or `spare` is no number of positions.
        """
        rows = self._rows(mask)
        whole("mask", "spare", spare, 0)

        def scaler(site: NeuronSite) -> Callable[[Tensor], Tensor]:
            factors = rows[site.layer][..., site.start : site.start + site.size]

            def scaled(values: Tensor) -> Tensor:
                changed = values[:, spare:] * _beside(factors, values)
                return torch.cat((values[:, :spare], changed), dim=1) if spare else changed

            return scaled

        with self._transformed(model, {site: scaler(site) for site in self.sites}):
            yield

    @contextmanager
    def zero(
        self, model: nn.Module, neurons: Mapping[int, Sequence[int] | Tensor], *, spare: int = 0
    ) -> Iterator[None]:
        """Set neurons to zero in forward passes inside the block.

        Args:
            model: The model that this map is of.
            neurons: For each layer the indices of the neurons.
            spare: As for `scale`.

        Raises:
            InputError: A layer or an index does not exist, or `spare` is no number of positions.
        """
        device = next(model.parameters()).device
        mask = [torch.ones(width, device=device) for width in self.widths]
        for layer, indices in neurons.items():
            if not 0 <= layer < self.layers:
                raise InputError(
                    f"There is no layer {layer}: this model has {self.layers}, from 0."
                )
            chosen = torch.as_tensor(indices, dtype=torch.long, device=device)
            if (
                chosen.numel()
                and not 0 <= int(chosen.min()) <= int(chosen.max()) < self.widths[layer]
            ):
                raise InputError(
                    f"Layer {layer} has {self.widths[layer]} neurons, from 0; asked for were "
                    f"{int(chosen.min())} to {int(chosen.max())}."
                )
            mask[layer][chosen] = 0
        with self.scale(model, mask, spare=spare):
            yield

    def _rows(self, mask: Mask) -> list[Tensor]:
        """The mask as one `[width]` or `[batch, width]` per layer."""
        rows = (
            list(mask.unbind(dim=-2)) if isinstance(mask, Tensor) and mask.ndim in (2, 3) else mask
        )
        if isinstance(rows, Tensor):
            raise InputError(
                "A mask has the shape [layers, width] or [batch, layers, width], not "
                f"{list(rows.shape)}."
            )
        rows = list(rows)
        found = tuple(int(row.shape[-1]) for row in rows)
        if found != self.widths or any(row.ndim not in (1, 2) for row in rows):
            raise InputError(
                f"The mask does not fit: {len(rows)} layers of the widths {found} were given, "
                f"this model has {self.layers} of {self.widths}."
            )
        return rows

    @contextmanager
    def _transformed(
        self, model: nn.Module, functions: Mapping[NeuronSite, Callable[[Tensor], Tensor]]
    ) -> Iterator[None]:
        """Put a function of `[batch, positions, size]` between the neurons and their projection."""
        with ExitStack() as stack:
            shapes = [_track_shape(model.get_submodule(n), stack) for n in self.layer_modules]
            for site, function in functions.items():
                module, shape = model.get_submodule(site.module), shapes[site.layer]
                if site.experts is None:
                    handle = module.register_forward_pre_hook(_dense_hook(function, shape))
                    stack.callback(handle.remove)
                else:
                    stack.enter_context(transformed_experts(module, site.experts, function, shape))
            yield


def _track_shape(layer: nn.Module, stack: ExitStack) -> Leading:
    shape = Leading()

    def note(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        hidden = args[0] if args else kwargs["hidden_states"]
        shape.batch, shape.positions = int(hidden.shape[0]), int(hidden.shape[1])

    stack.callback(layer.register_forward_pre_hook(note, with_kwargs=True).remove)
    return shape


def _dense_hook(function: Callable[[Tensor], Tensor], shape: Leading) -> Callable[..., Any]:
    def hook(_: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        values = args[0]
        # Some blocks flatten batch and positions into one.
        changed = function(values.reshape(shape.batch, shape.positions, values.shape[-1]))
        return (changed.reshape(values.shape), *args[1:])

    return hook


def _beside(factors: Tensor, values: Tensor) -> Tensor:
    """The factors in the shape, dtype and place of `[batch, positions, width]` values."""
    if factors.ndim == 2:
        if factors.shape[0] != values.shape[0]:
            raise InputError(
                f"The mask is for a batch of {factors.shape[0]}, the model runs on one of "
                f"{values.shape[0]}."
            )
        factors = factors.unsqueeze(1)
    return factors.to(device=values.device, dtype=values.dtype)
