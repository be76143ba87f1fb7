from __future__ import annotations

import pytest
import torch

from byrote.errors import InputError
from byrote.exposure import PARTS, select
from byrote.models import RANDOM_FAMILIES, find_neurons

INDIVIDUAL = [part.replace("K", "1") for part in PARTS]


@pytest.fixture
def restored(random_model):
    """A shared tiny model whose flags are put back."""
    used = []

    def get(family, **options):
        loaded = random_model(family, **options)
        used.append(loaded.model)
        return loaded.model

    yield get
    for model in used:
        model.requires_grad_(True)


@pytest.mark.parametrize("family", RANDOM_FAMILIES)
def test_mlp_attention_and_norms_make_up_the_layers(restored, family):
    model = restored(family)
    layers = {n for i in range(2) for n in select(model, f"layer:{i}").names}
    mlp, attention = (set(select(model, part).names) for part in ("mlp", "attention"))
    # OLMo's norms have no parameters.
    norm = set() if family == "olmo" else set(select(model, "norm").names)
    assert mlp.isdisjoint(attention)
    assert mlp.isdisjoint(norm)
    assert layers == mlp | attention | (norm & layers)
    # Where a rule by name is right, structure must agree with it.
    assert all("attn" in name or "attention" in name for name in attention)
    assert not [name for name in mlp if "attn" in name or "attention" in name]
    assert all("norm" in name or "ln_" in name for name in norm)


@pytest.mark.parametrize("family", RANDOM_FAMILIES)
def test_every_down_projection_is_in_the_feed_forward_block(restored, family):
    model = restored(family)
    mlp = select(model, "mlp").names
    for site in find_neurons(model).sites:
        assert any(name.startswith(site.module) for name in mlp)


def test_one_layers_parts_are_the_parts_in_that_layer(restored):
    model = restored("llama")
    for part in ("mlp", "attention"):
        whole, one = select(model, part).names, select(model, f"{part}:1").names
        assert set(one) == {name for name in whole if "layers.1." in name}


@pytest.mark.parametrize("part", INDIVIDUAL)
def test_flags_names_and_counts_agree(restored, part):
    model = restored("gpt2")
    selection = select(model, part)
    learning = {n: p.numel() for n, p in model.named_parameters() if p.requires_grad}
    assert set(selection.names) == set(learning)
    assert selection.parameters == sum(learning.values()) > 0
    assert selection.total == sum(p.numel() for p in model.parameters())


def test_biases_are_those_of_maps_and_norms(restored):
    names = select(restored("gpt2"), "bias").names
    assert "transformer.h.0.mlp.c_fc.bias" in names
    assert "transformer.ln_f.bias" in names
    assert all(name.endswith("bias") for name in names)


def test_a_model_without_biases_has_none_to_train(restored):
    with pytest.raises(InputError, match=r"'bias' selects nothing in LlamaForCausalLM"):
        select(restored("llama"), "bias")


def test_nothing_is_changed_when_a_part_is_refused(restored):
    model = restored("llama")
    with pytest.raises(InputError):
        select(model, "layer:2")
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_tied_embeddings_are_one_and_this_is_said(restored):
    model = restored("gpt2")
    for part in ("input-embeddings", "output-embeddings", "embeddings"):
        selection = select(model, part)
        assert selection.names == ("transformer.wte.weight",)
        assert "one tensor" in selection.note
    assert select(model, "all").note == ""


def test_untied_embeddings_are_two(restored):
    model = restored("gpt_neox")
    one, other = (select(model, f"{side}-embeddings").names for side in ("input", "output"))
    assert set(one).isdisjoint(other)
    assert set(select(model, "embeddings").names) == {*one, *other}
    assert select(model, "embeddings").note == ""


def test_a_layer_that_there_is_not_is_refused(restored):
    with pytest.raises(InputError, match=r"mlp:2.*2 layers, 0 to 1"):
        select(restored("llama"), "mlp:2")


def test_telling_the_parts_leaves_no_trace(restored):
    model = restored("gpt2")
    ids = torch.tensor([[1, 2, 3]])
    with torch.no_grad():
        before = model(ids).logits
        select(model, "attention")
        after = model(ids).logits
    assert torch.equal(before, after)
    assert all(p.grad is None for p in model.parameters())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    assert not model.training
