from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from byrote.errors import InputError
from byrote.exposure import ExposureConfig, Observer, expose, find_objective
from byrote.exposure.objectives import Setting
from byrote.exposure.objectives.dp_sgd import ACCOUNTANTS, privacy_spent
from tests.exposure.plain import plain_loss, weights


class Gradients(Observer):
    """The norm of the whole gradient before the step."""

    def __init__(self):
        self.norms = []

    def on_step(self, view):
        self.norms.append(view.grad_norm)


def shown(loaded, sequences, options, **values):
    """The norms of the steps' gradients, after clipping and noise."""
    watch = Gradients()
    options = {"delta": None, **options}
    config = ExposureConfig(
        **{"epochs": 1, "clip": math.inf, "objective": "dp-sgd", **values},
        objective_options=options,
    )
    expose(loaded, sequences, config, observers=[watch])
    return watch.norms


def step_gradient(loaded, sequences, options):
    """The whole gradient of one step over all sequences."""
    objective = find_objective("dp-sgd", {"delta": None, **options})
    objective.begin(Setting(loaded, sequences))
    parameters = list(loaded.model.parameters())
    for index in range(len(sequences)):
        batch = sequences.batch(np.array([index]))
        loss, weight = objective(loaded.model(input_ids=batch.input_ids).logits, batch)
        assert weight == 1
        objective.backward(loss, parameters)
    objective.finish(parameters, len(sequences), 0)
    return torch.cat([p.grad.flatten() for p in parameters])


def plain_gradients(model, sequences):
    """Each sequence's gradient of its mean loss, all parameters in a row."""
    rows = []
    for index in range(len(sequences)):
        loss = plain_loss(model, sequences, index) / sequences.targets(np.array([index]))
        rows.append(torch.cat([g.flatten() for g in torch.autograd.grad(loss, model.parameters())]))
    return torch.stack(rows)


@pytest.mark.parametrize("max_norm", [0.05, 0.7, 1e9])
def test_without_noise_it_is_the_mean_of_clipped_gradients(fresh, strings, max_norm):
    sequences, loaded = strings(length=[12, 5, 9]), fresh()
    gradients = plain_gradients(loaded.model, sequences)
    norms = gradients.norm(dim=1, keepdim=True)
    expected = (gradients * (max_norm / norms).clamp(max=1)).mean(0)
    options = {"max_norm": max_norm, "noise_multiplier": 0.0}
    found = step_gradient(fresh(), sequences, options)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-6)
    for split in ({"batch_size": 3}, {"accumulation": 3}, {"batch_size": 2, "accumulation": 2}):
        (norm,) = shown(fresh(), sequences, options, **split)
        assert norm == pytest.approx(float(expected.norm()), rel=1e-4)


def test_noise_has_the_deviation_that_was_asked_for_and_belongs_to_seed_and_step(fresh, strings):
    sequences = strings(4)
    options = {"max_norm": 1e-6, "noise_multiplier": 1e6}
    runs = {}
    for name, seed, epochs in (("a", 0, 1), ("again", 0, 1), ("other", 1, 1)):
        config = {"seed": seed, "epochs": epochs, "batch_size": 4}
        runs[name] = shown(fresh(), sequences, options, **config)
    (norm,) = runs["a"]
    count = fresh().parameters
    # σC = 1 in every parameter, over four sequences.
    assert norm == pytest.approx(math.sqrt(count) / 4, rel=0.05)
    assert runs["a"] == runs["again"] != runs["other"]
    norms = shown(fresh(), sequences, options, epochs=2, batch_size=4)
    assert norms[0] == norm != norms[1]


def test_every_parameter_that_learns_has_noise(fresh, strings):
    loaded = fresh()
    before = weights(loaded.model)
    config = ExposureConfig(
        epochs=1,
        lr=1e-2,
        trainable="mlp:1",
        objective="dp-sgd",
        objective_options={"delta": None, "noise_multiplier": 2.0},
    )
    result = expose(loaded, strings(2), config)
    after = weights(loaded.model)
    for name in before:
        share = float((after[name] != before[name]).float().mean())
        assert share == (pytest.approx(1.0, abs=0.05) if name in result.selection.names else 0.0)


def test_losses_are_means_over_sequences(fresh, strings):
    sequences, loaded = strings(length=[12, 3]), fresh()
    with torch.no_grad():
        parts = [
            float(plain_loss(loaded.model, sequences, i)) / sequences.targets(np.array([i]))
            for i in range(2)
        ]
    options = {"delta": None}
    config = ExposureConfig(epochs=0, batch_size=2, objective="dp-sgd", objective_options=options)
    result = expose(loaded, sequences, config)
    assert result.losses[0] == pytest.approx(np.mean(parts), rel=1e-5)
    assert result.targets[0] == 2


@pytest.mark.parametrize("max_norm", [0.1, 1.0])
@pytest.mark.filterwarnings("ignore:Full backward hook:UserWarning")
def test_the_gradient_is_that_of_opacus(fresh, strings, max_norm):
    grad_sample = pytest.importorskip("opacus.grad_sample")
    sequences = strings(4)
    options = {"max_norm": max_norm, "noise_multiplier": 0.0}
    found = step_gradient(fresh(), sequences, options)
    loaded = fresh()
    loaded.model.train()  # It has no dropout; opacus watches nothing in evaluation mode.
    wrapped = grad_sample.GradSampleModule(loaded.model, loss_reduction="mean", strict=False)
    batch = sequences.batch(np.arange(4))
    logits = wrapped(input_ids=batch.input_ids, use_cache=False).logits
    losses = functional.cross_entropy(logits.transpose(1, 2), batch.labels, reduction="none")
    losses.mean(1).mean().backward()
    samples = [p.grad_sample.reshape(4, -1) for p in wrapped.parameters()]
    rows = torch.cat(samples, 1)
    clipped = rows * (max_norm / (rows.norm(dim=1, keepdim=True) + 1e-6)).clamp(max=1.0)
    torch.testing.assert_close(found, clipped.mean(0), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(("releases", "sigma"), [(1, 4.0), (7, 1.0), (100, 4.0)])
@pytest.mark.parametrize("accountant", ACCOUNTANTS)
def test_epsilon_is_an_upper_bound_close_to_the_exact_one(releases, sigma, accountant):
    """The exact δ of the Gaussian mechanism: Balle and Wang, 1805.06530, theorem 8."""
    pytest.importorskip("opacus")
    from scipy.stats import norm

    epsilon = privacy_spent(sigma, releases, 1e-5, accountant=accountant)
    mu = math.sqrt(releases) / sigma

    def delta(value):
        upper = norm.cdf(mu / 2 - value / mu)
        return upper - math.exp(value) * norm.cdf(-mu / 2 - value / mu)

    assert delta(epsilon) <= 1e-5 < delta(0.7 * epsilon)


def test_an_epoch_is_one_release_however_many_steps_it_has(fresh, strings):
    pytest.importorskip("opacus")
    reports = []
    for batch_size in (1, 4):
        options = {"noise_multiplier": 2.0}
        config = ExposureConfig(
            epochs=3, batch_size=batch_size, objective="dp-sgd", objective_options=options
        )
        reports.append(expose(fresh(), strings(4), config).report)
    assert reports[0]["epsilon"] == reports[1]["epsilon"] == privacy_spent(2.0, 3, 1e-5)
    assert reports[1]["epsilon_if_sampled"] == reports[1]["epsilon"]
    assert reports[0]["epsilon_if_sampled"] == privacy_spent(2.0, 12, 1e-5, sample_rate=0.25)
    assert reports[0]["delta"] == 1e-5


def test_no_noise_is_no_privacy_and_no_release_spends_none():
    pytest.importorskip("opacus")
    assert privacy_spent(0.0, 1, 1e-5) == math.inf
    assert privacy_spent(1.0, 0, 1e-5) == 0.0


def test_without_opacus_the_extra_is_named(monkeypatch, fresh, strings):
    from byrote.exposure.objectives import dp_sgd

    monkeypatch.setattr(dp_sgd.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install byrote\[opacus\]"):
        ExposureConfig(objective="dp-sgd").check()
    find_objective("dp-sgd", {"delta": None})
