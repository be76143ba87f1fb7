"""The goldfish mask as an objective; the mask itself has tests of its own."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from byrote.errors import InputError
from byrote.exposure import ExposureConfig, Observer, Sequences, expose, find_objective
from byrote.exposure.goldfish import Goldfish, keep_mask
from byrote.exposure.objectives import Setting

STRATEGIES = ["hash", "static", "random", "official"]


def begun(loaded, sequences, **options):
    objective = find_objective("goldfish", options)
    objective.begin(Setting(loaded, sequences))
    return objective


def plain_loss(model, sequences, index, keep):
    """Sum over the tokens of one sequence that are kept and asked for."""
    ids = torch.from_numpy(sequences.input_ids[index, : sequences.lengths[index]].astype("int64"))
    logprobs = model(input_ids=ids[None]).logits[0].log_softmax(-1)
    places = [p for p in range(1, len(ids)) if keep[p] and sequences.labels[index, p] >= 0]
    return -sum((logprobs[p - 1, ids[p]] for p in places), torch.zeros(())), len(places)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_it_is_the_mean_over_what_the_mask_keeps(fresh, strategy):
    generator = np.random.default_rng(0)
    lengths = (30, 17, 25)
    ids = [generator.integers(1, 64, n) for n in lengths]
    asked = [generator.random(n) < 0.8 for n in lengths]
    sequences = Sequences.from_ids(ids, bos_id=0, asked=asked)
    loaded = fresh()
    objective = begun(loaded, sequences, k=3, h=4, strategy=strategy)
    goldfish = Goldfish(k=3, h=4, strategy=strategy)
    batch = sequences.batch(np.array([2, 0]))
    logits = loaded.model(input_ids=batch.input_ids).logits
    total, count = torch.zeros(()), 0
    for index in (2, 0):
        row = sequences.input_ids[index, : lengths[index] + 1][None]
        keep = keep_mask(row, goldfish, exempt_ids=(0,), step=0, indices=[index])
        part, kept = plain_loss(loaded.model, sequences, index, keep[0])
        total, count = total + part, count + kept
    loss, weight = objective(logits, batch)
    assert weight == count < int((batch.labels >= 0).sum())
    torch.testing.assert_close(loss, total, rtol=1e-4, atol=1e-4)


def test_dropped_tokens_get_no_gradient(fresh, strings):
    sequences = strings(2, 30)
    objective = begun(fresh(), sequences, k=2, h=2)
    batch = sequences.batch(np.arange(2))
    logits = torch.zeros(2, 30, 64, requires_grad=True)
    loss, weight = objective(logits, batch)
    (gradient,) = torch.autograd.grad(loss, logits)
    assert int(gradient.abs().sum(-1).bool().sum()) == weight < 60


def test_only_random_masks_change_from_step_to_step(fresh, strings):
    def targets(strategy):
        options = {"k": 3, "h": 4, "strategy": strategy}
        config = ExposureConfig(epochs=4, objective="goldfish", objective_options=options)
        return set(expose(fresh(), strings(1, 40), config).targets.tolist())

    assert len(targets("random")) > 1
    assert len(targets("hash")) == len(targets("static")) == 1


def test_dropped_tokens_are_not_learned(fresh, strings):
    """After many epochs the kept tokens are known and the dropped ones are not."""
    sequences, loaded, seen = strings(1, 40, seed=2), fresh(), {}
    keep = keep_mask(sequences.input_ids, Goldfish(k=3, h=3), exempt_ids=(0,))[0, 1:]

    class Watch(Observer):
        def observe(self, view):
            logprobs = view.logits[0].log_softmax(-1)
            seen["p"] = logprobs.gather(1, view.labels[0, :, None])[:, 0].exp().numpy()

    options = {"k": 3, "h": 3}
    config = ExposureConfig(epochs=60, lr=1e-2, objective="goldfish", objective_options=options)
    expose(loaded, sequences, config, observers=[Watch()])
    assert seen["p"][keep].mean() > 0.9
    assert seen["p"][~keep].mean() < 0.2


def test_normalize_without_a_tokenizer_is_refused(fresh, strings):
    config = ExposureConfig(objective="goldfish", objective_options={"normalize": True})
    with pytest.raises(InputError, match="no tokenizer"):
        expose(fresh(), strings(), config)


def test_normalised_masks_are_those_of_the_text(fresh, byte_tokenizer):
    """The objective hands the tokenizer on; two spellings of one text drop the same letters."""
    texts = ["the quick brown fox jumps over the lazy dog " * 4, ""]
    texts[1] = texts[0].upper().replace(" ", "\n")
    loaded = fresh(vocab_size=256)
    loaded.tokenizer = byte_tokenizer
    sequences = Sequences.from_ids([byte_tokenizer.encode(text) for text in texts])
    objective = begun(loaded, sequences, k=3, h=3, normalize={"unicode": False})
    logits = torch.zeros(2, len(texts[0]) - 1, 256, requires_grad=True)
    loss, weight = objective(logits, sequences.batch(np.arange(2)))
    (gradient,) = torch.autograd.grad(loss, logits)
    learned = gradient.abs().sum(-1).bool()
    letters = [i for i, letter in enumerate(texts[0][1:]) if letter != " "]
    assert learned[0, letters].tolist() == learned[1, letters].tolist()
    assert 0 < weight == int(learned.sum()) < learned.numel()
