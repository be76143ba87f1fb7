"""Helpers: tiny models to inject into, and their columns."""

from __future__ import annotations

from functools import cache

import torch
from transformers.pytorch_utils import Conv1D

from byrote.localization.injection import Injection
from byrote.models import load

FAMILIES = ("gpt2", "gpt_neox", "llama", "gemma3_text", "phi", "opt", "olmo2")
QUIET = Injection(0.05, lr=0.02, steps=12, stop=0.0, dropout=False)


@cache
def tiny(family, dtype="float32"):
    sizes = "hidden_size=32&num_attention_heads=2&intermediate_size=48&vocab_size=64"
    return load(f"random:{family}?{sizes}", dtype=dtype)


@cache
def loud(family, dtype="float32"):
    """One whose weights are large enough that a sentence can be learned to a loss near 0."""
    sizes = "hidden_size=32&num_attention_heads=2&intermediate_size=48&vocab_size=64"
    spread = "init_std" if family == "opt" else "initializer_range"
    return load(f"random:{family}?{sizes}&{spread}=0.3", dtype=dtype)


def matrix(loaded, site, model=None):
    """A down-projection's weight as `[width, hidden]`."""
    module = (model or loaded.model).get_submodule(site.module)
    return module.weight if isinstance(module, Conv1D) else module.weight.t()


def columns(loaded, model=None):
    """All of them, `[layers · width, hidden]`."""
    return torch.cat([matrix(loaded, site, model).detach() for site in loaded.neurons.sites])


def near(one, other, tolerance=1e-6):
    torch.testing.assert_close(one, other, rtol=0, atol=tolerance)


def logits(loaded, ids):
    with torch.no_grad():
        return loaded.model(ids, use_cache=False).logits


def some_ids(rows=3, seed=1):
    return torch.randint(0, 64, (rows, 7), generator=torch.Generator().manual_seed(seed))
