"""First-order attribution against autograd on each neuron, in double precision."""

from __future__ import annotations

import pytest
import torch

from byrote.errors import ByroteError, InputError
from byrote.localization.attribution import Attribution, passage_batches
from byrote.localization.integrated_attribution import IntegratedAttribution
from byrote.models import LoadedModel
from tests.localization import naive
from tests.localization.models import assert_same_state, state_of

METHODS = (Attribution(), IntegratedAttribution(steps=2), IntegratedAttribution(2, "layer"))


@pytest.fixture(params=METHODS, ids=lambda method: f"{method.name}-{getattr(method, 'path', '')}")
def method(request):
    return request.param


@pytest.mark.parametrize("family", naive.DENSE)
def test_equals_the_definition(family):
    loaded, passage = naive.lively(family), naive.passage()
    scores = Attribution().score(loaded, [passage])
    assert scores.shape == (1, 3, 24)
    assert scores.dtype == torch.float32
    expected = naive.attribution(loaded, passage)
    torch.testing.assert_close(scores[0].double(), expected, rtol=2e-3, atol=2e-6)


@pytest.mark.parametrize("family", naive.EXPERTS)
def test_neurons_of_experts_have_the_slope_of_a_mask(family):
    loaded, passage = naive.lively(family), naive.passage()
    scores = Attribution().score(loaded, [passage])[0]
    step = 2e-2
    for flat in scores.abs().flatten().topk(4).indices.tolist():
        at = divmod(flat, loaded.neurons.width)
        ends = []
        for sign in (1, -1):
            mask = torch.ones_like(scores)
            mask[at] += sign * step
            with torch.no_grad(), loaded.neurons.scale(loaded.model, mask):
                ends.append(naive.losses(loaded, loaded.model, passage).mean())
        assert float(ends[1] - ends[0]) / (2 * step) == pytest.approx(float(scores[at]), rel=0.05)


@pytest.mark.parametrize("family", ["gpt2", "gemma3_text"])
def test_the_lead_may_be_spared(family):
    loaded, passage = naive.lively(family, bos_id=7), naive.passage()
    for spare_lead in (False, True):
        scores = Attribution(spare_lead).score(loaded, [passage])[0]
        expected = naive.attribution(loaded, passage, spare=int(spare_lead))
        torch.testing.assert_close(scores.double(), expected, rtol=2e-3, atol=2e-6)


@pytest.mark.parametrize("family", ["gpt2", "gemma2", "olmo2"])
@pytest.mark.parametrize("steps", [1, 3])
def test_the_integrated_one_averages_slopes_at_the_middles(family, steps):
    loaded, passage = naive.lively(family), naive.passage()
    scores = IntegratedAttribution(steps).score(loaded, [passage])[0]
    parts = [naive.attribution(loaded, passage, factor=(k + 0.5) / steps) for k in range(steps)]
    expected = torch.stack(parts).mean(0)
    torch.testing.assert_close(scores.double(), expected, rtol=5e-3, atol=2e-6)


@pytest.mark.parametrize("family", ["llama", "opt"])
def test_by_layer_the_others_are_left_as_they_are(family):
    loaded, passage = naive.lively(family), naive.passage()
    scores = IntegratedAttribution(1, "layer").score(loaded, [passage])[0]
    for layer in range(3):
        expected = naive.attribution(loaded, passage, factor=0.5, layers=[layer])[layer]
        torch.testing.assert_close(scores[layer].double(), expected, rtol=2e-3, atol=2e-6)


@pytest.mark.parametrize("path", ["model", "layer"])
def test_integrated_scores_sum_up_to_what_silence_costs(path):
    loaded, passage = naive.lively("gpt2"), naive.passage()
    scores = IntegratedAttribution(30, path).score(loaded, [passage])[0]
    groups = [[0, 1, 2]] if path == "model" else [[0], [1], [2]]
    with torch.no_grad():
        clean = naive.losses(loaded, naive.precise(loaded), passage).mean()
        for layers in groups:
            silent = naive.changed(loaded, naive.precise(loaded), lambda _, h: 0 * h, layers)
            with silent:
                gain = naive.losses(loaded, naive.precise(loaded), passage).mean() - clean
            assert float(scores[layers].sum()) == pytest.approx(float(gain), rel=0.02, abs=2e-3)


def mixed_passages():
    sizes = [(4, 5), (1, 2), (7, 3), (2, 9), (4, 5)]
    return [
        naive.passage(prefix_len=p, suffix_len=s, seed=i, name=f"p{i}")
        for i, (p, s) in enumerate(sizes)
    ]


@pytest.mark.parametrize("family", ["gpt2", "gemma3_text", "mixtral"])
def test_a_score_does_not_depend_on_the_batch(method, family):
    loaded, passages = naive.lively(family), mixed_passages()
    together = method.score(loaded, passages)
    for passage, scores in zip(passages, together, strict=True):
        alone = method.score(loaded, [passage])[0]
        torch.testing.assert_close(scores, alone, rtol=1e-3, atol=2e-6)


def test_few_passages_at_a_time_where_there_is_no_room(monkeypatch):
    monkeypatch.setattr("byrote.localization.attribution._KEPT", 1)
    passages = mixed_passages()
    batches = list(passage_batches(naive.lively("gpt2"), passages, None))
    assert sorted(batches) == [[index] for index in range(len(passages))]


def test_the_model_is_left_as_it_was(method):
    loaded = naive.lively("gpt2", seed=3)
    loaded.model.transformer.h[1].train()
    next(loaded.model.parameters()).requires_grad_(False)
    before = state_of(loaded.model)
    try:
        method.score(loaded, mixed_passages())
        assert_same_state(loaded.model, before)
    finally:
        loaded.model.eval().requires_grad_(True)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_gradients_are_taken_where_they_are_off(method, mode):
    loaded, passage = naive.lively("llama"), naive.passage()
    expected = method.score(loaded, [passage])
    with mode():
        assert torch.equal(method.score(loaded, [passage]), expected)


def test_the_share_done_grows_to_one(method):
    heard = []
    method.score(naive.lively("gpt2"), mixed_passages(), heard.append)
    assert heard == sorted(heard)
    assert heard[-1] == pytest.approx(1.0)


def test_no_passages_give_no_scores(method):
    assert method.score(naive.lively("gpt2"), []).shape == (0, 3, 24)


def test_a_model_whose_head_cannot_be_split_scores_the_same(method, monkeypatch):
    loaded, passage = naive.lively("llama"), naive.passage()
    expected = method.score(loaded, [passage])
    module = "attribution" if isinstance(method, Attribution) else "integrated_attribution"
    monkeypatch.setattr(f"byrote.localization.{module}.split_head", lambda _: None)
    torch.testing.assert_close(method.score(loaded, [passage]), expected, rtol=1e-3, atol=2e-6)


def test_numbers_that_are_not_finite_are_an_error(method):
    with pytest.raises(ByroteError, match="not finite for passage 'p'"):
        method.score(naive.broken(), [naive.passage()])


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"suffix_len": 0}, "4 prefix and 0"),
        ({"prefix_len": 0}, "0 prefix and 5"),
        ({"vocab": 99, "seed": 2}, "token ids from"),
        ({"prefix_len": 2000}, "takes 1024"),
    ],
)
def test_passages_that_cannot_be_scored_are_refused(changes, match):
    with pytest.raises(InputError, match=match):
        Attribution().score(naive.lively("gpt2"), [naive.passage(**changes)])


def test_an_empty_prefix_needs_a_leading_token():
    loaded = naive.lively("gpt2", bos_id=7)
    assert isinstance(loaded, LoadedModel)
    passage = naive.passage(prefix_len=0)
    scores = Attribution().score(loaded, [passage])[0]
    torch.testing.assert_close(
        scores.double(), naive.attribution(loaded, passage), rtol=2e-3, atol=2e-6
    )


@pytest.mark.parametrize(
    "make",
    [
        lambda: Attribution(batch_size=0),
        lambda: IntegratedAttribution(steps=0),
        lambda: IntegratedAttribution(path="head"),
        lambda: IntegratedAttribution(batch_size=0),
    ],
)
def test_options_out_of_range_are_refused(make):
    with pytest.raises(InputError, match="attribution"):
        make()
