"""Which passages may still be recited well enough, told from the first tokens of their suffixes.

Of a large corpus nearly everything misses more tokens within a dozen than it may in the whole
suffix. So only those first tokens are run, the head is applied to four at a time, and a passage
that has used up its misses is dropped.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from byrote.models.head import OutputHead, split_head
from byrote.models.loading import LoadedModel
from byrote.recall.scoring import batches_by_length, tie_tolerance
from byrote.texts.passages import Passage

__all__ = ["allowed_misses", "sieve"]

_STEP = 4
_LEAST = 12
_LOGITS_PER_PRODUCT = 2**25


def allowed_misses(suffix_len: int, accuracy: float) -> int:
    """How many of so many tokens may be wrong while more than this share is right."""
    least_hits = math.floor(suffix_len * accuracy + 1e-9) + 1
    return suffix_len - least_hits


def sieve(loaded: LoadedModel, passages: Sequence[Passage], accuracy: float) -> list[int]:
    """Find the passages of which more than this share of the suffix may be recited.

    None is dropped that teacher-forced scoring would keep: only misses count that no rounding
    could have made, of tokens that are in the suffix.

    Args:
        loaded: The model; its lead stands before every passage.
        passages: What is asked.
        accuracy: The share of suffix tokens that must be exceeded, below 1.

    Returns:
        Their indices, in order; all of them where the model's head cannot be split off, or where a
        passage cannot be scored (the scoring that follows says so).
    """
    head = split_head(loaded.model)
    if head is None or any(p.prefix_len + len(loaded.lead) < 1 for p in passages):
        return list(range(len(passages)))
    shown = [_shown(passage, accuracy) for passage in passages]
    lengths = [p.prefix_len + k for p, k in zip(passages, shown, strict=True)]
    kept: list[int] = []
    for indices in batches_by_length(lengths, None):
        alive = _alive(
            loaded,
            head,
            [passages[i] for i in indices],
            [shown[i] for i in indices],
            [allowed_misses(passages[i].suffix_len, accuracy) for i in indices],
        )
        kept += [indices[row] for row in alive]
    return sorted(kept)


def _shown(passage: Passage, accuracy: float) -> int:
    """How many suffix tokens are looked at."""
    wanted = max(_LEAST, 3 * allowed_misses(passage.suffix_len, accuracy) + _STEP)
    return min(passage.suffix_len, wanted)


@torch.inference_mode()
def _alive(
    loaded: LoadedModel,
    head: OutputHead,
    batch: Sequence[Passage],
    shown: Sequence[int],
    allowed: Sequence[int],
) -> list[int]:
    """The rows that have not used up their misses."""
    lead, device = loaded.lead, loaded.device
    steps = max(shown)
    width = len(lead) + max(p.prefix_len + k for p, k in zip(batch, shown, strict=True)) - 1
    ids = torch.zeros(len(batch), width, dtype=torch.long)
    columns = torch.zeros(len(batch), steps, dtype=torch.long)
    targets = torch.zeros(len(batch), steps, dtype=torch.long)
    asked = torch.arange(steps) < torch.tensor(list(shown))[:, None]
    for row, (passage, count) in enumerate(zip(batch, shown, strict=True)):
        tokens = torch.as_tensor(passage.input_ids[: passage.prefix_len + count], dtype=torch.long)
        ids[row, : len(lead)] = torch.tensor(lead, dtype=torch.long)
        ids[row, len(lead) : len(lead) + len(tokens) - 1] = tokens[:-1]
        start = len(lead) + passage.prefix_len - 1
        columns[row, :count] = torch.arange(start, start + count)
        targets[row, :count] = tokens[passage.prefix_len :]
    hidden = head.backbone(ids.to(device), use_cache=False)
    left = torch.tensor(list(allowed))
    rows = torch.arange(len(batch))
    for begin in range(0, steps, _STEP):
        here = slice(begin, begin + _STEP)
        states = hidden[rows.to(device)[:, None], columns[rows, here].to(device)]
        missed = _missed(loaded, head, states, targets[rows, here].to(device)).cpu()
        left[rows] -= (missed & asked[rows, here]).sum(dim=1)
        rows = rows[left[rows] >= 0]
        if not len(rows):
            break
    return rows.tolist()


def _missed(loaded: LoadedModel, head: OutputHead, states: Tensor, targets: Tensor) -> Tensor:
    """Where the target is surely not the argmax: bool `[rows, steps]`."""
    flat, wanted = states.flatten(0, 1), targets.flatten()
    at_once = max(1, _LOGITS_PER_PRODUCT // head.weight.shape[0])
    tolerance = tie_tolerance(loaded.dtype)
    parts = []
    for some, tokens in zip(flat.split(at_once), wanted.split(at_once), strict=True):
        logits = head.head(some).float()
        own = logits.gather(1, tokens[:, None]).squeeze(1)
        # NaN is no miss here: the scoring that follows refuses it.
        parts.append(own < logits.amax(dim=1) - tolerance)
    return torch.cat(parts).view(targets.shape)
