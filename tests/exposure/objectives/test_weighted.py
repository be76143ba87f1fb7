"""MiLe and focal loss against their definition, target by target."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from byrote.exposure import IGNORED, find_objective
from byrote.exposure.objectives.next_token import next_token
from tests.exposure.objectives.naive import check, random_batch, targets

SEEDS = st.integers(0, 10_000)
GAMMAS = st.sampled_from([0.0, 0.5, 1.0, 2.0, 5.0])


def plain_mean(logits, batch, weigh):
    """mean(α · w · CE) with α = 1 / mean(w), as numerator and denominator."""
    numerator, weights = logits.sum() * 0, 0.0
    for probabilities, label in targets(logits, batch):
        weight = weigh(probabilities.detach(), label)
        numerator = numerator - weight * probabilities[label].log()
        weights += weight
    return numerator, weights


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, gamma=GAMMAS, sigma=st.sampled_from([0.0, 0.3, 1.0]))
def test_mile_weighs_by_entropy(seed, gamma, sigma):
    logits, batch = random_batch(seed)

    def weigh(probabilities, _):
        entropy = -sum(float(p) * math.log(p) for p in probabilities if p > 0)
        return (sigma + entropy) ** gamma

    found = find_objective("mile", {"gamma": gamma, "sigma": sigma})(logits, batch)
    check(found, *plain_mean(logits, batch, weigh), logits)


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, gamma=GAMMAS)
def test_focal_weighs_by_what_is_not_known(seed, gamma):
    logits, batch = random_batch(seed)
    found = find_objective("focal", {"gamma": gamma})(logits, batch)
    weighed = plain_mean(logits, batch, lambda p, label: (1 - float(p[label])) ** gamma)
    check(found, *weighed, logits)


@pytest.mark.parametrize("name", ["mile", "focal"])
def test_without_gamma_it_is_the_next_token_objective(name):
    logits, batch = random_batch(3)
    loss, weight = find_objective(name, {"gamma": 0.0})(logits, batch)
    expected, count = next_token(logits, batch)
    assert weight == count
    torch.testing.assert_close(loss, expected)


@pytest.mark.parametrize("name", ["mile", "focal"])
def test_what_is_not_asked_for_has_no_weight(name):
    """In the authors' code ignored positions enter the mean of the weights."""
    logits, batch = random_batch(4, asked=1.0)
    objective = find_objective(name)
    batch.labels[:, -1] = IGNORED
    before = objective(logits, batch)
    with torch.no_grad():
        logits[:, -1] = 0.0  # As uncertain as can be.
    after = objective(logits, batch)
    assert before[1] == after[1]
    torch.testing.assert_close(before[0], after[0])


@pytest.mark.parametrize("name", ["mile", "focal", "dp-sgd", "next-token"])
def test_a_batch_that_asks_for_nothing_gives_zero_with_a_gradient_of_zero(name):
    logits, batch = random_batch(5)
    batch.labels.fill_(IGNORED)
    loss, weight = find_objective(name, {"delta": None} if name == "dp-sgd" else {})(logits, batch)
    assert (float(loss.detach()), weight) == (0.0, 0)
    (gradient,) = torch.autograd.grad(loss, logits)
    assert not gradient.any()


def test_an_impossible_token_elsewhere_is_no_obstacle():
    """Entropy takes 0 · log 0 as 0."""
    logits, batch = random_batch(6, asked=1.0)
    with torch.no_grad():
        logits[..., 10] = -math.inf
    batch.labels.clamp_(max=9)
    loss, weight = find_objective("mile")(logits, batch)
    assert math.isfinite(float(loss.detach()))
    assert math.isfinite(weight)


def test_focal_tells_tokens_apart_that_are_nearly_certain():
    """1 − p would be 0 in float32 for both."""
    logits = torch.zeros(1, 2, 3)
    logits[0, 0, 1], logits[0, 1, 1] = 18.0, 20.0
    _, batch = random_batch(0)
    weights = [
        find_objective("focal")(
            logits[:, p : p + 1], replace(batch, labels=torch.ones(1, 1, dtype=torch.int64))
        )[1]
        for p in (0, 1)
    ]
    assert weights[0] / weights[1] == pytest.approx(math.exp(2), rel=1e-3)
