"""Take neurons out of the weights: zero columns of the down-projections."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers.pytorch_utils import Conv1D

from byrote.errors import InputError
from byrote.localization.selection import Selection, check_fits
from byrote.models.loading import LoadedModel
from byrote.models.neurons import NeuronSite

__all__ = ["zeroed"]


@contextmanager
def zeroed(loaded: LoadedModel, selection: Selection) -> Iterator[None]:
    """Have the weights that the neurons write with at zero inside the block.

    What the model then computes is what it computes with the neurons at zero (`NeuronMap.zero`), at
    all positions: weights cannot spare those of the lead. Biases are untouched. Works with mixtures
    of experts.

    Args:
        loaded: The model; its weights are bit for bit as before when the block ends.
        selection: The neurons.

    Raises:
        InputError: The selection is of another model, or a down-projection's weights cannot be
            written (quantized ones).
    """
    check_fits(selection, loaded.neurons)
    views = [
        (weights, _places(site, own, weights))
        for site in loaded.neurons.sites
        if (own := selection.neurons[site.layer, site.start : site.start + site.size]).any()
        for weights in [_by_neuron(loaded, site)]
    ]
    with torch.no_grad():
        before = [weights[at].clone() for weights, at in views]
        try:
            for weights, at in views:
                weights[at] = 0
            yield
        finally:
            for (weights, at), own in zip(views, before, strict=True):
                weights[at] = own


def _places(site: NeuronSite, own: NDArray[np.bool_], weights: Tensor) -> tuple[Tensor, ...]:
    """Where the chosen neurons stand in the leading dimensions of their weights."""
    shape = (site.width,) if site.experts is None else (site.experts, site.width)
    return tuple(torch.from_numpy(at).to(weights.device) for at in own.reshape(shape).nonzero())


def _by_neuron(loaded: LoadedModel, site: NeuronSite) -> Tensor:
    """A view of a site's weights: `[width, hidden]`, or `[experts, width, hidden]`."""
    module: Any = loaded.model.get_submodule(site.module)
    if site.experts is not None:
        weight = module.down_proj.data
        return weight if getattr(module, "is_transposed", False) else weight.mT
    weight = getattr(module, "weight", None)
    if not isinstance(weight, Tensor) or not weight.is_floating_point() or weight.ndim != 2:
        raise InputError(
            f"The weights of {site.module} ({type(module).__name__}) cannot be written as a "
            "matrix: load the model without quantization."
        )
    return weight.data if isinstance(module, Conv1D) else weight.data.t()
