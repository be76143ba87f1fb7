"""Measuring while a string is learned: what the training forward knows, and three further looks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from byrote.exposure import BatchView, EpochView, Observer, Recorder, Sequences, StepView
from byrote.models import LoadedModel
from byrote.recall.letters import LetterMeasures, letter_measures
from byrote.studies.watching import Looks, Progress
from byrote.texts.strings import StringSource

__all__ = [
    "MEASURES",
    "EarlyEnd",
    "Heldout",
    "Looks",
    "Progress",
    "StringMeter",
    "epoch_table",
    "position_table",
    "recorder",
]

MEASURES = (
    "loss",
    "accuracy",
    "mass",
    "entropy",
    "entropy_letters",
    "kl_model_source",
    "kl_source_model",
    "kl_model_empirical",
    "kl_empirical_model",
)
"""Columns of the `epochs` and `heldout` tables, as `LetterMeasures.mean` names them."""

_HELDOUT: dict[str, Any] = {
    "heldout": pl.Int32(),
    **{name: pl.Float64() for name in MEASURES},
    "position_loss": pl.List(pl.Float64()),
}


class StringMeter:
    """Reads the letter measures of strings of one source from logits.

    Args:
        source: Of the strings.
        strings: Token ids of each, without BOS, `[strings, n]`.
        sequences: The same as they are shown.
    """

    def __init__(
        self, source: StringSource, strings: Sequence[np.ndarray], sequences: Sequences
    ) -> None:
        self._ids = source.alphabet.ids
        self.sequences = sequences
        first = sequences.first
        self._true = np.stack([source.next_probabilities(ids)[first:] for ids in strings])
        self._empirical = np.stack([source.empirical(ids) for ids in strings])[:, None]

    def measure(self, logits: Any, labels: Any, indices: np.ndarray) -> LetterMeasures:
        """Read the measures of the strings at `indices` from `[batch, positions, vocab]`."""
        return letter_measures(
            logits, labels, self._ids, self._true[indices], self._empirical[indices]
        )

    def evaluate(self, model: Any, device: Any) -> list[LetterMeasures]:
        """Run the model on each string alone."""
        found = []
        for index in range(len(self.sequences)):
            batch = self.sequences.batch(np.array([index]), device)
            logits = model(input_ids=batch.input_ids, use_cache=False).logits
            found += self.measure(logits, batch.labels, batch.indices).each()
        return found


def recorder(meter: StringMeter) -> Recorder:
    """Keep, for every epoch, all means of a string, and loss and hit of each position."""

    def measure(view: BatchView) -> dict[str, np.ndarray]:
        each = meter.measure(view.logits, view.labels, view.indices).each()
        means = [one.mean() for one in each]
        return {
            **{name: np.array([mean[name] for mean in means]) for name in MEASURES},
            "position_loss": np.stack([one.loss for one in each]).astype(np.float32),
            "position_hit": np.stack([one.hit for one in each]),
        }

    return Recorder(measure)


class EarlyEnd(Observer):
    """Ends an exposure once a string is memorised for good.

    As the exposure's own `StopRule`, with two differences: the loss is the recorded one, of a pass
    without dropout, and it can be put off until the local prefix has been tried (E6).

    Args:
        record: The recorder of the string.
        loss: Nats; the recorded loss must be below it.
        epochs: For so many epochs in a row.
        least: Not before this epoch.
    """

    def __init__(self, record: Recorder, loss: float, epochs: int, least: int) -> None:
        self._record = record
        self._loss = loss
        self._epochs = epochs
        self._least = least

    def on_step(self, view: StepView) -> None:
        """End after this step if all epochs that count are low enough.

        Not at the beginning of the epoch that follows: the other observers must be told that it is
        the last one.
        """
        losses = self._record.arrays().get("loss", np.zeros(0))
        low = len(losses) >= self._epochs and bool((losses[-self._epochs :] < self._loss).all())
        if low and view.epoch >= self._least:
            view.stop()


class Heldout(Looks):
    """Measures fresh strings of the same source, which are never trained on.

    Args:
        meter: Of those strings.
        loaded: The model.
        every: Epochs between measurements; the last epoch is always measured.
    """

    def __init__(self, meter: StringMeter, loaded: LoadedModel, every: int) -> None:
        first = meter.sequences.first

        def look(view: EpochView) -> pl.DataFrame:
            found = meter.evaluate(view.model, loaded.device)
            return pl.DataFrame(
                [
                    {
                        "heldout": index,
                        **one.mean(),
                        "position_loss": [None] * first + one.loss.tolist(),
                    }
                    for index, one in enumerate(found)
                ],
                schema=_HELDOUT,
            )

        super().__init__(lambda view: view.last or view.epoch % every == 0, look, _HELDOUT)


def epoch_table(record: Recorder) -> pl.DataFrame:
    """One row for each epoch: the means over the positions asked."""
    found = record.arrays()
    return pl.DataFrame(
        {"epoch": found["epoch"].astype(np.int32), **{name: found[name] for name in MEASURES}}
    )


def position_table(record: Recorder, first: int) -> pl.DataFrame:
    """One row for each epoch and position that is asked for.

    Args:
        record: Of one string.
        first: Which token of the string the first position of the logits predicts.
    """
    found = record.arrays()
    epochs, positions = found["position_loss"].shape
    return pl.DataFrame(
        {
            "epoch": np.repeat(found["epoch"].astype(np.int32), positions),
            "position": np.tile(np.arange(first, first + positions, dtype=np.int32), epochs),
            "hit": found["position_hit"].ravel(),
            "loss": found["position_loss"].ravel(),
        }
    )
