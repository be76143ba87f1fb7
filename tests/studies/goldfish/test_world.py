"""All arms of a repetition share one world, whose parts have no record in common."""

from __future__ import annotations

import numpy as np
import pytest

from byrote.errors import InputError
from byrote.studies.goldfish.world import (
    first_windows,
    passage_of,
    world,
)
from byrote.studies.vocabulary import corpus_texts, learned_tokenizer

SIZES = {"documents": 4, "heldout": 6, "validation": 5, "background": 40, "tokens": 31}


def draw(tokenizer, corpus, seed=1, **changes):
    return world(tokenizer, corpus, seed, **{**SIZES, **changes})


def records_of(windows, tokenizer, corpus):
    """Which records sequences are cut from, by what stands between two ends of text."""
    ids = {record: tokenizer(text)["input_ids"] for record, text in corpus_texts(corpus)}
    begins = {tuple(each[:10]): record for record, each in ids.items()}
    stream = windows.reshape(-1).tolist()
    starts = [0, *(i + 1 for i, token in enumerate(stream) if token == tokenizer.eos_token_id)]
    return [begins[tuple(stream[at : at + 10])] for at in starts if at + 10 <= len(stream)]


def test_a_world_has_what_was_asked_for(tokenizer, corpus):
    found = draw(tokenizer, corpus)
    assert [len(d.ids) for d in found.documents + found.heldout] == [31] * 10
    assert len(found.documents) == 4
    assert found.validation.shape == (5, 31)
    assert found.background.shape == (40, 31)
    assert found.background.dtype == found.documents[0].ids.dtype == np.int32


def test_documents_are_the_beginnings_of_records(tokenizer, corpus):
    texts = dict(corpus_texts(corpus))
    for document in draw(tokenizer, corpus).documents:
        assert texts[document.record].startswith(document.text)
        assert tokenizer.decode(document.ids.tolist()) == document.text


def test_no_record_is_in_two_parts(tokenizer, corpus):
    found = draw(tokenizer, corpus)
    parts = [
        [d.record for d in found.documents],
        [d.record for d in found.heldout],
        records_of(found.validation, tokenizer, corpus),
        records_of(found.background, tokenizer, corpus),
    ]
    assert all(parts)
    every = [record for part in parts for record in part]
    assert len(set(every)) == len(every)


def test_the_world_depends_on_the_seed_alone(tokenizer, corpus):
    one, two, other = (draw(tokenizer, corpus, seed) for seed in (1, 1, 2))
    assert [d.record for d in one.documents] == [d.record for d in two.documents]
    np.testing.assert_array_equal(one.background, two.background)
    assert {d.record for d in one.documents} != {d.record for d in other.documents}


def test_more_background_changes_nothing_else(tokenizer, corpus):
    few, many = draw(tokenizer, corpus, background=10), draw(tokenizer, corpus)
    assert [d.record for d in few.documents] == [d.record for d in many.documents]
    np.testing.assert_array_equal(few.validation, many.validation)
    np.testing.assert_array_equal(few.background, many.background[:10])


def test_passages_of_the_extreme_setting_are_of_other_records_each(tokenizer, corpus):
    found = first_windows(tokenizer, corpus, 3, count=8, tokens=24)
    assert len({document.record for document in found}) == 8
    passage = passage_of(found[0], 12, member=True)
    assert (passage.prefix_len, passage.suffix_len, passage.member) == (12, 12, True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tokens": 5000}, r"has only 0 records of at least 5000 tokens; 10 documents are asked"),
        ({"documents": 90}, r"corpus.jsonl has only 60 records .* fewer or shorter ones"),
        ({"background": 5000}, r"text for \d+ of the 5000 background sequences of 31 tokens"),
        ({"validation": 5000}, r"text for \d+ of the 5000 validation sequences of 31 tokens"),
    ],
)
def test_a_corpus_that_is_too_small_is_named(tokenizer, corpus, changes, message):
    with pytest.raises(InputError, match=message):
        draw(tokenizer, corpus, **changes)


def test_a_corpus_without_texts_is_named(tmp_path):
    path = tmp_path / "empty.jsonl"
    path.write_text('{"id": "a", "text": ""}\n')
    with pytest.raises(InputError, match=r"empty\.jsonl"):
        corpus_texts(str(path))


def test_the_learned_vocabulary_takes_any_text(tokenizer, corpus):
    text = "Ünknown ünd\u00ad \u00a0new: 日本 <b>🙂"
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    assert len(tokenizer) == 300
    assert tokenizer.eos_token_id == tokenizer.bos_token_id == 0
    assert tokenizer("ba")["input_ids"][0] != 0
    learned_tokenizer.cache_clear()
    again = learned_tokenizer(corpus, 300)
    assert again.get_vocab() == tokenizer.get_vocab()
