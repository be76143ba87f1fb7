"""Objectives by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from byrote._registry import bind, lookup
from byrote.exposure.objectives.base import Objective

if TYPE_CHECKING:
    from torch import Tensor

    from byrote.exposure.batches import Batch

__all__ = ["OBJECTIVES", "find_objective"]

OBJECTIVES: dict[str, str] = {
    "next-token": "byrote.exposure.objectives.next_token:next_token",
    "goldfish": "byrote.exposure.objectives.goldfish:GoldfishLoss",
    "mile": "byrote.exposure.objectives.mile:Mile",
    "focal": "byrote.exposure.objectives.focal:Focal",
    "self-contrastive": "byrote.exposure.objectives.self_contrastive:SelfContrastive",
    "patch-level": "byrote.exposure.objectives.patch_level:PatchLevel",
    "dp-sgd": "byrote.exposure.objectives.dp_sgd:DpSgd",
}
"""Module and function or class of each; a new objective is registered here."""


class _Function(Objective):
    """An objective that is a function of logits and labels."""

    def __init__(self, function: Callable[..., Any], options: Mapping[str, Any]) -> None:
        self._function, self._options = function, dict(options)

    def __call__(self, logits: Tensor, batch: Batch) -> tuple[Tensor, float]:
        return self._function(logits, batch, **self._options)


def find_objective(name: str, options: Mapping[str, Any] | None = None) -> Objective:
    """Make an objective by name, and see that it takes the options.

    Args:
        name: One of `OBJECTIVES`.
        options: Its own, by name; those left out have their defaults.

    Returns:
        An objective for one exposure; `begin` has not been called.

    Raises:
        InputError: There is none of that name, or it has no such option, lacks one, or cannot use
            its value.
    """
    found = lookup("objective", name, OBJECTIVES)
    own = dict(options or {})
    a_class = inspect.isclass(found)
    parameters = list(inspect.signature(found).parameters.values())[0 if a_class else 2 :]
    bind("objective", name, parameters, own)
    objective: Any = found(**own) if a_class else _Function(found, own)
    return objective
