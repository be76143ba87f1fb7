"""Knowledge neurons: other prefixes, thresholds and shares, against their definition."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from byrote.errors import InputError
from byrote.localization.activations import ActivationSize
from byrote.localization.base import Localizer
from byrote.localization.knowledge_neurons import (
    KnowledgeNeurons,
    perturbed_prefixes,
    refine,
    shortened_prefixes,
)
from byrote.localization.selection import select
from tests.localization.models import assert_same_state, state_of
from tests.recall.passages import random_passages


@dataclass(frozen=True)
class Signed(Localizer):
    """Numbers of either sign that depend on the prompt."""

    name: ClassVar[str] = "signed"

    def score(self, loaded, passages, told=lambda _: None):
        rows = []
        for passage in passages:
            rng = np.random.default_rng(passage.input_ids.astype(np.int64))
            rows.append(rng.normal(size=(2, loaded.neurons.width)) ** 3)
            told(len(rows) / len(passages))
        return torch.tensor(np.array(rows), dtype=torch.float32)


@pytest.fixture
def passages():
    return random_passages(3, 256, prefix=(8, 12))


def naive(attributions, threshold, share, strict):
    prompts, layers, width = attributions.shape
    mean = attributions.mean(axis=0)
    out = np.empty((layers, width))
    for layer in range(layers):
        for index in range(width):
            needing = 0
            for prompt in attributions:
                value = prompt[layer, index]
                needing += bool(value > 0 and value >= threshold * prompt.max())
            kept = needing > 0 and needing / prompts >= share - 1e-9 and mean[layer, index] > 0
            rest = -np.inf if strict else mean[layer, index] - mean.max()
            out[layer, index] = needing / prompts * mean[layer, index] if kept else rest
    return out


@settings(max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    prompts=st.integers(2, 10),
    threshold=st.sampled_from([0.0, 0.2, 0.5, 1.0]),
    share=st.sampled_from([0.0, 0.3, 0.7, 1.0]),
    strict=st.booleans(),
)
def test_refining_is_its_definition(seed, prompts, threshold, share, strict):
    rng = np.random.default_rng(seed)
    values = (rng.normal(size=(1, 2, 6)) + 0.5 * rng.normal(size=(prompts, 2, 6))).astype(
        np.float32
    )
    found = refine(torch.from_numpy(values), threshold=threshold, share=share, strict=strict)
    expected = naive(values.astype(np.float64), threshold, share, strict)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_what_is_kept_comes_before_what_is_not():
    values = torch.tensor([[[5.0, 1.0, 0.0]], [[0.0, 1.0, 2.0]], [[0.0, 1.0, 0.9]]])
    found = refine(values, share=0.7)[0]
    assert found.argmax() == 1
    assert found[1] == 1.0
    assert (found[[0, 2]] <= 0).all()
    assert found[0] > found[2]  # by mean attribution: 5/3 and 2.9/3


def test_nothing_positive_keeps_nothing():
    assert (refine(-torch.rand(3, 1, 4), strict=True) == -torch.inf).all()
    assert (refine(torch.zeros(3, 1, 4), strict=True) == -torch.inf).all()


def test_layers_that_are_skipped_stay_unselectable():
    values = torch.rand(3, 2, 4)
    values[:, 0] = -torch.inf
    found = refine(values)
    assert (found[0] == -torch.inf).all()
    assert found[1].isfinite().all()


@pytest.mark.parametrize(("wanted", "kept"), [((1, 1), 1), ((2, 3), 3), ((5, 9), 6)])
def test_the_share_moves_until_the_number_is_right(wanted, kept):
    """One neuron in all of ten prompts, two in eight, three in five."""
    values = torch.zeros(10, 1, 8)
    for index, count in enumerate((10, 8, 8, 5, 5, 5)):
        values[:count, 0, index] = 1.0
    found = refine(values, wanted=wanted, strict=True)
    assert int(found.isfinite().sum()) == kept


@pytest.mark.parametrize("wanted", [(2, 2), (7, 9)])
def test_a_number_that_no_share_gives_does_not_go_on_for_ever(wanted):
    values = torch.zeros(10, 1, 8)
    for index, count in enumerate((10, 8, 8, 5, 5, 5)):
        values[:count, 0, index] = 1.0
    assert int(refine(values, wanted=wanted, strict=True).isfinite().sum()) in (1, 3, 6)


def test_shortened_prefixes_end_alike(passages):
    for passage in passages:
        made = shortened_prefixes(passage, 4)
        assert made[0].input_ids.tolist() == passage.input_ids.tolist()
        lengths = [prompt.prefix_len for prompt in made]
        assert lengths == sorted(lengths, reverse=True)
        assert lengths[-1] == passage.prefix_len // 2
        for prompt in made:
            assert prompt.suffix_ids.tolist() == passage.suffix_ids.tolist()
            assert prompt.prefix_ids.tolist() == passage.prefix_ids[-prompt.prefix_len :].tolist()
        assert len({prompt.id for prompt in made}) == 4


def test_short_prefixes_give_few_prompts():
    (passage,) = random_passages(1, 256, prefix=(2, 2))
    assert [prompt.prefix_len for prompt in shortened_prefixes(passage, 5)] == [2, 1]
    (passage,) = random_passages(1, 256, prefix=(1, 1))
    assert len(shortened_prefixes(passage, 5)) == 1
    assert perturbed_prefixes(passage, 5, range(256)) == [passage]


def test_perturbed_prefixes_differ_in_a_share_of_their_tokens(passages):
    for passage in passages:
        first, *others = perturbed_prefixes(passage, 4, range(1000, 2000), share=0.3)
        assert first is passage
        for prompt in others:
            changed = prompt.prefix_ids != passage.prefix_ids
            assert changed.sum() == round(0.3 * (passage.prefix_len - 1))
            assert not changed[-1]
            assert (prompt.suffix_ids == passage.suffix_ids).all()
        assert len({prompt.input_ids.tobytes() for prompt in others}) == 3
        again = perturbed_prefixes(passage, 4, range(1000, 2000), share=0.3)
        assert [p.input_ids.tolist() for p in again[1:]] == [p.input_ids.tolist() for p in others]


@pytest.mark.parametrize("prompts", ["shortened", "perturbed"])
def test_scores_are_refined_attributions_of_the_prompts(random_model, passages, prompts):
    loaded = random_model("gpt2")
    method = KnowledgeNeurons(localizer=Signed(), prompts=prompts, count=4, share=0.5)
    found = method.score(loaded, passages)
    for row, passage in zip(found, passages, strict=True):
        some = (
            shortened_prefixes(passage, 4)
            if prompts == "shortened"
            else perturbed_prefixes(passage, 4, range(256))
        )
        expected = refine(Signed().score(loaded, some), share=0.5)
        assert torch.equal(row, expected)
        assert torch.equal(method.score(loaded, [passage])[0], row)


def test_prompts_of_the_caller_are_used(random_model, passages):
    def mine(passage):
        return [passage, dataclasses.replace(passage, id="again")]

    loaded = random_model("gpt2")
    found = KnowledgeNeurons(localizer="activations", prompts=mine).score(loaded, passages)
    raw = ActivationSize().score(loaded, passages)
    for row, scores in zip(found, raw, strict=True):
        kept = row > 0
        torch.testing.assert_close(row[kept], scores[kept])
        assert torch.equal(kept, scores >= 0.2 * scores.max())
        assert np.array_equal(select(row, 0.01).neurons, select(scores, 0.01).neurons)


def test_integrated_gradients_are_the_default(random_model):
    loaded, passages = random_model("gpt2"), random_passages(1, 256, prefix=(6, 6), suffix=(2, 2))
    before = state_of(loaded.model)
    heard = []
    found = KnowledgeNeurons(count=2).score(loaded, passages, heard.append)
    assert found.shape == (1, 2, 256)
    assert found.isfinite().all()
    assert heard[-1] == pytest.approx(1.0)
    assert_same_state(loaded.model, before)


def test_too_few_prompts_are_refused(random_model):
    with pytest.raises(InputError, match="'p0' has 1: its prefix of 1"):
        KnowledgeNeurons(localizer=Signed()).score(
            random_model("gpt2"), random_passages(1, 256, prefix=(1, 1))
        )


def test_prompts_for_another_suffix_are_refused(random_model, passages):
    with pytest.raises(InputError, match="another suffix than passage 'p0'"):
        KnowledgeNeurons(localizer=Signed(), prompts=lambda _: passages).score(
            random_model("gpt2"), passages
        )


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"prompts": "translated"}, "prompts='translated'.*shortened, perturbed"),
        ({"count": 1}, "count=1"),
        ({"threshold": 1.5}, "threshold=1.5"),
        ({"share": -0.5}, "share=-0.5"),
        ({"perturbed": 2.0}, "perturbed=2.0"),
        ({"wanted": (5, 2)}, "wanted=2.*at least 5"),
        ({"wanted": (5,)}, r"fewest, most"),
        ({"seed": -1}, "seed=-1"),
    ],
)
def test_bad_options_are_refused(options, match):
    with pytest.raises(InputError, match=match):
        KnowledgeNeurons(**options)


def test_an_unknown_base_is_refused(random_model):
    with pytest.raises(InputError, match="no localizer 'gradients'"):
        KnowledgeNeurons(localizer="gradients").check(random_model("gpt2"))
