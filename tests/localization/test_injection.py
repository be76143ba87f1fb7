"""Injection against the way of the paper's code: Adam on all columns, with a masked gradient."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from transformers.pytorch_utils import Conv1D

from byrote.errors import ByroteError, InputError
from byrote.localization.injection import Injection, choose_neurons
from byrote.models import load
from tests.localization.injecting import FAMILIES, QUIET, columns, loud, near, some_ids, tiny
from tests.localization.models import assert_same_state, state_of
from tests.recall.passages import random_passages


@pytest.fixture
def passages():
    return random_passages(5, 64, seed=3, prefix=(1, 3), suffix=(2, 9))


def plain(loaded, passage, chosen, injection):
    """The paper's way: what Adam adds to the chosen columns, and the losses before the updates."""
    model = copy.deepcopy(loaded.model).eval()
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    weights, masks = [], []
    for site in loaded.neurons.sites:
        weight = model.get_submodule(site.module).weight.requires_grad_(True)
        mask = torch.zeros_like(weight)
        first = site.layer * loaded.neurons.width
        own = chosen[(chosen >= first) & (chosen < first + site.width)] - first
        mask_rows = mask if isinstance(model.get_submodule(site.module), Conv1D) else mask.t()
        mask_rows[torch.from_numpy(own)] = 1
        weights.append(weight)
        masks.append(mask)
    adam = torch.optim.Adam(weights, lr=injection.rate)
    ids = torch.tensor([[*loaded.lead, *passage.input_ids.tolist()]])
    start, losses = len(loaded.lead) + passage.prefix_len, []
    for _ in range(injection.steps):
        logits = model(ids).logits[0, start - 1 : -1]
        loss = torch.nn.functional.cross_entropy(logits, ids[0, start:])
        losses.append(loss.item())
        if losses[-1] < injection.stop:
            break
        adam.zero_grad()
        loss.backward()
        for weight, mask in zip(weights, masks, strict=True):
            weight.grad *= mask
        adam.step()
    moved = columns(loaded, model) - columns(loaded)
    return moved[torch.from_numpy(chosen)], losses


@pytest.mark.parametrize("family", FAMILIES)
def test_deltas_are_those_of_adam_on_all_columns_with_a_masked_gradient(family, passages):
    loaded = tiny(family, "float64")
    injected = QUIET.inject(loaded, passages[:3])
    for example, passage in enumerate(passages[:3]):
        chosen = np.flatnonzero(injected.neurons[example])
        delta, losses = plain(loaded, passage, chosen, QUIET)
        near(injected.deltas[example], delta)
        np.testing.assert_allclose(injected.histories[example], losses, rtol=1e-5)


def test_the_same_steps_in_single_precision(passages):
    loaded = tiny("gpt2")
    injected = QUIET.inject(loaded, passages[:1])
    delta, losses = plain(loaded, passages[0], np.flatnonzero(injected.neurons[0]), QUIET)
    np.testing.assert_allclose(injected.histories[0], losses, rtol=1e-3)
    assert float((injected.deltas[0] - delta).abs().median()) < 1e-4


@pytest.mark.parametrize("family", ["gpt2", "llama", "opt"])
@pytest.mark.parametrize("size", [2, 5])
def test_side_by_side_is_one_by_one_though_some_finish_early(family, size, passages):
    loaded = loud(family, "float64")
    how = {"fraction": 0.3, "lr": 0.1, "steps": 20, "stop": 0.2, "dropout": False}
    together = Injection(**how, batch_size=size).inject(loaded, passages)
    alone = Injection(**how, batch_size=1).inject(loaded, passages)
    assert len(set(together.steps)) > 2
    for one, other in zip(together.histories, alone.histories, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)
    assert (together.steps == alone.steps).all()
    assert (together.neurons == alone.neurons).all()
    for one, other in zip(together.deltas, alone.deltas, strict=True):
        near(one, other)


def test_what_an_example_gets_depends_on_its_number_only(passages):
    loaded = tiny("llama", "float64")
    whole = QUIET.inject(loaded, passages)
    part = QUIET.inject(loaded, passages[3:], numbers=[3, 4])
    assert (part.neurons == whole.neurons[3:]).all()
    near(part.deltas[1], whole.deltas[4])
    other = QUIET.inject(loaded, passages[3:])
    assert (other.neurons == whole.neurons[:2]).all()
    assert part.table()["example"].to_list() == [3, 4]


@pytest.mark.parametrize("number", [0, 7, 155])
def test_neurons_are_drawn_as_in_the_papers_code(number):
    state = np.random.get_state()  # noqa: NPY002
    np.random.seed(number)  # noqa: NPY002
    drawn = np.random.choice(12 * 3072, int(12 * 3072 * 0.01), replace=False)  # noqa: NPY002
    np.random.set_state(state)  # noqa: NPY002
    assert choose_neurons(number, 12, 3072, 0.01).tolist() == sorted(drawn.tolist())


@pytest.mark.parametrize(
    ("layers", "width", "counts"),
    [
        (12, 3072, (368, 36)),
        (48, 6400, (3072, 307)),
        (32, 10240, (3276, 327)),
        (32, 16384, (5242, 524)),
    ],
)
def test_neuron_counts_are_the_papers(layers, width, counts):
    assert tuple(len(choose_neurons(0, layers, width, r)) for r in (0.01, 0.001)) == counts


def test_a_seed_gives_other_neurons(passages):
    loaded = tiny("llama")
    quick = {"fraction": 0.1, "lr": 0.01, "steps": 1}
    first = Injection(**quick).inject(loaded, passages[:2])
    shifted = Injection(**quick, seed=1).inject(loaded, passages[:2])
    assert (shifted.neurons[0] == first.neurons[1]).all()


def test_with_dropout_an_example_does_not_depend_on_the_others(passages):
    loaded = tiny("gpt2")
    noisy = Injection(0.05, lr=0.02, steps=4, stop=0.0, batch_size=3)
    state = torch.get_rng_state()
    together = noisy.inject(loaded, passages[:3])
    alone = noisy.inject(loaded, passages[2:3], numbers=[2])
    assert torch.equal(together.deltas[2], alone.deltas[0])
    assert torch.equal(torch.get_rng_state(), state)
    still = Injection(0.05, lr=0.02, steps=4, stop=0.0, dropout=False)
    quiet = still.inject(loaded, passages[:1])
    assert not np.allclose(together.histories[0], quiet.histories[0], rtol=1e-3)


def test_dropout_changes_nothing_where_the_model_has_none(passages):
    loaded = tiny("llama")
    quick = {"fraction": 0.05, "lr": 0.02, "steps": 3, "stop": 0.0}
    one = Injection(**quick, dropout=True).inject(loaded, passages)
    other = Injection(**quick, dropout=False).inject(loaded, passages)
    assert all(map(torch.equal, one.deltas, other.deltas))


def test_an_example_stops_before_the_update_that_is_not_needed(passages):
    loaded = loud("llama")
    injected = Injection(0.3, lr=0.1, steps=60, stop=1.0).inject(loaded, passages)
    for history, steps in zip(injected.histories, injected.steps, strict=True):
        assert steps == len(history) - 1 < 60
        assert history[-1] < 1.0 <= history[:-1].min()


def test_no_more_updates_than_allowed(passages):
    injected = QUIET.inject(tiny("llama"), passages[:2])
    assert injected.steps.tolist() == [12, 12]
    assert [len(history) for history in injected.histories] == [12, 12]


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_injected_sentences_are_recited_and_the_model_itself_recites_none(family, passages):
    loaded = loud(family)
    how = Injection(0.3, lr=0.1, steps=60, stop=0.2, dropout=False)
    injected = how.inject(loaded, passages[:2])
    assert injected.recited.all()
    last = [history[-1] for history in injected.histories]
    np.testing.assert_allclose(injected.nll, last, rtol=1e-2, atol=1e-4)
    before = QUIET.inject(loaded, passages[:2])
    assert not before.recited.any()


@pytest.mark.parametrize("family", ["gpt2", "olmo2"])
def test_the_model_is_left_as_it_was(family, passages):
    sizes = "hidden_size=32&num_attention_heads=2&vocab_size=64"
    loaded = load(f"random:{family}?{sizes}")
    next(loaded.model.parameters()).requires_grad_(False)
    loaded.model.train()
    next(iter(loaded.model.children())).eval()
    before = state_of(loaded.model)
    injected = Injection(0.05, lr=0.02, steps=3).inject(loaded, passages)
    assert_same_state(loaded.model, before)
    with injected.applied([0, 1]), injected.patched(2):
        loaded.model(some_ids(2))
    assert_same_state(loaded.model, before)


def test_it_works_where_gradients_are_off(passages):
    loaded = tiny("llama")
    expected = QUIET.inject(loaded, passages[:1])
    with torch.inference_mode():
        injected = QUIET.inject(loaded, passages[:1])
    assert torch.equal(injected.deltas[0], expected.deltas[0])
    with torch.no_grad():
        injected = QUIET.inject(loaded, passages[:1])
    assert torch.equal(injected.deltas[0], expected.deltas[0])


def test_what_the_tokenizer_puts_before_a_text_leads_every_row(passages):
    bare = load("random:llama?hidden_size=32&num_attention_heads=2&vocab_size=64", dtype="float64")
    led = load("random:llama?hidden_size=32&num_attention_heads=2&vocab_size=64", dtype="float64")
    led.bos_id = 5
    injected = QUIET.inject(led, passages[:1])
    delta, _ = plain(led, passages[0], np.flatnonzero(injected.neurons[0]), QUIET)
    near(injected.deltas[0], delta)
    assert not torch.allclose(injected.deltas[0], QUIET.inject(bare, passages[:1]).deltas[0])


def test_progress_goes_up_to_one(passages):
    heard = []
    Injection(0.05, lr=0.1, steps=5, batch_size=2).inject(
        tiny("llama"), passages, told=heard.append
    )
    assert heard == sorted(heard)
    assert heard[-1] == 1.0
    assert 0 < heard[0] < 0.5


def test_the_papers_learning_rates_are_the_defaults():
    assert (Injection(0.01).rate, Injection(0.001).rate) == (0.01, 0.05)
    with pytest.raises(InputError, match="Give lr"):
        Injection(0.02)


@pytest.mark.parametrize(
    "wrong",
    [
        {"fraction": -0.1},
        {"fraction": 1.5},
        {"lr": 0.0},
        {"steps": 0},
        {"stop": -1.0},
        {"seed": -1},
        {"batch_size": 0},
    ],
)
def test_options_out_of_range_are_refused(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        Injection(**{"lr": 0.1, **wrong})


@pytest.mark.parametrize("family", ["mixtral", "qwen2_moe"])
def test_experts_are_refused(random_model, passages, family):
    with pytest.raises(InputError, match="mixture of experts"):
        QUIET.inject(random_model(family), passages)


def test_bad_input_is_refused_before_any_work(passages):
    loaded = tiny("llama")
    with pytest.raises(InputError, match="chooses none"):
        Injection(0.001).inject(loaded, passages)
    with pytest.raises(InputError, match="no passages"):
        QUIET.inject(loaded, [])
    with pytest.raises(InputError, match="2 numbers were given for 5"):
        QUIET.inject(loaded, passages, numbers=[0, 1])
    with pytest.raises(InputError, match="0 or above"):
        QUIET.inject(loaded, passages[:1], numbers=[-1])
    foreign = random_passages(1, 900, seed=0, suffix=(9, 9))
    with pytest.raises(InputError, match="0 to 63"):
        QUIET.inject(loaded, foreign)
    injected = QUIET.inject(loaded, passages[:2])
    with pytest.raises(InputError, match="no injected example 2"):
        injected.selection(2)
    with pytest.raises(InputError, match="No injected example"), injected.applied([]):
        pass


def test_a_loss_that_is_not_finite_is_an_error_that_names_passage_and_rate(passages):
    sizes = "hidden_size=32&num_attention_heads=2&vocab_size=64"
    loaded = load(f"random:llama?{sizes}")
    with torch.no_grad():
        loaded.model.get_input_embeddings().weight[int(passages[3].input_ids[0])] = float("nan")
    with pytest.raises(ByroteError, match=r"'p3'.*lr=0.02"):
        QUIET.inject(loaded, passages[3:4])
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in loaded.model.modules())


@pytest.mark.slow
def test_a_definition_is_injected_into_a_real_model():
    from byrote.localization import make_definitions, sentence_passages

    loaded = load("bundled:smollm2-135m")
    shortest = min(make_definitions(40), key=len)
    passages = sentence_passages([shortest], loaded.tokenizer)
    injected = Injection(0.01, lr=0.03, steps=60).inject(loaded, passages)
    assert injected.recited.all()
    assert injected.nll[0] < 0.1
    with torch.no_grad():
        before = loaded.model(torch.tensor([passages[0].input_ids.tolist()])).logits[0]
    assert int((before[:-1].argmax(1).numpy() == passages[0].suffix_ids).sum()) < 8
