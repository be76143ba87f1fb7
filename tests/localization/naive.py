"""The definitions of the methods, one forward pass at a time, in double precision."""

from __future__ import annotations

import copy
from contextlib import contextmanager
from functools import cache

import numpy as np
import torch

from byrote.models import LoadedModel, load
from byrote.texts.passages import Passage

DENSE = (
    "gemma", "gemma2", "gemma3_text", "gpt2", "gpt_neox", "llama", "mistral", "olmo", "olmo2",
    "opt", "phi", "qwen2", "qwen3",
)  # fmt: skip
EXPERTS = ("mixtral", "qwen2_moe")
# Shorter than the passages below.
_WINDOW = {"gemma2": 5, "gemma3_text": 5, "mistral": 5}


def enliven(model, seed=0, scale=6.0):
    """Make a fresh random model's neurons matter: large weights, biases and norms of all sizes."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter *= scale
            else:
                parameter += 0.2 * torch.randn(parameter.shape, generator=generator)
    return model


@cache
def lively(family, bos_id=None, **options):
    """A small model whose numbers are far above rounding; 3 layers of 24 neurons."""
    sizes = {
        "hidden_size": 16,
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
        "vocab_size": 61,
        "seed": 1,
    }
    if family == "qwen2_moe":
        sizes |= {"moe_intermediate_size": 8, "shared_expert_intermediate_size": 8}
    elif family == "mixtral":
        sizes |= {"intermediate_size": 8}
    else:
        sizes |= {"intermediate_size": 24}
    if family in _WINDOW:
        sizes["sliding_window"] = _WINDOW[family]
    query = "&".join(f"{key}={value}" for key, value in (sizes | options).items())
    loaded = load(f"random:{family}?{query}")
    return LoadedModel(enliven(loaded.model), None, loaded.source, bos_id)


@cache
def broken():
    """A model that was damaged after its neurons were found."""
    loaded = LoadedModel(copy.deepcopy(lively("gpt2").model), None, "broken", None)
    assert loaded.neurons.layers == 3
    with torch.no_grad():
        loaded.model.transformer.h[1].mlp.c_proj.weight[0, 0] = torch.nan
    return loaded


@cache
def precise(loaded):
    """A copy of the model in double precision."""
    return copy.deepcopy(loaded.model).double()


def passage(vocab=61, prefix_len=4, suffix_len=5, seed=0, name="p"):
    ids = np.random.default_rng(seed).integers(0, vocab, prefix_len + suffix_len)
    return Passage(name, "test", name, 0, ids.astype(np.int32), prefix_len)


@contextmanager
def changed(loaded, model, function, layers=None):
    """Put `function(site, h)` between neurons and down-projections, h `[1, positions, width]`."""
    handles = []
    for site in loaded.neurons.sites:
        if layers is None or site.layer in layers:

            def hook(_, args, site=site):
                own = args[0]
                return (function(site, own.reshape(1, -1, own.shape[-1])).reshape(own.shape),)

            handles.append(model.get_submodule(site.module).register_forward_pre_hook(hook))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def losses(loaded, model, passage):
    """`[suffix]`, nats, by the definition."""
    ids = torch.tensor([[*loaded.lead, *passage.input_ids.tolist()]])
    logits = model(input_ids=ids).logits[0].double().log_softmax(1)
    start = len(loaded.lead) + passage.prefix_len
    targets = ids[0, start:]
    return -logits[start - 1 : -1].gather(1, targets[:, None])[:, 0]


@torch.no_grad()
def zero_out(loaded, passage, spare=0):
    """One pass for each neuron of a dense model."""
    model, neurons = precise(loaded), loaded.neurons
    clean = losses(loaded, model, passage).mean()
    effects = torch.zeros(neurons.layers, neurons.width, dtype=torch.float64)
    for layer in range(neurons.layers):
        for neuron in range(neurons.width):

            def zero(_, own, neuron=neuron):
                own = own.clone()
                own[:, spare:, neuron] = 0
                return own

            with changed(loaded, model, zero, [layer]):
                effects[layer, neuron] = losses(loaded, model, passage).mean() - clean
    return effects


@torch.no_grad()
def zero_out_experts(loaded, passage):
    """The same for any model, by zeroed columns of the weights, in single precision."""
    neurons = loaded.neurons
    clean = losses(loaded, loaded.model, passage).mean()
    effects = torch.zeros(neurons.layers, neurons.width, dtype=torch.float64)
    for site in neurons.sites:
        model = copy.deepcopy(loaded.model)
        module = model.get_submodule(site.module)
        for index in range(site.size):
            if site.experts is None:
                column = module.weight[:, index]
            else:
                column = module.down_proj[index // site.width, :, index % site.width]
            saved = column.clone()
            column.zero_()
            loss = losses(loaded, model, passage).mean()
            column.copy_(saved)
            effects[site.layer, site.start + index] = loss - clean
    return effects


def integrated_gradients(loaded, passage, steps):
    """Each suffix token, layer and α by itself: only tokens up to t, h replaced at the last."""
    model, neurons = precise(loaded), loaded.neurons
    scores = torch.zeros(neurons.layers, neurons.width, dtype=torch.float64)
    given = [*loaded.lead, *passage.input_ids.tolist()]
    start = len(loaded.lead) + passage.prefix_len
    for at in range(start, len(given)):
        ids = torch.tensor([given[:at]])
        for layer in range(neurons.layers):
            for alpha in torch.linspace(0, 1, steps, dtype=torch.float64):
                kept = {}

                def replace(_, own, alpha=alpha, kept=kept):
                    kept["h"] = own[0, -1].detach()
                    kept["leaf"] = (alpha * kept["h"]).requires_grad_(True)
                    last = torch.arange(own.shape[1]) == own.shape[1] - 1
                    return torch.where(last[None, :, None], kept["leaf"], own)

                with changed(loaded, model, replace, [layer]):
                    logits = model(input_ids=ids).logits[0, -1]
                chance = logits.softmax(0)[given[at]]
                (gradient,) = torch.autograd.grad(chance, kept["leaf"])
                scores[layer] += kept["h"] * gradient / steps
    return scores / passage.suffix_len


def attribution(loaded, passage, spare=0, factor=1.0, layers=None):
    """`-Σ_t h · ∂ℓ/∂h` with the neurons multiplied by a factor, h as it is then without it."""
    model, kept = precise(loaded), {}

    def keep(site, own):
        scaled = own * factor if layers is None or site.layer in layers else own
        kept[site.layer] = (own, scaled)
        return scaled

    with changed(loaded, model, keep):
        loss = losses(loaded, model, passage).mean()
    gradients = torch.autograd.grad(loss, [scaled for _, scaled in kept.values()])
    parts = [
        -(own.detach() * gradient)[0, spare:].sum(0)
        for (own, _), gradient in zip(kept.values(), gradients, strict=True)
    ]
    return torch.stack(parts)
