"""Goldfish masks: training that leaves some tokens of every passage unlearned, always the same.

The goldfish loss is the ordinary loss over fewer tokens. Here it is a mask of labels, so every
trainer and every fused loss takes it: `keep_mask` makes it, `mask_labels` puts it into labels,
`GoldfishCollator` does so around any collator and `attach_goldfish` in any Hugging Face trainer.
Source: Hans et al., "Be like a Goldfish, Don't Memorize!", arXiv 2406.10209, section 3.
"""

from typing import TYPE_CHECKING

from byrote._lazy import lazy

if TYPE_CHECKING:
    from byrote.exposure.goldfish.collator import GoldfishCollator
    from byrote.exposure.goldfish.config import STRATEGIES, Goldfish, Normalization
    from byrote.exposure.goldfish.documents import (
        starts_from_cu_seqlens,
        starts_from_lengths,
        starts_from_position_ids,
        starts_from_segment_ids,
    )
    from byrote.exposure.goldfish.losses import kept_token_loss
    from byrote.exposure.goldfish.masks import keep_mask, mask_labels
    from byrote.exposure.goldfish.normalized import normalized_keep_mask
    from byrote.exposure.goldfish.trainers import attach_goldfish, goldfish_map

__getattr__, __dir__ = lazy(__name__)
__all__ = [
    "STRATEGIES",
    "Goldfish",
    "GoldfishCollator",
    "Normalization",
    "attach_goldfish",
    "goldfish_map",
    "keep_mask",
    "kept_token_loss",
    "mask_labels",
    "normalized_keep_mask",
    "starts_from_cu_seqlens",
    "starts_from_lengths",
    "starts_from_position_ids",
    "starts_from_segment_ids",
]
