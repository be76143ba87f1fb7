"""Objectives by name."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from byrote.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    from byrote.exposure.batches import Batch

__all__ = ["OBJECTIVES", "Objective", "find_objective"]

OBJECTIVES: dict[str, str] = {
    "next-token": "byrote.exposure.objectives.next_token:next_token",
}
"""Module and function of each; a new objective is registered here."""


class Objective(Protocol):
    """The loss of a batch as a sum and a count, so that parts of a batch add up exactly."""

    def __call__(self, logits: Tensor, batch: Batch, **options: Any) -> tuple[Tensor, int]:
        """Judge a batch.

        Args:
            logits: float32 `[batch, positions, vocab]`; position p predicts `batch.labels[:, p]`.
            batch: What the logits were computed from.
            options: The objective's own, as keywords.

        Returns:
            The sum of the losses (nats; a scalar with a gradient) and the number of targets.
        """
        ...


def find_objective(name: str, options: Mapping[str, Any] | None = None) -> Objective:
    """Give an objective by name, and see that it takes the options.

    Raises:
        InputError: There is none of that name, or it has no such option, or lacks one.
    """
    if name not in OBJECTIVES:
        raise InputError(f"There is no objective {name!r}. There are: {', '.join(OBJECTIVES)}.")
    module, _, attribute = OBJECTIVES[name].partition(":")
    function = getattr(importlib.import_module(module), attribute)
    parameters = list(inspect.signature(function).parameters.values())[2:]
    try:
        inspect.Signature(parameters).bind(**(options or {}))
    except TypeError as error:
        known = ", ".join(parameter.name for parameter in parameters) or "none"
        raise InputError(f"The objective {name!r}: {error}. Its options: {known}.") from error
    return function
