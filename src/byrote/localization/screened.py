"""Zero-Out on a shortlist only: the neurons that a first-order screen finds most responsible."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from byrote._options import above, between, one_of, whole
from byrote.localization.attribution import Attribution
from byrote.localization.base import Localizer, Told, _unheard
from byrote.localization.integrated_attribution import IntegratedAttribution
from byrote.localization.selection import select
from byrote.localization.zero_out import Zeroing
from byrote.models.loading import LoadedModel
from byrote.texts.passages import Passage

__all__ = ["SCREENS", "ScreenedZeroOut", "agreement"]

SCREENS = ("attribution", "integrated-attribution")
"""What a shortlist may be drawn up by."""


@dataclass(frozen=True, slots=True)
class ScreenedZeroOut(Localizer):
    """First-order attribution for all neurons, Zero-Out for the best of each layer.

    The neurons on the shortlist have their exact Zero-Out score (2311.09060, section 4), all others
    the screen's estimate of it. The price is a few passes for the screen and `shortlist` of an
    exact Zero-Out; how far the two agree in what they would select tells `agreement`.

    Attributes:
        shortlist: The share of each layer's neurons that is scored exactly, at least one neuron.
            Take several times the fraction that is to be selected.
        screen: One of `SCREENS`.
        spare_lead: Leave the neurons alone at the positions of `loaded.lead` (the BOS).
        batch_size: As for `ZeroOut`.
    """

    name: ClassVar[str] = "screened-zero-out"

    shortlist: float = 0.05
    screen: str = "attribution"
    spare_lead: bool = False
    batch_size: int | None = None

    def __post_init__(self) -> None:
        owner = "localizer 'screened-zero-out'"
        above(owner, "shortlist", self.shortlist, 0.0)
        between(owner, "shortlist", self.shortlist, 0.0, 1.0)
        one_of(owner, "screen", self.screen, SCREENS)
        if self.batch_size is not None:
            whole(owner, "batch_size", self.batch_size, 1)

    def score(
        self, loaded: LoadedModel, passages: Sequence[Passage], told: Told = _unheard
    ) -> Tensor:
        """Score every neuron for every passage: see `Localizer.score`."""
        method = Attribution if self.screen == "attribution" else IntegratedAttribution
        # What the screen takes of the time is little, and not known beforehand.
        scores = method(spare_lead=self.spare_lead).score(
            loaded, passages, lambda share: told(0.1 * share)
        )
        zeroing = Zeroing(loaded, self.spare_lead, self.batch_size)
        share = max(self.shortlist, 1.0 / loaded.neurons.width)
        for index, passage in enumerate(passages):

            def part(share: float, done: int = index) -> None:
                told(0.1 + 0.9 * (done + share) / len(passages))

            listed = torch.from_numpy(select(scores[index], share).neurons)
            exact = zeroing.effects(passage, listed, part).float()
            scores[index] = torch.where(listed, exact, scores[index])
        return scores


def agreement(
    one: Tensor | NDArray[np.floating],
    other: Tensor | NDArray[np.floating],
    fraction: float,
    *,
    scope: str = "layer",
    skip_layers: Collection[int] = (),
) -> float:
    """How far two scorings agree in the neurons that they would select.

    Args:
        one: `[layers, width]`.
        other: The same shape.
        fraction: As for `select`.
        scope: As for `select`.
        skip_layers: As for `select`.

    Returns:
        The share of the neurons selected by one that are selected by the other as well; chance
        gives `fraction`.

    Raises:
        InputError: As `select`.
    """
    chosen = [
        select(scores, fraction, scope=scope, skip_layers=skip_layers).neurons
        for scores in (one, other)
    ]
    return int((chosen[0] & chosen[1]).sum()) / int(chosen[0].sum())
