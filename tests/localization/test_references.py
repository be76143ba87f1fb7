"""What a passage is contrasted with."""

from __future__ import annotations

import dataclasses
import json

import pytest

from byrote.errors import InputError
from byrote.localization.references import general_references, negatives
from tests.recall.passages import random_passages


@pytest.fixture
def texts(tmp_path):
    path = tmp_path / "texts.jsonl"
    lines = [{"id": f"r{i}", "text": f"{i} " * 30 + "end of it all"} for i in range(8)]
    path.write_text("\n".join(json.dumps(line) for line in lines))
    return str(path)


def test_negatives_are_all_others():
    passages = random_passages(4, 256)
    assert [p.id for p in negatives(passages, passages[2])] == ["p0", "p1", "p3"]


def test_general_references_are_windows_of_the_text(byte_tokenizer, texts):
    found = general_references(byte_tokenizer, texts, count=5, prefix_len=4, suffix_len=6)
    assert len(found) == 5
    assert {(p.prefix_len, p.suffix_len) for p in found} == {(4, 6)}
    again = general_references(byte_tokenizer, texts, count=5, prefix_len=4, suffix_len=6)
    assert [p.id for p in again] == [p.id for p in found]
    other = general_references(byte_tokenizer, texts, count=5, prefix_len=4, suffix_len=6, seed=1)
    assert [p.id for p in other] != [p.id for p in found]


def test_records_of_the_targets_are_avoided(byte_tokenizer, texts):
    lengths = {"prefix_len": 4, "suffix_len": 6}
    every = general_references(byte_tokenizer, texts, count=1000, **lengths)
    targets = [p for p in every if p.record in ("r1", "r3")][::5]
    found = general_references(byte_tokenizer, texts, count=1000, avoid=targets, **lengths)
    assert {p.record for p in every} - {p.record for p in found} == {"r1", "r3"}
    elsewhere = [dataclasses.replace(p, source="another") for p in targets]
    kept = general_references(byte_tokenizer, texts, count=1000, avoid=elsewhere, **lengths)
    assert len(kept) == len(every)


def test_a_source_without_other_records_is_refused(byte_tokenizer, texts):
    every = general_references(byte_tokenizer, texts, count=1000, prefix_len=4, suffix_len=6)
    with pytest.raises(InputError, match="no record besides"):
        general_references(byte_tokenizer, texts, prefix_len=4, suffix_len=6, avoid=every)


def test_a_model_without_a_tokenizer_is_refused(texts):
    with pytest.raises(InputError, match="no tokenizer"):
        general_references(None, texts)
