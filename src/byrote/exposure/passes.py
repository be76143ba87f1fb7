"""One pass over a batch: the model, the objective, and who watches."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from byrote.exposure.batches import Batch
from byrote.exposure.config import ExposureConfig
from byrote.exposure.dropout import seeded
from byrote.exposure.objectives import Objective
from byrote.exposure.observers import BatchView, Observer
from byrote.texts.seeds import derive_seed

__all__ = ["Passes"]


class Passes:
    """How the batches of one exposure go through the model.

    Args:
        model: In evaluation mode.
        config: Of the exposure.
        objective: Has begun.
        observers: Who is shown the logits.
        dropout: Whether training passes drop.
        stop: What observers may call.
    """

    def __init__(
        self,
        model: Any,
        config: ExposureConfig,
        objective: Objective,
        observers: Sequence[Observer],
        dropout: bool,
        stop: Callable[[], None],
    ) -> None:
        self.model, self.config, self.objective = model, config, objective
        self.observers, self.dropout, self.stop = tuple(observers), dropout, stop
        self.watched = any(
            getattr(o.observe, "__func__", None) is not Observer.observe for o in observers
        )

    def run(self, batch: Batch, *, observe: bool, training: bool = False) -> tuple[Tensor, float]:
        """Run the model and the objective, and show the logits to the observers.

        Args:
            batch: One sequence only if the pass is to drop.
            observe: Whether observers are shown it.
            training: Whether it drops, where the exposure does.

        Returns:
            The summed loss and what it is divided by.
        """
        logits: Tensor | None = None
        with self._autocast(batch), self._dropping(batch, training and self.dropout):
            judged = self.objective.forward(self.model, batch)
            if judged is None:
                logits = self._logits(batch)
        if logits is not None:
            judged = self.objective(logits, batch)
        assert judged is not None
        loss, weight = judged
        value = float(loss.detach())
        if observe and self.watched and math.isfinite(value):
            if logits is None:
                with torch.no_grad(), self._autocast(batch):
                    logits = self._logits(batch)
            self._show(batch, logits.detach(), value / weight if weight else 0.0)
        return loss, weight

    def _logits(self, batch: Batch) -> Tensor:
        return self.model(input_ids=batch.input_ids, use_cache=False).logits.float()

    def _show(self, batch: Batch, logits: Tensor, loss: float) -> None:
        view = BatchView(
            epoch=batch.epoch,
            step=batch.step,
            logits=logits,
            labels=batch.labels,
            input_ids=batch.input_ids,
            indices=batch.indices,
            loss=loss,
            model=self.model,
            stop=self.stop,
        )
        with torch.no_grad():
            for observer in self.observers:
                observer.observe(view)

    def _autocast(self, batch: Batch) -> torch.autocast:
        device = batch.input_ids.device.type
        return torch.autocast(device, torch.bfloat16, enabled=self.config.precision == "bf16")

    @contextmanager
    def _dropping(self, batch: Batch, on: bool) -> Iterator[None]:
        if not on:
            yield
            return
        (index,) = batch.indices
        seed = derive_seed(self.config.seed, "dropout", str(batch.step), str(index))
        self.model.train()
        try:
            with seeded(seed, batch.input_ids.device):
                yield
        finally:
            self.model.eval()
