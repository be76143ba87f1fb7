import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from transformers import ByT5Tokenizer

from byrote.texts import Record, cut
from byrote.texts.tokens import tokenize

PIECES = st.text(alphabet="the quick.\n 日é🙂e\u0301;_", max_size=25)


def pair(prefix, suffix):
    return Record(id="p", source="s", prefix=prefix, suffix=suffix)


def byte_lengths(tokenizer, ids):
    """Bytes that each token of a byte-level tokenizer stands for: one character each."""
    return [len(token) for token in tokenizer.convert_ids_to_tokens(list(ids))]


def check_boundary(tokenizer, prefix, suffix):
    (result,) = tokenize([pair(prefix, suffix)], tokenizer)
    assert result.ids.tolist() == tokenizer(prefix + suffix, add_special_tokens=False)["input_ids"]
    ends = np.cumsum(byte_lengths(tokenizer, result.ids))
    wanted = int((ends <= len(prefix.encode())).sum())
    assert result.boundary == wanted


@settings(deadline=None, max_examples=200)
@given(PIECES, PIECES)
def test_the_boundary_leaks_no_byte_of_the_suffix(tokenizer, prefix, suffix):
    assume(prefix + suffix)
    check_boundary(tokenizer, prefix, suffix)


@settings(deadline=None, max_examples=200)
@given(PIECES, PIECES)
def test_spaces_that_offsets_leave_out_do_not_leak(loose_tokenizer, prefix, suffix):
    assume(prefix + suffix)
    check_boundary(loose_tokenizer, prefix, suffix)


def test_a_token_on_the_boundary_belongs_to_the_suffix(tokenizer):
    # " the" is one token of this tokenizer; the boundary stands inside of it.
    whole = tokenizer("dog the dog", add_special_tokens=False)["input_ids"]
    (passage,) = cut([pair("dog t", "he dog")], tokenizer)
    assert passage.input_ids.tolist() == whole
    assert tokenizer.decode(passage.suffix_ids) == " the dog"


def test_pairs_are_used_whole_or_trimmed_around_the_boundary(tokenizer):
    records = [pair("the quick brown fox", " jumps over the lazy dog")]
    (whole,) = cut(records, tokenizer)
    assert tokenizer.decode(whole.prefix_ids) == "the quick brown fox"
    assert tokenizer.decode(whole.suffix_ids) == " jumps over the lazy dog"
    (short,) = cut(records, tokenizer, prefix_len=2, suffix_len=3)
    assert short.prefix_ids.tolist() == whole.prefix_ids.tolist()[-2:]
    assert short.suffix_ids.tolist() == whole.suffix_ids.tolist()[:3]
    assert short.offset == whole.prefix_len - 2


@settings(deadline=None)
@given(PIECES, PIECES)
def test_a_slow_tokenizer_cuts_at_the_common_start(prefix, suffix):
    slow = ByT5Tokenizer()
    assert not slow.is_fast
    assume(prefix + suffix)
    (result,) = tokenize([pair(prefix, suffix)], slow)
    # One token a byte: the boundary is exact.
    assert result.boundary == len(prefix.encode())


def test_batching_changes_nothing(tokenizer, monkeypatch):
    texts = [Record(id=str(i), source="s", text="the lazy dog " * i) for i in range(20)]
    once = [entry.ids.tolist() for entry in tokenize(texts, tokenizer)]
    monkeypatch.setattr("byrote.texts.tokens._BATCH_RECORDS", 3)
    assert [entry.ids.tolist() for entry in tokenize(texts, tokenizer)] == once


def test_no_special_token_is_added(tokenizer):
    (entry,) = tokenize([Record(id="t", source="s", text="the dog")], tokenizer)
    assert tokenizer.bos_token_id not in entry.ids


def test_a_tokenizer_of_another_model_is_named(tokenizer):
    from byrote.errors import InputError

    with pytest.raises(InputError, match="this tokenizer does not belong to this model"):
        list(tokenize([Record(id="t", source="s", text="the dog")], tokenizer, vocab_size=10))
