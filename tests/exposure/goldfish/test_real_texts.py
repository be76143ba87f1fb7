"""On the King James Version, in the ids of a real tokenizer."""

import re
import textwrap

import numpy as np
import pytest

from byrote.exposure.goldfish import Goldfish, keep_mask
from byrote.models.outline import outline
from byrote.texts import open_source

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def tokenizer():
    return outline("bundled:smollm2-135m").tokenizer


@pytest.fixture(scope="module")
def chapters():
    return [str(record.text) for record in open_source("corpus:kjv").records()]


@pytest.fixture(scope="module")
def ids(tokenizer, chapters):
    rows = tokenizer(chapters, add_special_tokens=False)["input_ids"]
    return np.concatenate([np.array(row) for row in rows])


@pytest.mark.parametrize(("k", "h"), [(3, 13), (4, 13), (8, 13), (4, 4)])
def test_rate_is_within_one_percent_under_each_key(ids, k, h):
    assert len(ids) > 900_000
    for seed in range(4):
        rate = 1 - keep_mask(ids, Goldfish(k, h, seed=seed)).mean()
        assert rate == pytest.approx(1 / k, rel=0.01)


def test_short_documents_are_dropped_from_less(tokenizer, chapters):
    """The first four tokens of each are kept, so that n tokens lose (n - 4) / n of 1/k."""
    sentences = [part for text in chapters[:300] for part in re.split(r"(?<=\.) ", text)]
    for texts in (chapters, sentences):
        rows = tokenizer(texts, add_special_tokens=False)["input_ids"]
        lengths = np.array([len(row) for row in rows])
        starts = np.zeros(lengths.sum(), dtype=bool)
        starts[np.cumsum(lengths)[:-1]] = True
        packed = np.concatenate([np.array(row) for row in rows])
        drops = [1 - keep_mask(packed, Goldfish(seed=s), starts=starts).mean() for s in range(4)]
        expected = 0.25 * np.maximum(lengths - 4, 0).sum() / lengths.sum()
        assert np.mean(drops) == pytest.approx(expected, rel=0.01)
    # A sentence is some 35 tokens.
    assert expected < 0.23


def test_rate_of_each_frequent_token_is_within_one_percent(ids):
    drops = np.mean([~keep_mask(ids, Goldfish(4, 13, seed=seed)) for seed in range(8)], axis=0)
    found, counts = np.unique(ids, return_counts=True)
    frequent = found[counts >= 5_000]
    assert len(frequent) > 20
    for token in frequent:
        assert drops[ids == token].mean() == pytest.approx(0.25, rel=0.01)


def test_official_drops_half_of_what_it_should_in_wide_windows(ids):
    official = 1 - keep_mask(ids, Goldfish(50, 50, strategy="official")).mean()
    ours = 1 - keep_mask(ids, Goldfish(50, 50)).mean()
    assert official == pytest.approx(0.0101, abs=0.0002)
    assert ours == pytest.approx(0.02, rel=0.03)


def test_wrapped_copies_leak_without_normalization_only(tokenizer, chapters):
    leaked, hidden = {False: 0, True: 0}, {False: 0, True: 0}
    for text in chapters[:10]:
        copy = "\n".join(textwrap.wrap(text, 60))
        for normalize in (False, True):
            goldfish = Goldfish(4, 13, normalize=normalize)
            one, other = (_left_out(each, tokenizer, goldfish) for each in (text, copy))
            leaked[normalize] += int((one & ~other).sum())
            hidden[normalize] += int(one.sum())
    assert leaked[False] / hidden[False] > 0.5
    assert leaked[True] / hidden[True] < 0.01


def _left_out(text, tokenizer, goldfish):
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    keep = keep_mask(np.array(encoded["input_ids"]), goldfish, tokenizer=tokenizer)
    found = np.zeros(len(text), dtype=bool)
    for (start, end), kept in zip(encoded["offset_mapping"], keep.tolist(), strict=True):
        found[start:end] |= not kept
    return found[[character.isalpha() for character in text]]
