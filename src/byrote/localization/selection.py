"""From scores to a set of neurons: the highest of each layer, or of the whole model."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from byrote._options import between, one_of
from byrote.errors import InputError

if TYPE_CHECKING:
    from byrote.models.neurons import NeuronMap

__all__ = ["SCOPES", "Selection", "jaccard", "select"]

SCOPES = ("layer", "model")
"""Where the highest are looked for: the same number in every layer, or over the whole model."""


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """A set of neurons.

    Attributes:
        neurons: bool `[layers, width]`, True where selected.
        tied: How many selected neurons have the score of the last one that was, where one that
            was left out has it too: the cut runs through them, and lower indices were taken.
    """

    neurons: NDArray[np.bool_]
    tied: int = 0

    def __len__(self) -> int:
        return int(self.neurons.sum())

    def __or__(self, other: Selection) -> Selection:
        """All neurons of either."""
        return Selection(self.neurons | other.neurons, self.tied + other.tied)

    def layers(self) -> Iterator[tuple[int, NDArray[np.int64]]]:
        """The layers that have some, and the indices of theirs."""
        for layer in np.flatnonzero(self.neurons.any(axis=1)):
            yield int(layer), np.flatnonzero(self.neurons[layer])

    def mask(self, strength: float = 0.0) -> Tensor:
        """Factors for `NeuronMap.scale`: float32 `[layers, width]`, 1 outside the set.

        Args:
            strength: The factor within the set; 0 is ablation.
        """
        return torch.where(torch.from_numpy(self.neurons), strength, 1.0)

    def counts(self) -> NDArray[np.int64]:
        """How many there are in each layer, `[layers]`."""
        return self.neurons.sum(axis=1)


def select(
    scores: Tensor | NDArray[np.floating],
    fraction: float,
    *,
    scope: str = "layer",
    skip_layers: Collection[int] = (),
    rounding: str = "down",
) -> Selection:
    """Select the neurons with the highest scores.

    Among equal scores at the cut those of lower layers, then of lower indices are taken.

    Args:
        scores: `[layers, width]` of one passage. Never selected are those of -inf.
        fraction: The share of a layer's neurons to take (`scope` layer), or of all neurons in the
            layers that are not skipped (`scope` model).
        scope: One of `SCOPES`. The paper takes the same share of every layer (2311.09060, sections
            3.1 and 3.2); its Table 9 ranks over the whole model.
        skip_layers: Layers of which none is taken; the paper skips layer 0 when erasing (3.2).
        rounding: `down` as in the DEL benchmark, `nearest` as in INJ.

    Raises:
        InputError: The fraction selects no neuron or is no share, or a layer is out of range.
    """
    values = np.asarray(scores, dtype=np.float64)
    between("selection", "fraction", fraction, 0.0, 1.0)
    one_of("selection", "scope", scope, SCOPES)
    one_of("selection", "rounding", rounding, ("down", "nearest"))
    if np.isnan(values).any():
        raise InputError("The selection: there are scores that are not numbers (NaN).")
    layers, width = values.shape
    for layer in skip_layers:
        if not 0 <= layer < layers:
            raise InputError(
                f"The selection: there is no layer {layer} to skip; the model has {layers}, from 0."
            )
    allowed = np.array([layer not in skip_layers for layer in range(layers)])
    groups = allowed[:, None] & np.isfinite(values)
    size = width if scope == "layer" else int(allowed.sum()) * width
    # A product such as 0.07 * 100 lies a rounding error above or below the whole number.
    wanted = round(size * fraction) if rounding == "nearest" else int(size * fraction + 1e-9)
    if wanted < 1 or not allowed.any():
        raise InputError(
            f"The selection: a fraction of {fraction:g} of {size} neurons selects none; take at "
            f"least {1 / max(size, 1):.2g}."
        )
    chosen = np.zeros(values.shape, dtype=bool)
    tied = 0
    rows = [values.reshape(-1)] if scope == "model" else list(values)
    masks = [groups.reshape(-1)] if scope == "model" else list(groups)
    flat = chosen.reshape(1, -1) if scope == "model" else chosen
    for row, mask, out in zip(rows, masks, flat, strict=True):
        candidates = np.flatnonzero(mask)
        order = candidates[np.argsort(-row[candidates], kind="stable")]
        taken = order[:wanted]
        out[taken] = True
        if len(taken) and len(order) > wanted and row[order[wanted]] == row[taken[-1]]:
            tied += int((row[taken] == row[taken[-1]]).sum())
    return Selection(chosen, tied)


def jaccard(one: Selection, other: Selection) -> float:
    """Neurons in both over neurons in either; 1 for two empty sets."""
    either = int((one.neurons | other.neurons).sum())
    return int((one.neurons & other.neurons).sum()) / either if either else 1.0


def check_fits(selection: Selection, neurons: NeuronMap) -> None:
    """See that a selection is of a model with these neurons.

    Raises:
        InputError: It is not.
    """
    shape = (neurons.layers, neurons.width)
    if selection.neurons.shape != shape:
        raise InputError(
            f"The selection is of {list(selection.neurons.shape)} neurons [layers, width]; this "
            f"model has {list(shape)}."
        )
