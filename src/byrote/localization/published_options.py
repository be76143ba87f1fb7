"""Hyperparameters of the pruning methods as Chang et al. (2311.09060) published them in their code.

Of those that the search chose; the scripts that searched are not in the repository. At r = 0.1 %
Slimming's are not given for any model, and those of INJ for Hard Concrete on GPT2-XL and
Pythia-6.9B are one set for both fractions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from byrote.errors import InputError

__all__ = ["PUBLISHED", "published"]

_INJ_EPOCHS = 4000


def _slimming(penalty: float, lr: float, epochs: int, stop: float) -> dict[str, Any]:
    return {"penalty": penalty, "lr": lr, "epochs": epochs, "stop": stop}


def _concrete(
    penalty: float, lr: float, init: float, beta: float, epochs: int, stop: float
) -> dict[str, Any]:
    return _slimming(penalty, lr, epochs, stop) | {"init": init, "beta": beta}


_SKIPPED = {"skip_layers": (0,)}
_NOISY = {"skip_layers": (0,), "noisy_skipped": True}

PUBLISHED: Mapping[tuple[str, str, str, float | None], Mapping[str, Any]] = {
    ("slimming", "del", "gpt2-xl", None): _slimming(30000, 1e-2, 60, 0.1) | _SKIPPED,
    ("slimming", "del", "pythia-2.8b", None): _slimming(30000, 1e-2, 55, 0.35) | _SKIPPED,
    ("slimming", "del", "pythia-6.9b", None): _slimming(30000, 5e-3, 60, 0.4) | _SKIPPED,
    ("hard-concrete", "del", "gpt2-xl", None): (
        _concrete(1000, 1e-3, 0.9, 0.33, 200, 0.1) | _NOISY
    ),
    ("hard-concrete", "del", "pythia-2.8b", None): (
        _concrete(2000, 1e-3, 0.9, 0.33, 700, 0.4) | _NOISY
    ),
    ("hard-concrete", "del", "pythia-6.9b", None): (
        _concrete(2000, 1e-3, 0.9, 0.33, 200, 0.4) | _NOISY
    ),
    ("slimming", "inj", "gpt2", 0.01): _slimming(15000, 5e-3, _INJ_EPOCHS, 0.2),
    ("slimming", "inj", "gpt2-xl", 0.01): _slimming(80000, 1e-3, _INJ_EPOCHS, 0.1),
    ("slimming", "inj", "pythia-2.8b", 0.01): _slimming(30000, 1e-3, _INJ_EPOCHS, 0.1),
    ("slimming", "inj", "pythia-6.9b", 0.01): _slimming(10000, 1e-2, _INJ_EPOCHS, 0.1),
    ("hard-concrete", "inj", "gpt2", 0.01): _concrete(100, 1e-3, 0.5, 0.67, _INJ_EPOCHS, 0.6),
    ("hard-concrete", "inj", "gpt2", 0.001): _concrete(1000, 1e-2, 0.5, 0.33, _INJ_EPOCHS, 0.4),
    ("hard-concrete", "inj", "gpt2-xl", None): _concrete(500, 1e-3, 0.2, 0.67, _INJ_EPOCHS, 0.4),
    ("hard-concrete", "inj", "pythia-2.8b", 0.01): (
        _concrete(500, 1e-3, 0.2, 0.33, _INJ_EPOCHS, 0.1)
    ),
    ("hard-concrete", "inj", "pythia-2.8b", 0.001): (
        _concrete(2000, 1e-3, 0.5, 0.33, _INJ_EPOCHS, 0.3)
    ),
    ("hard-concrete", "inj", "pythia-6.9b", None): (
        _concrete(2000, 5e-3, 0.5, 0.33, _INJ_EPOCHS, 0.1)
    ),
}
"""From method, benchmark (`inj`, `del`), model and fraction of neurons (None: any) to options."""


def published(
    method: str, benchmark: str, model: str, fraction: float | None = None
) -> dict[str, Any]:
    """Look up published options of a pruning method, for `find_localizer`.

    Args:
        method: `slimming` or `hard-concrete`.
        benchmark: `inj` or `del`.
        model: `gpt2`, `gpt2-xl`, `pythia-2.8b` or `pythia-6.9b`.
        fraction: Of the neurons that an injection trained; means nothing for `del`.

    Raises:
        InputError: None were published for these.
    """
    for key in ((method, benchmark, model, fraction), (method, benchmark, model, None)):
        if key in PUBLISHED:
            return dict(PUBLISHED[key])
    near = [key for key in PUBLISHED if key[:2] == (method, benchmark)] or list(PUBLISHED)
    known = "; ".join(" ".join(str(part) for part in key if part is not None) for key in near)
    asked = " ".join(str(part) for part in (method, benchmark, model, fraction) if part is not None)
    raise InputError(f"No options were published for {asked}. There are: {known}.")
