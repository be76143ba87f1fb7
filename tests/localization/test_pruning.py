"""Gates trained together against gates trained one by one on masked weights."""

from __future__ import annotations

import copy
import dataclasses

import pytest
import torch

from byrote.errors import ByroteError, InputError
from byrote.localization.hard_concrete import HardConcrete
from byrote.localization.slimming import Slimming
from tests.localization.gates import louder, masked_loss, train
from tests.localization.models import assert_same_state, known_passages, state_of, with_tokenizer
from tests.recall.passages import random_passages

FAMILIES = ("gpt2", "gpt_neox", "llama", "gemma2", "gemma3_text", "phi", "opt", "olmo2", "mixtral")
SMALL = {"hidden_size": 32, "vocab_size": 64}
SLIM = {"init": 1.0, "lr": 0.02, "penalty": 1.0, "epochs": 12}
HARD = {"init": 0.7, "lr": 0.05, "penalty": 1.0, "epochs": 12, "beta": 0.6}


@pytest.fixture
def loaded(random_model):
    return louder(random_model("gpt2", **SMALL))


def methods(**options):
    return [Slimming(**SLIM | options), HardConcrete(**HARD | options)]


def naive(loaded, passages, method, **more):
    concrete = isinstance(method, HardConcrete)
    return [
        train(
            loaded, passage, method, concrete=concrete, **more(passage) if callable(more) else more
        )
        for passage in passages
    ]


def renamed(passages):
    return [dataclasses.replace(passage, id=f"q{i}") for i, passage in enumerate(passages)]


def assert_scores(found, expected, atol=1e-6):
    torch.testing.assert_close(found.double(), expected.double(), rtol=0, atol=atol)


@pytest.mark.parametrize("method", methods(), ids=lambda m: m.name)
@pytest.mark.parametrize("family", FAMILIES)
def test_gates_on_activations_are_gates_on_weights(random_model, family, method):
    loaded = louder(random_model(family, **SMALL))
    passages = random_passages(2, 64, seed=2)
    found = method.fit(loaded, passages)
    for row, (scores, steps, loss, _) in enumerate(naive(loaded, passages, method)):
        assert scores.std() > 0.05
        assert_scores(found.scores[row], scores)
        assert found.steps[row] == steps == 12
        assert found.losses[row] == pytest.approx(loss, abs=1e-6)


@pytest.mark.parametrize("method", methods(), ids=lambda m: m.name)
def test_the_leading_token_comes_before_the_prefix(loaded, method):
    led = with_tokenizer(loaded, None, bos_id=5)
    passages = random_passages(2, 64, seed=4, prefix=(0, 3))
    expected = naive(led, passages, method)
    for row, (scores, *_) in zip(method.score(led, passages), expected, strict=True):
        assert_scores(row, scores)


@pytest.mark.parametrize("noisy", [False, True])
@pytest.mark.parametrize("aim", ["keep", "erase"])
def test_skipped_layers_are_not_gated_and_never_selected(loaded, aim, noisy):
    passages = random_passages(2, 64, seed=5)
    options = {"skip_layers": [0], "aim": aim, "stop": 0.0}
    for method in (
        Slimming(**SLIM | options | {"init": 0.4}),
        HardConcrete(**HARD | options, noisy_skipped=noisy),
    ):
        found = method.score(loaded, passages)
        assert (found[:, 0] == -torch.inf).all()
        for row, (scores, *_) in zip(
            found, naive(loaded, passages, method, skip=(0,)), strict=True
        ):
            assert_scores(row, scores)


def test_noise_in_skipped_layers_makes_a_difference(loaded):
    passages = random_passages(1, 64, seed=5)
    quiet, noisy = (
        HardConcrete(**HARD, skip_layers=(0,), noisy_skipped=flag).score(loaded, passages)[:, 1]
        for flag in (False, True)
    )
    assert not torch.allclose(quiet, noisy, atol=1e-3)


@pytest.mark.parametrize("aim", ["keep", "erase"])
@pytest.mark.parametrize("kind", [Slimming, HardConcrete])
def test_retaining_is_the_loss_of_references_without_the_gated(loaded, kind, aim):
    passages, references = random_passages(2, 64, seed=6), renamed(random_passages(5, 64, seed=7))
    base = SLIM | {"init": 0.3} if kind is Slimming else HARD
    method = kind(
        **base, aim=aim, retain=3.0, references=references, per_step=2, batch_size=3, stop=0.0
    )
    expected = naive(loaded, passages, method, references=references)
    for row, (scores, *_) in zip(method.score(loaded, passages), expected, strict=True):
        assert_scores(row, scores)


def test_a_passage_is_none_of_its_own_references(loaded):
    passages = random_passages(3, 64, seed=8)
    method = Slimming(**SLIM, retain=1.0, references=passages)
    found = method.score(loaded, passages)
    for row, passage in enumerate(passages):
        others = [p for p in passages if p is not passage]
        (expected,) = naive(loaded, [passage], method, references=others)
        assert_scores(found[row], expected[0])


@pytest.mark.parametrize(
    "method",
    [
        Slimming(**SLIM | {"lr": 0.1, "epochs": 14}, stop=0.6),
        HardConcrete(**HARD | {"lr": 0.3, "epochs": 14}, stop=0.6),
        HardConcrete(**HARD | {"epochs": 10, "aim": "erase", "init": 0.2}),
    ],
    ids=lambda m: f"{m.name}-{m.aim}",
)
def test_together_is_one_by_one(loaded, method):
    passages = known_passages(loaded, 4, seed=9)
    references = [
        dataclasses.replace(p, id=f"q{i}") for i, p in enumerate(known_passages(loaded, 3))
    ]
    method = dataclasses.replace(method, retain=0.5, references=references)
    together = dataclasses.replace(method, batch_size=4).fit(loaded, passages)
    for row, passage in enumerate(passages):
        alone = method.fit(loaded, [passage])
        assert_scores(together.scores[row], alone.scores[0])
        assert together.steps[row] == alone.steps[0]
        assert together.losses[row] == pytest.approx(alone.losses[0], abs=1e-6)
        assert together.sizes[row] == pytest.approx(alone.sizes[0], abs=1e-6)
    by_three = dataclasses.replace(method, batch_size=3).fit(loaded, passages)
    assert_scores(by_three.scores, together.scores)


def test_rows_that_finish_early_leave_the_others_alone(loaded):
    """Passages stop at different steps, each where it would have alone."""
    passages = known_passages(loaded, 4, seed=3, suffix=(1, 12))
    method = Slimming(**SLIM | {"lr": 0.04, "epochs": 32}, stop=0.37, batch_size=4)
    together = method.fit(loaded, passages)
    assert len(set(together.steps)) > 1
    assert all(steps == 32 or steps % 10 == 9 for steps in together.steps)
    for row, passage in enumerate(passages):
        scores, steps, *_ = train(loaded, passage, method, concrete=False)
        assert_scores(together.scores[row], scores)
        assert together.steps[row] == steps


def test_single_precision_gives_nearly_the_same(random_model):
    loaded = louder(random_model("llama", **SMALL), torch.float32)
    passages = known_passages(loaded, 4, seed=1)
    for method in methods(batch_size=4):
        together = method.score(loaded, passages)
        alone = torch.cat([method.score(loaded, [passage]) for passage in passages])
        # A gradient of nearly zero may fall to either side, and Adam makes a whole step of it.
        assert (together - alone).abs().gt(1e-3).double().mean() < 0.01


def test_erasing_loses_the_passage_and_retaining_keeps_the_reference(loaded):
    target, *references = known_passages(loaded, 3, seed=11, suffix=(6, 9))
    references = renamed(references)
    options = {"aim": "erase", "lr": 0.1, "penalty": 1.0, "epochs": 40, "ceiling": 20.0}
    free = Slimming(**options).fit(loaded, [target])
    bound = Slimming(**options, retain=5.0, references=references).fit(loaded, [target])

    def loss(passage, scores):
        with torch.no_grad():
            return float(masked_loss(loaded, passage, 1 - scores[0]))

    whole = torch.zeros_like(free.scores)
    assert loss(target, free.scores) > loss(target, whole) + 1
    assert loss(target, bound.scores) > loss(target, whole) + 0.5
    for reference in references:
        assert loss(reference, bound.scores) < loss(reference, free.scores)


def test_sparing_the_lead_leaves_its_position_ungated(loaded):
    passages = random_passages(2, 64, seed=2)
    led = with_tokenizer(loaded, None, bos_id=5)
    for plain in methods():
        spared = dataclasses.replace(plain, spare_lead=True)
        assert torch.equal(spared.score(loaded, passages), plain.score(loaded, passages))
        assert not torch.allclose(
            spared.score(led, passages), plain.score(led, passages), atol=1e-4
        )


def test_the_model_is_left_as_it_was(random_model):
    loaded = with_tokenizer(random_model("gemma3_text", **SMALL), None)
    loaded.model = copy.deepcopy(loaded.model)
    parameters = list(loaded.model.parameters())
    parameters[0].requires_grad_(False)
    parameters[1].grad = torch.ones_like(parameters[1])
    loaded.model.model.layers[1].train()
    before = state_of(loaded.model)
    for method in methods():
        method.score(loaded, random_passages(2, 64))
    assert_same_state(loaded.model, before)
    assert torch.equal(parameters[1].grad, torch.ones_like(parameters[1]))


def test_the_model_is_left_as_it_was_after_an_interruption(random_model):
    loaded = random_model("gpt2", **SMALL)
    before = state_of(loaded.model)

    def interrupt(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Slimming(**SLIM).score(loaded, random_passages(2, 64), interrupt)
    assert_same_state(loaded.model, before)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_gates_are_trained_where_gradients_are_off(random_model, mode):
    loaded, passages = random_model("gpt2", **SMALL), random_passages(1, 64)
    for method in methods():
        expected = method.score(loaded, passages)
        with mode():
            assert torch.equal(method.score(loaded, passages), expected)


def test_dropout_is_off(random_model):
    loaded = random_model("gpt2", **SMALL)
    trained = with_tokenizer(loaded, None)
    trained.model = copy.deepcopy(loaded.model).train()
    passages = random_passages(2, 64)
    assert torch.equal(
        Slimming(**SLIM).score(trained, passages), Slimming(**SLIM).score(loaded, passages)
    )
    assert trained.model.training


def test_progress_rises_to_the_end(random_model):
    heard = []
    Slimming(**SLIM, batch_size=2).score(
        random_model("gpt2", **SMALL), random_passages(3, 64), heard.append
    )
    assert heard == sorted(heard)
    assert heard[-1] == 1.0
    assert len(heard) > 12


def test_shape_and_dtype(loaded):
    found = Slimming(**SLIM).score(loaded, random_passages(2, 64))
    assert found.shape == (2, 2, 128)
    assert found.dtype == torch.float32
    assert Slimming().score(loaded, []).shape == (0, 2, 128)


def test_a_model_that_gives_no_numbers_is_an_error(random_model):
    loaded = with_tokenizer(random_model("gpt2", **SMALL), None)
    loaded.model = copy.deepcopy(loaded.model)
    neurons = random_model("gpt2", **SMALL).neurons
    loaded.__dict__["neurons"] = neurons
    with torch.no_grad():
        list(loaded.model.parameters())[-1].fill_(float("inf"))
    with pytest.raises(ByroteError, match=r"not finite.*'p0'"):
        Slimming().score(loaded, random_passages(1, 64))


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"lr": 0.0}, "lr=0.0"),
        ({"penalty": -1.0}, "penalty=-1.0"),
        ({"epochs": 0}, "epochs=0"),
        ({"stop": -0.1}, "stop=-0.1"),
        ({"retain": float("inf")}, "retain=inf"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"per_step": 0}, "per_step=0"),
        ({"ceiling": 0.0}, "ceiling=0.0"),
        ({"aim": "lose"}, "aim='lose'.*keep, erase"),
        ({"skip_layers": 0}, r"skip_layers=0.*\[0\]"),
        ({"skip_layers": [-1]}, "skip_layers=-1"),
    ],
)
@pytest.mark.parametrize("kind", [Slimming, HardConcrete])
def test_bad_options_are_refused(kind, options, match):
    with pytest.raises(InputError, match=f"{kind.name}.*{match}"):
        kind(**options)


def test_layers_that_do_not_exist_are_refused(loaded):
    with pytest.raises(InputError, match="no layer 2"):
        Slimming(skip_layers=(2,)).score(loaded, random_passages(1, 64))
    with pytest.raises(InputError, match="none of 2 layers"):
        Slimming(skip_layers=(0, 1)).score(loaded, random_passages(1, 64))


def test_retaining_nothing_is_refused(loaded):
    passages = random_passages(1, 64)
    with pytest.raises(InputError, match="retain=1 needs references"):
        Slimming(retain=1.0).check(loaded)
    with pytest.raises(InputError, match="'p0' itself"):
        Slimming(retain=1.0, references=passages).score(loaded, passages)


def test_a_passage_without_anything_before_it_is_refused(loaded):
    with pytest.raises(InputError, match="0 prefix"):
        Slimming().score(loaded, random_passages(1, 64, prefix=(0, 0)))
