"""The mean loss over what is kept, which is 0 rather than 0 / 0 where nothing is."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn import functional

from byrote.exposure.sequences import IGNORED

__all__ = ["kept_token_loss"]


def kept_token_loss(
    outputs: Any, labels: Tensor, num_items_in_batch: Tensor | int | None = None
) -> Tensor:
    """Average the cross-entropy over the kept tokens; for plain loops, and for `Trainer`.

    Source: arXiv 2406.10209, equation 1: the sum is divided by the number of kept tokens.

    Args:
        outputs: What a model of transformers gives, or its logits `[batch, tokens, vocab]`.
        labels: int64 `[batch, tokens]`, not shifted, `-100` where nothing is asked.
        num_items_in_batch: The labels of the whole step where it has several batches; None counts
            those of this one. With this name it is a `compute_loss_func` of `Trainer`.

    Returns:
        Nats per kept token; 0, with a gradient of 0, if there is none.
    """
    logits = getattr(outputs, "logits", outputs)[:, :-1].float()
    targets = labels[:, 1:].to(logits.device)
    total = functional.cross_entropy(
        logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED, reduction="sum"
    )
    if num_items_in_batch is None:
        num_items_in_batch = (targets != IGNORED).sum()
    if isinstance(num_items_in_batch, Tensor):
        return total / num_items_in_batch.to(total.device).clamp(min=1)
    return total / max(num_items_in_batch, 1)
