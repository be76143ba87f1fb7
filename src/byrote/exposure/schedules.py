"""Learning rates by step, the same numbers as transformers' schedulers of these names."""

from __future__ import annotations

import math
from collections.abc import Callable

__all__ = ["SCHEDULES", "learning_rate", "warmup_steps"]

SCHEDULES: dict[str, Callable[[float], float]] = {
    "constant": lambda _: 1.0,
    "linear": lambda done: max(0.0, 1.0 - done),
    "cosine": lambda done: max(0.0, 0.5 * (1.0 + math.cos(math.pi * done))),
}
"""By name: the factor on the rate when a share `done` of the steps after warm-up is done."""


def warmup_steps(warmup: float, total: int) -> int:
    """Give the number of warm-up steps.

    Args:
        warmup: Below 1 a share of all steps (rounded up), else the number itself.
        total: All steps.
    """
    return math.ceil(warmup * total) if warmup < 1 else int(warmup)


def learning_rate(lr: float, schedule: str, index: int, total: int, warmup: float = 0.0) -> float:
    """Give the learning rate of one step.

    As in transformers, the first step of a warm-up has the rate 0, and a schedule that falls would
    reach 0 in the step after the last.

    Args:
        lr: The highest rate.
        schedule: A key of `SCHEDULES`.
        index: The step, from 0.
        total: All steps.
        warmup: As for `warmup_steps`.
    """
    warm = warmup_steps(warmup, total)
    if index < warm:
        return lr * index / max(1, warm)
    return lr * SCHEDULES[schedule]((index - warm) / max(1, total - warm))
