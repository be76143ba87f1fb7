"""The same model with random weights, to set beside a pretrained one."""

from __future__ import annotations

import copy

import torch

from byrote.errors import InputError
from byrote.models.loading import LoadedModel

__all__ = ["twin"]


def twin(loaded: LoadedModel, seed: int = 0) -> LoadedModel:
    """Build a model of the same configuration with random weights.

    Args:
        loaded: The model; it is left alone.
        seed: Seeds the weights, which transformers' own initialisation of the family draws. They
            are the same on every device.

    Returns:
        The twin, in evaluation mode, on the same device, in the same dtype, with the same
        tokenizer. The global random state is the same before and after.
    """
    if seed < 0:
        raise InputError(f"The seed {seed} of a random twin must be a whole number ≥ 0.")
    original = loaded.model
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        model = type(original)(copy.deepcopy(original.config))
    model.eval()
    model.to(device=original.device, dtype=original.dtype)  # pyright: ignore[reportCallIssue]
    source = f"{loaded.source} (random weights, seed {seed})"
    return LoadedModel(model, loaded.tokenizer, source, loaded.bos_id, loaded.licence)
