"""Dropout that depends on a seed and on the step, not on what was drawn before."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

__all__ = ["has_dropout", "seeded"]


def has_dropout(model: nn.Module) -> bool:
    """Whether a model drops anything when it trains, as far as modules and configuration tell."""
    if any(isinstance(m, nn.Dropout) and m.p > 0 for m in model.modules()):
        return True
    config = getattr(model, "config", None)
    values = config.to_dict() if config is not None else {}
    return any(
        isinstance(value, float) and value > 0
        for key, value in values.items()
        if "drop" in key or "jitter" in key
    )


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Within the block, draw from a seed; the global random state is the same before and after."""
    cuda = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda):
        torch.default_generator.manual_seed(seed)
        if cuda:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield
