"""MiLe loss: learn more from where the model is uncertain (2310.19531)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from byrote.exposure.batches import Batch
from byrote.exposure.objectives.base import Objective, between
from byrote.exposure.objectives.weighted import asked, weighted_mean

__all__ = ["Mile"]


@dataclass(frozen=True)
class Mile(Objective):
    """Weigh each target by the entropy of what the model expects there.

    The weight is (σ + H)^γ with the entropy H in nats, and takes no part in the gradient; weights
    are divided by their mean over all targets of the step, so that the loss is comparable with the
    cross-entropy. In the authors' code positions without a target enter that mean; here they do
    not, and the mean is over the whole step instead of a mean of each device's.

    Source: Su et al., 2310.19531; γ = 1 and σ = 1 are their code's.

    Attributes:
        gamma: How strongly entropy weighs; 0 is the next-token objective.
        sigma: What the weight starts from.
    """

    gamma: float = 1.0
    sigma: float = 1.0

    def __post_init__(self) -> None:
        between("mile", "gamma", self.gamma, 0.0, float("inf"))
        between("mile", "sigma", self.sigma, 0.0, float("inf"))

    def __call__(self, logits: Tensor, batch: Batch) -> tuple[Tensor, float]:
        """Sum weighted cross-entropies, and weights."""
        rows, labels = asked(logits, batch)
        logprobs = rows.log_softmax(-1)
        with torch.no_grad():
            # `entr` takes a probability of 0 as what it adds: nothing.
            entropy = torch.special.entr(logprobs.exp()).sum(-1)
            weights = (self.sigma + entropy) ** self.gamma
        return weighted_mean(logprobs, labels, weights)
