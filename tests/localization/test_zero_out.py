"""Zero-Out against its definition: one pass of the whole model for each neuron."""

from __future__ import annotations

import copy
import dataclasses

import pytest
import torch

from byrote.errors import ByroteError, InputError
from byrote.localization.zero_out import Zeroing, ZeroOut
from byrote.models import LoadedModel
from tests.localization import naive
from tests.localization.models import assert_same_state, state_of
from tests.recall.passages import follow

ATOL = 3e-6  # nats; single precision in the layers


@pytest.fixture
def only_fast(monkeypatch):
    def never(*_):
        raise AssertionError("fell back to whole passes")

    monkeypatch.setattr(Zeroing, "_by_masks", never)


@pytest.fixture
def only_plain(monkeypatch):
    monkeypatch.setattr("byrote.localization.zero_out.build_stack", lambda *_: None)


@pytest.mark.usefixtures("only_fast")
@pytest.mark.parametrize("family", naive.DENSE)
def test_equals_the_definition(family):
    loaded, passage = naive.lively(family), naive.passage()
    scores = ZeroOut().score(loaded, [passage])
    assert scores.shape == (1, 3, 24)
    assert scores.dtype == torch.float32
    expected = naive.zero_out(loaded, passage)
    assert float(expected.abs().amax()) > 1e-2
    torch.testing.assert_close(scores[0].double(), expected, rtol=1e-4, atol=ATOL)


@pytest.mark.parametrize("family", naive.EXPERTS)
def test_experts_equal_the_definition(family):
    loaded, passage = naive.lively(family), naive.passage(suffix_len=3)
    scores = ZeroOut().score(loaded, [passage])[0]
    expected = naive.zero_out_experts(loaded, passage)
    torch.testing.assert_close(scores.double(), expected, rtol=1e-3, atol=2e-5)


@pytest.mark.usefixtures("only_plain")
@pytest.mark.parametrize("family", ["gpt2", "gemma3_text"])
def test_whole_passes_give_the_same(family):
    loaded, passage = naive.lively(family), naive.passage()
    scores = ZeroOut().score(loaded, [passage])[0]
    torch.testing.assert_close(
        scores.double(), naive.zero_out(loaded, passage), rtol=1e-4, atol=ATOL
    )


@pytest.mark.parametrize("batch_size", [1, 2, 5, 1000])
def test_the_batch_size_does_not_matter(batch_size):
    loaded, passage = naive.lively("gpt2"), naive.passage()
    expected = ZeroOut().score(loaded, [passage])
    scores = ZeroOut(batch_size=batch_size).score(loaded, [passage])
    torch.testing.assert_close(scores, expected, rtol=1e-4, atol=ATOL)


def test_batches_that_run_side_by_side_give_the_same(monkeypatch):
    loaded, passage = naive.lively("llama"), naive.passage()
    expected = ZeroOut().score(loaded, [passage])
    monkeypatch.setattr("byrote.localization.zero_out.lanes_for", lambda _: 3)
    heard = []
    scores = ZeroOut().score(loaded, [passage], heard.append)
    torch.testing.assert_close(scores, expected, rtol=1e-4, atol=3e-6)
    assert heard == sorted(heard)


def test_other_passages_do_not_matter():
    loaded = naive.lively("gemma3_text")
    passages = [
        naive.passage(prefix_len=p, suffix_len=s, seed=p) for p, s in ((3, 4), (8, 2), (1, 1))
    ]
    together = ZeroOut().score(loaded, passages)
    for passage, scores in zip(passages, together, strict=True):
        assert torch.equal(scores, ZeroOut().score(loaded, [passage])[0])


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("family", ["gpt2", "olmo2"])
def test_the_lead_may_be_spared(family, plain, monkeypatch):
    if plain:
        monkeypatch.setattr("byrote.localization.zero_out.build_stack", lambda *_: None)
    loaded, passage = naive.lively(family, bos_id=7), naive.passage()
    for spare_lead in (False, True):
        scores = ZeroOut(spare_lead).score(loaded, [passage])[0]
        expected = naive.zero_out(loaded, passage, spare=int(spare_lead))
        torch.testing.assert_close(scores.double(), expected, rtol=1e-4, atol=ATOL)


def certain(factor):
    """A llama that is sure of the passage that it says itself."""
    loaded = naive.lively("llama", seed=5, tie_word_embeddings="false")
    passage = follow(loaded, [naive.passage(prefix_len=4, suffix_len=6)])[0]
    sure = LoadedModel(copy.deepcopy(loaded.model), None, "sure", None)
    with torch.no_grad():
        sure.model.lm_head.weight *= factor
    return sure, passage


@pytest.mark.parametrize("factor", [120.0, 240.0])
def test_scores_keep_their_digits_where_the_loss_is_nearly_zero(factor):
    loaded, passage = certain(factor)
    with torch.no_grad():
        tokens = naive.losses(loaded, naive.precise(loaded), passage)
    expected = naive.zero_out(loaded, passage)
    scores = ZeroOut().score(loaded, [passage])[0].double()
    assert float(tokens.median()) < 1e-3
    torch.testing.assert_close(
        scores, expected, rtol=1e-2, atol=1e-3 * float(expected.abs().median())
    )


def test_only_wanted_neurons_are_run():
    loaded, passage = naive.lively("gpt2"), naive.passage()
    expected = Zeroing(loaded).effects(passage, torch.ones(3, 24, dtype=torch.bool))
    wanted = torch.zeros(3, 24, dtype=torch.bool)
    wanted[0, 3] = wanted[2, 5] = wanted[2, 23] = True
    effects = Zeroing(loaded).effects(passage, wanted)
    assert (effects[~wanted] == 0).all()
    torch.testing.assert_close(effects[wanted], expected[wanted], rtol=1e-4, atol=ATOL)
    assert not Zeroing(loaded).effects(passage, torch.zeros_like(wanted)).any()


@pytest.mark.parametrize("plain", [False, True])
def test_neurons_at_rest_score_zero_without_a_run(plain, monkeypatch):
    if plain:
        monkeypatch.setattr("byrote.localization.zero_out.build_stack", lambda *_: None)
    loaded, passage = naive.lively("opt", seed=6), naive.passage()
    with torch.no_grad():
        loaded.model.model.decoder.layers[1].fc1.bias[:20] = -1e4
    seen = []
    inner = Zeroing._batches

    def counting(self, wanted, length):
        seen.append(wanted.sum(1).tolist())
        return inner(self, wanted, length)

    monkeypatch.setattr(Zeroing, "_batches", counting)
    scores = ZeroOut().score(loaded, [passage])[0]
    assert (scores[1, :20] == 0).all()
    assert seen[0][1] <= 4
    torch.testing.assert_close(
        scores.double(), naive.zero_out(loaded, passage), rtol=1e-4, atol=ATOL
    )


@pytest.mark.parametrize("family", ["gpt2", "mixtral"])
def test_the_model_is_left_as_it_was(family):
    loaded = naive.lively(family, seed=3)
    loaded.model.get_submodule(loaded.neurons.layer_modules[1]).train()
    before = state_of(loaded.model)
    try:
        ZeroOut().score(loaded, [naive.passage(suffix_len=2)])
        assert_same_state(loaded.model, before)
    finally:
        loaded.model.eval()


@pytest.mark.parametrize("family", ["gpt2", "mixtral"])
def test_the_share_done_grows_to_one(family):
    heard = []
    passages = [naive.passage(suffix_len=2, seed=seed) for seed in range(2)]
    ZeroOut().score(naive.lively(family), passages, heard.append)
    assert heard == sorted(heard)
    assert heard[-1] == pytest.approx(1.0)


def test_a_neuron_whose_loss_is_not_finite_is_an_error():
    with pytest.raises(ByroteError, match="not finite for passage 'p'"):
        ZeroOut().score(naive.broken(), [naive.passage()])


def test_passages_that_cannot_be_scored_are_refused():
    short = dataclasses.replace(naive.passage(), prefix_len=9)
    with pytest.raises(InputError, match="9 prefix and 0 suffix"):
        ZeroOut().score(naive.lively("gpt2"), [short])


def test_a_batch_size_of_zero_is_refused():
    with pytest.raises(InputError, match="batch_size=0"):
        ZeroOut(batch_size=0)
