"""Training and evaluation mode, which belong to each part of a model and not to the whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

__all__ = ["evaluating", "keep_modes"]


@contextmanager
def keep_modes(model: nn.Module) -> Iterator[None]:
    """Put every part of a model back into the mode that it was in.

    `model.train(flag)` sets all parts alike, and would wake, say, a dropout that its owner had put
    to sleep alone.
    """
    modes = [(part, part.training) for part in model.modules()]
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Have a model in evaluation mode for the while."""
    with keep_modes(model):
        model.eval()
        yield
