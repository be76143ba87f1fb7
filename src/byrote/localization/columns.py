"""Change what chosen neurons add to the residual stream: columns of the down-projections.

A neuron is named by one number here, `layer · width + index`, and a set of them by a sorted array.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from byrote.errors import InputError

if TYPE_CHECKING:
    from byrote.models.loading import LoadedModel
    from byrote.models.neurons import NeuronSite

__all__ = ["DeltaColumns", "check_columns", "patched_columns"]


@dataclass(slots=True)
class _Part:
    """What is added at one down-projection.

    Attributes:
        site: The down-projection.
        columns: int64 `[rows, most]`, the neurons of each row among the site's, padded with 0.
        real: `[rows, most]`, 0 where padded; None where nothing is.
        at: For each row, where its neurons stand in the row's own order.
        delta: `[rows, most, hidden]`, what is added to their columns.
    """

    site: NeuronSite
    columns: Tensor
    real: Tensor | None
    at: list[NDArray[np.int64]]
    delta: Tensor


@dataclass(slots=True)
class DeltaColumns:
    """Something to be added to columns of the down-projections, for each row of a batch its own.

    Attributes:
        rows: How many rows; one alone serves batches of any size.
        parts: One for each down-projection that is changed.
        sizes: How many neurons each row has.
    """

    rows: int
    parts: list[_Part]
    sizes: list[int]

    @classmethod
    def zeros(
        cls, loaded: LoadedModel, chosen: Sequence[NDArray[np.int64]], *, trained: bool = False
    ) -> DeltaColumns:
        """Nothing yet, for the neurons of each row.

        Args:
            loaded: The model.
            chosen: For each row the sorted numbers of its neurons.
            trained: Whether gradients are wanted.

        Raises:
            InputError: See `check_columns`.
        """
        check_columns(loaded)
        parts = []
        for site, matrix in _matrices(loaded):
            ats = [_at_site(loaded, site, own) for own in chosen]
            most = max(len(at) for at in ats)
            if not most:
                continue
            columns = np.zeros((len(chosen), most), dtype=np.int64)
            real = np.zeros((len(chosen), most), dtype=np.float32)
            for row, (own, at) in enumerate(zip(chosen, ats, strict=True)):
                columns[row, : len(at)] = own[at] % loaded.neurons.width - site.start
                real[row, : len(at)] = 1.0
            wide = torch.promote_types(matrix.dtype, torch.float32)
            parts.append(
                _Part(
                    site,
                    torch.from_numpy(columns).to(matrix.device),
                    None if real.all() else torch.from_numpy(real).to(matrix.device),
                    ats,
                    torch.zeros(
                        (len(chosen), most, matrix.shape[1]),
                        dtype=wide,
                        device=matrix.device,
                        requires_grad=trained,
                    ),
                )
            )
        return cls(len(chosen), parts, [len(own) for own in chosen])

    @property
    def deltas(self) -> list[Tensor]:
        """What is added, part by part: `[rows, most, hidden]`."""
        return [part.delta for part in self.parts]

    @torch.no_grad()
    def fill(self, deltas: Sequence[Tensor]) -> None:
        """Set what is added, `[neurons, hidden]` for each row, in the order of its neurons."""
        for part in self.parts:
            for row, (at, delta) in enumerate(zip(part.at, deltas, strict=True)):
                part.delta[row, : len(at)] = delta[torch.from_numpy(at)].to(part.delta)

    def row(self, row: int) -> Tensor:
        """What is added for one row: `[neurons, hidden]`, a copy on the CPU."""
        first = self.parts[0].delta
        found = torch.zeros(self.sizes[row], first.shape[2], dtype=first.dtype)
        for part in self.parts:
            at = part.at[row]
            found[torch.from_numpy(at)] = part.delta[row, : len(at)].detach().cpu()
        return found

    def keep(self, rows: Sequence[int]) -> None:
        """Forget all rows but some."""
        self.rows, self.sizes = len(rows), [self.sizes[row] for row in rows]
        for part in self.parts:
            index = torch.tensor(rows, device=part.delta.device)
            part.columns = part.columns[index]
            part.real = None if part.real is None else part.real[index]
            part.at = [part.at[row] for row in rows]
            part.delta = part.delta.detach()[index].requires_grad_(part.delta.requires_grad)

    @contextmanager
    def applied(self, loaded: LoadedModel) -> Iterator[None]:
        """Add it in forward passes inside the block: o += h[chosen] · Δ, as hooks.

        h is what reaches the down-projection, after any mask. Differentiable in both.

        Raises:
            InputError: The batch has not as many rows (when the model runs).
        """
        sizes: dict[int, int] = {}
        model = loaded.model
        with ExitStack() as stack:
            for part in self.parts:
                layer = part.site.layer
                if self.rows > 1:
                    owner = model.get_submodule(loaded.neurons.layer_modules[layer])
                    handle = owner.register_forward_pre_hook(_note(sizes, layer), with_kwargs=True)
                    stack.callback(handle.remove)
                module = model.get_submodule(part.site.module)
                stack.callback(module.register_forward_hook(_adder(part, sizes)).remove)
            yield


def check_columns(loaded: LoadedModel) -> None:
    """See that a model's neurons have columns that can be changed.

    Raises:
        InputError: The neurons cannot be found, differ in number from layer to layer, belong to
            experts, or their down-projection is no plain linear map (a quantized one, say).
    """
    _ = loaded.neurons.width
    for site in loaded.neurons.sites:
        if site.experts is not None:
            raise InputError(
                f"{loaded.source}: layer {site.layer} is a mixture of experts ({site.module}), "
                "whose neurons' columns cannot be injected into: a token reaches some experts "
                "only. Take a model with plain feed-forward layers."
            )
        module = loaded.model.get_submodule(site.module)
        weight = getattr(module, "weight", None)
        if not isinstance(module, nn.Linear | Conv1D) or not (
            isinstance(weight, Tensor) and weight.ndim == 2 and weight.is_floating_point()
        ):
            raise InputError(
                f"{loaded.source}: the down-projection {site.module} ({type(module).__name__}) is "
                "no plain linear map, so that its columns cannot be changed. Load the model in "
                "float32 and without quantization."
            )


@contextmanager
def patched_columns(
    loaded: LoadedModel, chosen: NDArray[np.int64], delta: Tensor
) -> Iterator[None]:
    """Have something added to the weights inside the block; then the very bits that were there.

    Args:
        loaded: The model.
        chosen: The sorted numbers of the neurons.
        delta: `[neurons, hidden]`, for each what is added to its column.

    Raises:
        InputError: See `check_columns`.
    """
    check_columns(loaded)
    before: list[tuple[Tensor, Tensor, Tensor]] = []
    try:
        for site, matrix in _matrices(loaded):
            at = _at_site(loaded, site, chosen)
            if not len(at):
                continue
            own = torch.from_numpy(chosen[at] % loaded.neurons.width - site.start)
            own = own.to(matrix.device)
            with torch.no_grad():
                kept = matrix[own].clone()
                before.append((matrix, own, kept))
                wide = kept.to(torch.promote_types(kept.dtype, delta.dtype))
                matrix[own] = (wide + delta[torch.from_numpy(at)].to(wide)).to(matrix)
        yield
    finally:
        with torch.no_grad():
            for matrix, own, kept in before:
                matrix[own] = kept


def _matrices(loaded: LoadedModel) -> Iterator[tuple[NeuronSite, Tensor]]:
    """Each down-projection's weight, seen as `[width, hidden]`: a row is what a neuron adds."""
    for site in loaded.neurons.sites:
        module: Any = loaded.model.get_submodule(site.module)
        weight = module.weight.detach()
        yield site, weight if isinstance(module, Conv1D) else weight.t()


def _at_site(loaded: LoadedModel, site: NeuronSite, chosen: NDArray[np.int64]) -> NDArray[np.int64]:
    """Which of these neurons are a site's, as places in the array."""
    first = site.layer * loaded.neurons.width + site.start
    return np.flatnonzero((chosen >= first) & (chosen < first + site.size))


def _note(sizes: dict[int, int], layer: int) -> Callable[..., None]:
    def note(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        sizes[layer] = int((args[0] if args else kwargs["hidden_states"]).shape[0])

    return note


def _adder(part: _Part, sizes: dict[int, int]) -> Callable[..., Tensor]:
    rows = len(part.columns)

    def hook(_: nn.Module, args: tuple[Any, ...], output: Tensor) -> Tensor:
        values, delta = args[0], part.delta.to(output.dtype)
        if rows == 1:
            picked = values.index_select(-1, part.columns[0])
            if part.real is not None:  # of a row that others have left alone
                picked = picked * part.real[0].to(picked.dtype)
            return output + picked @ delta[0]
        if sizes[part.site.layer] != rows:
            raise InputError(
                f"{rows} examples are applied, one for each row of a batch, but the model runs on "
                f"a batch of {sizes[part.site.layer]}."
            )
        # Some blocks flatten batch and positions into one.
        apart = values.reshape(rows, -1, values.shape[-1])
        picked = apart.gather(2, part.columns.unsqueeze(1).expand(-1, apart.shape[1], -1))
        if part.real is not None:
            picked = picked * part.real.unsqueeze(1).to(picked.dtype)
        return output + torch.bmm(picked, delta).reshape(output.shape)

    return hook
