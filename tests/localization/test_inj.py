"""The INJ benchmark against its definition, with methods whose recall is known."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from byrote.errors import InputError
from byrote.localization.base import Localizer, _unheard
from byrote.localization.inj import (
    ceiling,
    expected_ceiling,
    mean_recall,
    random_recall,
    recall_at,
    run_injection_benchmark,
)
from byrote.localization.injection import Injection, choose_neurons
from byrote.localization.selection import SCOPES, Selection, select
from byrote.models import load
from tests.localization.models import assert_same_state, state_of
from tests.recall.passages import random_passages

HOW = Injection(0.05, lr=0.05, steps=3)


@cache
def tiny(family="llama"):
    sizes = "hidden_size=32&num_attention_heads=2&intermediate_size=80&vocab_size=64"
    return load(f"random:{family}?{sizes}")


def norms(loaded):
    return torch.stack(
        [
            loaded.model.get_submodule(site.module).weight.detach().t()
            for site in loaded.neurons.sites
        ]
    )


@dataclass(frozen=True)
class Changed(Localizer):
    """Knows the model from before, and says which columns are no longer the same."""

    name = "changed"
    before: torch.Tensor = field(repr=False)

    def score(self, loaded, passages, told=_unheard):
        moved = (norms(loaded) - self.before).norm(dim=2)
        return moved.unsqueeze(0).expand(len(passages), -1, -1)


@dataclass(frozen=True)
class Constant(Localizer):
    """Cannot tell neurons apart."""

    name = "constant"

    def score(self, loaded, passages, told=_unheard):
        return torch.zeros(len(passages), loaded.neurons.layers, loaded.neurons.width)


def gold_of(number, layers, width, fraction):
    gold = np.zeros(layers * width, dtype=bool)
    gold[choose_neurons(number, layers, width, fraction)] = True
    return gold.reshape(layers, width)


def naive_recall(scores, gold, k, scope):
    """The definition, neuron by neuron, for scores without ties."""
    layers, width = scores.shape
    hits = 0
    for layer in range(layers):
        for index in range(width):
            if gold[layer, index]:
                rivals = scores[layer] if scope == "layer" else scores.reshape(-1)
                taken = int(np.floor(len(rivals) * k + 0.5))
                hits += (rivals > scores[layer, index]).sum() < taken
    return hits / gold.sum()


@given(
    seed=st.integers(0, 2**32 - 1),
    layers=st.integers(1, 4),
    width=st.integers(4, 30),
    k=st.integers(3, 20).map(lambda twentieths: twentieths / 20),
    scope=st.sampled_from(SCOPES),
)
@settings(max_examples=60, deadline=None)
def test_recall_is_its_definition(seed, layers, width, k, scope):
    rng = np.random.default_rng(seed)
    scores = rng.permutation(layers * width).reshape(layers, width).astype(np.float64)
    gold = rng.random((layers, width)) < 0.3
    gold[0, 0] = True
    expected = naive_recall(scores, gold, k, scope)
    assert recall_at(scores, gold, k, scope) == pytest.approx(expected)
    assert recall_at(torch.from_numpy(scores), Selection(gold), k, scope) == pytest.approx(expected)


@given(
    seed=st.integers(0, 2**32 - 1), k=st.floats(0.05, 1.0), scope=st.sampled_from(SCOPES)
)  # fmt: skip
@settings(max_examples=40, deadline=None)
def test_the_truth_itself_reaches_the_ceiling_and_nothing_exceeds_it(seed, k, scope):
    rng = np.random.default_rng(seed)
    gold = rng.random((3, 20)) < 0.2
    gold[1, 2] = True
    assert recall_at(gold.astype(float), gold, k, scope) == pytest.approx(ceiling(gold, k, scope))
    assert recall_at(rng.random((3, 20)), gold, k, scope) <= ceiling(gold, k, scope) + 1e-12


@pytest.mark.parametrize(
    ("layers", "width", "at_tenth", "at_whole"),
    [
        (12, 3072, 78.1, 93.6),
        (48, 6400, 81.4, 95.2),
        (32, 10240, 86.9, 96.0),
        (32, 16384, 89.2, 96.9),
    ],
)
def test_ceilings_of_the_papers_models_are_those_found_by_simulation(
    layers, width, at_tenth, at_whole
):
    # The paper's 156 draws leave a standard error of 0.4 in the first.
    assert 100 * expected_ceiling(layers, width, 0.001, 0.001) == pytest.approx(at_tenth, abs=0.8)
    assert 100 * expected_ceiling(layers, width, 0.01, 0.01) == pytest.approx(at_whole, abs=0.3)


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("k", [0.05, 0.1, 0.25])
def test_the_expected_ceiling_is_the_mean_over_draws(scope, k):
    draws = [ceiling(gold_of(n, 6, 40, 0.05), k, scope) for n in range(600)]
    expected = expected_ceiling(6, 40, 0.05, k, scope)
    assert np.mean(draws) == pytest.approx(expected, abs=5 * np.std(draws) / 600**0.5 + 1e-6)


@pytest.mark.parametrize("scope", SCOPES)
def test_scores_by_chance_reach_the_random_recall(scope):
    rng = np.random.default_rng(0)
    gold = gold_of(0, 4, 50, 0.1)
    found = [recall_at(rng.random((4, 50)), gold, 0.13, scope) for _ in range(800)]
    expected = random_recall(4, 50, 0.13, scope)
    assert np.mean(found) == pytest.approx(expected, abs=5 * np.std(found) / 800**0.5)


@pytest.fixture(scope="module")
def result():
    loaded = tiny()
    heard = []
    found = run_injection_benchmark(
        loaded,
        random_passages(3, 64, seed=1, prefix=(1, 1), suffix=(4, 6)),
        {"changed": Changed(norms(loaded)), "constant": Constant()},
        [HOW, Injection(0.1, lr=0.02, steps=2)],
        multiples=(1, 2),
        told=heard.append,
    )
    return found, heard


def test_a_method_that_knows_the_truth_reaches_the_ceiling(result):
    rows = result[0].recall.filter(pl.col("method") == "changed")
    assert len(rows) == 2 * 3 * 2 * 2
    np.testing.assert_allclose(rows["recall"], rows["ceiling"])
    assert rows["recall"].min() > 0.5


def test_a_method_that_knows_nothing_reports_ties(result):
    rows = result[0].recall.filter(pl.col("method") == "constant")
    assert (rows["tied"] == rows["neurons"]).all()
    assert rows["recall"].mean() < 0.35


def test_every_example_has_a_row_for_each_fraction_method_k_and_scope(result):
    recall = result[0].recall
    keys = ["fraction", "example", "method", "scope", "multiple"]
    assert len(recall.unique(keys)) == len(recall) == 2 * 3 * 2 * 2 * 2
    np.testing.assert_allclose(recall["k"], recall["fraction"] * recall["multiple"])
    assert result[0].injections.select("fraction", "example").rows() == [
        (fraction, example) for fraction in (0.05, 0.1) for example in range(3)
    ]


def test_progress_goes_up_to_one(result):
    heard = result[1]
    assert heard == sorted(heard)
    assert heard[-1] == pytest.approx(1.0)


def test_means_and_standard_errors(result):
    recall = result[0].recall
    means = mean_recall(recall)
    assert len(means) == 2 * 2 * 2 * 2
    one = {"fraction": 0.1, "method": "changed", "scope": "layer", "multiple": 1.0}
    own = recall.filter(**one)["recall"].to_numpy()
    (row,) = means.filter(**one).to_dicts()
    assert row["n"] == 3
    assert row["recall"] == pytest.approx(own.mean())
    assert row["se"] == pytest.approx(own.std(ddof=1) / 3**0.5)
    assert row["random"] == pytest.approx(8 / 80)


def test_examples_in_parts_give_the_rows_of_the_whole():
    loaded = tiny("phi")
    sentences = random_passages(4, 64, seed=1, prefix=(1, 1), suffix=(4, 6))
    methods = {"changed": Changed(norms(loaded)), "constant": Constant()}
    before = state_of(loaded.model)
    whole = run_injection_benchmark(loaded, sentences, methods, [HOW])
    parts = [
        run_injection_benchmark(loaded, sentences[:1], methods, [HOW]),
        run_injection_benchmark(loaded, sentences[1:], methods, [HOW], numbers=[1, 2, 3]),
    ]
    assert_frame_equal(whole.recall, pl.concat(part.recall for part in parts))
    assert_same_state(loaded.model, before)


def test_bad_input_is_refused_before_any_work():
    loaded, sentences = tiny(), random_passages(1, 64)
    methods = {"constant": Constant()}
    for wrong, said in [
        ((sentences, {}, [HOW]), "no method"),
        ((sentences, methods, []), "no injection"),
        ((sentences, methods, [HOW, HOW]), "one fraction"),
        (([], methods, [HOW]), "no passages"),
        ((sentences, methods, [HOW], (1, 50)), "k=2.5"),
        ((sentences, methods, [HOW], (-1,)), "multiple"),
        ((sentences, methods, [HOW], (0.01,)), "k=0.0005 selects 0"),
    ]:
        with pytest.raises(InputError, match=said):
            run_injection_benchmark(loaded, *wrong)
    with pytest.raises(InputError, match="scope"):
        run_injection_benchmark(loaded, sentences, methods, [HOW], scopes=("head",))


def test_recall_of_other_shapes_or_of_nothing_is_refused():
    with pytest.raises(InputError, match=r"\[2, 3\].*\[3, 2\]"):
        recall_at(np.ones((3, 2)), np.ones((2, 3), dtype=bool), 0.5)
    with pytest.raises(InputError, match="nothing was injected"):
        ceiling(np.zeros((2, 3), dtype=bool), 0.5)


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("width", [6, 10, 50, 3072])
def test_as_many_are_reckoned_with_as_are_selected(width, scope):
    for k in (0.1, 0.13, 0.25, 0.35, 0.45, 0.75):
        chosen = select(np.zeros((2, width)), k, scope=scope, rounding="nearest")
        expected = random_recall(2, width, k, scope) * 2 * width
        assert len(chosen) == pytest.approx(expected)
