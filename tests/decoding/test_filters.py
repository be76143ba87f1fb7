"""Both filters against a Python set of tuples."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from byrote.decoding import BloomFilter, NGramSet
from byrote.decoding import sets as sets_module
from byrote.decoding.bits import BitArray
from byrote.errors import InputError
from tests.decoding.naive import ngrams_of

VOCAB = 4
KINDS = {
    "exact": NGramSet.build,
    "bloom": lambda documents, n: BloomFilter.build(documents, n, fpr=1e-9),
}
corpora = st.lists(st.lists(st.integers(0, VOCAB - 1), max_size=12), max_size=6)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60, deadline=None)
@given(
    documents=corpora, asked=st.lists(st.integers(0, VOCAB - 1), max_size=15), n=st.integers(2, 4)
)
def test_a_filter_is_the_set(kind, documents, asked, n):
    known = ngrams_of(documents, n)
    ngrams = KINDS[kind](documents, n)
    assert ngrams.count == len(known)
    assert ngrams.origin.tokens == sum(map(len, documents))
    every = np.stack(np.meshgrid(*[range(VOCAB)] * n), -1).reshape(-1, n)
    assert ngrams.contains(every).tolist() == [tuple(row) in known for row in every.tolist()]
    windows = [tuple(asked[i : i + n]) for i in range(len(asked) - n + 1)]
    assert ngrams.matches(asked).tolist() == [window in known for window in windows]
    prefixes = np.unique(every[:, :-1], axis=0)
    rows, tokens = ngrams.followers(prefixes, VOCAB)
    found = [(*prefixes[row].tolist(), token) for row, token in zip(rows, tokens, strict=True)]
    assert found == sorted(known)


@pytest.mark.parametrize("kept", [0, 1, 7])
@settings(max_examples=40, deadline=None)
@given(documents=corpora, n=st.integers(2, 4))
def test_the_set_stays_exact_when_hashes_collide(kept, documents, n):
    """With keys of 0 to 3 bits nearly all prefixes share one: the tokens decide."""
    known = ngrams_of(documents, n)
    real = sets_module.mix
    sets_module.mix = lambda states: real(states) & np.uint64(kept)
    try:
        ngrams = NGramSet.build(documents, n)
        every = np.stack(np.meshgrid(*[range(VOCAB)] * n), -1).reshape(-1, n)
        assert ngrams.contains(every).tolist() == [tuple(row) in known for row in every.tolist()]
        prefixes = np.unique(every[:, :-1], axis=0)
        rows, tokens = ngrams.followers(prefixes, VOCAB)
        found = [(*prefixes[row].tolist(), token) for row, token in zip(rows, tokens, strict=True)]
        assert found == sorted(known)
    finally:
        sets_module.mix = real


@pytest.fixture(scope="module")
def many():
    return np.random.default_rng(1).integers(0, 50_000, 200_000).astype(np.int32)


@pytest.mark.parametrize("fpr", [0.1, 0.01, 0.001])
def test_the_stated_rate_is_the_measured_one(many, fpr):
    ngrams = BloomFilter.build([many], 5, fpr=fpr)
    rng = np.random.default_rng(2)
    windows = np.lib.stride_tricks.sliding_window_view(many, 5)[
        rng.integers(0, len(many) - 4, 400_000)
    ]
    assert ngrams.contains(windows[:1000]).all()
    wrong = windows.copy()
    wrong[:, -1] = (wrong[:, -1] + rng.integers(1, 50_000, len(wrong))) % 50_000
    # The rare true n-grams among them (about 4 in 10^6 at most) do not matter here.
    measured = ngrams.contains(wrong).mean()
    assert measured <= fpr * 1.1
    assert measured == pytest.approx(ngrams.fpr, rel=0.15)
    assert ngrams.contains(rng.integers(0, 50_000, (100_000, 5))).mean() < fpr / 20


def test_a_filter_beyond_its_capacity_says_so(many):
    ngrams = BloomFilter.build([many], 5, capacity=50_000, fpr=0.001)
    assert ngrams.count > ngrams.capacity
    assert ngrams.fpr > 0.1
    assert ngrams.matches(many).all()


def test_adding_later_is_building_at_once(many):
    parts = np.array_split(many[:5000], 7)
    whole = BloomFilter.build(parts, 4, capacity=5000)
    grown = BloomFilter(4, capacity=5000)
    for part in parts:
        grown.add([part])
    assert grown.count == whole.count
    assert grown.origin == whole.origin
    for name, array in whole.arrays().items():
        np.testing.assert_array_equal(grown.arrays()[name], array)


def test_a_repeated_document_adds_nothing(many):
    for kind in (NGramSet.build, BloomFilter.build):
        once, often = kind([many[:3000]], 6), kind([many[:3000]] * 5, 6)
        assert once.count == often.count
        assert often.origin.documents == 5


def test_followers_keep_to_the_vocabulary():
    ngrams = NGramSet.build([[1, 2, 3], [1, 2, 70]], 3)
    assert ngrams.followers(np.array([[1, 2]]), 50)[1].tolist() == [3]


def test_bits_of_many_keys():
    keys = np.random.default_rng(3).integers(0, 2**64, 100_000, dtype=np.uint64)
    bits = BitArray.sized(50_000, 0.01)
    bits.add(keys[:50_000])
    assert bits.contains(keys[:50_000]).all()
    assert bits.contains(keys[50_000:]).mean() == pytest.approx(bits.fpr, rel=0.15)
    assert bits.contains(keys[:0]).tolist() == []


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: BloomFilter(1, capacity=10), "n is 1"),
        (lambda: NGramSet.build([], 0), "n is 0"),
        (lambda: BloomFilter(3, capacity=0), "capacity is 0"),
        (lambda: BloomFilter(3, capacity=10.5), "capacity is 10.5; it must be a whole number"),
        (lambda: BloomFilter(3, capacity=10**18), r"takes 1.8\de\+18 bytes, .* smaller capacity"),
        (lambda: BloomFilter(3, capacity=10**30), r"takes 1.8\de\+30 bytes, .* smaller capacity"),
        (lambda: BloomFilter(3, capacity=9, fpr=1.0), "rate is 1.0"),
        (lambda: BloomFilter(3, capacity=9, fpr=0.0), "rate is 0.0"),
        (lambda: NGramSet.build([[1, 2, 3]], 3).contains([[1, 2]]), r"\[rows, 3\]"),
        (lambda: NGramSet.build([[1, 2, 3]], 3).matches([0.5, 1.0, 2.0]), "vector of token ids"),
        (lambda: NGramSet.build([[1, 2, 3]], 3).followers(np.zeros((1, 3), int), 5), "takes"),
    ],
)
def test_bad_input(make, message):
    with pytest.raises(InputError, match=message):
        make()
