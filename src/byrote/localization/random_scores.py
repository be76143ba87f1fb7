"""Random scores: what a localizer has to beat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from byrote._options import whole
from byrote.localization.base import Localizer, Told, _unheard
from byrote.models.loading import LoadedModel
from byrote.texts.passages import Passage
from byrote.texts.seeds import derive_seed

__all__ = ["RandomScores"]


@dataclass(frozen=True)
class RandomScores(Localizer):
    """Uniform numbers from 0 to 1 (Chang et al. 2311.09060, section 4: Random).

    They depend on the seed, the passage's id and the size of the model only.

    Attributes:
        seed: Any whole number from 0.
    """

    name: ClassVar[str] = "random"

    seed: int = 0

    def __post_init__(self) -> None:
        whole(f"localizer {self.name!r}", "seed", self.seed, 0)

    def score(
        self, loaded: LoadedModel, passages: Sequence[Passage], told: Told = _unheard
    ) -> Tensor:
        """Draw a number for each neuron; see `Localizer.score`."""
        self.check(loaded)
        scores = torch.empty(len(passages), loaded.neurons.layers, loaded.neurons.width)
        for row, passage in zip(scores, passages, strict=True):
            seed = derive_seed(self.seed, "random-scores", passage.id)
            row.uniform_(generator=torch.Generator().manual_seed(seed))
        told(1.0)
        return scores
