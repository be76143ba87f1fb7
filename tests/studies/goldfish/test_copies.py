"""Copies differ in what they are said to differ in, and in nothing else."""

from __future__ import annotations

import re
import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from byrote.studies.goldfish.copies import copies, edited, reformatted, stretches
from byrote.studies.goldfish.world import first_windows


@pytest.fixture(scope="module")
def document(tokenizer, corpus):
    return first_windows(tokenizer, corpus, 0, count=1, tokens=63)[0]


def make(document, tokenizer, how, count=20, seed=0, edit_every=25):
    rng = np.random.default_rng(seed)
    return copies(document, count, how, rng, tokenizer=tokenizer, edit_every=edit_every)


def test_exact_copies_are_the_document(document, tokenizer):
    for copy in make(document, tokenizer, "exact"):
        np.testing.assert_array_equal(copy, document.ids)


@pytest.mark.parametrize(
    ("tokens", "every", "edits"), [(63, 50, 1), (2047, 50, 41), (10, 50, 1), (80, 50, 2)]
)
def test_edits_are_as_many_as_stretches(tokens, every, edits):
    ids = np.zeros(tokens, dtype=np.int32)
    copy = edited(ids, 100, every, np.random.default_rng(0))
    assert stretches(tokens, every) == int((copy != ids).sum()) == edits


@pytest.mark.parametrize("how", ["edited", "reformatted"])
def test_every_other_copy_stays_exact(document, tokenizer, how):
    same = [np.array_equal(copy, document.ids) for copy in make(document, tokenizer, how)]
    assert same == [True, False] * 10


def test_an_edited_copy_differs_in_one_token_of_each_stretch(document, tokenizer):
    places = set()
    for copy in make(document, tokenizer, "edited", count=60)[1::2]:
        differs = np.flatnonzero(copy != document.ids)
        # 63 tokens are nearest to three stretches of 25, which are equal.
        assert [int(at) // 21 for at in differs] == [0, 1, 2]
        places |= set(differs.tolist())
    # Each copy is edited elsewhere.
    assert len(places) > 30


@given(
    ids=st.lists(st.integers(0, 11), min_size=1, max_size=40),
    every=st.integers(2, 12),
    seed=st.integers(0, 2**32),
)
def test_edits_never_put_the_same_token_or_a_special_one(ids, every, seed):
    before = np.array(ids, dtype=np.int32)
    after = edited(before, 12, every, np.random.default_rng(seed), special=(0, 5))
    differs = np.flatnonzero(after != before)
    stretches = max(1, round(len(ids) / every))
    edges = np.linspace(0, len(ids), stretches + 1).astype(int)
    assert np.histogram(differs, edges)[0][:-1].tolist() == [1] * (stretches - 1)
    assert len(differs) == stretches
    assert not {0, 5} & set(after[differs].tolist())
    assert before.tolist() == ids


def test_every_other_token_can_be_put_in(document):
    ids = np.full(1, 3, dtype=np.int32)
    rng = np.random.default_rng(0)
    found = {int(edited(ids, 6, 2, rng, special=[0])[0]) for _ in range(200)}
    assert found == {1, 2, 4, 5}


def bare(text):
    return re.sub(r"[\s\u00ad\u00a0]+", "", text)


@given(text=st.text(alphabet=st.sampled_from("aäbB.,;-'\u00a0\n\t é日"), max_size=300),
       seed=st.integers(0, 2**32))  # fmt: skip
def test_a_reformatted_text_has_the_same_letters(text, seed):
    after = reformatted(text, np.random.default_rng(seed))
    assert bare(after) == bare(text)
    assert len(after.replace("\u00ad", "").split()) == len(text.split())
    kinds = {c for c in after if c.isspace() or unicodedata.category(c) == "Cf"}
    assert kinds <= {" ", "\n", "\u00a0", "\u00ad"}


def test_a_reformatted_text_has_all_kinds_of_differences(document):
    rng = np.random.default_rng(0)
    found = "".join(reformatted(document.text, rng) for _ in range(40))
    assert {"\n", "\u00ad", "\u00a0"} <= set(found)
    assert "  " in found
    assert len({reformatted(document.text, rng) for _ in range(10)}) == 10


def test_reformatted_copies_are_the_same_words(document, tokenizer):
    for copy in make(document, tokenizer, "reformatted")[1::2]:
        assert len(copy) > len(document.ids)
        assert bare(document.text) == bare(tokenizer.decode(copy.tolist()))


def test_copies_that_are_too_long_lack_the_end(document, tokenizer):
    rng = np.random.default_rng(0)
    found = copies(document, 10, "reformatted", rng, tokenizer=tokenizer, edit_every=9, longest=63)
    for copy in found[1::2]:
        assert len(copy) == 63
        assert bare(document.text).startswith(bare(tokenizer.decode(copy.tolist())))


def test_a_document_has_the_same_copies_for_all_arms(document, tokenizer):
    for how in ("edited", "reformatted"):
        one, two = (make(document, tokenizer, how, seed=4) for _ in range(2))
        for a, b in zip(one, two, strict=True):
            np.testing.assert_array_equal(a, b)
        other = make(document, tokenizer, how, seed=5)
        assert any(not np.array_equal(a, b) for a, b in zip(one, other, strict=True))
