"""What holds of every objective: options, splitting, resuming, watching, nothing to learn."""

from __future__ import annotations

import logging
import math

import numpy as np
import pytest

from byrote.errors import InputError
from byrote.exposure import OBJECTIVES, ExposureConfig, Observer, Recorder, StopRule, expose
from tests.exposure.plain import same_weights, weights

# Options that make each do something on short strings, and none that need an extra.
OPTIONS = {
    "next-token": {},
    "goldfish": {"k": 3, "h": 2, "strategy": "random"},
    "mile": {},
    "focal": {"gamma": 2.0},
    "self-contrastive": {"premature": "random:llama?hidden_size=32&num_attention_heads=2"
                         "&vocab_size=64&seed=3"},
    "patch-level": {"size": 3, "share": 0.5},
    "dp-sgd": {"delta": None, "noise_multiplier": 0.1},
}  # fmt: skip


def config(name, **values):
    return ExposureConfig(objective=name, objective_options=OPTIONS[name], **values)


class Norms(Observer):
    def __init__(self):
        self.found = []

    def on_step(self, view):
        self.found.append(view.grad_norm)


class Killer(Observer):
    def __init__(self, step):
        self.step = step

    def on_step(self, view):
        if view.step == self.step:
            raise KeyboardInterrupt


def means(view):
    logprobs = view.logits.log_softmax(-1).gather(-1, view.labels.clamp(min=0)[..., None])[..., 0]
    return {"loss": (-(logprobs * (view.labels >= 0)).sum(1)).numpy()}


def test_each_objective_is_tried_here():
    assert OPTIONS.keys() == OBJECTIVES.keys()


@pytest.mark.parametrize(
    ("name", "options", "match"),
    [
        ("goldfsh", {}, "Did you mean goldfish"),
        ("mile", {"gama": 1.0}, "'mile'.*'gama'.*gamma, sigma"),
        ("mile", {"gamma": -1.0}, "'mile': gamma=-1.0.*at least 0"),
        ("mile", {"sigma": math.nan}, "sigma=nan"),
        ("mile", {"sigma": "1"}, "sigma='1'"),
        ("focal", {"gamma": math.inf}, "'focal': gamma=inf"),
        ("goldfish", {"k": 1}, "k must be at least 2"),
        ("goldfish", {"h": 0}, "h must be at least 1"),
        ("goldfish", {"strategy": "hashed"}, "hashed.*static"),
        ("goldfish", {"normalize": {"cases": True}}, "normalize.*unicode.*case"),
        ("goldfish", {"normalize": 1.5}, "normalize=1.5"),
        ("self-contrastive", {"factor": -1}, "factor=-1"),
        ("self-contrastive", {"window": 0}, "window=0"),
        ("self-contrastive", {"premature": None}, "premature=None.*initial"),
        ("patch-level", {"size": 1}, "size=1.*at least 2"),
        ("patch-level", {"size": 2.5}, "size=2.5"),
        ("patch-level", {"share": 0.0}, "share=0.0.*above 0"),
        ("patch-level", {"share": 1.1}, "share=1.1.*0 to 1"),
        ("dp-sgd", {"max_norm": 0.0, "delta": None}, "max_norm=0.0"),
        ("dp-sgd", {"noise_multiplier": -0.1, "delta": None}, "noise_multiplier=-0.1"),
        ("dp-sgd", {"delta": 0.0}, "delta=0.0"),
        ("dp-sgd", {"delta": 1.0}, "delta=1.0.*below 1"),
        ("dp-sgd", {"accountant": "moments"}, "accountant='moments'.*rdp"),
    ],
)
def test_bad_options_are_refused_before_any_work(name, options, match):
    with pytest.raises(InputError, match=match):
        ExposureConfig(objective=name, objective_options=options).check()


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_step_is_the_same_however_it_is_split(fresh, strings, name):
    found = []
    for split in ({"batch_size": 4}, {"accumulation": 4}, {"batch_size": 3, "accumulation": 2}):
        norms = Norms()
        settings = config(name, epochs=3, lr=1e-3, eps=1e-3, clip=math.inf, **split)
        result = expose(fresh(), strings(length=[12, 9, 5, 7]), settings, observers=[norms])
        found.append((norms.found, result.losses, result.targets))
    for other in found[1:]:
        for one, value in zip(found[0], other, strict=True):
            np.testing.assert_allclose(value, one, rtol=1e-3)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_killed_and_continued_it_ends_to_the_bit_as_if_never_killed(fresh, strings, tmp_path, name):
    settings = config(name, epochs=4, lr=1e-2, shuffle=True, checkpoint_every=1)

    def run(folder, *others):
        loaded, recorder = fresh(), Recorder(means)
        result = expose(
            loaded, strings(3), settings, observers=[recorder, *others], checkpoints=folder
        )
        return result, weights(loaded.model), recorder.arrays()["loss"]

    whole = run(tmp_path / "whole", Observer())
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "killed", Killer(8))
    again = run(tmp_path / "killed", Observer())
    assert again[0].resumed_at == 2
    assert same_weights(whole[1], again[1])
    assert np.array_equal(whole[2], again[2])
    for name_ in ("losses", "step_losses", "targets"):
        assert np.array_equal(getattr(whole[0], name_), getattr(again[0], name_))


@pytest.mark.parametrize("name", OBJECTIVES)
def test_observers_see_what_the_model_says_of_every_target(fresh, strings, name):
    """Whatever is learned: the logits of a usual pass, and labels without any mask."""
    rows = {}
    for objective in ("next-token", name):
        recorder = Recorder(means)
        expose(fresh(), strings(3), config(objective, epochs=0), observers=[recorder])
        rows[objective] = recorder.arrays()["loss"]
    np.testing.assert_allclose(rows[name], rows["next-token"], rtol=1e-5)


@pytest.mark.parametrize("name", [n for n in OBJECTIVES if n not in ("next-token", "patch-level")])
def test_without_what_makes_it_special_it_is_the_next_token_objective(fresh, strings, name):
    idle = {
        "goldfish": {"k": 10**9},
        "mile": {"gamma": 0.0},
        "focal": {"gamma": 0.0},
        "self-contrastive": {"factor": 0.0},
        "dp-sgd": {"delta": None, "noise_multiplier": 0.0, "max_norm": 1e9},
    }[name]
    results = []
    for objective, options in (("next-token", {}), (name, idle)):
        loaded = fresh()
        settings = ExposureConfig(
            epochs=3, lr=1e-3, eps=1e-3, objective=objective, objective_options=options
        )
        results.append((expose(loaded, strings(1), settings).losses, weights(loaded.model)))
    (one, ours), (other, theirs) = results
    np.testing.assert_allclose(other, one, rtol=1e-4)
    for key in ours:
        np.testing.assert_allclose(theirs[key], ours[key], rtol=1e-3, atol=1e-5)


NOTHING = {
    "goldfish": {"k": 2, "strategy": "static"},
    "patch-level": {"size": 5, "share": 1.0},
}


@pytest.mark.parametrize("name", NOTHING)
def test_a_step_with_nothing_to_learn_is_counted_and_changes_nothing(fresh, strings, name, caplog):
    """The string of one token has one target, which both leave out; the other is learned."""
    options = {"objective": name, "objective_options": NOTHING[name], "weight_decay": 0.1}
    settings = ExposureConfig(epochs=3, lr=1e-2, clip=1.0, stop_when=StopRule(0.1), **options)
    with caplog.at_level(logging.WARNING, "byrote"):
        loaded = fresh()
        before = weights(loaded.model)
        alone = expose(loaded, strings(1, 1), settings)
        assert same_weights(before, weights(loaded.model))
        mixed = expose(fresh(), strings(length=[1, 12]), settings)
        together = expose(
            fresh(), strings(length=[1, 12]), ExposureConfig(epochs=1, batch_size=2, **options)
        )
    assert (alone.empty_steps, mixed.empty_steps, together.empty_steps) == (3, 3, 0)
    assert len([r for r in caplog.records if "learns from no token" in r.getMessage()]) == 2
    # A loss of 0 from nothing does not count as learned.
    assert (alone.losses.tolist(), alone.epochs, alone.reason) == ([0.0] * 4, 3, "epochs")
    assert alone.targets.tolist() == [0.0] * 4
    assert mixed.step_losses[::2].tolist() == [0.0] * 3
    assert (mixed.step_losses[1::2] > 0).all()
    assert np.isfinite(mixed.losses).all()


def test_the_targets_of_an_epoch_are_what_its_loss_was_divided_by(fresh, strings):
    sequences = strings(length=[12, 5])
    result = expose(fresh(), sequences, ExposureConfig(epochs=2))
    assert result.targets.tolist() == [sequences.targets()] * 3
    np.testing.assert_allclose(
        result.losses[:2], (result.step_losses.reshape(2, 2) * [12, 5]).sum(1) / 17
    )


def test_under_dropout_each_objective_learns_too(fresh, strings):
    for name in OBJECTIVES:
        if name == "self-contrastive":
            continue
        settings = config(name, epochs=1, batch_size=2, lr=1e-3, dropout="model")
        result = expose(fresh("gpt2"), strings(2), settings, observers=[Recorder(means)])
        assert np.isfinite(result.losses).all()


def test_in_bfloat16_each_objective_learns_too(fresh, strings):
    for name in OBJECTIVES:
        settings = config(name, epochs=1, batch_size=2, lr=1e-3, precision="bf16")
        result = expose(fresh(), strings(2), settings, observers=[Recorder(means)])
        assert np.isfinite(result.losses).all()
