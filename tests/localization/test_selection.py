"""Selecting neurons against the definition: sort all by score, layer and index, and take."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from byrote.errors import InputError
from byrote.localization.selection import Selection, check_fits, jaccard, select

# Few different values, so that many tie.
VALUES = st.integers(-3, 3).map(float)


@st.composite
def problems(draw):
    layers, width = draw(st.integers(1, 4)), draw(st.integers(1, 12))
    scores = draw(arrays.arrays(np.float64, (layers, width), elements=VALUES))
    skip = draw(st.sets(st.integers(0, layers - 1), max_size=layers - 1))
    scope = draw(st.sampled_from(["layer", "model"]))
    size = width if scope == "layer" else (layers - len(skip)) * width
    count = draw(st.integers(1, size))
    return scores, skip, scope, count, count / size


def naive(scores, skip, scope, count):
    """The selected neurons, and how many of them tie with one that was left out."""
    layers, width = scores.shape
    groups = [[layer] for layer in range(layers)] if scope == "layer" else [range(layers)]
    taken, tied = set(), 0
    for group in groups:
        cells = [(-scores[a, b], a, b) for a in group if a not in skip for b in range(width)]
        cells.sort()
        inside, outside = cells[:count], cells[count:]
        taken |= {(a, b) for _, a, b in inside}
        if inside and outside and inside[-1][0] == outside[0][0]:
            tied += sum(cell[0] == inside[-1][0] for cell in inside)
    return taken, tied


@given(problems())
def test_equals_the_definition(problem):
    scores, skip, scope, count, fraction = problem
    selection = select(scores, fraction, scope=scope, skip_layers=skip)
    taken, tied = naive(scores, skip, scope, count)
    assert {(int(a), int(b)) for a, b in np.argwhere(selection.neurons)} == taken
    assert selection.tied == tied
    assert len(selection) == len(taken)


@given(problems())
def test_rounding_does_not_matter_where_there_is_none(problem):
    scores, skip, scope, _, fraction = problem
    down, near = (
        select(scores, fraction, scope=scope, skip_layers=skip, rounding=rounding)
        for rounding in ("down", "nearest")
    )
    np.testing.assert_array_equal(down.neurons, near.neurons)


@given(problems())
def test_no_neuron_left_out_is_higher_than_one_that_was_taken(problem):
    scores, skip, scope, _, fraction = problem
    chosen = select(scores, fraction, scope=scope, skip_layers=skip).neurons
    groups = [list(range(len(scores)))] if scope == "model" else [[a] for a in range(len(scores))]
    for group in groups:
        rows = [a for a in group if a not in skip]
        inside, outside = scores[rows][chosen[rows]], scores[rows][~chosen[rows]]
        if len(inside) and len(outside):
            assert inside.min() >= outside.max()


@given(st.integers(1, 10**8), st.data())
def test_a_whole_number_of_neurons_is_not_lost_to_rounding(size, data):
    count = data.draw(st.integers(1, size))
    product = size * (count / size) * (1 + 1e-12)
    assert int(product) == count


@pytest.mark.parametrize(
    ("width", "fraction", "down", "nearest"),
    [(3072, 0.001, 3, 3), (6400, 0.001, 6, 6), (10240, 0.005, 51, 51), (3072, 0.0005, 1, 2)],
)
def test_counts_are_the_papers(width, fraction, down, nearest):
    """Section 3.2 gives 6 of 6,400 and 51 of 10,240 per layer; INJ rounds to the nearest."""
    scores = np.random.default_rng(0).random((2, width))
    assert select(scores, fraction).counts().tolist() == [down] * 2
    assert select(scores, fraction, rounding="nearest").counts().tolist() == [nearest] * 2


def test_layer_zero_can_be_skipped():
    scores = np.arange(12.0).reshape(3, 4)[::-1]
    assert select(scores, 0.5, skip_layers=[0]).counts().tolist() == [0, 2, 2]
    model = select(scores, 0.5, scope="model", skip_layers=[0])
    assert model.counts().tolist() == [0, 4, 0]


def test_equal_scores_are_taken_from_the_front():
    selection = select(np.zeros((2, 4)), 0.5)
    assert selection.neurons.tolist() == [[True, True, False, False]] * 2
    assert selection.tied == 4
    assert select(np.zeros((2, 4)), 1.0).tied == 0


def test_infinite_scores_are_taken_and_minus_infinity_never():
    scores = np.array([[np.inf, 1.0, -np.inf, -np.inf], [2.0, -np.inf, 3.0, 4.0]])
    selection = select(scores, 0.75)
    assert selection.neurons.tolist() == [[True, True, False, False], [True, False, True, True]]
    with pytest.raises(InputError, match="-inf"):
        select(np.full((2, 3), -np.inf), 0.5)


def test_tensors_and_arrays_select_the_same():
    scores = torch.rand(3, 20, generator=torch.Generator().manual_seed(0))
    for tensor in (scores, scores.clone().requires_grad_(True), scores.double()):
        np.testing.assert_array_equal(
            select(tensor, 0.2).neurons, select(scores.numpy(), 0.2).neurons
        )


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"fraction": 0.05}, r"0\.05 of 10 neurons selects none; take at least 0\.101"),
        ({"fraction": 0.0}, "selects none"),
        ({"fraction": -0.1}, "fraction=-0.1"),
        ({"fraction": 1.5}, "fraction=1.5"),
        ({"fraction": 0.5, "scope": "all"}, "scope='all'.*layer, model"),
        ({"fraction": 0.5, "rounding": "up"}, "rounding='up'"),
        ({"fraction": 0.5, "skip_layers": [2]}, "no layer 2.*has 2"),
        ({"fraction": 0.5, "skip_layers": [-1]}, "no layer -1"),
        ({"fraction": 0.5, "skip_layers": [0, 1]}, "all 2 layers"),
    ],
)
def test_bad_options_are_refused(options, match):
    with pytest.raises(InputError, match=match):
        select(np.ones((2, 10)), **options)


def test_what_is_advised_selects_a_neuron():
    for size in (1, 2, 7, 9, 96, 3072, 123_457):
        scores = np.zeros((1, size))
        with pytest.raises(InputError) as caught:
            select(scores, 0.5 / size)
        least = float(str(caught.value).split("at least ")[1].rstrip("."))
        assert len(select(scores, least)) == 1


@pytest.mark.parametrize("shape", [(4,), (2, 3, 4)])
def test_scores_of_another_shape_are_refused(shape):
    with pytest.raises(InputError, match=r"\[layers, width\]"):
        select(np.ones(shape), 0.5)


def test_scores_that_are_no_numbers_are_refused():
    with pytest.raises(InputError, match="NaN"):
        select(np.array([[1.0, np.nan]]), 0.5)


def test_a_selection_tells_its_layers_and_its_mask():
    selection = select(np.array([[1.0, 3.0, 2.0], [0.0, 0.0, 5.0]]), 1 / 3)
    assert {layer: at.tolist() for layer, at in selection.layers()} == {0: [1], 1: [2]}
    assert selection.mask(0.25).tolist() == [[1.0, 0.25, 1.0], [1.0, 1.0, 0.25]]
    assert selection.mask().dtype == torch.float32


def test_a_union_has_the_neurons_of_either():
    one, other = (select(np.eye(4)[[a, b]], 0.25) for a, b in [(0, 1), (0, 2)])
    both = one | other
    assert len(both) == 3
    assert jaccard(one, other) == pytest.approx(1 / 3)
    assert jaccard(one, one) == 1.0
    empty = Selection(np.zeros((2, 4), dtype=bool))
    assert jaccard(empty, empty) == 1.0
    assert jaccard(one, empty) == 0.0


def test_selections_of_other_models_are_refused(random_model):
    loaded = random_model("gpt2")
    fits = Selection(np.zeros((2, loaded.neurons.width), dtype=bool))
    check_fits(fits, loaded.neurons)
    other = Selection(np.zeros((3, 7), dtype=bool))
    with pytest.raises(InputError, match=r"\[3, 7\].*\[2, 256\]"):
        check_fits(other, loaded.neurons)
    with pytest.raises(InputError, match="different models"):
        jaccard(fits, other)
