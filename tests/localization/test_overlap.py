"""Overlap, histograms and the two ways to spend a budget of neurons."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from byrote.errors import InputError
from byrote.localization.overlap import (
    LAYER_COUNTS,
    OVERLAPS,
    layer_counts,
    one_layer_selection,
    overlaps,
    spread_selection,
)
from byrote.localization.selection import Selection, select


def selection(*rows):
    return Selection(np.array(rows, dtype=bool))


def test_pairs_are_compared_by_what_they_share():
    found = overlaps(
        {
            "a": selection([1, 1, 0, 0], [0, 0, 0, 1]),
            "b": selection([0, 1, 1, 0], [0, 0, 0, 1]),
            "c": selection([0, 0, 0, 0], [1, 0, 0, 0]),
        }
    )
    assert found.schema == OVERLAPS
    assert found.rows(named=True)[0] == {
        "one": "a",
        "other": "b",
        "shared": 2,
        "jaccard": 0.5,
        # 2·2/4 + 1·1/4 in both; 6 less that in either.
        "by_chance": pytest.approx(1.25 / 4.75),
    }
    assert found["one"].to_list() == ["a", "a", "b"]
    assert found["other"].to_list() == ["b", "c", "c"]
    assert found["shared"].to_list() == [2, 0, 0]


def test_chance_is_what_blind_draws_give():
    rng = np.random.default_rng(0)
    scores = rng.random((400, 2, 3, 40))
    pairs = [[select(one, 0.2) for one in pair] for pair in scores]
    tables = [overlaps({"a": a, "b": b}) for a, b in pairs]
    shared = np.mean([table["shared"][0] for table in tables])
    assert shared / (48 - shared) == pytest.approx(tables[0]["by_chance"][0], rel=0.1)


def test_one_selection_has_no_pairs():
    assert overlaps({"a": selection([1, 0])}).schema == OVERLAPS
    assert len(overlaps({"a": selection([1, 0])})) == 0


def test_empty_selections_are_the_same():
    empty = selection([0, 0])
    assert overlaps({"a": empty, "b": empty}).row(0)[2:] == (0, 1.0, 1.0)


def test_selections_of_different_models_are_not_compared():
    with pytest.raises(InputError, match=r"\[1, 2\] and \[1, 3\]"):
        overlaps({"a": selection([1, 0]), "b": selection([1, 0, 0])})


def test_layers_are_counted_for_each_name():
    found = layer_counts(
        {
            "a": selection([1, 1, 1], [0, 0, 0], [0, 0, 1]),
            "none": selection([0, 0, 0], [0, 0, 0], [0, 0, 0]),
        }
    )
    assert found.schema == LAYER_COUNTS
    assert found["name"].to_list() == ["a"] * 3 + ["none"] * 3
    assert found["layer"].to_list() == [0, 1, 2] * 2
    assert found["neurons"].to_list() == [3, 0, 1, 0, 0, 0]
    assert found["share"].to_list() == [0.75, 0.0, 0.25, None, None, None]
    assert layer_counts({}).schema == LAYER_COUNTS


def test_one_layer_gives_its_highest():
    scores = np.array([[9.0, 9.0, 9.0], [1.0, 3.0, 2.0]])
    found = one_layer_selection(scores, 1, 2)
    assert found.neurons.tolist() == [[False] * 3, [False, True, True]]
    assert found.tied == 0
    assert one_layer_selection(scores, 0, 2).tied == 2


@given(st.integers(1, 5), st.integers(1, 8), st.data())
def test_one_layer_is_the_selection_of_that_layer_alone(layers, width, data):
    rng = np.random.default_rng(data.draw(st.integers(0, 999)))
    scores = rng.integers(0, 4, (layers, width)).astype(float)
    layer, count = data.draw(st.integers(0, layers - 1)), data.draw(st.integers(1, width))
    found = one_layer_selection(scores, layer, count)
    others = [other for other in range(layers) if other != layer]
    alone = select(scores, count / width, skip_layers=others)
    np.testing.assert_array_equal(found.neurons, alone.neurons)
    assert found.tied == alone.tied


@given(st.integers(1, 5), st.integers(1, 8), st.data())
def test_a_spread_budget_is_spent_evenly_and_in_full(layers, width, data):
    rng = np.random.default_rng(data.draw(st.integers(0, 999)))
    scores = rng.integers(0, 4, (layers, width)).astype(float)
    skip = data.draw(st.sets(st.integers(0, layers - 1), max_size=layers - 1))
    left = [layer for layer in range(layers) if layer not in skip]
    count = data.draw(st.integers(1, len(left) * width))
    found = spread_selection(scores, count, skip_layers=skip)
    assert len(found) == count
    counts = found.counts()
    assert counts[list(skip)].sum() == 0
    assert counts[left].max() - counts[left].min() <= 1
    tied, nexts = 0, {}
    for layer in left:
        order = sorted(range(width), key=lambda i, layer=layer: (-scores[layer, i], i))
        inside, outside = order[: counts[layer]], order[counts[layer] :]
        assert set(np.flatnonzero(found.neurons[layer])) == set(inside)
        if inside and outside and scores[layer, inside[-1]] == scores[layer, outside[0]]:
            tied += int((scores[layer, inside] == scores[layer, inside[-1]]).sum())
        nexts[layer] = (-scores[layer, order[count // len(left)]] if count // len(left) < width
                        else 0.0, layer)  # fmt: skip
    assert found.tied == tied
    over = count % len(left)
    if over:
        richer = {layer for layer in left if counts[layer] > count // len(left)}
        assert richer == set(sorted(left, key=nexts.__getitem__)[:over])


def test_a_budget_that_divides_is_that_of_a_fraction():
    scores = np.random.default_rng(1).random((4, 50))
    fraction = select(scores, 0.1, skip_layers=[0])
    np.testing.assert_array_equal(spread_selection(scores, len(fraction)).neurons, fraction.neurons)


@pytest.mark.parametrize(
    ("layer", "count", "match"),
    [
        (3, 1, "no layer 3; the model has 2"),
        (-1, 1, "layer=-1"),
        (1, 0, "count=0"),
        (1, 6, "layer 1 has 4 neurons to take, 6 are asked for"),
    ],
)
def test_layers_and_budgets_that_are_not_there_are_refused(layer, count, match):
    scores = np.array([[1.0] * 5, [1.0] * 4 + [-np.inf]])
    with pytest.raises(InputError, match=match):
        one_layer_selection(scores, layer, count)


@pytest.mark.parametrize(
    ("count", "skip", "match"),
    [
        (6, [0], "6 neurons spread over 1 layers are 6 in one"),
        (9, [], "5 in one, and a layer has only 4"),
        (0, [], "count=0"),
        (1, [0, 1], "all 2 layers"),
        (1, [5], "no layer 5"),
    ],
)
def test_budgets_that_cannot_be_spread_are_refused(count, skip, match):
    scores = np.array([[1.0] * 5, [1.0] * 4 + [-np.inf]])
    with pytest.raises(InputError, match=match):
        spread_selection(scores, count, skip_layers=skip)
