"""Predict every next token: what a causal language model is trained on."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from byrote.exposure.batches import Batch
from byrote.exposure.sequences import IGNORED

__all__ = ["next_token"]


def next_token(logits: Tensor, batch: Batch) -> tuple[Tensor, int]:
    """Sum the cross-entropies of the targets.

    Args:
        logits: `[batch, positions, vocab]`.
        batch: Holds the targets.

    Returns:
        Nats, and the number of targets.
    """
    labels = batch.labels.reshape(-1)
    loss = functional.cross_entropy(
        logits.reshape(len(labels), -1), labels, ignore_index=IGNORED, reduction="sum"
    )
    return loss, int((labels != IGNORED).sum())
