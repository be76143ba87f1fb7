"""The exact log-probability of tokens under temperature, top-k and top-p sampling.

The definition, order and boundary conventions are those of transformers' logits warpers
(`TemperatureLogitsWarper`, `TopKLogitsWarper`, `TopPLogitsWarper`), so that the number is the
probability with which `model.generate(do_sample=True)` draws the token:

* top-k keeps every token that ties with the k-th, so more than k may stay;
* top-p keeps the token that crosses p, and always the likeliest one; of equal tokens astride the
  boundary some stay and some go, as `torch.sort` happens to order them.

`_plain` says exactly that. It sorts the whole vocabulary, so `sampled_logprob` looks only at the
head of each distribution and calls `_plain` for the rare rows that a tie decides.
"""

from __future__ import annotations

import math

import torch

from byrote.recall.scores import SamplingScheme

__all__ = ["is_plain", "sampled_logprob"]

# With top-p alone, how many of the likeliest tokens are searched for the nucleus before the row is
# sorted in full.
_HEAD = 1024
# A cumulative probability this near to the boundary may fall on either side by rounding alone.
_NEAR = 1e-6


def is_plain(scheme: SamplingScheme) -> bool:
    """Whether the scheme draws from the model's own distribution, unchanged."""
    return scheme.temperature == 1.0 and scheme.top_k is None and scheme.top_p in (None, 1.0)


def sampled_logprob(
    logits: torch.Tensor,
    targets: torch.Tensor,
    scheme: SamplingScheme,
    *,
    logprob: torch.Tensor | None = None,
    top_values: torch.Tensor | None = None,
) -> torch.Tensor:
    """Log-probability of each target under a sampling scheme.

    Args:
        logits: `[n, vocab]`; half precision is raised to float32, as in `generate`. Not changed.
        targets: `[n]`, int64 token ids.
        scheme: The sampling scheme.
        logprob: `[n]`, the targets' log-probabilities at temperature 1 if they are known already;
            they are the answer where `is_plain(scheme)`, and unused otherwise.
        top_values: `[n, m]`, the m largest logits of each row in descending order (before the
            temperature) if they are known already. Used where m > top_k; saves the only pass over
            the vocabulary that top-k needs.

    Returns:
        `[n]` in nats; minus infinity where the scheme can never draw the target.

    Raises:
        InputError: A value of the scheme is outside its range.
    """
    scheme.check()
    if logprob is not None and is_plain(scheme):
        return logprob
    if logits.dtype not in (torch.float32, torch.float64):
        logits = logits.float()
    vocab = logits.shape[1]
    k = scheme.top_k if scheme.top_k is not None and scheme.top_k < vocab else None
    p = scheme.top_p if scheme.top_p is not None and scheme.top_p < 1 else None
    t = scheme.temperature

    if k is None and (p is None or vocab <= 2 * _HEAD):
        return _plain(logits, targets, t, None, p)
    true = _scaled(logits.gather(1, targets[:, None]), t).squeeze(1)
    if k is not None:
        if top_values is None or top_values.shape[1] <= k:
            top_values = logits.topk(k + 1, dim=1).values
        result, unsure = _within_top_k(_scaled(top_values[:, : k + 1].to(true.dtype), t), true, p)
    else:
        assert p is not None
        scaled = _scaled(logits, t)
        values = scaled.topk(_HEAD + 1, dim=1).values
        result, unsure = _within_top_p(values, scaled.logsumexp(dim=1), true, p)
    if bool(unsure.any()):
        result[unsure] = _plain(logits[unsure], targets[unsure], t, k, p)
    return result


def _scaled(logits: torch.Tensor, temperature: float) -> torch.Tensor:
    return logits if temperature == 1.0 else logits / temperature


def _within_top_k(
    values: torch.Tensor, true: torch.Tensor, p: float | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Top-k, then top-p, from the k + 1 largest scores `[n, k + 1]`, and which rows are unsure."""
    head, following = values[:, :-1], values[:, -1]
    lowest = head[:, -1]
    unsure = following == lowest
    if p is not None:
        ascending = head.flip(1)
        cumulative = ascending.softmax(dim=1).cumsum(dim=1)
        removed = cumulative <= 1 - p
        removed[:, -1] = False
        first = removed.sum(dim=1, keepdim=True)
        lowest = ascending.gather(1, first).squeeze(1)
        below = ascending.gather(1, (first - 1).clamp(min=0)).squeeze(1)
        unsure |= (first.squeeze(1) > 0) & (below == lowest)
        unsure |= ((cumulative - (1 - p)).abs() < _NEAR).any(dim=1)
        head = ascending.masked_fill(removed, -math.inf)
    return _renormalised(head, lowest, true), unsure


def _within_top_p(
    values: torch.Tensor, total: torch.Tensor, true: torch.Tensor, p: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Top-p from the largest scores `[n, head + 1]` and the log of the whole mass `[n]`."""
    head = values[:, :-1]
    probability = (head - total[:, None]).exp()
    before = probability.cumsum(dim=1) - probability
    kept = before < p
    kept[:, 0] = True
    count = kept.sum(dim=1, keepdim=True)
    lowest = values.gather(1, count - 1).squeeze(1)
    # Equal neighbours astride the boundary are told apart by the sort; and where the whole head is
    # kept, the nucleus may go on below it.
    unsure = (values.gather(1, count).squeeze(1) == lowest) | kept.all(dim=1)
    unsure |= ((before - p).abs() < _NEAR).any(dim=1)
    return _renormalised(head.masked_fill(~kept, -math.inf), lowest, true), unsure


def _renormalised(kept: torch.Tensor, lowest: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
    # Differences from the maximum first: a large common offset of the logits then costs no digits.
    top = kept.amax(dim=1)
    mass = (kept - top[:, None]).exp().sum(dim=1).log()
    return torch.where(true >= lowest, (true - top) - mass, -math.inf)


def _plain(
    logits: torch.Tensor, targets: torch.Tensor, t: float, k: int | None, p: float | None
) -> torch.Tensor:
    """The definition, on the whole vocabulary."""
    scores = _scaled(logits, t)
    if k is not None:
        scores = scores.masked_fill(scores < scores.topk(k, dim=1).values[:, -1:], -math.inf)
    if p is not None:
        # Not a stable sort: which of equal tokens `generate` drops is what this very call decides.
        ascending, order = scores.sort(dim=1, descending=False)
        removed = ascending.softmax(dim=1).cumsum(dim=1) <= 1 - p
        removed[:, -1] = False
        scores = scores.masked_fill(removed.scatter(1, order, removed), -math.inf)
    return scores.log_softmax(dim=1).gather(1, targets[:, None]).squeeze(1)
