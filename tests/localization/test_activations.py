"""Activation size against its definition, token by token and column by column."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from byrote.errors import ByroteError, InputError
from byrote.localization import activations
from byrote.localization.activations import ORDERS, ActivationSize, write_norms
from byrote.models import RANDOM_FAMILIES
from tests.localization.models import assert_same_state, state_of, with_tokenizer
from tests.recall.passages import random_passages


def columns(loaded):
    """What each neuron writes, by asking the module: `[layers, width]` lengths."""
    norms = torch.zeros(loaded.neurons.layers, loaded.neurons.width)
    for site in loaded.neurons.sites:
        module = loaded.model.get_submodule(site.module)
        for index in range(site.size):
            if site.experts is not None:
                written = module.down_proj[index // site.width, :, index % site.width]
            else:
                one = torch.zeros(1, site.width)
                nothing = module(one)
                one[0, index] = 1.0
                written = (module(one) - nothing)[0]
            norms[site.layer, site.start + index] = written.norm()
    return norms


def naive(loaded, passage, order):
    """One passage, one token at a time, through everything that the model does."""
    lead, scores = len(loaded.lead), []
    ids = torch.tensor([[*loaded.lead, *passage.input_ids.tolist()]])
    with loaded.neurons.read(loaded.model) as values:
        loaded.model(ids, use_cache=False)
    first = lead + passage.prefix_len - 1
    for layer in range(loaded.neurons.layers):
        asked = [values[layer][0, at] for at in range(first, first + passage.suffix_len)]
        if order == "abs-mean":
            scores.append(sum(value.abs() for value in asked) / len(asked))
        else:
            scores.append((sum(asked) / len(asked)).abs())
    return torch.stack(scores)


@torch.no_grad()
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("family", RANDOM_FAMILIES)
def test_scores_are_the_definition(random_model, family, order):
    loaded = random_model(family)
    passages = random_passages(3, loaded.vocab_size, seed=1)
    found = ActivationSize(order).score(loaded, passages)
    norms = columns(loaded)
    for row, passage in zip(found, passages, strict=True):
        torch.testing.assert_close(row, naive(loaded, passage, order) * norms, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_the_leading_token_moves_the_positions(random_model):
    loaded = with_tokenizer(random_model("llama"), None, bos_id=7)
    passages = random_passages(2, loaded.vocab_size, prefix=(0, 2))
    found, norms = ActivationSize().score(loaded, passages), columns(loaded)
    for row, passage in zip(found, passages, strict=True):
        expected = naive(loaded, passage, "abs-mean") * norms
        torch.testing.assert_close(row, expected, rtol=1e-4, atol=1e-5)


def test_orders_differ_by_a_sign_that_changes(random_model):
    loaded, passages = random_model("gpt2"), random_passages(4, 256, suffix=(2, 9))
    paper, code = (ActivationSize(order).score(loaded, passages) for order in ORDERS)
    assert (code <= paper * (1 + 1e-5) + 1e-7).all()
    assert (code < paper * 0.9).any()


@pytest.mark.parametrize("batch_size", [1, 2, 5, None])
def test_scores_do_not_depend_on_the_batch(random_model, batch_size):
    loaded, passages = random_model("gpt_neox"), random_passages(5, 256, seed=3)
    alone = torch.cat([ActivationSize().score(loaded, [passage]) for passage in passages])
    found = ActivationSize(batch_size=batch_size).score(loaded, passages)
    torch.testing.assert_close(found, alone, rtol=1e-4, atol=1e-6)


def test_little_memory_makes_small_batches(random_model, monkeypatch):
    loaded, passages = random_model("gpt2"), random_passages(5, 256, seed=3)
    whole = ActivationSize().score(loaded, passages)
    monkeypatch.setattr(activations, "_HELD", 1)
    torch.testing.assert_close(ActivationSize().score(loaded, passages), whole)


def test_shape_and_dtype(random_model):
    loaded = random_model("gpt2")
    found = ActivationSize().score(loaded, random_passages(2, 256))
    assert found.shape == (2, 2, 256)
    assert found.dtype == torch.float32
    assert ActivationSize().score(loaded, []).shape == (0, 2, 256)


def test_the_model_is_left_as_it_was(random_model):
    loaded = random_model("mixtral")
    before = state_of(loaded.model)
    ActivationSize().score(loaded, random_passages(3, 256))
    assert_same_state(loaded.model, before)


def test_progress_runs_to_the_end(random_model):
    heard = []
    ActivationSize(batch_size=2).score(random_model("gpt2"), random_passages(5, 256), heard.append)
    assert heard == pytest.approx([0.4, 0.8, 1.0])


def test_norms_of_experts_are_those_of_their_columns(random_model):
    loaded = random_model("qwen2_moe")
    torch.testing.assert_close(write_norms(loaded), columns(loaded).detach())


def test_an_unknown_order_is_refused():
    with pytest.raises(InputError, match=r"activations.*order.*'max'.*abs-mean"):
        ActivationSize("max")


def test_a_batch_of_none_is_refused():
    with pytest.raises(InputError, match="batch_size=0"):
        ActivationSize(batch_size=0)


def test_a_passage_without_anything_before_it_is_refused(random_model):
    with pytest.raises(InputError, match="0 prefix"):
        ActivationSize().score(random_model("gpt2"), random_passages(1, 256, prefix=(0, 0)))


def test_weights_that_are_no_matrix_are_refused(random_model):
    import copy

    loaded = with_tokenizer(random_model("llama"), None)
    loaded.model = copy.deepcopy(loaded.model)
    module = loaded.model.get_submodule(loaded.neurons.sites[1].module)
    module.weight = torch.nn.Parameter(module.weight.detach().to(torch.int8), requires_grad=False)
    with pytest.raises(InputError, match=r"layers\.1.*quantization"):
        write_norms(loaded)


def test_activations_that_are_not_finite_are_an_error(random_model):
    import copy

    loaded = with_tokenizer(random_model("gpt2"), None)
    loaded.model = copy.deepcopy(loaded.model)
    with torch.no_grad():
        next(loaded.model.parameters()).fill_(float("nan"))
    loaded.__dict__["neurons"] = random_model("gpt2").neurons
    with pytest.raises(ByroteError, match="not finite"):
        ActivationSize().score(loaded, random_passages(1, 256))


def test_scores_serve_outside_of_inference_mode(random_model):
    with torch.inference_mode():
        inner = ActivationSize().score(random_model("gpt2"), random_passages(1, 256))
    outer = ActivationSize().score(random_model("gpt2"), random_passages(1, 256))
    assert np.allclose(inner.numpy(), outer.numpy())
    assert not outer.is_inference()
    assert len(list(itertools.chain(outer))) == 1
