"""Measuring during an exposure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import Tensor, nn

from byrote.errors import InputError

__all__ = ["BatchView", "EpochView", "Observer", "Recorder", "StepView"]


@dataclass(frozen=True, slots=True, eq=False)
class EpochView:
    """The model after `epoch` exposures, before the next one.

    Attributes:
        epoch: How often each sequence has been shown.
        step: Optimiser steps taken.
        last: Whether no exposure follows.
        model: In evaluation mode; gradients are off.
        stop: Call it to end the exposure at this epoch.
    """

    epoch: int
    step: int
    last: bool
    model: nn.Module
    stop: Callable[[], None]


@dataclass(frozen=True, slots=True, eq=False)
class BatchView:
    """What one forward pass knows of some sequences that have been shown `epoch` times.

    The tensors live until the call returns, and the training pass goes on with them: what is to be
    kept must be computed from them or copied, and they must not be written to.

    Attributes:
        epoch: How often these sequences have been shown.
        step: Optimiser steps taken before this pass.
        logits: float32 `[batch, positions, vocab]`, without gradient; position p predicts
            `labels[:, p]`.
        labels: int64 `[batch, positions]`; `IGNORED` where none is asked for.
        input_ids: int64 `[batch, positions]`.
        indices: int64 `[batch]`, which sequences these are.
        loss: The objective's mean over the batch's targets, nats.
        model: In evaluation mode, unless the model has no dropout; gradients are off.
        stop: Call it to end the exposure after the epoch that is under way.
    """

    epoch: int
    step: int
    logits: Tensor
    labels: Tensor
    input_ids: Tensor
    indices: np.ndarray
    loss: float
    model: nn.Module
    stop: Callable[[], None]


@dataclass(frozen=True, slots=True, eq=False)
class StepView:
    """One optimiser step that has just been taken.

    Attributes:
        epoch: How often the step's sequences have been shown, this time included.
        step: Its number, from 1.
        loss: The objective's mean over the step's targets before it was taken, nats.
        lr: Its learning rate.
        grad_norm: Norm of the gradient before clipping; None unless the config has a `clip`.
        model: After the step.
        stop: Call it to end the exposure after the epoch that is under way.
    """

    epoch: int
    step: int
    loss: float
    lr: float
    grad_norm: float | None
    model: nn.Module
    stop: Callable[[], None]


class Observer:
    """Measures while a model learns; override what is needed.

    For every epoch, 0 (before any training) to the last, come in this order: `on_epoch`, then
    `observe` for each batch, and after each optimiser step `on_step`. An observer may run the
    model, and may use the global random state; neither changes what the model learns.

    Under several processes `observe` is called in each, with that process's share of the sequences;
    `on_epoch` and `on_step` in the main one only.
    """

    def on_epoch(self, view: EpochView) -> None:
        """See the model at the beginning of an epoch, and once after the last."""

    def observe(self, view: BatchView) -> None:
        """See what the training pass knows; costs no pass of its own."""

    def on_step(self, view: StepView) -> None:
        """See a step after it was taken."""

    def state_dict(self) -> dict[str, Any]:
        """Give what a resumed exposure needs to end with the same record.

        Returns:
            A copy: numbers, text, None, NumPy arrays, lists and dicts of these.
        """
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave."""

    def merge(self, states: Sequence[dict[str, Any]]) -> None:
        """Take in the states of the same observer in the other processes.

        Raises:
            InputError: It cannot, and there is something to take in.
        """
        if any(states):
            raise InputError(
                f"{type(self).__name__} cannot be used in several processes: it has no `merge`. "
                "Run one process, or add it."
            )


@dataclass(slots=True)
class _Rows:
    epoch: list[np.ndarray] = field(default_factory=list)
    sequence: list[np.ndarray] = field(default_factory=list)
    values: dict[str, list[np.ndarray]] = field(default_factory=dict)


class Recorder(Observer):
    """Keeps one row of measures for each sequence and epoch.

    Args:
        measure: From a batch to arrays by name, each `[batch]` or `[batch, positions]`.
        every: Epochs between measurements; the last epoch may therefore be missing.

    Example:
        >>> recorder = Recorder(lambda view: {"loss": np.full(len(view.indices), view.loss)})
    """

    def __init__(
        self, measure: Callable[[BatchView], Mapping[str, np.ndarray]], *, every: int = 1
    ) -> None:
        self._measure = measure
        self._every = every
        self._rows = _Rows()

    def observe(self, view: BatchView) -> None:
        """Measure a batch."""
        if view.epoch % self._every:
            return
        self._add(np.full(len(view.indices), view.epoch), view.indices, self._measure(view))

    def arrays(self) -> dict[str, np.ndarray]:
        """Give all rows, ordered by epoch and sequence.

        Returns:
            `epoch` and `sequence` int64 `[rows]`, and each measure `[rows]` or `[rows, positions]`.
            Where sequences differ in length, what lies behind a sequence's end is NaN, False or -1.
        """
        if not self._rows.epoch:
            return {"epoch": np.zeros(0, np.int64), "sequence": np.zeros(0, np.int64)}
        epoch = np.concatenate(self._rows.epoch).astype(np.int64)
        sequence = np.concatenate(self._rows.sequence).astype(np.int64)
        order = np.lexsort((sequence, epoch))
        values = {name: _stack(parts)[order] for name, parts in self._rows.values.items()}
        return {"epoch": epoch[order], "sequence": sequence[order], **values}

    def state_dict(self) -> dict[str, Any]:
        """Give the rows."""
        return self.arrays()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Replace the rows."""
        self._rows = _Rows()
        self.merge([state])

    def merge(self, states: Sequence[dict[str, Any]]) -> None:
        """Add the rows of others."""
        for state in states:
            values = dict(state)
            epoch, sequence = values.pop("epoch"), values.pop("sequence")
            if len(epoch):
                self._add(epoch, sequence, values)

    def _add(
        self, epoch: np.ndarray, sequence: np.ndarray, values: Mapping[str, np.ndarray]
    ) -> None:
        self._rows.epoch.append(np.asarray(epoch))
        self._rows.sequence.append(np.array(sequence))
        for name, value in values.items():
            if len(value) != len(sequence):
                raise InputError(
                    f"The measure {name!r} has {len(value)} rows for {len(sequence)} sequences."
                )
            self._rows.values.setdefault(name, []).append(np.asarray(value))


def _stack(parts: list[np.ndarray]) -> np.ndarray:
    """Join rows whose second dimension may differ."""
    if parts[0].ndim < 2 or len({part.shape[1] for part in parts}) == 1:
        return np.concatenate(parts)
    width = max(part.shape[1] for part in parts)
    kind = parts[0].dtype.kind
    filler = np.nan if kind == "f" else False if kind == "b" else -1
    widened = []
    for part in parts:
        pad = [(0, 0), (0, width - part.shape[1])] + [(0, 0)] * (part.ndim - 2)
        widened.append(np.pad(part, pad, constant_values=filler))
    return np.concatenate(widened)
