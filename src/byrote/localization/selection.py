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
        scores: `[layers, width]` of one passage. Never selected are those of -inf, so that fewer
            are where fewer have a score.
        fraction: The share of a layer's neurons to take (`scope` layer), or of all neurons in the
            layers that are not skipped (`scope` model).
        scope: One of `SCOPES`. The paper takes the same share of every layer (2311.09060, sections
            3.1 and 3.2); its Table 9 ranks over the whole model.
        skip_layers: Layers of which none is taken; the paper skips layer 0 when erasing (3.2).
        rounding: `down` as in the DEL benchmark, `nearest` as in INJ.

    Raises:
        InputError: The fraction selects no neuron or is no share, a layer is out of range, or the
            scores are not those of one passage.
    """
    values = check_scores(scores)
    between("selection", "fraction", fraction, 0.0, 1.0)
    one_of("selection", "scope", scope, SCOPES)
    one_of("selection", "rounding", rounding, ("down", "nearest"))
    layers, width = values.shape
    allowed = check_skipped(skip_layers, layers)
    size = width if scope == "layer" else int(allowed.sum()) * width
    # A product such as 0.07 * 100 lies a rounding error above or below the whole number.
    product = size * fraction * (1 + 1e-12)
    wanted = round(product) if rounding == "nearest" else int(product)
    if wanted < 1:
        raise InputError(
            f"The selection: a fraction of {fraction:g} of {size} neurons selects none; take at "
            f"least {min(1.01 / size, 1.0):.3g}."
        )
    open_ = allowed[:, None] & (values > -np.inf)
    chosen = np.zeros(values.shape, dtype=bool)
    tied = 0
    if scope == "model":
        tied = take_highest(values.ravel(), open_.ravel(), wanted, chosen.reshape(-1))
    else:
        for layer in np.flatnonzero(allowed):
            tied += take_highest(values[layer], open_[layer], wanted, chosen[layer])
    if not chosen.any():
        raise InputError(
            "The selection: every neuron that may be taken has the score -inf, so there is none."
        )
    return Selection(chosen, tied)


def check_scores(scores: Tensor | NDArray[np.floating]) -> NDArray[np.float64]:
    """See that scores are numbers of one passage.

    Args:
        scores: `[layers, width]`.

    Returns:
        The same in float64.

    Raises:
        InputError: They have another shape, or some are NaN.
    """
    if isinstance(scores, Tensor):
        scores = scores.detach().to("cpu", torch.float64).numpy()
    values = np.asarray(scores, dtype=np.float64)
    if values.ndim != 2:
        raise InputError(
            f"The selection: scores of one passage have the shape [layers, width], not "
            f"{list(values.shape)}; select for one passage after the other."
        )
    if np.isnan(values).any():
        raise InputError("The selection: there are scores that are not numbers (NaN).")
    return values


def check_skipped(skip_layers: Collection[int], layers: int) -> NDArray[np.bool_]:
    """See that layers can be skipped.

    Returns:
        bool `[layers]`, True for those that are left.

    Raises:
        InputError: There is no such layer, or none is left.
    """
    for layer in skip_layers:
        if not 0 <= layer < layers:
            raise InputError(
                f"The selection: there is no layer {layer} to skip; the model has {layers}, from 0."
            )
    allowed = np.array([layer not in skip_layers for layer in range(layers)])
    if not allowed.any():
        raise InputError(
            f"The selection: all {layers} layers are skipped, so there is no neuron to take."
        )
    return allowed


def take_highest(
    scores: NDArray[np.float64],
    allowed: NDArray[np.bool_],
    count: int,
    chosen: NDArray[np.bool_],
) -> int:
    """Mark the highest scores; among equal ones those of lower indices.

    Args:
        scores: `[n]`.
        allowed: bool `[n]`, which may be taken.
        count: How many to take; fewer are where fewer may be taken.
        chosen: bool `[n]`, set True where taken.

    Returns:
        How many of those taken are as high as one that was left out.
    """
    candidates = np.flatnonzero(allowed)
    order = candidates[np.argsort(-scores[candidates], kind="stable")]
    taken = order[:count]
    chosen[taken] = True
    if 0 < count < len(order) and scores[order[count]] == scores[taken[-1]]:
        return int((scores[taken] == scores[taken[-1]]).sum())
    return 0


def jaccard(one: Selection, other: Selection) -> float:
    """Neurons in both over neurons in either; 1 for two empty sets.

    Raises:
        InputError: They are of different models.
    """
    if one.neurons.shape != other.neurons.shape:
        raise InputError(
            f"Selections of {list(one.neurons.shape)} and {list(other.neurons.shape)} neurons "
            "[layers, width] are of different models and cannot be compared."
        )
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
