"""The loop of an exposure: show, measure with what the forward pass knows, take a step."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from byrote.errors import InputError
from byrote.exposure.batches import Batch
from byrote.exposure.checkpoints import read_checkpoint, write_checkpoint
from byrote.exposure.config import ExposureConfig
from byrote.exposure.dropout import has_dropout
from byrote.exposure.errors import DivergedError
from byrote.exposure.objectives import Setting, find_objective
from byrote.exposure.observers import EpochView, Observer, StepView
from byrote.exposure.optimisers import adamw, load_state, state_tensors
from byrote.exposure.partial import Selection
from byrote.exposure.passes import Passes
from byrote.exposure.processes import join_processes
from byrote.exposure.schedules import learning_rate
from byrote.exposure.sequences import Sequences
from byrote.models.loading import LoadedModel
from byrote.progress import task
from byrote.texts.seeds import derive_seed

__all__ = ["Course"]

_log = logging.getLogger("byrote")


class Course:
    """One exposure under way, in one process of however many."""

    def __init__(
        self,
        loaded: LoadedModel,
        sequences: Sequences,
        config: ExposureConfig,
        observers: tuple[Observer, ...],
        selection: Selection,
        folder: Path | None,
        optimizer: torch.optim.Optimizer | None,
    ) -> None:
        model: Any = loaded.model
        self.model, self.sequences, self.config = model, sequences, config
        self.observers, self.selection = observers, selection
        self.folder = folder
        self.device: torch.device = model.device
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self.optimizer = adamw(self.parameters, config, optimizer)
        self.objective = find_objective(config.objective, config.objective_options)
        self.processes = join_processes(self.device)
        self.processes.same(self.parameters)
        # Without dropout, evaluation mode is training mode: one pass serves both.
        self.dropout = config.dropout == "model" and has_dropout(model)
        self.one_by_one = self.dropout or self.objective.per_sequence
        self.per_step = config.batch_size * config.accumulation
        self.steps_per_epoch = math.ceil(len(sequences) / self.per_step)
        self.total = config.epochs * self.steps_per_epoch
        self.epoch, self.step = 0, 0
        self.losses: list[float] = []
        self.targets: list[float] = []
        self.step_losses: list[float] = []
        self.empty_steps = 0
        self.asked_to_stop = False
        self.reason = ""
        self.pending: dict[str, Any] | None = None
        self.seconds, self.earlier, self.started = 0.0, 0.0, time.monotonic()
        self.resumed_at: int | None = None
        self.saved_at: int | None = None
        self._check_observers()
        setting = Setting(
            loaded,
            sequences,
            step_size=config.batch_size * config.accumulation,
            precision=config.precision,
            seed=config.seed,
        )
        self.objective.begin(setting)
        self.passes = Passes(model, config, self.objective, observers, self.dropout, self._stop)

    def run(self, description: str | None) -> None:
        """Go on until the end."""
        self._resume()
        self.model.eval()
        with _maybe_task(description, self.total) as advance:
            advance(self.step)
            while not self.reason:
                self._epoch(advance)
        self.seconds = self._seconds()

    def _epoch(self, advance: Callable[[float], None]) -> None:
        """Measure this epoch, and make the next unless this is the last."""
        every = self.config.checkpoint_every
        if every and self.epoch and self.epoch % every == 0 and self.epoch != self.resumed_at:
            self.pending = self._state()
        reason = self._why_to_end()
        self._begin(last=bool(reason))
        if not reason and self._anyone_stops():
            reason = "observer"
        if reason:
            self._evaluate()
            self.reason = reason
            state = self._state()
            if every:
                self._write(state)
            self._merge(state["observers"][1:])
            return
        sums = [0.0, 0.0]
        for chosen in self._order():
            total, count = self._step(chosen)
            sums = [sums[0] + total, sums[1] + count]
            advance(1)
        self._end_epoch(*sums)
        self.epoch += 1

    def _why_to_end(self) -> str:
        rule = self.config.stop_when
        if self.epoch >= self.config.epochs:
            return "epochs"
        if rule is not None and len(self.losses) >= rule.epochs_in_a_row:
            recent = list(zip(self.losses, self.targets, strict=True))[-rule.epochs_in_a_row :]
            # An epoch that learned from nothing says nothing.
            if all(targets and loss < rule.loss_below for loss, targets in recent):
                return "stop_when"
        return "observer" if self.asked_to_stop else ""

    def _end_epoch(self, total: float, weight: float) -> None:
        self.losses.append(total / weight if weight else 0.0)
        self.targets.append(weight)

    def _order(self) -> Iterator[np.ndarray]:
        """The sequences of each step of an epoch."""
        order = np.arange(len(self.sequences))
        if self.config.shuffle:
            seed = derive_seed(self.config.seed, "order", str(self.epoch))
            order = np.random.default_rng(seed).permutation(order)
        for start in range(0, len(order), self.per_step):
            yield order[start : start + self.per_step]

    def _batches(self, chosen: np.ndarray) -> Iterator[Batch]:
        """This process's share of some sequences."""
        mine = self.processes.share(chosen)
        for start in range(0, len(mine), self.config.batch_size):
            indices = mine[start : start + self.config.batch_size]
            yield self._batch(indices)

    def _batch(self, indices: np.ndarray) -> Batch:
        batch = self.sequences.batch(indices, self.device)
        done = self.step / self.total if self.total else 1.0
        return replace(batch, epoch=self.epoch, step=self.step, done=done)

    def _shown(self, chosen: np.ndarray) -> Iterator[Batch]:
        """The batches to learn from; under dropout one sequence each, measured without it before.

        A mask then belongs to a sequence and a step, not to a place in a batch of some width, and
        the result does not depend on how a step is split into batches and processes.
        """
        for batch in self._batches(chosen):
            if not self.one_by_one:
                yield batch
                continue
            if self.dropout and self.passes.watched:
                with torch.no_grad():
                    self.passes.run(batch, observe=True)
            for index in batch.indices:
                yield self._batch(np.array([index]))

    def _step(self, chosen: np.ndarray) -> tuple[float, float]:
        """Show some sequences and learn from them; give the sum of losses and its divisor."""
        expected = self.sequences.targets(chosen)
        together = 1 if self.one_by_one else self.config.batch_size
        alone = self.processes.count == 1 and len(chosen) <= together
        own = self.objective.own_gradients
        sums = [0.0, 0.0]
        for batch in self._shown(chosen):
            loss, weight = self.passes.run(batch, observe=not self.dropout, training=True)
            value = float(loss.detach())
            if math.isfinite(value) and weight:
                if own:
                    self.objective.backward(loss, self.parameters)
                else:
                    # The mean over all targets of the step, of which this batch holds some.
                    (loss / (weight if alone else expected)).backward()
            del loss
            sums = [sums[0] + value, sums[1] + weight]
        total, weight, stop = self.processes.sum([*sums, float(self.asked_to_stop)], self.device)
        self.asked_to_stop = stop > 0
        self._check_finite(total)
        self.processes.sum_gradients(self.parameters)
        if not weight:
            self._learned_nothing()
        elif own:
            self.objective.finish(self.parameters, weight, self.step)
        elif weight != expected and not alone:
            # An objective that learns from fewer tokens than were asked for, or weighs them.
            for parameter in self.parameters:
                if parameter.grad is not None:
                    parameter.grad.mul_(expected / weight)
        norm = None
        if self.config.clip is not None:
            norm = float(nn.utils.clip_grad_norm_(self.parameters, self.config.clip))
        if self.pending is not None:
            # Only now is it known that the weights of the checkpoint give a finite loss.
            self._write(self.pending)
        lr = learning_rate(
            self.config.lr, self.config.schedule, self.step, self.total, self.config.warmup
        )
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        self.step_losses.append(total / weight if weight else 0.0)
        self._after_step(lr, norm)
        return total, weight

    def _evaluate(self) -> None:
        """Measure the last epoch, without learning."""
        sums = [0.0, 0.0]
        with torch.no_grad():
            for chosen in self._order():
                for batch in self._batches(chosen):
                    loss, weight = self.passes.run(batch, observe=True)
                    sums = [sums[0] + float(loss), sums[1] + weight]
        total, weight = self.processes.sum(sums, self.device)
        self._check_finite(total)
        self._end_epoch(total, weight)

    def _learned_nothing(self) -> None:
        """Count a step without a target; without gradients the optimiser leaves weights alone."""
        self.empty_steps += 1
        if self.empty_steps == 1 and self.processes.main:
            _log.warning(
                "The objective %r learns from no token in step %d: its loss is given as 0 and "
                "nothing is learned. Such steps are counted (`Exposure.empty_steps`). Show longer "
                "sequences, or more in a step.",
                self.config.objective,
                self.step + 1,
            )

    def _check_finite(self, total: float) -> None:
        if math.isfinite(total):
            return
        kept = ""
        if self.saved_at is not None:
            kept = f" The checkpoint of epoch {self.saved_at} in {self.folder} is kept."
        raise DivergedError(
            f"The loss is {total} at step {self.step + 1}, after {self.epoch} epochs with learning "
            f"rates up to {self.config.lr:g}: training has diverged.{kept} Take a lower learning "
            "rate, a warm-up, or `clip`.",
            step=self.step + 1,
            epoch=self.epoch,
        )

    def _begin(self, *, last: bool) -> None:
        """Show the model between two epochs."""
        if not self.processes.main:
            return
        view = EpochView(self.epoch, self.step, last, self.model, self._stop)
        with torch.no_grad():
            for observer in self.observers:
                observer.on_epoch(view)

    def _after_step(self, lr: float, norm: float | None) -> None:
        if not self.processes.main:
            return
        loss = self.step_losses[-1]
        view = StepView(self.epoch + 1, self.step, loss, lr, norm, self.model, self._stop)
        with torch.no_grad():
            for observer in self.observers:
                observer.on_step(view)

    def _stop(self) -> None:
        self.asked_to_stop = True

    def _anyone_stops(self) -> bool:
        asked = self.processes.sum([float(self.asked_to_stop)], self.device)[0] > 0
        self.asked_to_stop = asked
        return asked

    def _seconds(self) -> float:
        return self.earlier + time.monotonic() - self.started

    def _same_exposure(self) -> dict[str, Any]:
        """What has to be the same for a checkpoint to be continued."""
        config = {k: v for k, v in asdict(self.config).items() if k != "checkpoint_every"}
        shapes = [list(parameter.shape) for parameter in self.parameters]
        same = {
            **config,
            **{f"objective: {key}": value for key, value in self.objective.identity().items()},
            "sequences": self.sequences.digest(),
            "parameters": dict(zip(self.selection.names, shapes, strict=True)),
        }
        return json.loads(json.dumps(same))

    def _state(self) -> dict[str, Any]:
        """Everything but weights and moments, as of now; the same call in every process."""
        return {
            "exposure": self._same_exposure(),
            "epoch": self.epoch,
            "step": self.step,
            "reason": self.reason,
            "losses": np.array(self.losses),
            "targets": np.array(self.targets),
            "step_losses": np.array(self.step_losses),
            "empty_steps": self.empty_steps,
            "asked_to_stop": self.asked_to_stop,
            "seconds": self._seconds(),
            "observers": self.processes.gather([o.state_dict() for o in self.observers]),
        }

    def _write(self, state: dict[str, Any]) -> None:
        self.pending = None
        if self.processes.main and self.folder is not None:
            names = self.selection.names
            weights = {
                f"weights/{name}": parameter.detach()
                for name, parameter in zip(names, self.parameters, strict=True)
            }
            moments = state_tensors(self.optimizer, names)
            tensors = weights | {f"optimizer/{key}": value for key, value in moments.items()}
            write_checkpoint(self.folder, state, tensors)
        self.saved_at = state["epoch"]

    def _resume(self) -> None:
        """Continue from a checkpoint, if there is one."""
        found = read_checkpoint(self.folder) if self.folder is not None else None
        if found is None:
            return
        state, tensors = found
        own = self._same_exposure()
        other = [key for key in own if own[key] != state["exposure"].get(key)]
        if other or len(self.observers) != len(state["observers"][0]):
            what = ", ".join(other) or "the number of observers"
            raise InputError(
                f"The checkpoint in {self.folder} is of another exposure: {what} differ. Choose an "
                "empty folder, or remove the checkpoint."
            )
        names = self.selection.names
        with torch.no_grad():
            for name, parameter in zip(names, self.parameters, strict=True):
                parameter.copy_(tensors.pop(f"weights/{name}"))
        moments = {key.removeprefix("optimizer/"): value for key, value in tensors.items()}
        load_state(self.optimizer, names, moments)
        self.epoch, self.step, self.reason = state["epoch"], state["step"], state["reason"]
        self.losses, self.step_losses = state["losses"].tolist(), state["step_losses"].tolist()
        # Checkpoints from before there were other objectives than next-token do not say these.
        every = np.full(len(self.losses), float(self.sequences.targets()))
        self.targets = state.get("targets", every).tolist()
        self.empty_steps = state.get("empty_steps", 0)
        self.asked_to_stop, self.earlier = state["asked_to_stop"], state["seconds"]
        self.saved_at = self.resumed_at = self.epoch
        if self.processes.main:
            first, *others = state["observers"]
            for observer, own_state in zip(self.observers, first, strict=True):
                observer.load_state_dict(own_state)
            self._merge(others)

    def _check_observers(self) -> None:
        """See that what the processes observe can be put together."""
        for observer in self.observers:
            kind = type(observer)
            if (
                self.processes.count > 1
                and kind.observe is not Observer.observe
                and kind.merge is Observer.merge
            ):
                raise InputError(
                    f"{kind.__name__} sees batches and has no `merge`: it cannot be used in "
                    f"{self.processes.count} processes. Run one, or add it."
                )

    def _merge(self, others: Sequence[Sequence[dict[str, Any]]]) -> None:
        """Add other processes' observations; `others` holds one state per observer each."""
        for index, observer in enumerate(self.observers):
            if type(observer).merge is not Observer.merge:
                observer.merge([states[index] for states in others])


@contextmanager
def _maybe_task(description: str | None, total: int) -> Iterator[Callable[[float], None]]:
    if description is None:
        yield lambda _: None
        return
    with task(description, total) as advance:
        yield advance
