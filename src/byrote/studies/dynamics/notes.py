"""What a reader of a run must know beside its numbers."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from byrote.studies.dynamics.config import DynamicsConfig

__all__ = ["notes"]

_PAPER_LENGTH = 1024
_PAPER_STRINGS = 5


def notes(tables: Mapping[str, pl.DataFrame], config: DynamicsConfig) -> list[str]:
    """How this run departs from the published setting, and what its numbers leave out."""
    found = []
    if config.phases.n != _PAPER_LENGTH:
        found.append(
            f"Strings of E1 have {config.phases.n} tokens; the paper's headline setting is "
            f"{_PAPER_LENGTH}. Epochs depend on the length, on the learning rate and on the model: "
            "compare their order, not their number."
        )
    if config.strings < _PAPER_STRINGS:
        found.append(
            f"{config.strings} strings a configuration (the paper has {_PAPER_STRINGS}): intervals "
            "are wide, and a directional claim whose interval includes zero stays open."
        )
    rates = {name: config.models[name].lr for name in _used(tables, config)}
    if rates:
        shown = ", ".join(f"{name} {lr:g}" for name, lr in rates.items())
        found.append(
            f"Learning rates, one a model for all its strings, {config.training.schedule} "
            f"schedule: {shown}."
        )
    if config.training.stop_loss is not None:
        found.append(
            f"An exposure ends after {config.training.stop_epochs} epochs in a row with a loss "
            f"below {config.training.stop_loss:g}, so numbers “at the end” are of that epoch."
        )
    phases = tables.get("phases")
    if phases is not None:
        censored = int(phases["t_mem"].is_null().sum())
        if censored:
            found.append(
                f"{censored} of {len(phases)} exposures were not memorised within their epochs. "
                "They count as later than all others in medians, and their last epoch is a lower "
                "bound in differences and factors: it can decide a claim only in the direction in "
                "which it is one."
            )
    if any(model.source.startswith("bundled:") for model in config.models.values()):
        found.append(
            "The bundled models' weights come from quantised files and are trained in float32; "
            "they are near to the published weights, not equal to them."
        )
    return found


def _used(tables: Mapping[str, pl.DataFrame], config: DynamicsConfig) -> list[str]:
    names: set[str] = set()
    for table in ("trainings", "sequential"):
        if table in tables:
            names |= set(tables[table]["model"])
    return [name for name in config.models if name in names]
