from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from byrote.exposure import IGNORED, ExposureConfig, Observer, Sequences, expose, find_objective
from byrote.models import load

TINY = "random:llama?hidden_size=16&num_attention_heads=2&num_hidden_layers=1&vocab_size=32"


@pytest.fixture(scope="module")
def tiny():
    return load(TINY)


def plain_patches(model, sequences, index, size):
    """One row: its whole patches, their means, and the tokens of the patch behind each."""
    length = int(sequences.lengths[index])
    ids = torch.from_numpy(sequences.input_ids[index, :length].astype("int64"))
    labels = sequences.labels[index, :length]
    total, count = torch.zeros(()), 0
    for patch in range(1, length // size + 1):
        behind = range(patch * size, min((patch + 1) * size, length))
        wanted = [i for i in behind if labels[i] != IGNORED]
        if not wanted:
            continue
        means = [
            model.get_input_embeddings()(ids[p * size : (p + 1) * size]).mean(0)
            for p in range(patch)
        ]
        logprobs = model(inputs_embeds=torch.stack(means)[None]).logits[0, -1].log_softmax(0)
        total = total - sum(logprobs[ids[i]] for i in wanted)
        count += len(wanted)
    return total, count


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), size=st.integers(2, 5))
def test_each_patch_predicts_the_tokens_of_the_next(tiny, seed, size):
    generator = np.random.default_rng(seed)
    lengths = generator.integers(2, 14, 3)
    ids = [generator.integers(1, 32, n) for n in lengths]
    asked = [generator.random(n) < 0.8 for n in lengths]
    for mask in asked:
        mask[0] = True
    sequences = Sequences.from_ids(ids, bos_id=0, asked=asked)
    objective = find_objective("patch-level", {"size": size, "share": 1.0})
    found = objective.forward(tiny.model, sequences.batch(np.arange(3)))
    assert found is not None
    parts = [plain_patches(tiny.model, sequences, i, size) for i in range(3)]
    total, count = sum(p[0] for p in parts), sum(p[1] for p in parts)
    assert found[1] == count
    torch.testing.assert_close(found[0], total * 1.0, rtol=1e-4, atol=1e-5)
    if count:
        parameters = list(tiny.model.parameters())
        ours = torch.autograd.grad(found[0], parameters)
        theirs = torch.autograd.grad(total, parameters)
        for one, other in zip(ours, theirs, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


class Passes:
    def __init__(self):
        self.widths = []

    def hook(self, _, args, kwargs):
        wide = kwargs.get("inputs_embeds", kwargs.get("input_ids"))
        self.widths.append((wide.shape[1], torch.is_grad_enabled()))


@pytest.mark.parametrize(("share", "patched"), [(1.0, 4), (0.5, 2), (0.25, 1)])
def test_the_first_share_of_the_steps_is_on_patches(fresh, strings, share, patched):
    loaded, passes = fresh(), Passes()
    handle = loaded.model.register_forward_pre_hook(passes.hook, with_kwargs=True)
    options = {"size": 4, "share": share}
    config = ExposureConfig(epochs=4, objective="patch-level", objective_options=options)
    result = expose(loaded, strings(1), config)
    handle.remove()
    # Nobody watches: no pass but those that learn, and the last evaluation.
    last = 3 if share == 1 else 12
    assert passes.widths == [*[(3, True)] * patched, *[(12, True)] * (4 - patched), (last, False)]
    # Thirteen tokens with the BOS; the first patch is asked of nobody.
    assert result.targets.tolist() == [
        *[9.0] * patched,
        *[12.0] * (4 - patched),
        9.0 if share == 1 else 12.0,
    ]


def test_observers_see_tokens_while_patches_are_learned(fresh, strings):
    sequences, seen = strings(1), []

    class Watch(Observer):
        def observe(self, view):
            plain = view.model(input_ids=view.input_ids).logits
            seen.append(torch.equal(view.logits, plain) and not view.logits.requires_grad)

    config = ExposureConfig(epochs=2, objective="patch-level", objective_options={"share": 1.0})
    expose(fresh(), sequences, config, observers=[Watch()])
    assert seen == [True, True, True]


def test_patch_steps_learn(fresh, strings):
    config = ExposureConfig(
        epochs=60, lr=1e-2, objective="patch-level", objective_options={"share": 1.0}
    )
    losses = expose(fresh(), strings(1), config).losses
    assert losses[-1] < 0.5 * losses[0]
