"""Measuring under ablation against its definition: weights changed, one plain pass a passage."""

from __future__ import annotations

import copy
import math
from functools import partial

import numpy as np
import pytest
import torch
from polars.testing import assert_frame_equal

from byrote.errors import InputError
from byrote.localization.effects import (
    RECITAL,
    Gauge,
    ablated,
    measure_recital,
    perplexities,
    text_loss,
)
from byrote.localization.selection import Selection
from byrote.texts.passages import Passage
from tests.localization.models import (
    assert_same_state,
    known_passages,
    random_selection,
    scaled_weights,
    state_of,
    with_tokenizer,
)
from tests.recall.passages import random_passages

FAMILIES = (
    "gpt2", "gpt_neox", "llama", "gemma3_text", "phi", "opt", "olmo2", "mixtral", "qwen2_moe",
)  # fmt: skip
MEASURED = ("accuracy", "distance", "nll", "recited")


def levenshtein(one, other):
    """The definition, by rows of the matrix."""
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        last, row[0] = row[0], i
        for j, b in enumerate(other, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (a != b))
    return row[-1]


def plain_logits(loaded, ids):
    with torch.inference_mode():
        return loaded.model(input_ids=torch.tensor([ids])).logits[0].double()


def naive_recital(loaded, passage):
    """One row of the table, from the model's own logits for the whole passage."""
    lead = list(loaded.lead)
    logits = plain_logits(loaded, [*lead, *passage.input_ids.tolist()])
    start = len(lead) + passage.prefix_len - 1
    rows = logits[start : start + passage.suffix_len].log_softmax(1)
    targets = torch.tensor(passage.suffix_ids.tolist())
    said = rows.argmax(1)
    distance = None
    if loaded.tokenizer is not None:
        prefix = passage.prefix_ids.tolist()
        texts = [loaded.tokenizer.decode(prefix + ids.tolist()) for ids in (targets, said)]
        distance = levenshtein(*texts)
    return {
        "accuracy": (said == targets).double().mean().item(),
        "distance": distance,
        "nll": -rows.gather(1, targets[:, None]).mean().item(),
        "recited": bool((said == targets).all()),
    }


def assert_is(table, passages, expected):
    assert table["passage"].to_list() == [p.id for p in passages]
    for row, wanted in zip(table.iter_rows(named=True), expected, strict=True):
        for name in ("distance", "recited"):
            assert row[name] == wanted[name]
        for name in ("accuracy", "nll"):
            assert row[name] == pytest.approx(wanted[name], rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("strength", [0.0, 0.5])
def test_equals_one_plain_pass_a_passage_with_changed_weights(
    random_model, byte_tokenizer, family, strength
):
    loaded = with_tokenizer(random_model(family), byte_tokenizer)
    passages, selection = known_passages(loaded, 9, seed=1), random_selection(loaded)
    table = measure_recital(loaded, passages, selection, strength=strength, batch_size=4)
    changed = scaled_weights(loaded, selection, strength)
    assert_is(table, passages, [naive_recital(changed, passage) for passage in passages])
    assert table.schema == RECITAL


def test_without_a_selection_the_model_is_as_it_is(random_model, byte_tokenizer):
    loaded = with_tokenizer(random_model("llama"), byte_tokenizer)
    passages = known_passages(loaded, 9)
    table = measure_recital(loaded, passages)
    assert_is(table, passages, [naive_recital(loaded, passage) for passage in passages])
    # Every third has one wrong token.
    assert table["recited"].to_list() == [index % 3 != 1 for index in range(9)]
    assert table.filter("recited")["distance"].to_list() == [0] * 6


def test_dropping_neurons_changes_something(random_model):
    loaded = random_model("llama")
    passages = known_passages(loaded, 6)
    before = measure_recital(loaded, passages)
    after = measure_recital(loaded, passages, random_selection(loaded, 0.9))
    assert (before["nll"] - after["nll"]).abs().min() > 1e-5


@pytest.mark.parametrize("batch_size", [1, 2, None])
def test_batch_size_and_order_do_not_matter(random_model, byte_tokenizer, batch_size):
    loaded = with_tokenizer(random_model("gpt2"), byte_tokenizer)
    passages, selection = known_passages(loaded, 12), random_selection(loaded)
    reference = measure_recital(loaded, passages, selection, batch_size=5)
    order = np.random.default_rng(0).permutation(12)
    shuffled = [passages[i] for i in order]
    table = measure_recital(loaded, shuffled, selection, batch_size=batch_size)
    assert_frame_equal(table, reference[order], abs_tol=1e-5)


def test_the_gauge_gives_what_the_functions_give(random_model):
    loaded = random_model("gpt_neox")
    passages, rows = known_passages(loaded, 5), [[1, 2, 3], [4, 5]]
    gauge = Gauge(loaded)
    for selection in (random_selection(loaded, seed=3), None, random_selection(loaded, seed=4)):
        table = measure_recital(loaded, passages, selection)
        assert_frame_equal(gauge.recital(passages, selection), table)
        assert gauge.text_loss(rows, selection) == text_loss(loaded, rows, selection)


def test_without_a_tokenizer_there_is_no_distance(random_model):
    loaded = random_model("gpt2")
    table = measure_recital(loaded, known_passages(loaded, 4))
    assert table["distance"].to_list() == [None] * 4


def test_ids_that_the_tokenizer_lacks_have_no_text_and_no_error(random_model, byte_tokenizer):
    """A model's vocabulary is often padded beyond its tokenizer's."""
    loaded = with_tokenizer(random_model("gpt2", vocab_size=400), byte_tokenizer)
    passages = random_passages(5, 256)
    table = measure_recital(loaded, passages)
    assert_is(table, passages, [naive_recital(loaded, passage) for passage in passages])


def test_no_passages_give_an_empty_table(random_model):
    table = measure_recital(random_model("gpt2"), [])
    assert table.schema == RECITAL
    assert len(table) == 0


@pytest.mark.parametrize("family", ["llama", "opt"])
def test_the_lead_is_put_before_and_may_be_spared(random_model, family):
    loaded = with_tokenizer(random_model(family), None, bos_id=3)
    assert loaded.lead == (3,)
    passages, selection = known_passages(loaded, 7), random_selection(loaded, 0.6)
    table = measure_recital(loaded, passages, selection)
    changed = scaled_weights(loaded, selection)
    assert_is(table, passages, [naive_recital(changed, passage) for passage in passages])

    spared = measure_recital(loaded, passages, selection, spare_lead=True)
    changed = zeroed_after_the_first(loaded, selection)
    assert_is(spared, passages, [naive_recital(changed, passage) for passage in passages])
    assert (spared["nll"] - table["nll"]).abs().max() > 1e-5


def zeroed_after_the_first(loaded, selection):
    """A copy with the neurons zeroed at all positions but the first, by hooks of the test's own."""
    copied = with_tokenizer(loaded, None, loaded.bos_id)
    copied.model = copy.deepcopy(loaded.model)

    def zero(_, args, chosen):
        flat = args[0].reshape(-1, args[0].shape[-1]).clone()  # one text: a row is a position
        flat[1:, chosen] = 0
        return (flat.reshape(args[0].shape),)

    for site in loaded.neurons.sites:
        chosen = torch.from_numpy(selection.neurons[site.layer])
        module = copied.model.get_submodule(site.module)
        module.register_forward_pre_hook(partial(zero, chosen=chosen))
    return copied


def test_sparing_a_lead_that_is_not_there_changes_nothing(random_model):
    loaded = random_model("gpt2")
    assert loaded.lead == ()
    passages, selection = known_passages(loaded, 4), random_selection(loaded)
    assert_frame_equal(
        measure_recital(loaded, passages, selection, spare_lead=True),
        measure_recital(loaded, passages, selection),
    )


@pytest.mark.parametrize("lead", [None, 3])
@pytest.mark.parametrize("family", ["gpt2", "gemma3_text", "mixtral"])
def test_text_loss_is_the_mean_over_all_tokens(random_model, family, lead):
    loaded = with_tokenizer(random_model(family), None, bos_id=lead)
    rng = np.random.default_rng(5)
    rows = [rng.integers(0, 256, length) for length in (2, 17, 9, 30)]
    selection = random_selection(loaded, 0.5)
    changed = scaled_weights(loaded, selection)
    losses = []
    for row in rows:
        ids = [*loaded.lead, *row.tolist()]
        logprob = plain_logits(changed, ids).log_softmax(1)
        losses += [-float(logprob[at, ids[at + 1]]) for at in range(len(ids) - 1)]
    assert len(losses) == sum(map(len, rows)) - (0 if lead else len(rows))
    for batch_size in (1, 3, None):
        value = text_loss(loaded, rows, selection, batch_size=batch_size)
        assert value == pytest.approx(np.mean(losses), rel=1e-5)


def test_perplexities_are_powers_of_e_and_of_two():
    assert perplexities(3.0) == pytest.approx((math.e**3, 8.0))
    true, published = perplexities(2.37)
    assert true == pytest.approx(published ** (1 / math.log(2)))
    assert perplexities(1e6) == (math.inf, math.inf)


def test_the_model_is_left_as_it_was(random_model):
    loaded = with_tokenizer(random_model("gpt2"), None)
    loaded.model = copy.deepcopy(loaded.model).train()
    loaded.model.transformer.h[0].eval()
    loaded.model.transformer.wpe.weight.requires_grad_(False)
    before = state_of(loaded.model)
    passages, selection = random_passages(4, 256), random_selection(loaded)
    dropped = measure_recital(loaded, passages, selection)
    text_loss(loaded, [[1, 2, 3]], selection)
    assert_same_state(loaded.model, before)
    # And was measured without dropout, whatever its mode.
    loaded.model.eval()
    assert_frame_equal(measure_recital(loaded, passages, selection), dropped)


def test_the_model_is_left_as_it_was_by_an_error(random_model):
    loaded = random_model("llama")
    before = state_of(loaded.model)
    with (
        pytest.raises(KeyboardInterrupt),
        ablated(loaded, random_selection(loaded), strength=0.5),
    ):
        raise KeyboardInterrupt
    assert_same_state(loaded.model, before)


@pytest.mark.parametrize(
    ("ids", "match"),
    [
        ([1, 2, 300], r"'p' has token ids from 1 to 300; .* 0 to 255"),
        ([1, -2, 3], "from -2 to 3"),
        (list(range(70)), "'p' has 70 tokens; .* takes 64"),
    ],
)
def test_ids_that_the_model_cannot_take_are_refused(random_model, ids, match):
    loaded = random_model("gpt2", max_position_embeddings=64)
    passage = Passage("p", "s", "r", 0, np.array(ids, dtype=np.int32), 1)
    with pytest.raises(InputError, match=match):
        measure_recital(loaded, [passage])


@pytest.mark.parametrize(
    ("rows", "match"),
    [
        ([], "there is none"),
        ([[1, 2], [7]], "text 1 has 1; .*at least 2 tokens"),
        ([[1, 2], [0.5, 1.0]], "text 1: .*float64"),
        ([[[1, 2], [3, 4]]], r"shape \[2, 2\]"),
        ([[1, 256]], "text 0 has token ids from 1 to 256"),
    ],
)
def test_texts_that_cannot_be_measured_are_refused(random_model, rows, match):
    with pytest.raises(InputError, match=match):
        text_loss(random_model("gpt2"), rows)


def test_a_selection_of_another_model_is_refused(random_model):
    loaded = random_model("gpt2")
    with pytest.raises(InputError, match=r"\[2, 5\]"):
        measure_recital(loaded, known_passages(loaded, 1), Selection(np.ones((2, 5), dtype=bool)))


@pytest.mark.parametrize("strength", [math.nan, math.inf])
def test_a_strength_that_is_not_finite_is_refused(random_model, strength):
    loaded = random_model("gpt2")
    with pytest.raises(InputError, match=f"strength={strength}"):
        measure_recital(loaded, known_passages(loaded, 1), strength=strength)
