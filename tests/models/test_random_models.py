from __future__ import annotations

import pytest
import torch

from byrote.errors import InputError
from byrote.models import RANDOM_FAMILIES, hash_weights, load, twin
from byrote.models.random_models import random_config


@pytest.mark.parametrize("family", RANDOM_FAMILIES)
def test_every_family_is_tiny_and_runs(random_model, family):
    loaded = random_model(family)
    assert loaded.family == family
    assert (loaded.vocab_size, loaded.max_len) == (256, 1024)
    assert loaded.parameters < 700_000
    assert loaded.model(torch.tensor([[1, 2, 3]])).logits.shape == (1, 3, 256)


@pytest.mark.parametrize("family", RANDOM_FAMILIES)
def test_the_common_names_of_sizes_work_for_every_family(family):
    options = {"hidden_size": "32", "num_hidden_layers": "3", "num_attention_heads": "2"}
    config = random_config(family, {**options, "intermediate_size": "48", "vocab_size": "100"})
    assert (config.hidden_size, config.num_hidden_layers, config.vocab_size) == (32, 3, 100)
    assert 48 in config.to_dict().values()


def test_values_reach_the_configuration_with_their_types():
    options = {"rope_theta": "500.5", "attention_bias": "true", "hidden_act": "relu"}
    config = random_config("olmo2", {k: v for k, v in options.items() if k != "rope_theta"})
    assert config.attention_bias is True
    assert config.hidden_act == "relu"


def test_a_seed_decides_the_weights():
    one, same, other = (load(f"random:gpt2?seed={seed}") for seed in (1, 1, 2))
    assert one.weights_hash == same.weights_hash != other.weights_hash


def test_the_global_random_state_is_left_alone():
    torch.manual_seed(7)
    state = torch.random.get_rng_state()
    load("random:llama?seed=3")
    assert torch.equal(torch.random.get_rng_state(), state)


def test_a_value_that_transformers_refuses_is_an_input_error():
    with pytest.raises(InputError, match="random:llama"):
        load("random:llama?hidden_act=no-such-activation")


def test_a_tokenizer_sets_the_vocabulary(tmp_path, byte_tokenizer):
    byte_tokenizer.save_pretrained(tmp_path)
    loaded = load(f"random:gpt2?tokenizer={tmp_path}")
    assert loaded.tokenizer is not None
    assert loaded.vocab_size == len(loaded.tokenizer) == 256


def test_a_vocabulary_too_small_for_the_tokenizer_is_refused(tmp_path, byte_tokenizer):
    byte_tokenizer.save_pretrained(tmp_path)
    with pytest.raises(InputError, match="vocab_size=200"):
        load(f"random:gpt2?vocab_size=200&tokenizer={tmp_path}")


def test_without_one_there_is_no_tokenizer(random_model):
    loaded = random_model("gpt2")
    assert loaded.tokenizer is None
    assert loaded.bos_id is None


@pytest.mark.parametrize("family", RANDOM_FAMILIES)
def test_a_twin_is_what_the_library_itself_initialises(random_model, family):
    loaded = random_model(family, seed=5)
    own, fresh = twin(loaded, seed=3), load(f"random:{family}?seed=3")
    assert own.weights_hash == fresh.weights_hash != loaded.weights_hash
    assert type(own.model) is type(loaded.model)
    assert not own.model.training


def test_a_twin_changes_neither_its_model_nor_the_global_random_state(random_model):
    loaded = random_model("llama")
    before = hash_weights(loaded.model)
    torch.manual_seed(7)
    state = torch.random.get_rng_state()
    own = twin(loaded, seed=1)
    own.model.get_input_embeddings().weight.data.zero_()
    own.model.config.vocab_size = 3
    assert torch.equal(torch.random.get_rng_state(), state)
    assert hash_weights(loaded.model) == before
    assert loaded.model.config.vocab_size == 256


def test_a_twin_has_the_dtype_the_bos_and_a_name_of_its_own():
    loaded = load("random:llama", dtype="bfloat16")
    loaded.bos_id = 9
    own = twin(loaded, seed=4)
    assert (own.dtype, own.bos_id, own.tokenizer) == (torch.bfloat16, 9, None)
    assert own.source == "random:llama (random weights, seed 4)"


def test_a_twin_with_a_negative_seed_is_refused(random_model):
    with pytest.raises(InputError, match="seed -1"):
        twin(random_model("llama"), seed=-1)
