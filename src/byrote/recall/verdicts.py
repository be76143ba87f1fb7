"""Only the verdict: is each suffix recited in full by greedy decoding?

Most suffixes fail within a few tokens. So the first tokens of all suffixes are scored, and only
those still verbatim go on, from the keys and values that are already there. No sampling scheme, no
entropy: one argmax a token, and no token after the first miss.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import torch
from transformers import DynamicCache

from byrote.models.cache import can_drop_rows
from byrote.models.head import OutputHead, split_head
from byrote.models.loading import LoadedModel
from byrote.recall.extraction import first_miss
from byrote.recall.logit_stats import two_largest
from byrote.recall.scoring import Scorer, not_finite, tie_tolerance
from byrote.texts.passages import Passage

__all__ = ["first_misses"]

# Suffix tokens scored in the first step; each later step doubles what has been scored.
_FIRST_STEP = 4
_TOKENS_PER_BATCH = 3200


@torch.inference_mode()
def first_misses(
    loaded: LoadedModel,
    passages: Sequence[Passage],
    *,
    batch_size: int | None = None,
    lead: Sequence[int] | None = None,
) -> list[int]:
    """Find where greedy decoding first leaves each suffix.

    Args:
        loaded: The model.
        passages: What is asked.
        batch_size: Passages in a forward pass; None fills about 3,200 tokens.
        lead: Token ids before every prefix; None means the tokenizer's own BOS, if it puts one.

    Returns:
        For each passage the index of the first suffix token that is not the argmax; equal to its
        `suffix_len` where the suffix is recited in full (then it is extractable).

    Raises:
        ByroteError: The model's logits are not finite.
    """
    scorer = Scorer(loaded, batch_size=batch_size, lead=lead)
    head = split_head(loaded.model)
    results = [-1] * len(passages)
    doubtful: list[int] = []
    if head is None or not can_drop_rows(head):
        doubtful = list(range(len(passages)))
    else:
        shape = {i: (p.prefix_len, p.suffix_len) for i, p in enumerate(passages)}
        order = sorted(shape, key=lambda i: (-sum(shape[i]), shape[i], i))
        for (prefix, suffix), group in groupby(order, key=lambda i: shape[i]):
            indices = list(group)
            width = len(scorer.lead) + prefix + suffix
            size = batch_size or max(1, _TOKENS_PER_BATCH // width)
            for start in range(0, len(indices), size):
                batch = indices[start : start + size]
                ids = torch.tensor(
                    [[*scorer.lead, *passages[i].input_ids.tolist()] for i in batch],
                    dtype=torch.long,
                    device=loaded.device,
                )
                misses, unsure, finite = _misses(loaded, head, ids, len(scorer.lead) + prefix)
                if not all(finite):
                    raise not_finite(passages[batch[finite.index(False)]], loaded)
                for index, miss, near in zip(batch, misses, unsure, strict=True):
                    results[index] = miss
                    if near:
                        doubtful.append(index)
    for index in doubtful:
        results[index] = first_miss(scorer.score([passages[index]])[0])
    return results


def _misses(
    loaded: LoadedModel, head: OutputHead, ids: torch.Tensor, prefix: int
) -> tuple[list[int], list[bool], list[bool]]:
    """Score a batch step by step, dropping rows at their first miss.

    Returns:
        The first miss of each row, whether a near tie could have decided it, and whether all
        logits up to it were finite.
    """
    rows, width = ids.shape
    suffix = width - prefix
    misses = torch.full((rows,), suffix)
    unsure = torch.zeros(rows, dtype=torch.bool)
    finite = torch.ones(rows, dtype=torch.bool)
    alive = torch.arange(rows)
    cache = DynamicCache(config=loaded.model.config)
    tolerance = tie_tolerance(loaded.dtype)
    fed, scored = 0, 0
    while scored < suffix and len(alive):
        step = min(_FIRST_STEP if scored == 0 else scored, suffix - scored)
        end = prefix - 1 + scored + step
        here = ids[alive.to(ids.device)]
        hidden = head.backbone(here[:, fed:end], past_key_values=cache, use_cache=True)
        logits = head.head(hidden[:, -step:].flatten(0, 1)).float()
        targets = here[:, end - step + 1 : end + 1].flatten()
        top, second = two_largest(logits)
        # Where the target shares the top with another logit, it is doubtful, not yet a hit.
        hit = (logits.gather(1, targets[:, None]).squeeze(1) >= top).view(-1, step).cpu()
        close = (second >= top - tolerance).view(-1, step).cpu()
        finite[alive] &= top.isfinite().view(-1, step).cpu().all(1)
        first = torch.where(hit.all(1), step, hit.int().argmin(1))
        # A near tie matters up to the first miss: the miss itself, or a hit before it, may be one.
        reached = torch.arange(step) <= first[:, None]
        unsure[alive] |= (close & reached).any(1)
        missed = first < step
        misses[alive[missed]] = scored + first[missed]
        fed, scored = end, scored + step
        if missed.any():
            keep = (~missed).nonzero().squeeze(1)
            alive = alive[keep]
            if len(alive) and scored < suffix:
                cache.batch_select_indices(keep.to(ids.device))
    return misses.tolist(), unsure.tolist(), finite.tolist()
