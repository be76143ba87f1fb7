"""Where a passage is held: which neurons a localizer names, and how much depends on them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import torch

from byrote._options import between, one_of, whole
from byrote.errors import InputError
from byrote.localization.base import Localizer, Told, _unheard
from byrote.localization.effects import Gauge
from byrote.localization.erasing import DEFAULT_ERASER, named_localizer
from byrote.localization.erasure_bench import check_recited
from byrote.localization.random_scores import RandomScores
from byrote.localization.selection import SCOPES, Selection, select
from byrote.models.loading import LoadedModel
from byrote.texts.passages import Passage

__all__ = ["Location", "locate"]

_DEPENDENCE: dict[str, Any] = {
    "passage": pl.String,
    "fraction": pl.Float64,
    "neurons": pl.Int64,
    "tied": pl.Int64,
    "accuracy": pl.Float64,
    "nll": pl.Float64,
    "others_accuracy": pl.Float64,
    "others_nll": pl.Float64,
    "random_accuracy": pl.Float64,
    "random_nll": pl.Float64,
}
_LAYERS: dict[str, Any] = {
    "passage": pl.String,
    "layer": pl.Int64,
    "neurons": pl.Int64,
    "accuracy": pl.Float64,
    "nll": pl.Float64,
    "top_neuron": pl.Int64,
    "top_score": pl.Float64,
}
_NEURONS: dict[str, Any] = {
    "passage": pl.String,
    "rank": pl.Int64,
    "layer": pl.Int64,
    "neuron": pl.Int64,
    "score": pl.Float64,
    "accuracy": pl.Float64,
    "nll": pl.Float64,
}


@dataclass(frozen=True, slots=True, eq=False)
class Location:
    """Where passages are held, as a localizer says and ablation confirms.

    In all tables a measure is that of the passage with the neurons in question at zero; losses are
    in nats per suffix token.

    Attributes:
        fraction: The share of neurons that `layers` is about.
        passages: A recital table of the model as it is, one row a passage.
        dependence: One row a passage and fraction: `neurons` that were dropped (`tied` of them at
            the cut), `accuracy` and `nll` of the passage, and beside them the means over the other
            passages (`others_…`; null without any) and those of the passage with as many random
            neurons of the same layers dropped (`random_…`). The fraction 0 is the model as it is.
        layers: One row a passage and layer: how many `neurons` of it are among the highest over the
            whole model, the passage without these alone, and the layer's highest neuron.
        neurons: One row a passage and rank: the highest neurons, and the passage without each.
    """

    fraction: float
    passages: pl.DataFrame
    dependence: pl.DataFrame
    layers: pl.DataFrame
    neurons: pl.DataFrame


def locate(
    loaded: LoadedModel,
    passages: Sequence[Passage],
    *,
    localizer: Localizer | str = DEFAULT_ERASER,
    references: Sequence[Passage] | None = None,
    others: Sequence[Passage] = (),
    fraction: float = 0.005,
    fractions: Sequence[float] = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05),
    scope: str = "layer",
    skip_layers: Collection[int] = (0,),
    top: int = 20,
    seed: int = 0,
    recited: float = 0.9,
    told: Told = _unheard,
) -> Location:
    """Say which neurons hold passages, and how much of them depends on these.

    Args:
        loaded: The model; left as it was.
        passages: What is looked for.
        localizer: A localizer, or its name (`find_localizer`).
        references: What a named contrast compares with; None takes `others`.
        others: Passages that ought not to depend on the same neurons.
        fraction: The share of neurons that the table of layers is about, over the whole model.
        fractions: Shares whose loss is tried; those that select no neuron are left out.
        scope: As for `select`; of `fractions`.
        skip_layers: As for `select`.
        top: How many neurons are tried one by one.
        seed: Of the random neurons.
        recited: A passage of which the model gets a smaller share of tokens right is refused; 0
            refuses none.
        told: Hears of the progress.

    Raises:
        InputError: A passage is not recited, an option is out of range, or there is nothing to
            contrast with.
        ByroteError: The model's logits are not finite.
    """
    between("location", "recited", recited, 0.0, 1.0)
    between("location", "fraction", fraction, 0.0, 1.0)
    whole("location", "top", top, 1)
    one_of("location", "scope", scope, SCOPES)
    if not passages:
        raise InputError("The location: no passage is given; give at least one.")
    method = named_localizer(localizer, others if references is None else references, passages)
    method.check(loaded)
    gauge = Gauge(loaded)
    before = gauge.recital(passages)
    check_recited(loaded, before, recited)
    scores = method.score(loaded, passages, lambda share: told(0.5 * share))
    chance = RandomScores(seed=seed).score(loaded, passages)
    tables: dict[str, list[dict[str, Any]]] = {"dependence": [], "layers": [], "neurons": []}
    for index, passage in enumerate(passages):
        rest = [other for other in others if other.id != passage.id]
        tried = _Tried(gauge, passage, rest)
        tables["dependence"].append(tried.row(0.0, None, None))
        for share in sorted(fractions):
            try:
                found, drawn = (
                    select(values[index], share, scope=scope, skip_layers=skip_layers)
                    for values in (scores, chance)
                )
            except InputError:
                if int(loaded.neurons.width * share) >= 1:
                    raise
                continue  # selects no neuron of so narrow a model
            tables["dependence"].append(tried.row(share, found, drawn))
        highest = select(scores[index], fraction, scope="model", skip_layers=skip_layers)
        tables["layers"] += tried.layers(scores[index].numpy(), highest)
        tables["neurons"] += tried.neurons(scores[index], top, skip_layers)
        told(0.5 + 0.5 * (index + 1) / len(passages))
    return Location(
        fraction,
        before,
        pl.DataFrame(tables["dependence"], schema=_DEPENDENCE),
        pl.DataFrame(tables["layers"], schema=_LAYERS),
        pl.DataFrame(tables["neurons"], schema=_NEURONS),
    )


class _Tried:
    """One passage under many ablations."""

    def __init__(self, gauge: Gauge, passage: Passage, others: Sequence[Passage]) -> None:
        self._gauge, self._passage, self._others = gauge, passage, others

    def row(
        self, fraction: float, found: Selection | None, drawn: Selection | None
    ) -> dict[str, Any]:
        """A row of the table of dependence."""
        table = self._gauge.recital([self._passage, *self._others], found)
        random = self._without(drawn)
        rest = table[1:]
        return {
            "passage": self._passage.id,
            "fraction": fraction,
            "neurons": len(found) if found else 0,
            "tied": found.tied if found else 0,
            "accuracy": table["accuracy"][0],
            "nll": table["nll"][0],
            "others_accuracy": rest["accuracy"].mean() if len(rest) else None,
            "others_nll": rest["nll"].mean() if len(rest) else None,
            "random_accuracy": random["accuracy"],
            "random_nll": random["nll"],
        }

    def layers(self, scores: np.ndarray, highest: Selection) -> list[dict[str, Any]]:
        """The table of layers."""
        rows = []
        for layer, own in enumerate(highest.neurons):
            alone = np.zeros_like(highest.neurons)
            alone[layer] = own
            without = self._without(Selection(alone))
            best = int(scores[layer].argmax())
            rows.append(
                {
                    "passage": self._passage.id,
                    "layer": layer,
                    "neurons": int(own.sum()),
                    "accuracy": without["accuracy"],
                    "nll": without["nll"],
                    "top_neuron": best,
                    "top_score": float(scores[layer, best]),
                }
            )
        return rows

    def neurons(
        self, scores: torch.Tensor, top: int, skip_layers: Collection[int]
    ) -> list[dict[str, Any]]:
        """The table of the highest neurons."""
        values = scores.double().clone()
        values[list(skip_layers)] = -torch.inf
        width = values.shape[1]
        order = values.flatten().argsort(descending=True, stable=True)[:top].tolist()
        rows = []
        for rank, place in enumerate(order):
            alone = np.zeros(tuple(values.shape), dtype=bool)
            alone.flat[place] = True
            without = self._without(Selection(alone))
            rows.append(
                {
                    "passage": self._passage.id,
                    "rank": rank + 1,
                    "layer": place // width,
                    "neuron": place % width,
                    "score": float(values.flatten()[place]),
                    "accuracy": without["accuracy"],
                    "nll": without["nll"],
                }
            )
        return rows

    def _without(self, selection: Selection | None) -> dict[str, Any]:
        empty = selection is not None and not len(selection)
        table = self._gauge.recital([self._passage], None if empty else selection)
        return table.row(0, named=True)
