"""Whether a model can go on from its key-value cache with some rows of a batch dropped."""

from __future__ import annotations

import torch
from transformers import DynamicCache

from byrote.models.head import OutputHead

__all__ = ["can_drop_rows"]

_POSITIONS = 6


@torch.no_grad()
def can_drop_rows(head: OutputHead) -> bool:
    """Try it: two steps with a row dropped between them must give what one step gives.

    Args:
        head: The model, split into backbone and head.

    Returns:
        False where the model keeps its past in another way (state-space models, custom caches).
    """
    device = head.weight.device
    ids = torch.arange(2 * _POSITIONS, device=device).view(2, _POSITIONS) % head.weight.shape[0]
    whole = head.backbone(ids[1:], use_cache=False)
    cache = DynamicCache(config=getattr(head.model, "config", None))
    half = _POSITIONS // 2
    try:
        head.backbone(ids[:, :half], past_key_values=cache, use_cache=True)
        cache.batch_select_indices(torch.tensor([1], device=device))
        rest = head.backbone(ids[1:, half:], past_key_values=cache, use_cache=True)
    except (TypeError, ValueError, AttributeError, IndexError, RuntimeError, NotImplementedError):
        return False
    bound = 64 * torch.finfo(whole.dtype).eps * float(whole.abs().max())
    return bool((rest - whole[:, half:]).abs().max() <= bound)
