from __future__ import annotations

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from byrote.models import RANDOM_FAMILIES, find_neurons, split_head


@pytest.fixture
def ids():
    return torch.randint(0, 256, (2, 6), generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("family", RANDOM_FAMILIES)
def test_backbone_and_head_are_the_model(random_model, family, ids):
    model = random_model(family).model
    head = split_head(model)
    assert head is not None
    with torch.no_grad():
        parts = head.head(head.backbone(ids, use_cache=False).reshape(-1, 64))
        whole = model(ids, use_cache=False).logits
    torch.testing.assert_close(parts.reshape(whole.shape), whole)


@pytest.mark.parametrize("family", ["gpt2", "phi", "gemma2"])
def test_chunks_of_the_vocabulary_make_the_whole(random_model, family, ids):
    head = split_head(random_model(family).model)
    assert head is not None
    with torch.no_grad():
        hidden = head.backbone(ids).reshape(-1, 64) * 50
        chunks = []
        for start in range(0, 256, 100):
            part = slice(start, start + 100)
            bias = None if head.bias is None else head.bias[part]
            chunks.append(head.finish(torch.nn.functional.linear(hidden, head.weight[part], bias)))
        torch.testing.assert_close(torch.cat(chunks, dim=-1), head.head(hidden))


def test_gemma2_has_its_soft_cap(random_model):
    head = split_head(random_model("gemma2", final_logit_softcapping=5.0).model)
    assert head is not None
    assert head.softcap == 5.0
    assert float(head.finish(torch.tensor([1e6]))) == pytest.approx(5.0)


def test_phi_has_its_bias(random_model):
    head = split_head(random_model("phi").model)
    assert head is not None
    assert head.bias is not None


@pytest.mark.parametrize(
    ("family", "options", "scale"),
    [("cohere", {"logit_scale": 0.25}, 0.25), ("granite", {"logits_scaling": 8.0}, 0.125)],
)
def test_scaled_logits(family, options, scale):
    config = AutoConfig.for_model(
        family, hidden_size=64, num_hidden_layers=1, num_attention_heads=4, num_key_value_heads=4,
        intermediate_size=64, vocab_size=256, bos_token_id=None, eos_token_id=None,
        pad_token_id=None, **options,
    )  # fmt: skip
    head = split_head(AutoModelForCausalLM.from_config(config))
    assert head is not None
    assert head.scale == pytest.approx(scale)


@pytest.mark.parametrize("change", [lambda x: x + 1, lambda x: x.clamp(max=20), lambda x: x * 1.01])
def test_an_unknown_last_step_is_not_split(random_model, change):
    model = random_model("gpt2", n_layer=1).model

    def hook(_module, _args, output):
        output.logits = change(output.logits)
        return output

    handle = model.register_forward_hook(hook)
    try:
        assert split_head(model) is None
    finally:
        handle.remove()
    assert split_head(model) is not None


def test_splitting_leaves_mode_and_hooks_alone(random_model):
    model = random_model("llama").model
    model.train()
    try:
        assert split_head(model) is not None
        assert model.training
    finally:
        model.eval()
    assert not any(module._forward_hooks for module in model.modules())


def test_looking_at_a_model_leaves_the_mode_of_each_part_alone(random_model):
    """Someone may have put one part to sleep, and not the others."""
    model = random_model("gpt2").model
    model.train()
    model.transformer.h[0].eval()
    before = {name: part.training for name, part in model.named_modules()}
    try:
        assert split_head(model) is not None
        find_neurons(model)
        assert {name: part.training for name, part in model.named_modules()} == before
    finally:
        model.eval()


def test_a_cache_goes_through_the_backbone(random_model, ids):
    from transformers import DynamicCache

    model = random_model("qwen3").model
    head, cache = split_head(model), DynamicCache(config=model.config)
    assert head is not None
    with torch.no_grad():
        head.backbone(ids[:, :4], past_key_values=cache, use_cache=True)
        rest = head.backbone(ids[:, 4:], past_key_values=cache, use_cache=True)
        torch.testing.assert_close(rest, head.backbone(ids)[:, 4:])
