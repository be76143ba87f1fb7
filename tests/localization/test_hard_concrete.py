"""The formulas of Hard Concrete."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from byrote.errors import InputError
from byrote.localization.hard_concrete import HardConcrete
from tests.recall.passages import random_passages


def draws(method, count, layers=2, width=500):
    return torch.stack(list(itertools.islice(method.draws(layers, width), count)))


@pytest.mark.parametrize("init", [0.05, 0.2, 0.5, 0.9])
def test_the_gate_at_the_start_without_noise_and_temperature_is_init(init):
    raw = torch.tensor(HardConcrete(init=init).first())
    assert float(HardConcrete(beta=1.0).gates(raw, None)) == pytest.approx(init, abs=1e-6)


def test_starts_by_aim():
    assert HardConcrete().first() == pytest.approx(math.log((1.0 / 1.2) / (0.2 / 1.2)))
    assert HardConcrete(aim="erase").first() == pytest.approx(math.log(0.1 / 1.1))


def test_the_size_is_the_chance_that_a_gate_is_not_shut():
    method = HardConcrete(beta=0.5)
    raw = torch.linspace(-4, 4, 9).repeat(1, 1, 1)
    noise = draws(method, 4000, 1, 9)
    open_share = (method.gates(raw, noise) > 0).double().mean().item()
    assert float(method.size(raw)) == pytest.approx(open_share, abs=0.01)


def test_gates_reach_both_ends_and_the_space_between():
    method = HardConcrete(init=0.5)
    gates = method.gates(torch.full((2, 500), method.first()), draws(method, 1)[0])
    assert (gates == 0).any()
    assert (gates == 1).any()
    assert ((gates > 0) & (gates < 1)).any()


def test_draws_are_those_of_the_seed():
    assert torch.equal(draws(HardConcrete(), 3), draws(HardConcrete(), 3))
    assert not torch.equal(draws(HardConcrete(seed=1), 3), draws(HardConcrete(), 3))
    first, second, _ = draws(HardConcrete(), 3)
    assert not torch.equal(first, second)


def test_draws_are_logits_of_clamped_uniforms():
    found = torch.sigmoid(draws(HardConcrete(), 200))
    assert found.min() >= 1e-4 * 0.99
    assert found.max() <= 1 - 1e-4 * 0.99
    assert found.mean() == pytest.approx(0.5, abs=0.01)


def test_the_score_is_the_sigmoid_without_stretch_or_temperature():
    raw = torch.tensor([[[-2.0, 0.0, 3.0]]])
    assert torch.equal(HardConcrete(beta=0.1).scores(raw), raw.sigmoid())


def test_passages_do_not_share_what_they_have_learned(random_model):
    loaded = random_model("gpt2")
    first, second = HardConcrete(epochs=5).score(loaded, random_passages(2, 256))
    assert not torch.equal(first, second)


def test_the_global_random_state_stays(random_model):
    torch.manual_seed(4)
    before = torch.get_rng_state()
    HardConcrete(epochs=2).score(random_model("gpt2"), random_passages(1, 256))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"beta": 0.0}, "beta=0.0"),
        ({"init": 1.1}, "init=1.1"),
        ({"init": -0.1}, "init=-0.1"),
        ({"seed": -1}, "seed=-1"),
    ],
)
def test_bad_options_are_refused(options, match):
    with pytest.raises(InputError, match=match):
        HardConcrete(**options)
