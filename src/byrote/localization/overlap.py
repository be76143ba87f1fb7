"""Selections compared: how many neurons they share, in which layers they lie, one layer or many."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import combinations

import numpy as np
import polars as pl
from numpy.typing import NDArray
from torch import Tensor

from byrote._options import whole
from byrote.errors import InputError
from byrote.localization.selection import (
    Selection,
    check_scores,
    check_skipped,
    jaccard,
    take_highest,
)

__all__ = [
    "LAYER_COUNTS",
    "OVERLAPS",
    "layer_counts",
    "one_layer_selection",
    "overlaps",
    "spread_selection",
]

OVERLAPS = {
    "one": pl.String,
    "other": pl.String,
    "shared": pl.Int64,
    "jaccard": pl.Float64,
    "by_chance": pl.Float64,
}
"""Columns of the table of pairs: names, neurons in both, those over neurons in either, and what
this would be if each had drawn its neurons in each layer blindly."""

LAYER_COUNTS = {
    "name": pl.String,
    "layer": pl.Int64,
    "neurons": pl.Int64,
    "share": pl.Float64,
}
"""Columns of the histogram of layers: `share` is of the selection's neurons (null if it has none),
so that the shares of a name sum to 1."""


def overlaps(selections: Mapping[str, Selection]) -> pl.DataFrame:
    """Compare every two selections.

    Whether two memorised texts share neurons is what the paper's confusion matrices show by its
    effect only (2311.09060, Figures 2, 5, 6); here it is counted.

    Args:
        selections: By name: passages under one method, or methods for one passage.

    Returns:
        One row for each pair, in order; columns as in `OVERLAPS`.

    Raises:
        InputError: They are of different models.
    """
    rows = [
        {
            "one": first,
            "other": second,
            "shared": _shared(one, other),
            "jaccard": jaccard(one, other),
            "by_chance": _by_chance(one, other),
        }
        for (first, one), (second, other) in combinations(selections.items(), 2)
    ]
    return pl.DataFrame(rows, schema=OVERLAPS)


def layer_counts(selections: Mapping[str, Selection]) -> pl.DataFrame:
    """Count each selection's neurons by layer.

    Args:
        selections: By name. Those of scope `model` tell something; with scope `layer` each layer
            has the same number.

    Returns:
        One row for each name and layer; columns as in `LAYER_COUNTS`.
    """
    tables = []
    for name, selection in selections.items():
        counts = selection.counts()
        total = int(counts.sum())
        tables.append(
            pl.DataFrame(
                {
                    "name": [name] * len(counts),
                    "layer": np.arange(len(counts)),
                    "neurons": counts,
                    "share": counts / total if total else [None] * len(counts),
                },
                schema=LAYER_COUNTS,
            )
        )
    return pl.concat(tables) if tables else pl.DataFrame(schema=LAYER_COUNTS)


def one_layer_selection(scores: Tensor | NDArray[np.floating], layer: int, count: int) -> Selection:
    """Take a whole budget of neurons from one layer.

    The paper asks whether a passage lies in one layer by taking as many neurons from one as are
    otherwise spread over all (2311.09060, section 5, Figures 3 and 4).

    Args:
        scores: `[layers, width]` of one passage.
        layer: Which one.
        count: The budget, such as `len(spread)` of the selection it is compared with.

    Raises:
        InputError: There is no such layer, or it has fewer neurons (with a score above -inf).
    """
    values = check_scores(scores)
    layers, width = values.shape
    whole("selection", "layer", layer, 0)
    whole("selection", "count", count, 1)
    if layer >= layers:
        raise InputError(
            f"The selection: there is no layer {layer}; the model has {layers}, from 0."
        )
    allowed = values[layer] > -np.inf
    if count > int(allowed.sum()):
        raise InputError(
            f"The selection: layer {layer} has {int(allowed.sum())} neurons to take, {count} are "
            f"asked for; each layer has {width}, so give a smaller budget."
        )
    chosen = np.zeros(values.shape, dtype=bool)
    tied = take_highest(values[layer], allowed, count, chosen[layer])
    return Selection(chosen, tied)


def spread_selection(
    scores: Tensor | NDArray[np.floating], count: int, *, skip_layers: Collection[int] = (0,)
) -> Selection:
    """Spread a budget of neurons over the layers, as evenly as can be.

    Each layer gives its highest; what is left over when the budget is shared out goes to the layers
    whose next neuron has the highest score, one each (the lower layer, where equal).

    Args:
        scores: `[layers, width]` of one passage.
        count: The budget; exactly so many are selected.
        skip_layers: Layers of which none is taken; layer 0, as in the paper.

    Raises:
        InputError: There are not as many neurons (with a score above -inf in each layer).
    """
    values = check_scores(scores)
    layers, _ = values.shape
    whole("selection", "count", count, 1)
    left = np.flatnonzero(check_skipped(skip_layers, layers))
    each, over = divmod(count, len(left))
    allowed = values > -np.inf
    fewest = int(allowed[left].sum(axis=1).min())
    if each + bool(over) > fewest:
        raise InputError(
            f"The selection: {count} neurons spread over {len(left)} layers are "
            f"{each + bool(over)} in one, and a layer has only {fewest} to take."
        )
    chosen = np.zeros(values.shape, dtype=bool)
    for layer in left:
        take_highest(values[layer], allowed[layer], each, chosen[layer])
    if over:
        # The next neuron of each layer.
        after = np.where(allowed & ~chosen, values, -np.inf)[left]
        best = after.argmax(axis=1)
        tops = after[np.arange(len(left)), best]
        getting = np.zeros(len(left), dtype=bool)
        take_highest(tops, np.ones(len(left), dtype=bool), over, getting)
        chosen[left[getting], best[getting]] = True
    tied = sum(_tied(values[layer], allowed[layer], chosen[layer]) for layer in left)
    return Selection(chosen, tied)


def _tied(
    scores: NDArray[np.float64], allowed: NDArray[np.bool_], chosen: NDArray[np.bool_]
) -> int:
    """How many of a layer's chosen neurons are as high as one that was left out."""
    left_out = scores[allowed & ~chosen]
    lowest = scores[chosen].min(initial=np.inf)
    return int((scores[chosen] == lowest).sum()) if (left_out == lowest).any() else 0


def _shared(one: Selection, other: Selection) -> int:
    jaccard(one, other)  # Refuses those of different models.
    return int((one.neurons & other.neurons).sum())


def _by_chance(one: Selection, other: Selection) -> float:
    """Expected neurons in both over expected neurons in either, drawn blindly layer by layer."""
    a, b = one.counts(), other.counts()
    both = float((a * b).sum()) / one.neurons.shape[1]
    either = float(a.sum() + b.sum()) - both
    return both / either if either else 1.0
