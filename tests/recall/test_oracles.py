from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from byrote.errors import InputError
from byrote.recall import guess_accuracy, kgram_ceiling, modal_frequency
from byrote.texts import skewed, token_alphabet, uniform

# The k-gram oracle ceiling of the paper's spec, section 4 (n = 1024, 20 strings).
KS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16)
CEILING = {
    2: (0.519, 0.527, 0.537, 0.547, 0.571, 0.599, 0.693, 0.839, 0.946, 0.995),
    4: (0.282, 0.316, 0.383, 0.519, 0.741, 0.916, 0.994, 1, 1, 1),
    7: (0.185, 0.261, 0.471, 0.841, 0.973, 0.998, 1, 1, 1, 1),
    13: (0.134, 0.298, 0.817, 0.983, 0.999, 1, 1, 1, 1, 1),
    26: (0.112, 0.543, 0.974, 0.999, 1, 1, 1, 1, 1, 1),
}


def source_of(size):
    return uniform(token_alphabet(range(size), size))


def plain(ids, k, first):
    followers = defaultdict(Counter)
    for i in range(first, len(ids)):
        followers[tuple(ids[i - k : i])][ids[i]] += 1
    right = sum(max(counts.values()) for counts in followers.values())
    return right / (len(ids) - first)


@settings(deadline=None)
@given(
    ids=st.lists(st.integers(0, 3), min_size=2, max_size=60),
    data=st.data(),
)
def test_equals_the_best_table(ids, data):
    ks = data.draw(st.lists(st.integers(0, len(ids) - 1), max_size=4))
    first = data.draw(st.none() | st.integers(max(ks, default=0), len(ids) - 1))
    found = kgram_ceiling(np.array(ids) * 1000, ks, first=first)
    assert found == {k: pytest.approx(plain(ids, k, first if first is not None else k)) for k in ks}


@pytest.mark.parametrize("size", CEILING)
def test_pitfall_9_the_ceiling_is_the_published_table(size):
    strings = [source_of(size).draw(1024, seed) for seed in range(20)]
    found = [kgram_ceiling(ids, KS) for ids in strings]
    for k, wanted in zip(KS, CEILING[size], strict=True):
        values = np.array([one[k] for one in found])
        # Both tables are means of 20 strings: four standard errors of their difference, and the
        # last digit's rounding.
        noise = 4 * values.std(ddof=1) * np.sqrt(2 / 20)
        assert values.mean() == pytest.approx(wanted, abs=noise + 0.0006), k


def test_longer_prefixes_on_the_same_positions_never_do_worse():
    ids = source_of(4).draw(300, 5)
    values = list(kgram_ceiling(ids, range(21), first=20).values())
    assert values == sorted(values)


def test_k_0_is_the_modal_frequency():
    ids = source_of(7).draw(200, 5)
    assert kgram_ceiling(ids, [0])[0] == modal_frequency(ids)


@pytest.mark.parametrize(("k", "first"), [(-1, None), (10, None), (3, 2), (3, 10)])
def test_positions_that_do_not_exist(k, first):
    with pytest.raises(InputError, match=f"k is {k}"):
        kgram_ceiling(range(10), [k], first=first)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=50))
def test_the_modal_frequency_counts(ids):
    assert modal_frequency(ids) == max(ids.count(i) for i in ids) / len(ids)


@pytest.mark.parametrize("size", [2, 4, 7, 13, 26])
def test_guessing_a_source_is_one_in_its_letters(size):
    assert guess_accuracy(source_of(size)) == pytest.approx(1 / size)


def test_guessing_a_skewed_source_is_its_likely_letter():
    assert guess_accuracy(skewed(token_alphabet(range(26), 26), 0.693147)) == pytest.approx(
        0.8914, abs=5e-5
    )


# The spec's section 3: the empirical modal frequency at n = 1024.
@pytest.mark.parametrize(
    ("size", "wanted"), [(2, 0.516), (4, 0.268), (7, 0.157), (13, 0.093), (26, 0.052)]
)
def test_pitfall_8_guessing_a_finite_string_does_better_than_its_source(size, wanted):
    source = source_of(size)
    found = [guess_accuracy(source.draw(1024, seed)) for seed in range(100)]
    assert min(found) >= 1 / size
    assert np.mean(found) == pytest.approx(wanted, abs=0.005)


@pytest.mark.parametrize("ids", [[], [[1, 2]], 3])
def test_what_is_no_string(ids):
    with pytest.raises(InputError, match="vector of token ids"):
        modal_frequency(ids)


def test_some_positions_are_scored_by_the_predictor_of_all():
    ids = np.random.default_rng(0).integers(0, 4, 100)
    ks = [0, 1, 2, 5]
    whole = kgram_ceiling(ids, ks, first=6)
    each = [kgram_ceiling(ids, ks, first=6, positions=[i]) for i in range(6, 100)]
    for k in ks:
        # Ties count their parts, so that the positions' mean is the ceiling of the whole string.
        assert np.mean([one[k] for one in each]) == pytest.approx(whole[k])
    # a b a c: after a comes b or c, either as well; after b always a.
    assert kgram_ceiling([0, 1, 0, 2], [1], positions=[1]) == {1: 0.5}
    assert kgram_ceiling([0, 1, 0, 2], [1], positions=[2]) == {1: 1.0}


def test_positions_that_are_not_scored_have_no_ceiling():
    with pytest.raises(InputError, match="none of the 1 positions"):
        kgram_ceiling([0, 1, 0, 2], [2], positions=[1])
