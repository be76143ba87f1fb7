"""Upper layers run alone against the whole model, and models that cannot be taken apart."""

from __future__ import annotations

import copy

import pytest
import torch

from byrote.localization.passes import lay_out
from byrote.localization.stack import Stack, build_stack, half_silent
from byrote.localization.tokens import token_runs
from byrote.models import LoadedModel, find_neurons, split_head
from tests.localization import naive
from tests.localization.models import assert_same_state, state_of
from tests.models.test_neurons import tiny

# Attention and feed-forward side by side, a fused gate, a factor on what is added.
OTHERS = {
    "phi3": {},
    "gptj": {"rotary_dim": 8},
    "falcon": {"new_decoder_architecture": True},
    "granite": {"residual_multiplier": 0.4},
    "cohere": {},
}


def stack_of(loaded, passage=None):
    return build_stack(loaded, split_head(loaded.model), passage or naive.passage())


def other(family):
    options = {"initializer_range": 0.1, "num_hidden_layers": 3} | OTHERS[family]
    model = naive.enliven(tiny(family, **options), scale=1.0)
    return LoadedModel(model, None, family, None)


def whole(clean, mask, spare=0):
    loaded = clean.stack.loaded
    with loaded.neurons.scale(loaded.model, mask, spare=spare):
        return clean.stack.head.backbone(clean.layout.ids, use_cache=False)[0]


@pytest.mark.parametrize("family", [*naive.DENSE, *OTHERS])
@torch.no_grad()
def test_the_layers_above_a_change_give_what_the_whole_model_gives(family):
    loaded = other(family) if family in OTHERS else naive.lively(family)
    passage = naive.passage(prefix_len=3, suffix_len=6, seed=5)
    stack = stack_of(loaded)
    assert stack is not None
    clean = stack.clean(passage)
    assert clean is not None
    columns = clean.layout.columns
    for layer in range(3):
        mask, change = half_silent(clean, layer)
        expected = whole(clean, mask)[columns]
        got = clean.hidden(layer, clean.changed(layer, torch.stack([change, 0 * change])))
        torch.testing.assert_close(got[0], expected, rtol=1e-3, atol=1e-5)
        torch.testing.assert_close(got[1], clean.final[columns], rtol=1e-3, atol=1e-5)
        assert not torch.allclose(got[0], got[1], rtol=1e-2, atol=1e-4)


@pytest.mark.parametrize("family", [*naive.DENSE, *OTHERS])
@torch.no_grad()
def test_single_tokens_give_what_the_last_of_a_text_gives(family):
    loaded = other(family) if family in OTHERS else naive.lively(family)
    passage = naive.passage(prefix_len=3, suffix_len=8, seed=6)
    stack = stack_of(loaded)
    assert stack is not None
    clean = stack.clean(passage)
    assert clean is not None
    tokens = token_runs(clean)
    assert tokens is not None
    columns = clean.layout.columns
    for layer in range(3):
        mask, change = half_silent(clean, layer)
        # All positions together, in another order and one of them twice.
        where = torch.cat((columns.flip(0), columns[2:3]))
        both = torch.stack((change[where], 0 * change[where], change[where]), 1)
        residual = stack.writes[layer].output(clean.passes[layer], where[:, None], both)
        got = tokens.hidden(layer, residual, where)
        for row, position in zip(got, where.tolist(), strict=True):
            expected = whole(clean, mask, spare=position)[position]
            for one in (row[0], row[2]):
                torch.testing.assert_close(one, expected, rtol=1e-3, atol=1e-5)
            torch.testing.assert_close(row[1], clean.final[position], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("family", naive.EXPERTS)
def test_experts_have_no_stack(family):
    assert stack_of(naive.lively(family)) is None


def test_without_a_head_there_is_no_stack():
    assert build_stack(naive.lively("gpt2"), None, naive.passage()) is None


@pytest.mark.parametrize(
    ("family", "norm", "factor"),
    [("gpt2", False, 1.0), ("phi", False, 1.0), ("gemma3_text", True, 1.0), ("olmo2", True, 1.0)],
)
def test_the_way_back_is_found(family, norm, factor):
    stack = stack_of(naive.lively(family))
    assert isinstance(stack, Stack)
    assert [(w.norm is not None, w.factor) for w in stack.writes] == [(norm, factor)] * 3


def test_a_factor_on_the_way_back_is_found():
    stack = stack_of(other("granite"))
    assert stack is not None
    assert [w.factor for w in stack.writes] == pytest.approx([0.4] * 3, rel=1e-3)


def strange(change):
    """A llama of whose feed-forward blocks `change(layer, o)` is what they give."""
    model = copy.deepcopy(naive.lively("llama").model)
    for index, layer in enumerate(model.model.layers):
        own = layer.mlp.forward
        layer.mlp.forward = lambda x, own=own, index=index: change(index, own(x))
    return LoadedModel(model, None, "strange", None)


def test_neurons_that_reach_the_output_in_another_way_have_no_stack():
    loaded = strange(lambda _, o: o * torch.tanh(o))
    assert find_neurons(loaded.model).widths == (24,) * 3
    assert stack_of(loaded) is None


def test_layers_that_pass_on_more_than_the_residual_have_no_stack():
    kept = {}

    def remember(index, o):
        if index == 0:
            kept["first"] = o.detach().mean()
        return o + kept["first"]

    assert stack_of(strange(remember)) is None


def test_layers_that_cannot_be_called_alone_have_no_stack():
    loaded = naive.lively("llama", seed=8)
    layer = loaded.model.model.layers[1]
    inner = layer.forward

    def forward(*args, **kwargs):
        return inner(*args, **kwargs)

    layer.forward = forward  # arguments without names
    try:
        assert stack_of(loaded) is None
    finally:
        del layer.forward


def test_the_model_is_left_as_it_was():
    loaded = naive.lively("gemma3_text")
    before = state_of(loaded.model)
    stack = stack_of(loaded)
    assert stack is not None
    token_runs(stack.clean(naive.passage()))
    assert_same_state(loaded.model, before)


def test_rows_hold_lead_and_passage_without_the_last_token():
    loaded = naive.lively("gpt2", bos_id=7)
    passages = [
        naive.passage(prefix_len=2, suffix_len=3),
        naive.passage(prefix_len=4, suffix_len=2),
    ]
    layout = lay_out(loaded, passages)
    assert layout.ids.tolist() == [
        [7, *passages[0].input_ids[:-1], 0],
        [7, *passages[1].input_ids[:-1]],
    ]
    assert layout.rows.tolist() == [0, 0, 0, 1, 1]
    assert layout.columns.tolist() == [2, 3, 4, 4, 5]
    assert layout.targets.tolist() == [*passages[0].suffix_ids, *passages[1].suffix_ids]
    means = layout.means(torch.arange(5.0))
    assert means.tolist() == [1.0, 3.5]
