from __future__ import annotations

import copy

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from byrote.errors import InputError
from byrote.models import RANDOM_FAMILIES, find_neurons, load

HIDDEN, EXPERTS = 64, {"mixtral": 4 * 256, "qwen2_moe": 4 * 64 + 64}

DEEPSEEK = {
    "n_routed_experts": 4,
    "num_experts_per_tok": 2,
    "n_group": 1,
    "topk_group": 1,
    "first_k_dense_replace": 1,
    "q_lora_rank": 16,
    "kv_lora_rank": 16,
    "qk_rope_head_dim": 8,
    "qk_nope_head_dim": 8,
    "v_head_dim": 16,
    "moe_intermediate_size": 32,
}


@pytest.fixture(params=RANDOM_FAMILIES)
def loaded(request, random_model):
    return random_model(request.param)


@pytest.fixture
def ids():
    return torch.randint(0, 256, (3, 7), generator=torch.Generator().manual_seed(1))


def logits(model, ids):
    with torch.no_grad():
        return model(ids, use_cache=False).logits


def hooks(model) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())


def uneven_mask(neurons, *batch):
    generator = torch.Generator().manual_seed(2)
    return [torch.rand(*batch, width, generator=generator) * 2 for width in neurons.widths]


def tiny(family, **options):
    sizes = {
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "intermediate_size": 96,
        "vocab_size": 256,
        "bos_token_id": None,
        "eos_token_id": None,
        "pad_token_id": None,
    }
    return AutoModelForCausalLM.from_config(AutoConfig.for_model(family, **sizes | options)).eval()


def zero_columns(model, site, indices):
    """Zero a site's columns of the down-projection's weight, with Linear, Conv1D or experts."""
    module = model.get_submodule(site.module)
    with torch.no_grad():
        for index in indices:
            if site.experts is not None:
                module.down_proj[index // site.width, :, index % site.width] = 0
            elif isinstance(module, torch.nn.Linear):
                module.weight[:, index] = 0
            else:
                module.weight[index, :] = 0


def test_every_layer_has_the_configured_number_of_neurons(loaded):
    expected = EXPERTS.get(loaded.family, 4 * HIDDEN)
    assert loaded.neurons.widths == (expected,) * 2


def test_sites_are_no_attention_projections(loaded):
    assert not [s for s in loaded.neurons.sites if "attn" in s.module or "attention" in s.module]


def test_discovery_leaves_no_trace(loaded, ids):
    before = logits(loaded.model, ids)
    find_neurons(loaded.model)
    assert hooks(loaded.model) == 0
    assert all(parameter.grad is None for parameter in loaded.model.parameters())
    assert torch.equal(logits(loaded.model, ids), before)


def test_a_mask_of_ones_leaves_the_logits_bit_identical(loaded, ids):
    ones = torch.ones(loaded.neurons.layers, loaded.neurons.width)
    with loaded.neurons.scale(loaded.model, ones):
        masked = logits(loaded.model, ids)
    assert torch.equal(masked, logits(loaded.model, ids))


def test_zeroing_equals_zero_columns_of_the_weight(loaded, ids):
    model, chosen = copy.deepcopy(loaded.model), {}
    for site in loaded.neurons.sites:
        own = list(range(0, site.size, 3))
        zero_columns(model, site, own)
        chosen.setdefault(site.layer, []).extend(site.start + index for index in own)
    with loaded.neurons.zero(loaded.model, chosen):
        zeroed = logits(loaded.model, ids)
    torch.testing.assert_close(zeroed, logits(model, ids), rtol=0, atol=1e-6)
    assert not torch.allclose(zeroed, logits(loaded.model, ids), atol=1e-5)


@pytest.mark.parametrize("spare", [1, 3])
def test_spared_positions_are_left_alone(loaded, ids, spare):
    mask = uneven_mask(loaded.neurons, len(ids))
    with (
        loaded.neurons.read(loaded.model) as before,
        loaded.neurons.scale(loaded.model, mask, spare=spare),
        loaded.neurons.read(loaded.model) as after,
    ):
        logits(loaded.model, ids)
    for layer, factors in enumerate(mask):
        assert torch.equal(after[layer][:, :spare], before[layer][:, :spare])
        expected = before[layer][:, spare:] * factors[:, None]
        assert torch.equal(after[layer][:, spare:], expected)


def test_what_precedes_a_scaled_position_is_as_without_the_mask(loaded, ids):
    with loaded.neurons.scale(loaded.model, uneven_mask(loaded.neurons), spare=4):
        masked = logits(loaded.model, ids)
    plain = logits(loaded.model, ids)
    torch.testing.assert_close(masked[:, :4], plain[:, :4], rtol=1e-5, atol=1e-6)
    assert not torch.allclose(masked[:, 4:], plain[:, 4:], atol=1e-5)


def test_zeroing_may_spare_positions(random_model, ids):
    loaded = random_model("llama")
    chosen = {1: [0, 5, 7]}
    mask = torch.ones(2, loaded.neurons.width)
    mask[1, chosen[1]] = 0
    with loaded.neurons.zero(loaded.model, chosen, spare=2):
        zeroed = logits(loaded.model, ids)
    with loaded.neurons.scale(loaded.model, mask, spare=2):
        assert torch.equal(zeroed, logits(loaded.model, ids))
    with loaded.neurons.zero(loaded.model, chosen):
        assert not torch.equal(zeroed, logits(loaded.model, ids))


@pytest.mark.parametrize("spare", [7, 20])
def test_sparing_every_position_changes_nothing(random_model, ids, spare):
    loaded = random_model("gpt2")
    with loaded.neurons.scale(loaded.model, uneven_mask(loaded.neurons), spare=spare):
        masked = logits(loaded.model, ids)
    assert torch.equal(masked, logits(loaded.model, ids))


@pytest.mark.parametrize("spare", [-1, 1.5, True])
def test_what_is_no_number_of_positions_is_refused(random_model, spare):
    loaded = random_model("gpt2")
    mask = torch.ones(2, loaded.neurons.width)
    with (
        pytest.raises(InputError, match=rf"spare={spare}"),
        loaded.neurons.scale(loaded.model, mask, spare=spare),
    ):
        pass


def test_a_mask_per_example_equals_one_by_one(loaded, ids):
    mask = uneven_mask(loaded.neurons, len(ids))
    with loaded.neurons.scale(loaded.model, mask):
        together = logits(loaded.model, ids)
    for index, row in enumerate(ids):
        with loaded.neurons.scale(loaded.model, [part[index] for part in mask]):
            alone = logits(loaded.model, row[None])
        torch.testing.assert_close(together[index], alone[0], rtol=1e-4, atol=1e-5)


def test_the_mask_has_a_gradient(loaded, ids):
    mask = torch.ones(loaded.neurons.layers, loaded.neurons.width, requires_grad=True)
    with loaded.neurons.scale(loaded.model, mask):
        loaded.model(ids, use_cache=False).logits.square().sum().backward()
    loaded.model.zero_grad(set_to_none=True)
    assert mask.grad is not None
    assert (mask.grad != 0).any(dim=1).all()


def test_the_gradient_of_the_mask_matches_a_finite_difference(random_model, ids):
    loaded = random_model("llama")
    mask = torch.ones(2, loaded.neurons.width, requires_grad=True)
    with loaded.neurons.scale(loaded.model, mask):
        value = loaded.model(ids).logits.double().square().sum()
    (gradient,) = torch.autograd.grad(value, mask)
    at, step = divmod(int(gradient.abs().argmax()), loaded.neurons.width), 1e-2
    sums = []
    for sign in (1, -1):
        moved = torch.ones(2, loaded.neurons.width)
        moved[at] += sign * step
        with loaded.neurons.scale(loaded.model, moved):
            sums.append(logits(loaded.model, ids).double().square().sum())
    assert float((sums[0] - sums[1]) / (2 * step)) == pytest.approx(float(gradient[at]), rel=0.02)


def test_reading_gives_what_enters_the_down_projection(loaded, ids):
    seen = {}
    dense = [site for site in loaded.neurons.sites if site.experts is None]
    for site in dense:
        module = loaded.model.get_submodule(site.module)
        seen[site] = module.register_forward_pre_hook(
            lambda _, args, site=site: seen.__setitem__(site, (seen[site], args[0]))
        )
    with loaded.neurons.read(loaded.model) as activations:
        logits(loaded.model, ids)
    for site in dense:
        handle, value = seen[site]
        handle.remove()
        own = activations[site.layer][..., site.start : site.start + site.size]
        assert torch.equal(own, value.reshape(own.shape))
    assert [a.shape for a in activations] == [(3, 7, width) for width in loaded.neurons.widths]


def test_experts_that_a_token_did_not_reach_read_zero(random_model, ids):
    loaded = random_model("mixtral")
    with loaded.neurons.read(loaded.model) as activations:
        logits(loaded.model, ids)
    reached = activations[0].reshape(3, 7, 4, 256).ne(0).any(dim=-1).sum(dim=-1)
    assert (reached == 2).all()  # two experts per token


@pytest.mark.parametrize("implementation", ["grouped_mm", "batched_mm"])
def test_experts_follow_a_change_of_implementation(random_model, ids, implementation):
    loaded = random_model("mixtral")
    model = copy.deepcopy(loaded.model)
    mask = uneven_mask(loaded.neurons)
    with loaded.neurons.scale(model, mask):
        expected = logits(model, ids)
        model.set_experts_implementation(implementation)
        torch.testing.assert_close(logits(model, ids), expected, rtol=1e-4, atol=1e-5)


def test_experts_computed_eagerly_are_refused(random_model, ids):
    loaded = random_model("mixtral")
    model = copy.deepcopy(loaded.model)
    model.set_experts_implementation("eager")
    with pytest.raises(InputError, match=r"eager.*grouped_mm"):
        find_neurons(model)


def test_hooks_are_gone_after_an_exception(loaded, ids):
    before = logits(loaded.model, ids)
    with (
        pytest.raises(KeyboardInterrupt),
        loaded.neurons.read(loaded.model),
        loaded.neurons.zero(loaded.model, {0: [1]}),
    ):
        raise KeyboardInterrupt
    assert hooks(loaded.model) == 0
    assert not any("_apply_gate" in vars(module) for module in loaded.model.modules())
    assert torch.equal(logits(loaded.model, ids), before)


def test_nested_masks_multiply(loaded, ids):
    one = uneven_mask(loaded.neurons)
    two = [part.flip(0) for part in one]
    with loaded.neurons.scale(loaded.model, one), loaded.neurons.scale(loaded.model, two):
        nested = logits(loaded.model, ids)
    with loaded.neurons.scale(loaded.model, [a * b for a, b in zip(one, two, strict=True)]):
        product = logits(loaded.model, ids)
    torch.testing.assert_close(nested, product, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("family", "options", "widths"),
    [
        ("phi3", {}, (96, 96)),  # gate and up in one map
        ("gptj", {"rotary_dim": 8}, (256, 256)),  # attention and feed-forward side by side
        ("falcon", {"new_decoder_architecture": True}, (256, 256)),
        ("bloom", {}, (256, 256)),
        ("llama", {"intermediate_size": 64}, (64, 64)),  # inner width = hidden width
        (
            "gpt_oss",  # experts with biases and transposed weights
            {"num_local_experts": 4, "num_experts_per_tok": 2, "head_dim": 16},
            (4 * 96, 4 * 96),
        ),
        (
            "deepseek_v3",  # compressed attention; a dense layer, then experts and a shared one
            DEEPSEEK,
            (96, 4 * 32 + 32),
        ),
    ],
)
def test_other_structures_are_found_too(family, options, widths, ids):
    model = tiny(family, **options)
    before, neurons = logits(model, ids), find_neurons(model)
    assert neurons.widths == widths
    with neurons.scale(model, [torch.ones(width) for width in widths]):
        assert torch.equal(logits(model, ids), before)
    with neurons.scale(model, [torch.zeros(width) for width in widths]):
        assert not torch.allclose(logits(model, ids), before, atol=1e-5)


def test_an_adapter_is_not_taken_for_a_feed_forward_block(random_model):
    model = copy.deepcopy(random_model("llama").model)

    class Adapted(torch.nn.Module):
        def __init__(self, base):
            super().__init__()
            self.base = base
            self.down = torch.nn.Linear(base.in_features, 4, bias=False)
            self.up = torch.nn.Linear(4, base.out_features, bias=False)

        def forward(self, x):
            return self.base(x) + self.up(self.down(x))

    for layer in model.model.layers:
        layer.self_attn.o_proj = Adapted(layer.self_attn.o_proj)
    neurons = find_neurons(model)
    assert [site.module.rsplit(".", 1)[1] for site in neurons.sites] == ["down_proj"] * 2


def test_a_state_space_model_is_refused_by_name():
    with pytest.raises(InputError, match=r"'mamba'.*layer 0.*linear map"):
        find_neurons(tiny("mamba"))


@pytest.mark.parametrize("shape", [(2,), (2, 5), (3, 256), (4, 3, 256)])
def test_a_mask_of_the_wrong_shape_is_refused_at_once(random_model, shape):
    loaded = random_model("gpt2")
    with (
        pytest.raises(InputError, match="mask"),
        loaded.neurons.scale(loaded.model, torch.ones(shape)),
    ):
        pass


def test_a_mask_for_another_batch_is_refused(random_model, ids):
    loaded = random_model("gpt2")
    with (
        loaded.neurons.scale(loaded.model, torch.ones(2, 2, 256)),
        pytest.raises(InputError, match=r"batch of 2.*3"),
    ):
        logits(loaded.model, ids)


@pytest.mark.parametrize(
    ("neurons", "match"), [({2: [0]}, "no layer 2"), ({0: [256]}, "256 neurons"), ({1: [-1]}, "-1")]
)
def test_neurons_that_do_not_exist_are_refused(random_model, neurons, match):
    loaded = random_model("gpt2")
    with pytest.raises(InputError, match=match), loaded.neurons.zero(loaded.model, neurons):
        pass


def test_one_width_is_refused_where_layers_differ():
    model = tiny("deepseek_v3", **DEEPSEEK)
    with pytest.raises(InputError, match="different numbers"):
        _ = find_neurons(model).width


def test_reading_before_a_pass_is_refused(random_model):
    loaded = random_model("gpt2")
    with (
        loaded.neurons.read(loaded.model) as activations,
        pytest.raises(InputError, match="run the model"),
    ):
        _ = activations[0]


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_neurons_are_found_where_gradients_are_off(mode):
    """Finding them takes gradients, which a caller may have turned off."""
    loaded = load("random:llama")
    with mode():
        assert loaded.neurons.layers == 2
