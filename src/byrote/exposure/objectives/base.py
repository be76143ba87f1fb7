"""What an objective is to the loop of an exposure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from torch import Tensor, nn

from byrote import _options

if TYPE_CHECKING:
    from byrote.exposure.batches import Batch
    from byrote.exposure.sequences import Sequences
    from byrote.models.loading import LoadedModel

__all__ = ["Objective", "Setting", "above", "between", "whole"]


@dataclass(frozen=True, slots=True, eq=False)
class Setting:
    """The exposure that an objective serves, before its first step.

    Attributes:
        loaded: The model that learns, with its tokenizer.
        sequences: Everything that is shown.
        step_size: How many of them one step takes.
        precision: `float32`, or `bf16` for products in bfloat16.
        seed: Of the exposure.
    """

    loaded: LoadedModel
    sequences: Sequences
    step_size: int = 1
    precision: str = "float32"
    seed: int = 0


class Objective:
    """What is learned from a batch; an instance serves one exposure.

    An objective that looks at logits and labels only is a plain function with the signature of
    `__call__` and its options behind (see `next_token`). What needs more derives from this class:
    its options are the arguments of its constructor, which refuses bad ones with an `InputError`
    before any model is loaded. The loop calls `begin` once and then, for each batch, `forward`, and
    `__call__` unless that gave a loss.

    Nothing here may depend on how often it was called before, or a resumed exposure would differ
    from one that was never killed: what changes in time is drawn from the batch's `step`.
    """

    per_sequence: ClassVar[bool] = False
    """Whether sequences have to go through the model one by one; costs speed."""

    own_gradients: ClassVar[bool] = False
    """Whether `backward` and `finish` are called in place of the usual mean gradient."""

    def begin(self, setting: Setting) -> None:
        """Get ready: load a second model, compute masks. Called after the options were checked.

        Raises:
            InputError: It cannot serve this exposure.
        """

    def forward(self, model: Any, batch: Batch) -> tuple[Tensor, float] | None:
        """Run the model in a way of its own; None asks for the usual pass.

        Observers get a usual pass beside it, without gradient, which costs its time.

        Args:
            model: The model, under the autocast and the dropout of the config.
            batch: What is shown.

        Returns:
            As `__call__`.
        """
        return None

    def __call__(self, logits: Tensor, batch: Batch) -> tuple[Tensor, float]:
        """Judge a batch.

        Args:
            logits: float32 `[batch, positions, vocab]`; position p predicts `batch.labels[:, p]`.
            batch: What the logits were computed from.

        Returns:
            The sum of the losses (nats; a scalar with a gradient) and what it is to be divided by:
            the number of targets, or the sum of their weights. Both are added up over the batches
            and processes of a step before they are divided, so that its loss is a mean over all of
            its targets, however they are spread. A weight of 0 means that nothing is learned.
        """
        raise NotImplementedError

    def backward(self, loss: Tensor, parameters: Sequence[nn.Parameter]) -> None:
        """Add to the parameters' gradients what one batch's summed loss asks for.

        Only where `own_gradients` is set. The sums are then added up over processes.
        """
        raise NotImplementedError

    def finish(self, parameters: Sequence[nn.Parameter], weight: float, step: int) -> None:
        """Make of the sums over all batches and processes the gradient of the step.

        Only where `own_gradients` is set; called in every process, with the same result.

        Args:
            parameters: Their `.grad` holds the sums, or None where nothing was added.
            weight: The step's, over all processes; above 0.
            step: Optimiser steps taken before.
        """
        raise NotImplementedError

    def identity(self) -> dict[str, str]:
        """Give what the options do not say and a resumed exposure has to share; after `begin`."""
        return {}

    def report(self, epochs: int, steps: int) -> Mapping[str, Any]:
        """Say what the exposure came to beyond its losses, such as a privacy budget."""
        return {}


def above(objective: str, name: str, value: float, bound: float) -> None:
    """See that an objective's option is a finite number above a bound.

    Raises:
        InputError: It is not.
    """
    _options.above(f"objective {objective!r}", name, value, bound)


def between(objective: str, name: str, value: float, low: float, high: float) -> None:
    """See that an objective's option is a finite number within bounds, which belong to it.

    Raises:
        InputError: It is not.
    """
    _options.between(f"objective {objective!r}", name, value, low, high)


def whole(objective: str, name: str, value: int, least: int) -> None:
    """See that an objective's option is a whole number of at least so much.

    Raises:
        InputError: It is not.
    """
    _options.whole(f"objective {objective!r}", name, value, least)
