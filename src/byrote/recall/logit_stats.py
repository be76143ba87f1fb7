"""Everything that scoring reads from a block of logits, in few passes over it.

A row of a 262,144-token vocabulary is 1 MB, and a plain top-k of it costs as much as computing it.
So the row is first reduced to the maxima of blocks of 64 logits; the k largest logits then lie in
the k blocks with the largest maxima, and only those are looked at again. That is exact.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from byrote.recall.sampling import sampled_logprob
from byrote.recall.scores import SamplingScheme

__all__ = ["LogitStats", "logit_stats", "two_largest"]

_BLOCK = 64


@dataclass(frozen=True, slots=True)
class LogitStats:
    """What was read from `n` rows of logits; every tensor has the shape `[n]`.

    Attributes:
        logprob: float32, log-probability of the target, nats.
        rank: int64, number of logits larger than the target's.
        hit: bool, whether the target is `argmax`.
        argmax: int64, the lowest id among the largest logits.
        entropy: float32, nats.
        logprob_var: float32, nats².
        logprob_sampled: float32, nats; minus infinity where the scheme excludes the target.
        near_tie: bool, whether another logit comes within `tie_tolerance` of the largest.
    """

    logprob: torch.Tensor
    rank: torch.Tensor
    hit: torch.Tensor
    argmax: torch.Tensor
    entropy: torch.Tensor
    logprob_var: torch.Tensor
    logprob_sampled: torch.Tensor
    near_tie: torch.Tensor


@torch.inference_mode()
def logit_stats(
    logits: torch.Tensor,
    targets: torch.Tensor,
    scheme: SamplingScheme,
    tie_tolerance: float,
) -> LogitStats:
    """Reduce logits to the per-token numbers of a score.

    Args:
        logits: `[n, vocab]`; float32 logits are overwritten, to save a copy of the largest tensor.
        targets: `[n]`, the true token ids.
        scheme: The sampling scheme of `logprob_sampled`.
        tie_tolerance: Logits closer than this to the largest one count as tied with it.

    Returns:
        The statistics of each row.
    """
    logits = logits.float()
    n, vocab = logits.shape
    target = logits.gather(1, targets[:, None])
    keep = min(max(scheme.top_k or 0, 2), vocab)
    values, ids, complete = _largest(logits, keep)
    top = values[:, :1]
    near_tie = (values > top - tie_tolerance).sum(1) > 1
    argmax = ids.masked_fill(values < top, vocab).amin(1)
    # As many exact ties at the very top as there are candidates: look at the whole row.
    flat = (~complete & (values[:, keep - 1] == top.squeeze(1))).nonzero().squeeze(1)
    if len(flat):
        argmax[flat] = logits[flat].argmax(1)
    rank = (values > target).sum(1)
    # A target below every candidate may have more tokens above it than the candidates show.
    deep = (target < values[:, keep - 1 : keep]).squeeze(1).nonzero().squeeze(1)
    if len(deep) == n:
        rank = (logits > target).sum(1, dtype=torch.int32).long()
    elif len(deep):
        rank[deep] = (logits[deep] > target[deep]).sum(1, dtype=torch.int32).long()

    plain = scheme.temperature == 1.0 and scheme.top_k is None and scheme.top_p is None
    if plain:
        sampled = None
    elif scheme.top_k is not None:
        sampled = _sampled_from_candidates(logits, values, complete, targets, target, scheme)
    else:
        sampled = sampled_logprob(logits, targets, scheme)

    # z = logit - max; with e = exp(z): the mean and variance of z under the softmax.
    z = logits.sub_(top)
    e = z.exp()
    mass = e.sum(1)
    e.mul_(z)
    mean = e.sum(1) / mass
    square = e.mul_(z).sum(1) / mass
    log_mass = mass.log()
    logprob = (target - top).squeeze(1) - log_mass
    return LogitStats(
        logprob=logprob,
        rank=rank,
        hit=argmax == targets,
        argmax=argmax,
        entropy=(log_mass - mean).clamp_min_(0.0),
        logprob_var=(square - mean.square()).clamp_min_(0.0),
        logprob_sampled=logprob if sampled is None else sampled.float(),
        near_tie=near_tie,
    )


def two_largest(logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Find the largest logit of each row and the next one, equal where two tie.

    Args:
        logits: `[n, vocab]` with at least two columns.

    Returns:
        Two tensors `[n]`.
    """
    values = _largest(logits, 2)[0]
    return values[:, 0], values[:, 1]


def _largest(logits: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Find candidates that contain the k largest logits of each row.

    Returns:
        Values `[n, c]` in descending order with c ≥ k, the k largest among them, their ids
        `[n, c]`, and `[n]` whether they surely hold every logit that is at least the k-th largest,
        ties included.
    """
    n, vocab = logits.shape
    blocks = vocab // _BLOCK
    if blocks < 4 * k:
        values, ids = logits.sort(dim=1, descending=True, stable=True)
        return values, ids, torch.ones(n, dtype=torch.bool, device=logits.device)
    body = logits[:, : blocks * _BLOCK].view(n, blocks, _BLOCK)
    maxima = body.amax(2)
    block_values, block_ids = maxima.topk(k + 1, dim=1)
    chosen = block_ids[:, :k]
    values = body.gather(1, chosen[:, :, None].expand(n, k, _BLOCK)).view(n, k * _BLOCK)
    steps = torch.arange(_BLOCK, device=logits.device)
    ids = (chosen[:, :, None] * _BLOCK + steps).view(n, k * _BLOCK)
    if blocks * _BLOCK < vocab:
        tail = torch.arange(blocks * _BLOCK, vocab, device=logits.device)
        values = torch.cat([values, logits[:, blocks * _BLOCK :]], 1)
        ids = torch.cat([ids, tail.expand(n, -1)], 1)
    values, order = values.topk(k + 1, dim=1)
    kth = values[:, k - 1]
    complete = (block_values[:, k] < kth) & (values[:, k] < kth)
    return values, ids.gather(1, order), complete


def _sampled_from_candidates(
    logits: torch.Tensor,
    values: torch.Tensor,
    complete: torch.Tensor,
    targets: torch.Tensor,
    target: torch.Tensor,
    scheme: SamplingScheme,
) -> torch.Tensor:
    """Apply a scheme with top-k to the candidates, which hold the whole nucleus of most rows."""
    if scheme.top_p is not None:
        # Inside top-p, ties are broken by the order of a full sort: leave that to the definition.
        return sampled_logprob(logits, targets, scheme)
    assert scheme.top_k is not None
    k = min(scheme.top_k, logits.shape[1])
    scaled = values / scheme.temperature
    outside = values < values[:, k - 1 : k]
    normaliser = scaled.masked_fill(outside, -torch.inf).logsumexp(1)
    wanted = target.squeeze(1)
    sampled = (wanted / scheme.temperature - normaliser).masked_fill(
        wanted < values[:, k - 1], -torch.inf
    )
    ties = (~complete).nonzero().squeeze(1)
    if len(ties):
        sampled[ties] = sampled_logprob(logits[ties], targets[ties], scheme).to(sampled.dtype)
    return sampled
