import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from byrote.errors import InputError
from byrote.texts import markov, token_alphabet


def letters(size):
    return token_alphabet(range(10, 10 + size), 10 + size)


CASES = st.tuples(st.integers(2, 5), st.integers(1, 3), st.floats(0, 1), st.integers(0, 2**32))


def table(source):
    """P(t | context) of every context, from the public method: `[contexts, size]`."""
    size, k = source.alphabet.size, source.order
    rows = []
    for context in product(source.alphabet.ids, repeat=k):
        rows.append(source.next_probabilities([*context, source.alphabet.ids[0]])[k])
    assert len(rows) == size**k
    return np.array(rows)


@settings(deadline=None)
@given(CASES)
def test_every_context_leaves_the_wanted_entropy(case):
    size, order, share, seed = case
    source = markov(letters(size), order, share * math.log(size), seed)
    p = table(source)
    entropies = -np.sum(p * np.log(np.where(p > 0, p, 1)), axis=1)
    np.testing.assert_allclose(entropies, share * math.log(size), atol=1e-9)
    np.testing.assert_allclose(p.sum(1), 1, atol=1e-12)
    assert source.entropy_rate == pytest.approx(share * math.log(size), abs=1e-9)
    assert source.entropy == pytest.approx(math.log(size))


@settings(deadline=None)
@given(CASES)
def test_uniform_contexts_are_stationary(case):
    size, order, share, seed = case
    p = table(markov(letters(size), order, share * math.log(size), seed))
    step = np.zeros((size**order, size**order))
    for context in range(size**order):
        for letter in range(size):
            step[context, (context * size + letter) % size**order] += p[context, letter]
    np.testing.assert_allclose(step.sum(0), 1, atol=1e-12)


@settings(deadline=None)
@given(CASES)
def test_fewer_letters_of_context_tell_nothing(case):
    size, order, share, seed = case
    p = table(markov(letters(size), order, share * math.log(size), seed))
    # Averaged over the first letter of the context, the next letter is uniform.
    shorter = p.reshape(size, -1, size).mean(0)
    np.testing.assert_allclose(shorter, 1 / size, atol=1e-12)


@settings(deadline=None, max_examples=10)
@given(order=st.integers(1, 3), seed=st.integers(0, 1000))
def test_strings_follow_the_table(order, seed):
    source = markov(letters(3), order, 0.6, seed)
    ids = source.draw(20_000, seed + 1)
    rows = source.next_probabilities(ids)
    chosen = rows[np.arange(len(ids)), source.letter_indices(ids)]
    surprise = -np.log(chosen[order:])
    error = surprise.std() / math.sqrt(len(surprise))
    assert surprise.mean() == pytest.approx(0.6, abs=5 * error)
    # The letters that are not favoured are equally likely.
    found = source.letter_indices(ids)[order:]
    favoured = rows[order:].argmax(1)
    others = ((found - favoured) % 3)[found != favoured]
    assert (others == 1).mean() == pytest.approx(0.5, abs=5 * 0.5 / math.sqrt(len(others)))


def test_a_rate_of_zero_repeats_itself():
    source = markov(letters(4), 2, 0.0, 3)
    ids = source.draw(200, 1).tolist()
    assert any(ids[2:] == (ids[2 : 2 + period] * 200)[: len(ids) - 2] for period in range(1, 17))


def test_the_full_rate_has_no_rule():
    source = markov(letters(4), 1, math.log(4), 3)
    np.testing.assert_allclose(table(source), 0.25, rtol=1e-6)


def test_strings_shorter_than_the_order():
    source = markov(letters(4), 3, 0.5, 3)
    assert len(source.draw(2, 1)) == 2
    np.testing.assert_array_equal(source.draw(2, 1), source.draw(50, 1)[:2])
    np.testing.assert_array_equal(source.next_probabilities(source.draw(2, 1)), 0.25)


def test_another_seed_is_another_rule():
    tables = {markov(letters(5), 2, 0.5, seed).favoured.tobytes() for seed in range(10)}
    assert len(tables) == 10
    assert markov(letters(5), 2, 0.5, 1).favoured.tobytes() in tables


@pytest.mark.parametrize(
    ("order", "rate", "seed", "message"),
    [
        (0, 1.0, 0, "order 0"),
        (1, 2.0, 0, "4 letters cannot have an entropy of 2"),
        (1, -1.0, 0, "cannot have"),
        (12, 1.0, 0, "16,777,216 contexts"),
        (1, 1.0, -1, "seed is -1"),
    ],
)
def test_chains_that_cannot_be(order, rate, seed, message):
    with pytest.raises(InputError, match=message):
        markov(letters(4), order, rate, seed)
