"""Expose a model to sequences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from byrote.errors import InputError
from byrote.exposure.config import ExposureConfig
from byrote.exposure.course import Course
from byrote.exposure.observers import Observer
from byrote.exposure.partial import Selection, select
from byrote.exposure.sequences import Sequences
from byrote.models.loading import LoadedModel
from byrote.models.modes import keep_modes

__all__ = ["Exposure", "expose"]


@dataclass(frozen=True, slots=True, eq=False)
class Exposure:
    """What an exposure came to. The model itself was changed in place.

    Attributes:
        epochs: How often each sequence was shown.
        steps: Optimiser steps.
        reason: Why it ended: `epochs`, `stop_when` or `observer`.
        losses: float64 `[epochs + 1]`, the objective's mean over all targets, nats; entry e is from
            the passes over sequences that had been shown e times.
        step_losses: float64 `[steps]`, the same for each step, before it was taken.
        targets: float64 `[epochs + 1]`, what the losses of an epoch were divided by: the targets
            that were learned from; where an objective weighs them, the sum of their weights.
        empty_steps: How many steps had nothing to learn from. Their loss is given as 0, and they
            leave the weights as they were.
        report: What the objective has to say beyond losses, by name.
        selection: Which parameters were trained.
        optimizer: For an exposure that carries on with it.
        seconds: Time it took, over all resumptions.
        resumed_at: The epoch of the checkpoint that it continued from; None if from none.
    """

    epochs: int
    steps: int
    reason: str
    losses: np.ndarray
    step_losses: np.ndarray
    targets: np.ndarray
    empty_steps: int
    report: Mapping[str, Any]
    selection: Selection
    optimizer: torch.optim.Optimizer
    seconds: float
    resumed_at: int | None


def expose(
    loaded: LoadedModel,
    sequences: Sequences,
    config: ExposureConfig,
    *,
    observers: Sequence[Observer] = (),
    checkpoints: Path | None = None,
    optimizer: torch.optim.Optimizer | None = None,
    description: str | None = "Exposing",
) -> Exposure:
    """Show sequences to a model again and again.

    What an observer sees of epoch e comes from the forward pass of the training step in which a
    sequence is shown for the (e + 1)-th time, so it costs no pass of its own; one evaluating pass
    follows the last step. There are therefore epochs + 1 points. With several steps in an epoch a
    sequence is measured right before its own step. An objective that runs the model in a way of its
    own costs observers a pass. Under `dropout="model"` (where the model has
    any) observers get a pass without dropout before each batch, and the training pass takes the
    batch's sequences one by one: a mask belongs to a sequence and a step.

    The result depends on the weights, the sequences and the config; on one CPU, with the same
    number of threads, to the bit. Under `accelerate launch` or `torchrun` each process takes a
    share of every step's sequences, and the result is the same but for rounding, with dropout too
    (on devices of one kind: they differ in what they draw from a seed).

    Args:
        loaded: The model, in float32; its weights change, its mode and flags do not.
        sequences: What is shown.
        config: How.
        observers: Who watches, in this order.
        checkpoints: Folder of the checkpoint; if it holds one of this exposure, that is continued.
        optimizer: Carried over from an earlier exposure, moments and all; None begins anew.
        description: What the progress bar says; None shows none.

    Returns:
        How it went.

    Raises:
        InputError: The config, the sequences or the checkpoint do not fit; said before any step.
        DivergedError: The loss is not finite any more. The checkpoint is one whose loss was.
        ByroteError: A checkpoint could not be written; the one before is as it was.
    """
    config.check()
    sequences.check(loaded.vocab_size, loaded.max_len)
    if config.checkpoint_every and checkpoints is None:
        raise InputError(
            f"checkpoint_every={config.checkpoint_every} needs a folder: give `checkpoints`."
        )
    if torch.finfo(loaded.dtype).bits < 32:
        raise InputError(
            f"The weights are {loaded.dtype}: small updates would be lost. Load the model with "
            'dtype="float32"; precision="bf16" then computes in bfloat16.'
        )
    model: Any = loaded.model
    with _as_before(model):
        selection = select(model, config.trainable)
        course = Course(
            loaded, sequences, config, tuple(observers), selection, checkpoints, optimizer
        )
        course.run(description)
        return Exposure(
            epochs=course.epoch,
            steps=course.step,
            reason=course.reason,
            losses=np.array(course.losses),
            step_losses=np.array(course.step_losses),
            targets=np.array(course.targets),
            empty_steps=course.empty_steps,
            report=course.objective.report(course.epoch, course.step),
            selection=selection,
            optimizer=course.optimizer,
            seconds=course.seconds,
            resumed_at=course.resumed_at,
        )


@contextmanager
def _as_before(model: nn.Module) -> Iterator[None]:
    """Put back the modes, the flags and the absence of gradients."""
    flags = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    try:
        with keep_modes(model), torch.inference_mode(False), torch.enable_grad():
            yield
    finally:
        for parameter, flag in flags:
            parameter.grad = None
            parameter.requires_grad_(flag)
