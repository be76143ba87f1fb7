"""The loss of given tokens from hidden states, with its gradient, to many digits and in one sweep.

Of a memorised token the probability is nearly 1, and `logsumexp(logits) - logit` in single
precision has no digit left where the loss is below 1e-6. With `r` the log of the odds against the
token, the loss is `log(1 + exp(r))`, and `r` comes from a sum over the *other* tokens, in which
nothing cancels; neither does anything in its gradient.

The vocabulary is gone through in chunks that stay in a processor's cache, and where a gradient is
wanted it is summed up on the same way, so that the logits are never held and never computed twice.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from byrote.models.head import OutputHead

__all__ = ["logits_nll", "target_nll"]

# Rows that are swept together, and logits that are held at a time.
_ROWS = 1024
_LOGITS = 2**20
_CAREFUL_ROWS = 16


def target_nll(head: OutputHead, hidden: Tensor, targets: Tensor) -> Tensor:
    """Compute the negative log-likelihood of tokens.

    Args:
        head: The model's output head.
        hidden: `[n, hidden]`, what the head takes.
        targets: `[n]` token ids.

    Returns:
        float64 `[n]`, nats; differentiable once, with respect to `hidden` only.
    """
    blocks = zip(hidden.split(_ROWS), targets.split(_ROWS), strict=True)
    return torch.cat([_TargetNll.apply(some, wanted, head) for some, wanted in blocks])


def logits_nll(logits: Tensor, targets: Tensor) -> Tensor:
    """The same from logits `[n, vocab]`, for models whose head cannot be split off."""
    logits = logits.double()
    others = logits.scatter(1, targets[:, None], -torch.inf)
    odds = others.logsumexp(1) - logits.gather(1, targets[:, None])[:, 0]
    return _softplus(odds)


class _TargetNll(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, targets: Tensor, head: OutputHead) -> Tensor:
        losses, gradient = _sweep(head, hidden, targets, ctx.needs_input_grad[0])
        if gradient is not None:
            ctx.save_for_backward(gradient)
        return losses

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *upstream: Tensor
    ) -> tuple[Tensor, None, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * upstream[0].to(gradient.dtype)[:, None], None, None


def _sweep(
    head: OutputHead, hidden: Tensor, targets: Tensor, wanted: bool
) -> tuple[Tensor, Tensor | None]:
    """The losses and, where wanted, their gradients `[n, hidden]`."""
    n, vocab = len(hidden), head.weight.shape[0]
    own = head.weight[targets]
    target = (hidden.double() * own.double()).sum(1)
    if head.bias is not None:
        target += head.bias[targets].double()
    target = head.finish(target)
    kind = torch.promote_types(hidden.dtype, torch.float32)
    shift = target.to(kind)[:, None]
    size = min(max(64, _LOGITS // max(n, 1)), vocab)
    buffer = hidden.new_empty(n * size)
    mass = hidden.new_zeros(n, dtype=torch.float64)
    pull = hidden.new_zeros(hidden.shape, dtype=kind) if wanted else None
    order = targets.argsort()
    ends = torch.arange(size, vocab + size, size, device=targets.device)
    bounds = [0, *torch.searchsorted(targets[order], ends).tolist()]
    for index, start in enumerate(range(0, vocab, size)):
        weight = head.weight[start : start + size]
        logits = buffer[: n * len(weight)].view(n, -1)
        if head.bias is None:
            torch.mm(hidden, weight.t(), out=logits)
        else:
            torch.addmm(head.bias[start : start + size], hidden, weight.t(), out=logits)
        logits = head.finish(logits).to(kind)
        slope = _slope(head, logits) if wanted and head.softcap is not None else None
        odds = logits.sub_(shift).exp_()
        here = order[bounds[index] : bounds[index + 1]]
        odds[here, targets[here] - start] = 0.0
        mass += odds.sum(1)
        if pull is not None:
            if slope is not None:
                odds *= slope
            pull.addmm_(odds, weight.to(kind))
    # The shift was rounded to its dtype; put back what was lost.
    r = mass.log() + (shift[:, 0].double() - target)
    losses = _softplus(r)
    gradient = None
    if pull is not None:
        pull /= mass.clamp_min(torch.finfo(kind).tiny).to(kind)[:, None]
        if head.softcap is None:
            pull *= head.scale
        pull -= _slope(head, target).to(kind)[:, None] * own
        gradient = (pull * torch.sigmoid(r).to(kind)[:, None]).to(hidden.dtype)
    # Another token so far ahead of the target that its odds overflow.
    beyond = (~mass.isfinite()).nonzero()[:, 0]
    for some in beyond.split(_CAREFUL_ROWS):
        losses[some], exact = _carefully(head, hidden[some], targets[some])
        if gradient is not None:
            gradient[some] = exact.to(gradient.dtype)
    return losses, gradient


def _carefully(head: OutputHead, hidden: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """The same from all logits at once, for any logits."""
    logits = head.head(hidden).double()
    losses = logits_nll(logits, targets)
    odds = logits.softmax(1)
    odds[torch.arange(len(targets), device=targets.device), targets] -= 1.0
    # finish(raw) = softcap · tanh(scale · raw / softcap)
    moved = (odds * _slope(head, logits)).to(hidden.dtype)
    return losses, moved @ head.weight


def _slope(head: OutputHead, logits: Tensor) -> Tensor:
    """The derivative of finished logits by raw ones, from the finished."""
    if head.softcap is None:
        return torch.full_like(logits, head.scale)
    return (1.0 - (logits / head.softcap).square()) * head.scale


def _softplus(r: Tensor) -> Tensor:
    # With the usual threshold of 20 nine digits would be lost there.
    return nn.functional.softplus(r, threshold=40.0)
