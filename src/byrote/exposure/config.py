"""What an exposure is asked to do; everything that can change its numbers, and no model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from byrote.errors import InputError
from byrote.exposure.schedules import SCHEDULES

__all__ = ["ExposureConfig", "StopRule"]

_DROPOUT = ("off", "model")
_PRECISIONS = ("float32", "bf16")


@dataclass(frozen=True, slots=True)
class StopRule:
    """End an exposure before its last epoch.

    Attributes:
        loss_below: Nats per target.
        epochs_in_a_row: How many epochs' losses have to be below it, one after the other.
    """

    loss_below: float
    epochs_in_a_row: int = 1


@dataclass(frozen=True, slots=True)
class ExposureConfig:
    """How sequences are shown to a model.

    A step takes `batch_size × accumulation` sequences, whatever the number of processes; with one
    batch of sequences an epoch is one step.

    Attributes:
        epochs: How often each sequence is shown.
        lr: The highest learning rate.
        schedule: `constant`, `linear` or `cosine`, as transformers computes them.
        warmup: Steps in which the learning rate rises from 0; below 1, a share of all steps.
        weight_decay: Decoupled, as in AdamW.
        betas: AdamW's decay rates of the two moments.
        eps: AdamW's epsilon.
        clip: Largest norm of the gradient; None does not clip. Infinity measures the norm only.
        batch_size: Sequences that go through the model together.
        accumulation: Batches whose gradients make one step.
        shuffle: Whether each epoch has an order of its own, drawn from the seed.
        dropout: `off` trains in evaluation mode; `model` keeps the model's own dropout on, and
            learns from a batch's sequences one by one, so that no mask depends on the batch.
        trainable: Which parameters learn, see `byrote.exposure.select`.
        precision: `float32`, or `bf16`: products in bfloat16, weights and optimiser in float32.
        seed: Of the order and of dropout.
        objective: What is learned from a sequence, see `byrote.exposure.OBJECTIVES`.
        objective_options: The objective's own options.
        checkpoint_every: Epochs between checkpoints; 0 writes none.
        stop_when: When to end early; None runs all epochs.
    """

    epochs: int = 100
    lr: float = 1e-4
    schedule: str = "constant"
    warmup: float = 0.0
    weight_decay: float = 0.0
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    clip: float | None = None
    batch_size: int = 1
    accumulation: int = 1
    shuffle: bool = False
    dropout: str = "off"
    trainable: str = "all"
    precision: str = "float32"
    seed: int = 0
    objective: str = "next-token"
    objective_options: Mapping[str, Any] = field(default_factory=dict)
    checkpoint_every: int = 0
    stop_when: StopRule | None = None

    def check(self) -> None:
        """See that the values can be used; the rest depends on the model and the sequences.

        Raises:
            InputError: One cannot.
        """
        _one_of("schedule", self.schedule, tuple(SCHEDULES))
        _one_of("dropout", self.dropout, _DROPOUT)
        _one_of("precision", self.precision, _PRECISIONS)
        for name in ("batch_size", "accumulation"):
            _at_least(name, getattr(self, name), 1)
        for name in ("epochs", "checkpoint_every"):
            _at_least(name, getattr(self, name), 0)
        for name in ("weight_decay", "warmup"):
            _at_least(name, getattr(self, name), 0.0)
        for name in ("lr", "eps"):
            _above_zero(name, getattr(self, name))
        if self.clip is not None and not self.clip > 0:
            raise InputError(f"clip={self.clip} must be above 0; leave it out to clip nothing.")
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            raise InputError(f"betas={self.betas} must be two numbers of at least 0 and below 1.")
        if self.stop_when is not None:
            _above_zero("stop_when.loss_below", self.stop_when.loss_below)
            _at_least("stop_when.epochs_in_a_row", self.stop_when.epochs_in_a_row, 1)
        from byrote.exposure.objectives import find_objective
        from byrote.exposure.partial import check_part

        find_objective(self.objective, self.objective_options)
        check_part(self.trainable)


def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise InputError(f"{name}={value!r} is not known. Choose one of {', '.join(known)}.")


def _at_least(name: str, value: float, least: float) -> None:
    if not (math.isfinite(value) and value >= least):
        raise InputError(f"{name}={value} must be at least {least}.")


def _above_zero(name: str, value: float) -> None:
    if not (math.isfinite(value) and value > 0):
        raise InputError(f"{name}={value} must be a number above 0.")
