"""Integrated gradients against their definition: the prefix anew for each layer, token and α."""

from __future__ import annotations

import pytest
import torch

from byrote.errors import ByroteError, InputError
from byrote.localization.integrated_gradients import IntegratedGradients
from tests.localization import naive
from tests.localization.models import assert_same_state, state_of
from tests.recall.passages import follow

NAME = "byrote.localization.integrated_gradients"


@pytest.fixture
def only_fast(monkeypatch):
    def never(*_):
        raise AssertionError("fell back to whole passes")

    monkeypatch.setattr(IntegratedGradients, "_by_masks", never)


@pytest.fixture
def only_plain(monkeypatch):
    monkeypatch.setattr(f"{NAME}.build_stack", lambda *_: None)


def assert_equals_the_definition(loaded, passage, steps=4):
    scores = IntegratedGradients(steps).score(loaded, [passage])
    assert scores.dtype == torch.float32
    expected = naive.integrated_gradients(loaded, passage, steps)
    size = float(expected.abs().amax())
    torch.testing.assert_close(scores[0].double(), expected, rtol=1e-3, atol=1e-5 * size)


@pytest.mark.usefixtures("only_fast")
@pytest.mark.parametrize("family", naive.DENSE)
def test_equals_the_definition(family):
    assert_equals_the_definition(naive.lively(family), naive.passage(suffix_len=4, seed=2))


@pytest.mark.usefixtures("only_fast")
def test_the_number_of_steps_counts():
    assert_equals_the_definition(naive.lively("gpt2"), naive.passage(suffix_len=2), steps=20)


@pytest.mark.usefixtures("only_fast")
def test_a_lead_is_given_first():
    assert_equals_the_definition(
        naive.lively("gpt2", bos_id=7), naive.passage(prefix_len=0, suffix_len=3), steps=3
    )


@pytest.mark.usefixtures("only_fast")
def test_tokens_that_are_certain_keep_their_digits():
    """The gradient of a probability near 1 is a small difference of large ones."""
    loaded = naive.lively("llama", seed=9)
    passage = follow(loaded, [naive.passage(suffix_len=4)])[0]
    with torch.no_grad():
        loaded.model.lm_head.weight *= 5.0
    assert_equals_the_definition(loaded, passage)


@pytest.mark.usefixtures("only_plain")
@pytest.mark.parametrize("family", ["gpt2", "gemma3_text"])
def test_whole_passes_give_the_same(family):
    assert_equals_the_definition(naive.lively(family), naive.passage(suffix_len=3), steps=3)


@pytest.mark.parametrize("family", naive.EXPERTS)
def test_experts_have_the_slopes_of_masks(family):
    """Scaling one neuron at the last position, all α but its own put together by differences."""
    loaded, passage = naive.lively(family), naive.passage(prefix_len=3, suffix_len=1)
    scores = IntegratedGradients(2).score(loaded, [passage])[0]
    at = divmod(int(scores.abs().argmax()), loaded.neurons.width)
    slopes = []
    for alpha in (0.0, 1.0):
        ends = []
        for sign in (1, -1):
            mask = torch.ones_like(scores)
            mask[at[0]] = alpha
            mask[at] += sign * 1e-2
            with torch.no_grad(), loaded.neurons.scale(loaded.model, mask, spare=2):
                ends.append((-naive.losses(loaded, loaded.model, passage)[0]).exp())
        slopes.append(float(ends[0] - ends[1]) / 2e-2)
    assert float(scores[at]) == pytest.approx(sum(slopes) / 2, rel=0.05)


@pytest.mark.parametrize("batch_size", [1, 7, 10_000])
def test_the_batch_size_does_not_matter(batch_size):
    loaded, passage = naive.lively("gemma2"), naive.passage()
    expected = IntegratedGradients(3).score(loaded, [passage])
    scores = IntegratedGradients(3, batch_size).score(loaded, [passage])
    torch.testing.assert_close(scores, expected, rtol=1e-3, atol=1e-6)


def test_batches_that_run_side_by_side_give_the_same(monkeypatch):
    loaded, passage = naive.lively("llama"), naive.passage()
    expected = IntegratedGradients(3).score(loaded, [passage])
    monkeypatch.setattr("byrote.localization.integrated_gradients.lanes_for", lambda _: 3)
    heard = []
    scores = IntegratedGradients(3).score(loaded, [passage], heard.append)
    torch.testing.assert_close(scores, expected, rtol=1e-4, atol=3e-6)
    assert heard == sorted(heard)


def test_other_passages_do_not_matter():
    loaded = naive.lively("gpt2")
    passages = [
        naive.passage(prefix_len=p, suffix_len=s, seed=p) for p, s in ((3, 4), (8, 2), (1, 1))
    ]
    together = IntegratedGradients(3).score(loaded, passages)
    for passage, scores in zip(passages, together, strict=True):
        assert torch.equal(scores, IntegratedGradients(3).score(loaded, [passage])[0])


@pytest.mark.parametrize("family", ["gpt2", "mixtral"])
def test_the_model_is_left_as_it_was(family):
    loaded = naive.lively(family, seed=3)
    loaded.model.get_submodule(loaded.neurons.layer_modules[1]).train()
    next(loaded.model.parameters()).requires_grad_(False)
    before = state_of(loaded.model)
    try:
        IntegratedGradients(2).score(loaded, [naive.passage(suffix_len=2)])
        assert_same_state(loaded.model, before)
    finally:
        loaded.model.eval().requires_grad_(True)


@pytest.mark.parametrize("family", ["llama", "mixtral"])
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_gradients_are_taken_where_they_are_off(mode, family):
    loaded, passage = naive.lively(family), naive.passage(suffix_len=2)
    expected = IntegratedGradients(2).score(loaded, [passage])
    with mode():
        torch.testing.assert_close(IntegratedGradients(2).score(loaded, [passage]), expected)


def test_the_share_done_grows_to_one():
    heard = []
    passages = [naive.passage(suffix_len=2, seed=seed) for seed in range(2)]
    IntegratedGradients(2).score(naive.lively("gpt2"), passages, heard.append)
    assert heard == sorted(heard)
    assert heard[-1] == pytest.approx(1.0)


def test_no_passages_give_no_scores():
    assert IntegratedGradients().score(naive.lively("gpt2"), []).shape == (0, 3, 24)


def test_numbers_that_are_not_finite_are_an_error():
    with pytest.raises(ByroteError, match="not finite for passage 'p'"):
        IntegratedGradients(2).score(naive.broken(), [naive.passage(suffix_len=2)])


@pytest.mark.parametrize("options", [{"steps": 1}, {"batch_size": 0}])
def test_options_out_of_range_are_refused(options):
    with pytest.raises(InputError, match="integrated-gradients"):
        IntegratedGradients(**options)
