"""What an injection gives: sentences that can be put into a model and taken out again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from byrote.errors import InputError
from byrote.localization.columns import DeltaColumns, patched_columns
from byrote.localization.selection import Selection

if TYPE_CHECKING:
    import polars as pl

    from byrote.models.loading import LoadedModel
    from byrote.texts.passages import Passage

__all__ = ["Injected"]


@dataclass(frozen=True, slots=True, eq=False)
class Injected:
    """Sentences to be added to a model, each alone: what `Injection.inject` gives.

    Attributes:
        loaded: The model, which does not hold any of them.
        passages: The sentences.
        numbers: Of the examples, by which their neurons were chosen.
        neurons: bool `[examples, layers, width]`, where each was put: the ground truth.
        deltas: For each example `[chosen, hidden]`, on the CPU: what is added to the columns of its
            neurons, in the order of layers and indices.
        histories: For each example its losses in nats a token: before every update, and the last.
        steps: int64 `[examples]`, updates taken.
        nll: float64 `[examples]`, nats per suffix token of the injected model, without dropout.
        recited: bool `[examples]`, whether greedy decoding then writes the whole suffix.
    """

    loaded: LoadedModel
    passages: tuple[Passage, ...]
    numbers: tuple[int, ...]
    neurons: NDArray[np.bool_]
    deltas: tuple[Tensor, ...]
    histories: tuple[NDArray[np.float32], ...]
    steps: NDArray[np.int64]
    nll: NDArray[np.float64]
    recited: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.passages)

    def selection(self, example: int) -> Selection:
        """The neurons that an example was put into.

        Raises:
            InputError: There is no such example.
        """
        self._check([example])
        return Selection(self.neurons[example])

    @contextmanager
    def applied(self, examples: Sequence[int]) -> Iterator[None]:
        """Have examples in the model in forward passes inside the block, without touching weights.

        What is added is reckoned from the neurons as they reach the down-projection, so that a mask
        on them counts (`NeuronMap.scale`). Gradients pass. May be nested.

        Args:
            examples: Row r of a batch gets example `examples[r]`; one alone serves all rows of any
                batch. They count from 0 within this object, whatever their `numbers`.

        Raises:
            InputError: There is no such example (at once), or the batch has another size (when the
                model runs).
        """
        self._check(examples)
        columns = DeltaColumns.zeros(self.loaded, [self._chosen(i) for i in examples])
        columns.fill([self.deltas[i] for i in examples])
        with columns.applied(self.loaded):
            yield

    @contextmanager
    def patched(self, example: int) -> Iterator[None]:
        """Have an example in the model's own weights inside the block; then they are as before.

        Whatever reads the weights sees it: the fast localizers, `save_pretrained`. What comes back
        is what was there, bit by bit.

        Args:
            example: It counts from 0 within this object, whatever its number.

        Raises:
            InputError: There is no such example.
        """
        self._check([example])
        with patched_columns(self.loaded, self._chosen(example), self.deltas[example]):
            yield

    def table(self) -> pl.DataFrame:
        """One row an example.

        `loss_before` and `loss_stop` are the first and the last of training (nats a token, with
        dropout where there was any); `nll` and `recited` are of the injected model at rest.
        """
        import polars as pl

        return pl.DataFrame(
            {
                "example": list(self.numbers),
                "passage": [passage.id for passage in self.passages],
                "tokens": [passage.suffix_len for passage in self.passages],
                "neurons": [len(delta) for delta in self.deltas],
                "steps": self.steps,
                "loss_before": [float(history[0]) for history in self.histories],
                "loss_stop": [float(history[-1]) for history in self.histories],
                "nll": self.nll,
                "recited": self.recited,
            }
        )

    def _chosen(self, example: int) -> NDArray[np.int64]:
        return np.flatnonzero(self.neurons[example])

    def _check(self, examples: Sequence[int]) -> None:
        if not len(examples):
            raise InputError("No injected example was named: give one, or one for each row.")
        for example in examples:
            if not 0 <= example < len(self):
                raise InputError(
                    f"There is no injected example {example}: there are {len(self)}, from 0."
                )
