"""Training gates as the paper defines it: masked weights, one passage at a time, in plain PyTorch.

The official code of Hard Concrete puts its mask on the columns of the down-projection's weight.
"""

from __future__ import annotations

import copy
import math

import torch
from torch import nn
from torch.func import functional_call
from transformers.pytorch_utils import Conv1D

from byrote.models import LoadedModel


def louder(loaded, dtype=torch.float64):
    """The model in double precision, where rounding does not decide what Adam does.

    Its weights are larger: those of a new model are so small that its neurons matter little, and
    the penalty would decide everything.
    """
    model = copy.deepcopy(loaded.model).to(dtype)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter *= 6
    if any(site.experts is not None for site in loaded.neurons.sites):
        model.set_experts_implementation("batched_mm")  # the other has no double precision
    return LoadedModel(model, loaded.tokenizer, loaded.source, loaded.bos_id)


def masked_loss(loaded, passage, mask):
    """ℓ_mem with the columns of the down-projections multiplied by `mask` `[layers, width]`."""
    weights = {}
    for site in loaded.neurons.sites:
        module = loaded.model.get_submodule(site.module)
        own = mask[site.layer, site.start : site.start + site.size]
        if site.experts is not None:
            columns = own.reshape(site.experts, 1, site.width)
            weights[f"{site.module}.down_proj"] = module.down_proj * columns
        elif isinstance(module, Conv1D):
            weights[f"{site.module}.weight"] = module.weight * own[:, None]
        else:
            weights[f"{site.module}.weight"] = module.weight * own
    ids = torch.tensor([[*loaded.lead, *passage.input_ids.tolist()]])
    labels = ids.clone()
    labels[:, : len(loaded.lead) + passage.prefix_len] = -100
    logits = functional_call(
        loaded.model, weights, kwargs={"input_ids": ids, "use_cache": False}
    ).logits
    return nn.functional.cross_entropy(logits[0, :-1], labels[0, 1:], ignore_index=-100)


def slimming_gate(raw, noise, beta):
    return raw.clamp(0, 1)


def slimming_size(raw, beta):
    return raw.abs().mean()


def concrete_gate(raw, noise, beta):
    stretched = torch.sigmoid((noise + raw) / beta) * 1.2 - 0.1
    return stretched.clamp(0, 1)


def concrete_size(raw, beta):
    return torch.stack(
        [torch.sigmoid(row - beta * math.log(0.1 / 1.1)).mean() for row in raw]
    ).mean()


def train(loaded, passage, method, *, concrete, references=(), skip=()):
    """Train one passage's gates; scores `[layers, width]`, steps and losses."""
    layers, width = loaded.neurons.layers, loaded.neurons.width
    gate, size = (concrete_gate, concrete_size) if concrete else (slimming_gate, slimming_size)
    beta = method.beta if concrete else None
    start = math.log((method.init + 0.1) / 1.2 / (1 - (method.init + 0.1) / 1.2))
    start = start if concrete else method.init
    raw = torch.full((layers, width), start, dtype=loaded.dtype, requires_grad=True)
    trained = [layer for layer in range(layers) if layer not in skip]
    optimizer = torch.optim.Adam([raw], lr=method.lr)
    generator = torch.Generator().manual_seed(method.seed if concrete else 0)
    losses, stopped = [], False
    for step in range(1, method.epochs + 1):
        uniform = torch.rand(layers, width, generator=generator).clamp(1e-4, 1 - 1e-4)
        noise = (uniform.log() - (1 - uniform).log()).to(loaded.dtype)
        drawn = gate(raw, noise, beta)
        open_ones = torch.ones_like(drawn)
        keeps = drawn.clone()
        left = 1 - drawn
        for layer in skip:
            noisy = concrete and method.noisy_skipped
            keeps[layer] = drawn[layer].detach() if noisy else open_ones[layer]
            left[layer] = 1
        loss = masked_loss(loaded, passage, keeps if method.aim == "keep" else left)
        objective = loss if method.aim == "keep" else -loss.clamp(max=method.ceiling)
        penalty = size(raw[trained], beta)
        objective = objective + method.penalty * penalty
        if method.retain:
            count = min(method.per_step, len(references))
            chosen = [
                references[((step - 1) * count + turn) % len(references)] for turn in range(count)
            ]
            kept = [masked_loss(loaded, other, left) for other in chosen]
            objective = objective + method.retain * sum(kept) / count
        if step % 10 == 0 and penalty < method.stops_below:
            stopped = True
            break
        losses.append(loss.item())
        optimizer.zero_grad()
        objective.backward()
        raw.grad[list(skip)] = 0
        optimizer.step()
        loaded.model.zero_grad(set_to_none=True)
    scores = torch.sigmoid(raw) if concrete else raw.clamp(0, 1)
    scores = scores.detach().clone()
    scores[list(skip)] = -torch.inf
    return scores, len(losses), losses[-1], stopped
