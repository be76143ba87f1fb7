"""What DEL asks beyond its table: more and more neurons, one layer, several passages at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from torch import Tensor

from byrote.localization.balanced_subnet import BalancedSubnet
from byrote.localization.base import Localizer
from byrote.localization.deletion import DeletionBench
from byrote.localization.effects import Gauge
from byrote.localization.erasing import united
from byrote.localization.overlap import one_layer_selection, spread_selection
from byrote.localization.selection import Selection, select
from byrote.localization.specific import specificity, specificity_curve
from byrote.models import LoadedModel
from byrote.studies.localization.passages import Texts
from byrote.studies.localization.tables import table_of
from byrote.texts.passages import Passage

__all__ = ["curve", "erased_together", "layers_to_try", "one_layer"]


def curve(
    loaded: LoadedModel,
    texts: Texts,
    params: Mapping[str, Any],
    name: str,
    targets: Sequence[Passage],
    scores: Tensor,
) -> pl.DataFrame:
    """Accuracy lost as more and more neurons are dropped; the table `curves`."""
    found = specificity_curve(
        loaded,
        targets,
        scores,
        params["curve"],
        texts.test,
        skip_layers=params["skip_layers"],
        spare_lead=params["methods"][name]["spare_lead"],
    )
    return table_of("curves", _harm(found, params, name))


def one_layer(
    loaded: LoadedModel,
    texts: Texts,
    params: Mapping[str, Any],
    name: str,
    targets: Sequence[Passage],
    scores: Tensor,
) -> pl.DataFrame:
    """The same number of neurons spread over all layers, or from one; the table `one_layer`.

    The paper's experiment (2311.09060, Figures 3 and 4): its budget is what a fraction
    of every layer but the first comes to, 301 neurons of GPT2-XL.
    """
    skip = params["skip_layers"]
    layers, width = loaded.neurons.layers, loaded.neurons.width
    budget = len(select(scores[0], params["one_layer_fraction"], skip_layers=skip))
    budget = min(budget, width)
    bench = DeletionBench(
        loaded, targets, texts.test, spare_lead=params["methods"][name]["spare_lead"]
    )
    tried: list[int | None] = [None, *layers_to_try(layers, skip, params["one_layer_layers"])]
    rows = []
    for layer in tried:
        chosen = [
            spread_selection(row, budget, skip_layers=skip)
            if layer is None
            else one_layer_selection(row, layer, budget)
            for row in scores
        ]
        found = specificity(bench.run(chosen).targets)
        rows += [{**row, "layer": layer} for row in _harm(found, params, name)]
    return table_of("one_layer", rows)


def layers_to_try(layers: int, skip: Sequence[int], count: int) -> list[int]:
    """Single layers for the comparison, evenly spread from the first that is not skipped.

    Args:
        layers: Of the model.
        skip: Left out.
        count: How many; 0 for all.
    """
    left = [layer for layer in range(layers) if layer not in skip]
    if not count or count >= len(left):
        return left
    places = np.linspace(0, len(left) - 1, count).round().astype(int)
    return [left[place] for place in dict.fromkeys(places.tolist())]


def erased_together(
    loaded: LoadedModel,
    texts: Texts,
    params: Mapping[str, Any],
    name: str,
    localizer: Localizer | None,
) -> pl.DataFrame:
    """Delete the first half of the test passages at once; the second half are negatives.

    Args:
        loaded: The model.
        texts: Of the setting.
        params: Of the cell.
        name: The method.
        localizer: Its localizer; None where it removes weights.

    Returns:
        The table `together`.
    """
    half = len(texts.test) // 2
    erased, others = texts.test[:half], texts.test[half:]
    everyone = [*erased, *others]
    gauge = Gauge(loaded)
    before, text_before = gauge.recital(everyone), gauge.text_loss(texts.rows)
    method, skip = params["methods"][name], params["skip_layers"]
    if localizer is None:
        found = BalancedSubnet(**method["options"]).remove(
            loaded, erased, [passage.input_ids for passage in texts.held_out]
        )
        with found.applied():
            after, text_after = gauge.recital(everyone), gauge.text_loss(texts.rows)
        removed = len(found) / sum(mask.numel() for mask in found.removed.values())
    else:
        scores = localizer.score(loaded, erased)
        chosen = united(scores, params["together_fraction"], skip_layers=skip)
        spare = method["spare_lead"]
        after = gauge.recital(everyone, chosen, spare_lead=spare)
        text_after = gauge.text_loss(texts.rows, chosen, spare_lead=spare)
        removed = _share_of(chosen, skip)
    rows = []
    pairs = zip(before.iter_rows(named=True), after.iter_rows(named=True), strict=True)
    for index, (first, last) in enumerate(pairs):
        row = {
            "setting": params["name"],
            "method": name,
            "passage": everyone[index].id,
            "erased": index < half,
            "removed": removed,
            "text_nll_before": text_before,
            "text_nll_after": text_after,
        }
        for key in ("accuracy", "distance", "nll"):
            row |= {f"{key}_before": first[key], f"{key}_after": last[key]}
        rows.append(row)
    return table_of("together", rows)


def _share_of(chosen: Selection, skip: Sequence[int]) -> float:
    """Neurons of a set over all neurons in layers that are not skipped."""
    layers, width = chosen.neurons.shape
    return len(chosen) / (width * (layers - len(set(skip))))


def _harm(found: pl.DataFrame, params: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """Rows of `specificity` with the study's names."""
    renamed = found.rename({"self_harm": "self_lost", "neg_harm": "neg_lost"})
    marks = {"setting": params["name"], "method": name}
    return [{**row, **marks} for row in renamed.iter_rows(named=True)]
