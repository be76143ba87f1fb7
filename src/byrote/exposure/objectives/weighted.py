"""Cross-entropies with a weight for each target."""

from __future__ import annotations

from torch import Tensor

from byrote.exposure.batches import Batch
from byrote.exposure.sequences import IGNORED

__all__ = ["asked", "weighted_mean"]


def asked(logits: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """Give the logits `[targets, vocab]` and the labels `[targets]` of what is asked for."""
    labels = batch.labels.reshape(-1)
    rows = logits.reshape(-1, logits.shape[-1])
    kept = labels != IGNORED
    if bool(kept.all()):
        return rows, labels  # No copy where every position has a target.
    return rows[kept], labels[kept]


def weighted_mean(logprobs: Tensor, labels: Tensor, weights: Tensor) -> tuple[Tensor, float]:
    """Give the numerator and the denominator of a weighted mean of cross-entropies.

    A loss of mean(α · w · CE) with α = 1 / mean(w) is Σ w · CE / Σ w. Given as the two sums, it is
    exact over a step however that is split.

    Args:
        logprobs: `[targets, vocab]`, with a gradient.
        labels: `[targets]`.
        weights: `[targets]`, without a gradient.

    Returns:
        Σ w · CE in nats, and Σ w; both 0 where there is no target.
    """
    losses = -logprobs.gather(-1, labels[:, None])[:, 0]
    return (weights * losses).sum(), float(weights.sum())
