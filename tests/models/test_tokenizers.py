from __future__ import annotations

import copy

import pytest
from transformers import PreTrainedTokenizerFast

from byrote.errors import InputError
from byrote.models.tokenizers import (
    load_tokenizer,
    quick_tokenizer,
    same_tokenizer,
    save_for_quick_loading,
)


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_quick_tokenizer_is_the_same_as_the_one_saved(tmp_path, byte_tokenizer, side):
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=byte_tokenizer.backend_tokenizer, bos_token="<s>", padding_side=side
    )
    tokenizer.chat_template = "{{ messages }}"
    save_for_quick_loading(tokenizer, tmp_path)
    assert same_tokenizer(tokenizer, quick_tokenizer(tmp_path))


def test_another_tokenizer_is_not_the_same(byte_tokenizer):
    lower = copy.deepcopy(byte_tokenizer)
    assert same_tokenizer(lower, byte_tokenizer)
    from tokenizers.normalizers import Lowercase

    lower.backend_tokenizer.normalizer = Lowercase()
    assert not same_tokenizer(lower, byte_tokenizer)
    other = copy.deepcopy(byte_tokenizer)
    other.padding_side = "left"
    assert not same_tokenizer(other, byte_tokenizer)


@pytest.mark.parametrize("content", ["", "{", '{"model": 3}'])
def test_a_broken_tokenizer_is_an_input_error(tmp_path, byte_tokenizer, content):
    byte_tokenizer.save_pretrained(tmp_path)
    (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(InputError, match="tokenizer"):
        load_tokenizer(tmp_path)
