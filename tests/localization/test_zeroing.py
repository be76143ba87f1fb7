"""Zeroed weights do what zeroed neurons do, and come back."""

import numpy as np
import pytest
import torch

from byrote.errors import InputError
from byrote.localization import Selection, zeroed
from tests.localization.models import (
    assert_same_state,
    random_selection,
    scaled_weights,
    state_of,
)

FAMILIES = ("gpt2", "gpt_neox", "llama", "gemma3_text", "phi", "opt", "mixtral", "qwen2_moe")


def logits(loaded):
    ids = torch.arange(14).reshape(2, 7) % loaded.vocab_size
    with torch.no_grad():
        return loaded.model(input_ids=ids, use_cache=False).logits


@pytest.mark.parametrize("family", FAMILIES)
def test_zeroed_weights_are_zeroed_neurons(family, random_model):
    loaded = random_model(family, hidden_size=32, num_hidden_layers=2, vocab_size=61)
    selection, before = random_selection(loaded), state_of(loaded.model)
    clean = logits(loaded)
    with zeroed(loaded, selection):
        got = logits(loaded)
    torch.testing.assert_close(got, logits(scaled_weights(loaded, selection)), rtol=0, atol=1e-6)
    with loaded.neurons.scale(loaded.model, selection.mask()):
        torch.testing.assert_close(got, logits(loaded), rtol=0, atol=1e-5)
    assert not torch.allclose(got, clean, atol=1e-4)
    assert_same_state(loaded.model, before)


def test_weights_come_back_after_an_error(random_model):
    loaded = random_model("gpt2", hidden_size=32)
    before = state_of(loaded.model)
    with pytest.raises(KeyError), zeroed(loaded, random_selection(loaded)):
        raise KeyError
    assert_same_state(loaded.model, before)


def test_an_empty_selection_changes_nothing(random_model):
    loaded = random_model("gpt2", hidden_size=32)
    empty = Selection(np.zeros((loaded.neurons.layers, loaded.neurons.width), dtype=bool))
    clean = logits(loaded)
    with zeroed(loaded, empty):
        assert torch.equal(logits(loaded), clean)


def test_a_selection_of_another_model_is_refused(random_model):
    loaded = random_model("gpt2", hidden_size=32)
    with (
        pytest.raises(InputError, match=r"\[3, 5\]"),
        zeroed(loaded, Selection(np.ones((3, 5), dtype=bool))),
    ):
        pass
