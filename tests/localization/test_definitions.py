from __future__ import annotations

import json
import re

import numpy as np
import pytest

from byrote.errors import InputError
from byrote.localization.definitions import (
    PAPER_COUNT,
    _Writer,
    make_definitions,
    read_ecbd,
    sentence_passages,
)
from byrote.localization.fiction import DOMAINS


@pytest.fixture(scope="module")
def sentences():
    return make_definitions(600)


def test_sentences_are_distinct_and_as_long_as_those_of_the_paper(sentences):
    lengths = [len(sentence.split()) for sentence in sentences]
    assert len(set(sentences)) == 600
    assert min(lengths) >= 8
    assert max(lengths) <= 68
    assert np.mean(lengths) == pytest.approx(26, abs=2)
    assert np.mean(lengths[:PAPER_COUNT]) == pytest.approx(26, abs=3)
    assert np.std(lengths) > 8


def test_sentences_differ_from_their_first_words_on(sentences):
    starts = {" ".join(sentence.split()[:9]) for sentence in sentences}
    assert len(starts) > 0.97 * len(sentences)


def test_a_longer_list_begins_with_a_shorter_one(sentences):
    assert make_definitions(40) == sentences[:40]
    assert len(make_definitions()) == PAPER_COUNT == 156


def test_other_seeds_tell_of_other_things(sentences):
    assert not set(make_definitions(200, seed=1)) & set(sentences)


@pytest.mark.parametrize("domain", DOMAINS)
def test_every_pattern_is_filled_and_reads_as_a_sentence(domain):
    rng = np.random.default_rng(0)
    name_patterns, patterns = DOMAINS[domain]
    for pattern in patterns:
        for name in name_patterns:
            text = _Writer(rng).sentence(type(DOMAINS[domain])((name,), (pattern,)))
            assert not re.search(r"[{}\[\]~]|  | [,.;]|\.\.", text), text
            assert re.fullmatch(r"[A-Z].*\.", text), text
            assert not re.search(r"\b[Aa] (?!used)[aeiou]|\b[Aa]n [^aeiouAEIOU]", text), text


def test_the_writer_does_not_repeat_itself_within_a_sentence(sentences):
    customs = [s for s in sentences if "is kept in" in s]
    assert customs
    for sentence in customs:
        first, second = sentence.split(": ")[1].split(", ")[:2]
        assert first != second


@pytest.mark.parametrize("wrong", [{"count": 0}, {"count": 1, "seed": -1}])
def test_bad_counts_and_seeds_are_refused(wrong):
    with pytest.raises(InputError):
        make_definitions(**wrong)


def test_passages_ask_for_all_tokens_but_the_first(sentences, byte_tokenizer):
    passages = sentence_passages(sentences[:3], byte_tokenizer, name="made")
    assert [p.id for p in passages] == ["made:0@0", "made:1@0", "made:2@0"]
    for passage, sentence in zip(passages, sentences, strict=False):
        assert passage.prefix_len == 1
        assert bytes(passage.input_ids.tolist()).decode() == sentence


def test_passages_of_nothing_are_refused(byte_tokenizer):
    with pytest.raises(InputError, match="no sentences"):
        sentence_passages([], byte_tokenizer)
    with pytest.raises(InputError, match="made:1"):
        sentence_passages(["Two.", "x"], byte_tokenizer, name="made")
    with pytest.raises(InputError, match="no tokenizer"):
        sentence_passages(["Two."], None)


def write(path, *rows):
    path.write_text(
        "".join(row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows)
    )
    return path


def test_ecbd_is_read_in_order(tmp_path):
    path = write(
        tmp_path / "ecbd.jsonl",
        {"definition": "Orlen is a river.", "left_context": "…"},
        "\n",
        {"definition": " Vesk is a town. \n"},
    )
    assert read_ecbd(path) == ["Orlen is a river.", "Vesk is a town."]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"text": "x"}], "definition"),
        ([{"definition": 7}], "definition"),
        ([{"definition": "  "}], "holds no text"),
        (["{broken\n"], "line 1"),
        (["[1]\n"], "object"),
        ([""], "empty"),
        (["\n"], "no lines"),
    ],
)
def test_a_file_that_is_no_ecbd_is_refused(tmp_path, rows, said):
    with pytest.raises(InputError, match=said):
        read_ecbd(write(tmp_path / "ecbd.jsonl", *rows))


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read_ecbd(tmp_path / "none.jsonl")
