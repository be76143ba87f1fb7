"""Goldfish masks: training that leaves some tokens of every passage unlearned, always the same.

The goldfish loss is the ordinary loss over fewer tokens. Here it is a mask of labels, so every
trainer and every fused loss takes it: `keep_mask` makes it, `mask_labels` puts it into labels.
Source: Hans et al., "Be like a Goldfish, Don't Memorize!", arXiv 2406.10209, section 3.
"""

from typing import TYPE_CHECKING

from byrote._lazy import lazy

if TYPE_CHECKING:
    from byrote.exposure.goldfish.config import STRATEGIES, Goldfish, Normalization
    from byrote.exposure.goldfish.documents import (
        starts_from_cu_seqlens,
        starts_from_lengths,
        starts_from_position_ids,
        starts_from_segment_ids,
    )
    from byrote.exposure.goldfish.masks import keep_mask, mask_labels

__getattr__, __dir__ = lazy(__name__)
__all__ = [
    "STRATEGIES",
    "Goldfish",
    "Normalization",
    "keep_mask",
    "mask_labels",
    "starts_from_cu_seqlens",
    "starts_from_lengths",
    "starts_from_position_ids",
    "starts_from_segment_ids",
]
