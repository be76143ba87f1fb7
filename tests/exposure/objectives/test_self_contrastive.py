from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from byrote.errors import InputError
from byrote.exposure import IGNORED, ExposureConfig, Sequences, expose, find_objective
from byrote.exposure.objectives import Setting
from byrote.exposure.objectives.next_token import next_token
from byrote.exposure.objectives.self_contrastive import repeats
from byrote.models import load
from tests.exposure.plain import same_weights, weights

TINY = "random:llama?hidden_size=32&num_attention_heads=2&vocab_size=64"


def begun(loaded, sequences, **options):
    objective = find_objective("self-contrastive", options)
    objective.begin(Setting(loaded, sequences))
    return objective


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), window=st.integers(1, 12))
def test_repetition_is_looked_for_in_the_last_tokens(seed, window):
    generator = np.random.default_rng(seed)
    ids = torch.from_numpy(generator.integers(0, 6, (2, 9)))
    tokens = torch.from_numpy(generator.integers(0, 6, (2, 9)))
    found = repeats(ids, tokens, window)
    for row in range(2):
        for position in range(9):
            last = ids[row, max(0, position + 1 - window) : position + 1].tolist()
            assert bool(found[row, position]) == (int(tokens[row, position]) in last)


@pytest.mark.parametrize(("factor", "window"), [(4.0, 64), (1.5, 2)])
def test_it_is_its_definition_position_by_position(fresh, factor, window):
    generator = np.random.default_rng(1)
    # Few different tokens, so that there is something to repeat.
    asked = [[True] * 6 + [False] * 3 + [True] * 3, [True] * 9]
    ids = [generator.integers(1, 5, 12), generator.integers(1, 5, 9)]
    sequences = Sequences.from_ids(ids, bos_id=0, asked=asked)
    student = fresh()
    source = f"{TINY}&seed=5"
    other = load(source)
    batch = sequences.batch(np.arange(2))
    logits = student.model(input_ids=batch.input_ids).logits.detach().requires_grad_()
    objective = begun(student, sequences, premature=source, factor=factor, window=window)
    with torch.no_grad():
        premature = other.model(input_ids=batch.input_ids).logits
    total, count = logits.sum() * 0, 0
    for row in range(2):
        for position in range(batch.labels.shape[1]):
            label = int(batch.labels[row, position])
            if label == IGNORED:
                continue
            last = batch.input_ids[row, max(0, position + 1 - window) : position + 1].tolist()
            own = logits[row, position]
            if int(premature[row, position].argmax()) in last and label not in last:
                own = own + factor * premature[row, position]
            total = total - own.log_softmax(0)[label]
            count += 1
    found, weight = objective(logits, batch)
    assert weight == count
    torch.testing.assert_close(found, total)
    (ours,) = torch.autograd.grad(found, logits)
    (theirs,) = torch.autograd.grad(total, logits)
    torch.testing.assert_close(ours, theirs)


def test_a_premature_model_that_repeats_changes_the_loss(fresh, strings, monkeypatch):
    """Its argmax is always the token that stands there: it repeats at every position."""
    loaded, sequences = fresh(), strings(2)
    batch = sequences.batch(np.arange(2))
    objective = begun(loaded, sequences)

    def echo(input_ids, use_cache):
        logits = torch.zeros(*input_ids.shape, 64)
        logits[..., 63] = -torch.inf  # An impossible token, which must not spoil the others.
        logits.scatter_(2, input_ids[..., None], 9.0)
        return SimpleNamespace(logits=logits)

    monkeypatch.setattr(objective, "_model", echo)
    logits = loaded.model(input_ids=batch.input_ids).logits
    loss, count = objective(logits, batch)
    plain, same = next_token(logits, batch)
    assert count == same
    assert torch.isfinite(loss)
    assert loss > plain + 1


def test_the_premature_model_is_the_one_before_and_never_learns(fresh, strings):
    sequences, before = strings(2), fresh()
    objective = begun(before, sequences)
    start = weights(objective._model)
    config = ExposureConfig(epochs=3, lr=1e-2, objective="self-contrastive")
    expose(before, sequences, config)
    assert same_weights(start, weights(objective._model))
    assert not same_weights(start, weights(before.model))
    assert not any(p.requires_grad for p in objective._model.parameters())


def test_a_folder_of_weights_gives_what_the_model_before_gives(
    fresh, strings, tmp_path, byte_tokenizer
):
    """Of a folder only the weights are needed, if the model that learns has a tokenizer."""
    results = []
    for premature in ("initial", str(tmp_path)):
        loaded = fresh(vocab_size=256)
        loaded.tokenizer = byte_tokenizer
        loaded.model.save_pretrained(tmp_path)
        options = {"premature": premature, "factor": 1.0}
        config = ExposureConfig(
            epochs=2, lr=1e-2, objective="self-contrastive", objective_options=options
        )
        expose(loaded, strings(2), config)
        results.append(weights(loaded.model))
    assert same_weights(*results)


def test_another_vocabulary_is_refused(fresh, strings):
    options = {"premature": TINY.replace("vocab_size=64", "vocab_size=48")}
    config = ExposureConfig(objective="self-contrastive", objective_options=options)
    with pytest.raises(InputError, match=r"48 token ids.*64"):
        expose(fresh(), strings(), config)


def test_another_premature_model_is_another_exposure(fresh, strings, tmp_path):
    """The checkpoint does not hold it, but knows its weights."""

    def run(loaded):
        options = {"objective": "self-contrastive", "checkpoint_every": 1}
        return expose(loaded, strings(), ExposureConfig(epochs=1, **options), checkpoints=tmp_path)

    run(fresh())
    with pytest.raises(InputError, match="objective: premature differ"):
        run(fresh(seed=1))
