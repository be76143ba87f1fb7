from __future__ import annotations

import json

import pytest
import torch

from byrote.models import LoadedModel, diagnose


@pytest.fixture
def with_tokenizer(random_model, byte_tokenizer):
    loaded = random_model("llama")
    return LoadedModel(loaded.model, byte_tokenizer, "tiny", None)


def test_a_healthy_model_has_no_findings(with_tokenizer):
    found = diagnose(with_tokenizer)
    assert found.findings == ()
    assert (found.layers, found.neurons_per_layer, found.context) == (2, (256, 256), 1024)
    assert found.head_split
    assert found.kv_cache
    assert found.causal
    assert found.offsets
    assert found.round_trip
    assert found.weights_bytes == 4 * found.parameters


def test_letters_that_are_one_token(with_tokenizer):
    found = diagnose(with_tokenizer)
    assert found.letters == "abcdefghijklmnopqrstuvwxyz"
    assert found.letters_after_space == ""  # a space is a byte, and so a token, of its own


def test_a_model_without_tokenizer_still_gets_a_diagnosis(random_model):
    found = diagnose(random_model("gpt2"))
    assert found.tokenizer == "none"
    assert any("input_ids" in finding for finding in found.findings)


@pytest.mark.parametrize("family", ["gpt2", "gpt_neox", "gemma2", "opt", "phi", "qwen2_moe"])
def test_families_are_causal_and_go_on_from_a_cache(random_model, family):
    found = diagnose(random_model(family))
    assert found.causal
    assert found.kv_cache


def test_a_model_whose_neurons_are_not_found_is_told_so():
    from transformers import MambaConfig, MambaForCausalLM

    config = MambaConfig(hidden_size=32, num_hidden_layers=1, vocab_size=256, pad_token_id=None)
    found = diagnose(LoadedModel(MambaForCausalLM(config).eval(), None, "mamba", None))
    assert found.neurons_per_layer is None
    assert any("localization does not" in finding for finding in found.findings)


def test_a_model_that_reads_ahead_is_told_so(byte_tokenizer):
    from transformers import BertConfig, BertLMHeadModel

    config = BertConfig(
        vocab_size=256, hidden_size=32, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=32,
    )  # fmt: skip
    torch.manual_seed(0)
    found = diagnose(LoadedModel(BertLMHeadModel(config).eval(), byte_tokenizer, "bert", None))
    assert not found.causal
    assert any("later tokens" in finding for finding in found.findings)


def test_a_tokenizer_larger_than_the_vocabulary_is_told(random_model, byte_tokenizer):
    small = random_model("llama", vocab_size=200)
    found = diagnose(LoadedModel(small.model, byte_tokenizer, "small", None))
    assert any("256 tokens, the model takes 200" in finding for finding in found.findings)


def test_the_result_is_json_and_a_table(with_tokenizer):
    found = diagnose(with_tokenizer)
    assert json.loads(json.dumps(found.to_dict()))["neurons_per_layer"] == [256, 256]
    rows = dict(found.to_rows())
    assert rows["Neurons"] == "256 in each of 2 layers"
    assert rows["Letters that are one token"] == "all of a–z"
    assert rows["Before a text"] == "nothing"


def test_a_source_is_loaded(random_model):
    assert diagnose("random:gpt2").source == "random:gpt2"
