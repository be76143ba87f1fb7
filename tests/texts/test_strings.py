import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from byrote.errors import InputError
from byrote.texts import (
    distribution_entropy,
    from_probabilities,
    markov,
    random_token_alphabet,
    skewed,
    token_alphabet,
    uniform,
)

SIZES = st.integers(2, 26)
SEEDS = st.integers(0, 2**64 - 1)


def alphabet_of(size):
    return random_token_alphabet(1000, size, size)


def entropy_of(p):
    return -sum(x * math.log(x) for x in p if x > 0)


# The table of the paper's spec, section 1: entropies of uniform alphabets, reached by skew at 26.
@pytest.mark.parametrize(
    ("size", "entropy", "p"),
    [(2, 0.693, 0.8914), (4, 1.386, 0.7455), (7, 1.946, 0.6040), (13, 2.565, 0.4139)],
)
def test_the_skew_that_equals_a_smaller_uniform_alphabet(size, entropy, p):
    assert math.log(size) == pytest.approx(entropy, abs=5e-4)
    source = skewed(alphabet_of(26), math.log(size))
    assert source.probabilities[0] == pytest.approx(p, abs=5e-5)
    assert source.entropy == pytest.approx(uniform(alphabet_of(size)).entropy, abs=1e-12)


def test_the_full_entropy_is_uniform():
    source = skewed(alphabet_of(26), math.log(26))
    np.testing.assert_allclose(source.probabilities, 1 / 26, rtol=1e-6)
    assert source.probabilities[0] == pytest.approx(0.0385, abs=5e-5)


@given(size=SIZES, share=st.floats(0, 1), data=st.data())
def test_any_entropy_is_reached(size, share, data):
    wanted = share * math.log(size)
    likely = data.draw(st.integers(0, size - 1))
    source = skewed(alphabet_of(size), wanted, likely=likely)
    p = source.probabilities
    assert entropy_of(p) == pytest.approx(wanted, rel=1e-9, abs=1e-12)
    assert p.sum() == pytest.approx(1, abs=1e-12)
    assert p[likely] >= 1 / size - 1e-12
    assert len(set(np.delete(p, likely))) <= 1
    assert source.entropy_rate == source.entropy


@pytest.mark.parametrize("entropy", [-0.01, math.log(4) + 1e-6, 3.0, math.nan, math.inf])
def test_an_entropy_that_the_alphabet_cannot_have(entropy):
    with pytest.raises(InputError, match=r"4 letters cannot have .* 0 to 1\.3863"):
        skewed(alphabet_of(4), entropy)


@given(size=SIZES, n=st.integers(1, 300), seed=SEEDS)
def test_strings_are_of_the_alphabet_and_the_seed(size, n, seed):
    source = uniform(alphabet_of(size))
    ids = source.draw(n, seed)
    assert ids.dtype == np.int32
    assert ids.shape == (n,)
    assert set(ids.tolist()) <= set(source.alphabet.ids)
    np.testing.assert_array_equal(ids, source.draw(n, seed))
    np.testing.assert_array_equal(ids, source.draw(2 * n, seed)[:n])


def test_the_strings_of_a_seed_never_change():
    assert uniform(token_alphabet(range(4), 4)).draw(12, 7).tolist() == [
        2, 3, 3, 0, 1, 3, 0, 3, 3, 1, 1, 1,
    ]  # fmt: skip


@pytest.mark.parametrize("make", [uniform, lambda a: skewed(a, 1.0), lambda a: markov(a, 2, 1, 5)])
def test_letters_come_as_often_as_stated(make):
    source = make(alphabet_of(7))
    n = 100_000
    error = source.empirical(source.draw(n, 3)) - source.probabilities
    # A Markov string's letters are not independent, so five and not four standard errors.
    assert np.abs(error).max() < 5 * math.sqrt(0.25 / n)


def test_letters_of_a_seed_are_independent_of_their_predecessors():
    source = uniform(alphabet_of(4))
    ids = source.letter_indices(source.draw(100_000, 1))
    pairs = np.bincount(ids[:-1] * 4 + ids[1:], minlength=16) / (len(ids) - 1)
    assert np.abs(pairs - 1 / 16).max() < 5 * math.sqrt(1 / 16 / len(ids))


def test_a_letter_of_probability_zero_never_comes():
    source = from_probabilities(alphabet_of(4), [0.5, 0, 0.5, 0])
    letters = source.letter_indices(source.draw(20_000, 2))
    assert set(letters.tolist()) == {0, 2}
    assert source._letters(np.array([0.0, np.nextafter(1.0, 0)])).tolist() == [0, 2]


def test_an_entropy_of_zero_is_one_letter():
    source = skewed(alphabet_of(5), 0.0, likely=3)
    assert source.entropy == 0.0
    assert set(source.draw(100, 0).tolist()) == {source.alphabet.ids[3]}


@given(size=SIZES, n=st.integers(1, 200), seed=SEEDS)
def test_empirical_frequencies_are_counts(size, n, seed):
    source = uniform(alphabet_of(size))
    ids = source.draw(n, seed).tolist()
    wanted = [ids.count(i) / n for i in source.alphabet.ids]
    np.testing.assert_allclose(source.empirical(ids), wanted, atol=1e-15)


def test_a_string_of_another_source_is_refused():
    source = uniform(token_alphabet([3, 9, 5], 10))
    assert source.letter_indices([5, 3, 9]).tolist() == [2, 0, 1]
    for stranger in (0, 4, 10):
        with pytest.raises(InputError, match=f"Token {stranger} is not in the alphabet"):
            source.empirical([3, stranger])


@pytest.mark.parametrize(
    "p", [[0.5, 0.6], [1.5, -0.5], [0.2, 0.3, 0.5], [math.nan, 1.0], [[0.5, 0.5]]]
)
def test_what_is_no_distribution_over_the_alphabet(p):
    with pytest.raises(InputError, match=r"distribution|Probabilities of shape"):
        from_probabilities(alphabet_of(2), p)


@pytest.mark.parametrize(("n", "seed"), [(0, 1), (-3, 1), (5, -1)])
def test_draws_that_cannot_be(n, seed):
    with pytest.raises(InputError, match=r"0 tokens|-3 tokens|seed is -1"):
        uniform(alphabet_of(2)).draw(n, seed)


def test_the_next_letter_of_independent_ones_is_the_marginal():
    source = skewed(alphabet_of(3), 0.9)
    rows = source.next_probabilities(source.draw(6, 1))
    np.testing.assert_array_equal(rows, np.tile(source.probabilities, (6, 1)))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8).filter(lambda x: sum(x) > 0.1))
def test_entropy_of_a_distribution(weights):
    p = np.array(weights) / sum(weights)
    assert distribution_entropy(p) == pytest.approx(entropy_of(p), abs=1e-12)


@settings(deadline=None)
@given(size=SIZES, seed=SEEDS)
def test_names_say_what_the_source_is(size, seed):
    alphabet = alphabet_of(size)
    assert uniform(alphabet).name == f"uniform-{size}"
    assert skewed(alphabet, 0.5).name == f"skewed-{size}-H0.5"
    assert markov(alphabet, 1, 0.5, seed).name == f"markov1-{size}-H0.5"
