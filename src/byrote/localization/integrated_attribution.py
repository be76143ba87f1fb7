"""Attribution whose gradients are averaged on the way from silent neurons to the model as it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from byrote._options import one_of, whole
from byrote.localization.attribution import mask_gradients, passage_batches
from byrote.localization.base import Localizer, Told, _unheard
from byrote.localization.passes import check_passages
from byrote.models.head import split_head
from byrote.models.loading import LoadedModel
from byrote.texts.passages import Passage

__all__ = ["PATHS", "IntegratedAttribution"]

PATHS = ("model", "layer")
"""What is scaled together: the neurons of all layers, or those of one layer at a time."""


@dataclass(frozen=True, slots=True)
class IntegratedAttribution(Localizer):
    """Minus the mean gradient by a common factor α on the neurons, α from 0 to 1.

    Integrated gradients (Sundararajan et al. 1703.01365) of the suffix loss ℓ over factors that
    multiply neurons at all positions, with silence as the baseline: an attribution that looks
    beyond the slope at the model as it is, which is nearly flat where a passage is memorised. By
    completeness the scores of what is scaled together sum up to the loss without it less the loss
    with it, up to the error of the steps. α takes the middles of `steps` equal parts.

    With `path` "model" the neurons of all layers are scaled together: `steps` passes. With "layer"
    each layer is scaled by itself and the others left as they are, which stays closer to the model
    and costs `layers` times as much.

    It differs from the paper's Integrated Gradients (2311.09060, section 4) in that all positions
    are scaled and the loss is differentiated, so that it estimates what Zero-Out measures.

    Attributes:
        steps: How many values α takes.
        path: One of `PATHS`.
        spare_lead: Leave out the positions of `loaded.lead` (the BOS).
        batch_size: Passages in a pass; None takes as many as fit some gigabyte of activations.
    """

    name: ClassVar[str] = "integrated-attribution"

    steps: int = 10
    path: str = "model"
    spare_lead: bool = False
    batch_size: int | None = None

    def __post_init__(self) -> None:
        owner = "localizer 'integrated-attribution'"
        whole(owner, "steps", self.steps, 1)
        one_of(owner, "path", self.path, PATHS)
        if self.batch_size is not None:
            whole(owner, "batch_size", self.batch_size, 1)

    def score(
        self, loaded: LoadedModel, passages: Sequence[Passage], told: Told = _unheard
    ) -> Tensor:
        """Score every neuron for every passage: see `Localizer.score`."""
        self.check(loaded)
        check_passages(loaded, passages)
        neurons, head = loaded.neurons, split_head(loaded.model)
        scores = torch.zeros(len(passages), neurons.layers, neurons.width)
        spare = len(loaded.lead) if self.spare_lead else 0
        ways: list[slice] = [slice(None)]
        if self.path == "layer":
            ways = [slice(layer, layer + 1) for layer in range(neurons.layers)]
        done, total = 0, len(passages) * len(ways) * self.steps
        for indices in passage_batches(loaded, passages, self.batch_size):
            batch = [passages[i] for i in indices]
            for way in ways:
                summed = torch.zeros(len(batch), neurons.layers, neurons.width)
                for step in range(self.steps):
                    mask = torch.ones_like(summed)
                    mask[:, way] = (step + 0.5) / self.steps
                    summed += mask_gradients(loaded, head, batch, mask, spare)
                    done += len(batch)
                    told(done / total)
                scores[indices, way] = -summed[:, way] / self.steps
        return scores
