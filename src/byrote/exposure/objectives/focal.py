"""Focal loss: learn less from what the model knows already (1708.02002)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from byrote.exposure.batches import Batch
from byrote.exposure.objectives.base import Objective, between
from byrote.exposure.objectives.weighted import asked, weighted_mean

__all__ = ["Focal"]


@dataclass(frozen=True)
class Focal(Objective):
    """Weigh each target by (1 − p)^γ, p being its probability.

    As the baseline of 2310.19531 has it: the weight takes no part in the gradient, and weights are
    divided by their mean over all targets of the step, as in `Mile`. (The original, Lin et al.,
    1708.02002, differentiates the weight and divides by the number of targets.)

    Attributes:
        gamma: How strongly it weighs; 0 is the next-token objective.
    """

    gamma: float = 1.0

    def __post_init__(self) -> None:
        between("focal", "gamma", self.gamma, 0.0, float("inf"))

    def __call__(self, logits: Tensor, batch: Batch) -> tuple[Tensor, float]:
        """Sum weighted cross-entropies, and weights."""
        rows, labels = asked(logits, batch)
        logprobs = rows.log_softmax(-1)
        with torch.no_grad():
            # 1 − p as the sum of all others: a p near 1 has no digits left for a difference.
            others = logprobs.exp().scatter_(-1, labels[:, None], 0.0).sum(-1)
            weights = others**self.gamma
        return weighted_mean(logprobs, labels, weights)
