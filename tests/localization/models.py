"""Helpers: what ablation means, by weights; and what a model must be left like."""

from __future__ import annotations

import copy

import numpy as np
import torch

from byrote.localization.selection import Selection
from byrote.models import LoadedModel
from tests.recall.passages import follow, random_passages


def random_selection(loaded, share=0.3, seed=0):
    shape = (loaded.neurons.layers, loaded.neurons.width)
    return Selection(np.random.default_rng(seed).random(shape) < share)


def scaled_weights(loaded, selection, strength=0.0):
    """A copy of the model with the neurons' columns of the down-projections multiplied."""
    model = copy.deepcopy(loaded.model)
    with torch.no_grad():
        for site in loaded.neurons.sites:
            module = model.get_submodule(site.module)
            own = selection.neurons[site.layer, site.start : site.start + site.size]
            for index in np.flatnonzero(own):
                if site.experts is not None:
                    module.down_proj[index // site.width, :, index % site.width] *= strength
                elif isinstance(module, torch.nn.Linear):
                    module.weight[:, index] *= strength
                else:
                    module.weight[index] *= strength
    return LoadedModel(model, loaded.tokenizer, loaded.source, loaded.bos_id)


def with_tokenizer(loaded, tokenizer, bos_id=None):
    """The same model with a tokenizer, or with a BOS (only where there is no tokenizer)."""
    return LoadedModel(loaded.model, tokenizer, loaded.source, bos_id)


def known_passages(loaded, count, *, seed=0, prefix=(2, 6), suffix=(3, 9)):
    """Passages most of which the model recites: their suffixes are its own greedy words."""
    made = random_passages(count, loaded.vocab_size, seed=seed, prefix=prefix, suffix=suffix)
    return follow(loaded, made, loaded.lead)


def state_of(model):
    """What must be the same after localization."""
    return {
        "modes": [module.training for module in model.modules()],
        "hooks": [
            (len(module._forward_hooks), len(module._forward_pre_hooks))
            for module in model.modules()
        ],
        "grads": [(p.requires_grad, p.grad is None) for p in model.parameters()],
        "weights": [p.detach().clone() for p in model.parameters()],
    }


def assert_same_state(model, before):
    after = state_of(model)
    for key in ("modes", "hooks", "grads"):
        assert after[key] == before[key], key
    assert all(
        torch.equal(one, two) for one, two in zip(after["weights"], before["weights"], strict=True)
    )
