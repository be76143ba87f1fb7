"""Losses from hidden states against all logits in double precision."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from byrote.localization import losses
from byrote.localization.losses import logits_nll, target_nll
from byrote.models.head import OutputHead


def head(vocab, hidden, *, bias=False, scale=1.0, softcap=None, size=1.0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(vocab)
    weight = size * torch.randn(vocab, hidden, generator=generator, dtype=dtype)
    offset = torch.randn(vocab, generator=generator, dtype=dtype) if bias else None
    nothing = torch.nn.Identity()
    return OutputHead(nothing, nothing, weight, offset, scale, softcap)


def definition(head, hidden, targets):
    """Losses and gradients by `log_softmax` of all logits, in double precision."""
    hidden = hidden.detach().double().requires_grad_(True)
    logits = hidden @ head.weight.double().t()
    if head.bias is not None:
        logits = logits + head.bias.double()
    found = -head.finish(logits).log_softmax(1).gather(1, targets[:, None])[:, 0]
    (gradient,) = torch.autograd.grad(found.sum(), hidden)
    return found.detach(), gradient


def found(head, hidden, targets):
    hidden = hidden.detach().requires_grad_(True)
    value = target_nll(head, hidden, targets)
    (gradient,) = torch.autograd.grad(value.sum(), hidden)
    return value.detach(), gradient


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 40),
    vocab=st.integers(2, 300),
    bias=st.booleans(),
    scale=st.sampled_from([1.0, 0.3, 2.0]),
    softcap=st.sampled_from([None, 5.0, 30.0]),
    seed=st.integers(0, 99),
)
def test_losses_and_gradients_equal_the_definition(n, vocab, bias, scale, softcap, seed):
    own = head(vocab, 12, bias=bias, scale=scale, softcap=softcap)
    generator = torch.Generator().manual_seed(seed)
    hidden = torch.randn(n, 12, generator=generator)
    targets = torch.randint(0, vocab, (n,), generator=generator)
    for one, other in zip(
        found(own, hidden, targets), definition(own, hidden, targets), strict=True
    ):
        torch.testing.assert_close(one.double(), other, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize(("rows", "logits"), [(7, 64), (1024, 100), (3, 2**19)])
def test_blocks_and_chunks_do_not_matter(monkeypatch, rows, logits):
    own = head(201, 8, bias=True, softcap=9.0)
    hidden = torch.randn(20, 8, generator=torch.Generator().manual_seed(0))
    targets = torch.arange(20) * 10
    expected = found(own, hidden, targets)
    monkeypatch.setattr(losses, "_ROWS", rows)
    monkeypatch.setattr(losses, "_LOGITS", logits)
    for one, other in zip(found(own, hidden, targets), expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


def certain(margin):
    """A head and hidden states whose target is ahead of all others by so many nats."""
    own = head(50, 16)
    targets = torch.arange(50)
    hidden = own.weight / own.weight.norm(dim=1, keepdim=True)
    logits = hidden @ own.weight.t()
    ahead = logits[targets, targets] - logits.scatter(1, targets[:, None], -torch.inf).amax(1)
    some = ahead > 0.5
    return own, hidden[some] * (margin / ahead[some])[:, None], targets[some]


@pytest.mark.parametrize("margin", [5.0, 15.0, 30.0, 60.0])
def test_small_losses_keep_their_digits(margin):
    own, hidden, targets = certain(margin)
    losses, gradient = found(own, hidden, targets)
    # In double precision `log_softmax` is good down to losses of 1e-14.
    logits = hidden.double() @ own.weight.double().t()
    expected = logits_nll(logits, targets)
    assert float(losses.median()) < 50 * math.exp(-margin)
    assert (losses > 0).all()
    torch.testing.assert_close(losses, expected, rtol=3e-4, atol=0.0)
    others = logits.scatter(1, targets[:, None], -torch.inf)
    weights = others.softmax(1) * (1 - (-expected).exp())[:, None].clamp_min(0)
    if margin <= 15.0:
        weight = own.weight.double()
        slope = weights @ weight - weights.sum(1)[:, None] * weight[targets]
        torch.testing.assert_close(gradient.double(), slope, rtol=1e-3, atol=1e-12)
    assert gradient.isfinite().all()


@pytest.mark.parametrize("margin", [100.0, 1000.0])
def test_targets_far_behind_do_not_overflow(margin):
    own, hidden, targets = certain(margin)
    wrong = (targets + 1) % 50
    expected = definition(own, hidden, wrong)
    for one, other in zip(found(own, hidden, wrong), expected, strict=True):
        torch.testing.assert_close(one.double(), other, rtol=1e-4, atol=1e-4)


def test_losses_beyond_all_digits_are_zero_with_no_gradient():
    own, hidden, targets = certain(500.0)
    losses, gradient = found(own, hidden, targets)
    assert (losses == 0).all()
    assert (gradient == 0).all()


def test_what_is_not_finite_stays_so():
    own = head(20, 4)
    hidden = torch.ones(3, 4)
    hidden[1, 2] = torch.nan
    losses = target_nll(own, hidden, torch.arange(3))
    assert losses.isfinite().tolist() == [True, False, True]


def test_logits_give_the_same():
    own = head(40, 8, bias=True)
    hidden, targets = torch.randn(9, 8), torch.arange(9)
    torch.testing.assert_close(
        logits_nll(own.head(hidden), targets),
        target_nll(own, hidden, targets),
        rtol=1e-5,
        atol=1e-6,
    )


def test_half_precision_is_summed_in_single():
    own = head(300, 16, dtype=torch.bfloat16)
    hidden = torch.randn(5, 16, generator=torch.Generator().manual_seed(3)).bfloat16()
    targets = torch.arange(5)
    losses, gradient = found(own, hidden, targets)
    expected = definition(own, hidden, targets)
    torch.testing.assert_close(losses, expected[0], rtol=3e-2, atol=3e-2)
    assert gradient.dtype == torch.bfloat16
