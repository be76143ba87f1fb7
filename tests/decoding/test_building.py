"""Filters of texts, from sources of every kind."""

import json

import numpy as np
import pytest

from byrote.decoding import build_filter, tokenizer_hash
from byrote.errors import InputError
from tests.decoding.naive import ngrams_of

TEXTS = ["In the beginning was the Word", "and the Word was with God", "short"]


@pytest.fixture
def texts_file(tmp_path):
    path = tmp_path / "texts.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS))
    return path


@pytest.mark.parametrize("options", [{"exact": True}, {}, {"capacity": 100}])
def test_every_ngram_of_every_record_is_in(texts_file, byte_tokenizer, options):
    ngrams = build_filter([str(texts_file)], byte_tokenizer, n=6, tokenizer_name="bytes", **options)
    documents = [byte_tokenizer.encode(text) for text in TEXTS]
    known = ngrams_of(documents, 6)
    assert ngrams.count == len(known)
    assert all(ngrams.matches(document).all() for document in documents)
    assert ngrams.origin.documents == 3
    assert ngrams.origin.tokens == sum(map(len, documents))
    assert ngrams.origin.tokenizer == tokenizer_hash(byte_tokenizer)
    assert ngrams.origin.sources == (str(texts_file),)
    # No n-gram crosses from one record to the next.
    seam = np.array([*documents[0][-3:], *documents[1][:3]])
    assert not ngrams.matches(seam).any()


def test_records_of_ids_need_no_tokenizer(tmp_path):
    path = tmp_path / "ids.jsonl"
    path.write_text(json.dumps({"input_ids": [5, 6, 7, 8]}) + "\n")
    ngrams = build_filter([str(path)], None, n=3, exact=True)
    assert ngrams.origin.tokenizer is None
    assert ngrams.contains([[5, 6, 7], [6, 7, 9]]).tolist() == [True, False]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n": 1}, "n is 1"),
        ({"fpr": 2.0}, "rate is 2.0"),
        ({"capacity": 0}, "capacity is 0"),
        ({"n": 500}, "none of 3 records has 500 tokens"),
    ],
)
def test_bad_options(texts_file, byte_tokenizer, options, message):
    with pytest.raises(InputError, match=message):
        build_filter([str(texts_file)], byte_tokenizer, **options)


def test_sources_that_are_not_there(byte_tokenizer):
    with pytest.raises(InputError, match="at least one source"):
        build_filter([], byte_tokenizer)
    with pytest.raises(InputError, match="gone"):
        build_filter(["gone.txt"], byte_tokenizer)
