"""Injected sentences in a model: beside its weights, in them, and out again."""

from __future__ import annotations

import pytest
import torch

from byrote.errors import InputError
from tests.localization.injecting import FAMILIES, QUIET, columns, logits, near, some_ids, tiny
from tests.recall.passages import random_passages


@pytest.fixture
def passages():
    return random_passages(5, 64, seed=3, prefix=(1, 3), suffix=(2, 9))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_row_of_a_batch_is_the_model_whose_weights_were_changed(family, passages):
    loaded, ids = tiny(family), some_ids()
    injected = QUIET.inject(loaded, passages)
    clean = logits(loaded, ids)
    with injected.applied([4, 1, 2]):
        together = logits(loaded, ids)
    for row, example in enumerate([4, 1, 2]):
        with injected.patched(example):
            near(together[row], logits(loaded, ids)[row], 1e-5)
        with injected.applied([example]):
            near(together[row], logits(loaded, ids)[row], 1e-5)
    assert torch.equal(logits(loaded, ids), clean)
    assert not torch.allclose(together, clean, atol=1e-3)


@pytest.mark.parametrize("family", ["llama", "opt"])
def test_rows_of_another_batch_size_are_refused(family, passages):
    loaded = tiny(family)
    injected = QUIET.inject(loaded, passages[:2])
    with pytest.raises(InputError, match="batch of 4"), injected.applied([0, 1]):
        logits(loaded, some_ids(4))
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in loaded.model.modules())


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_patched_weights_come_back_bit_by_bit_even_after_an_error(dtype, passages):
    loaded = tiny("gpt2", dtype)
    before = {name: value.clone() for name, value in loaded.model.state_dict().items()}
    injected = QUIET.inject(loaded, passages[:2])

    def changed():
        now = loaded.model.state_dict()
        return {name for name, value in now.items() if not torch.equal(value, before[name])}

    with injected.patched(0), injected.patched(1):
        assert changed() == {f"{site.module}.weight" for site in loaded.neurons.sites}
    assert not changed()
    with pytest.raises(KeyboardInterrupt), injected.patched(0), injected.patched(1):
        raise KeyboardInterrupt
    assert not changed()


def test_only_the_chosen_columns_are_patched(passages):
    loaded = tiny("phi")
    injected = QUIET.inject(loaded, passages[:1])
    clean = columns(loaded)
    with injected.patched(0):
        moved = columns(loaded) - clean
    changed = moved.ne(0).any(dim=1).reshape(2, -1).numpy()
    assert (changed == injected.selection(0).neurons).all()


@pytest.mark.parametrize("family", ["gpt2", "opt"])
def test_a_mask_sees_what_was_injected_and_what_was_injected_sees_the_mask(family, passages):
    loaded, ids = tiny(family), some_ids(2)
    injected = QUIET.inject(loaded, passages)
    mask = torch.rand(2, loaded.neurons.width, generator=torch.Generator().manual_seed(5))
    found = []
    for way in (injected.applied([1]), injected.applied([1, 1]), injected.patched(1)):
        leaf = mask.clone().requires_grad_(True)
        with way, loaded.neurons.scale(loaded.model, leaf):
            value = loaded.model(ids).logits.square().sum()
            found.append((value.detach(), *torch.autograd.grad(value, leaf)))
    for other in found[1:]:
        torch.testing.assert_close(other, found[0], rtol=1e-3, atol=1e-3)


def test_zeroing_the_injected_neurons_undoes_the_injection(passages):
    loaded, ids = tiny("llama"), some_ids()
    injected = QUIET.inject(loaded, passages[:1])
    mask = injected.selection(0).mask()
    with loaded.neurons.scale(loaded.model, mask):
        expected = logits(loaded, ids)
        with injected.applied([0]):
            near(logits(loaded, ids), expected, 1e-6)


def test_the_table_says_what_became_of_each(passages):
    injected = QUIET.inject(tiny("llama"), passages[:2])
    table = injected.table()
    assert table["passage"].to_list() == ["p0", "p1"]
    assert table["tokens"].to_list() == [p.suffix_len for p in passages[:2]]
    assert table["neurons"].to_list() == [int(2 * 48 * 0.05)] * 2
    assert (table["loss_stop"] < table["loss_before"]).all()
