"""How the judges read the tables: strings of an experiment, paired by string, and directions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import polars as pl

from byrote.studies.claims import Judgement, NotTested, Tables, at_least, decide
from byrote.studies.dynamics.analysis import over_strings, spearman
from byrote.studies.dynamics.config import DynamicsConfig

__all__ = [
    "LEAST_STRINGS",
    "by_string",
    "censored_at_end",
    "direction",
    "number",
    "pretrained_models",
    "ranks",
    "within",
]

LEAST_STRINGS = 3
"""Fewer strings give no verdict."""


def by_string(tables: Tables, experiment: str) -> pl.DataFrame:
    """The rows of `phases` that an experiment reads, with its `ladder` and `step`.

    Raises:
        NotTested: The experiment was not run.
    """
    wanted = tables["experiments"].filter(pl.col("experiment") == experiment)
    found = wanted.join(tables["phases"], on="training", how="inner")
    if found.is_empty():
        raise NotTested(f"the experiment `{experiment}` was not part of this run")
    return found


def pretrained_models(config: DynamicsConfig, phases: pl.DataFrame) -> pl.DataFrame:
    """Only what models with pretrained weights learned.

    Raises:
        NotTested: There is none.
    """
    random = {
        name
        for name, model in config.models.items()
        if model.init == "random" or model.source.startswith("random:")
    }
    found = phases.filter(~pl.col("model").is_in(list(random)))
    if found.is_empty():
        raise NotTested("no pretrained model is part of this run's experiment")
    return found


def censored_at_end(phases: pl.DataFrame, column: str = "t_mem") -> pl.DataFrame:
    """Put the epoch after the last one where a string did not get there: a lower bound."""
    return phases.with_columns(pl.col(column).fill_null(pl.col("last_epoch") + 1).cast(pl.Float64))


def ranks(phases: pl.DataFrame, against: str, column: str) -> list[float]:
    """Spearman's rank correlation of a column with another, for each string.

    Raises:
        NotTested: There are fewer than three levels of `against`.
    """
    at_least(phases[against].n_unique(), 3, f"levels of {against}")
    found = []
    for _, group in phases.group_by("string", maintain_order=True):
        known = group.drop_nulls([against, column])
        if known[against].n_unique() < 3:
            continue
        found.append(spearman(known[against].to_numpy(), known[column].to_numpy()))
    return found


def direction(
    values: Iterable[float], sign: int, what: str, unit: str, predicate: str
) -> Judgement:
    """Judge whether a mean over strings lies on one side of zero.

    Args:
        values: One for each string (or chain).
        sign: 1 where the claim says above zero, -1 below.
        what: What the number is, in words.
        unit: Its unit, such as "epochs"; may be empty.
        predicate: What would hold, in words.

    Returns:
        Holds or fails where the 95 % t-interval over strings leaves zero out, else not tested.
    """
    known = [v for v in values if v is not None and np.isfinite(v)]
    at_least(len(known), LEAST_STRINGS, "strings")
    found = over_strings(known)
    numbers: dict[str, Any] = {k: found[k] for k in ("value", "low", "high")}
    text = f"{what}: {number(found)}{' ' + unit if unit else ''}, {len(known)} strings"
    if sign * found["low" if sign > 0 else "high"] > 0:
        return decide(True, text, predicate, n=len(known), **numbers)
    if sign * found["high" if sign > 0 else "low"] < 0:
        return decide(False, text, predicate, n=len(known), **numbers)
    why = f"{predicate}; the interval includes zero, so that these strings cannot tell"
    return Judgement("not tested", text, why, n=len(known), **numbers)


def within(
    values: Iterable[float],
    what: str,
    unit: str,
    *,
    least: float = -math.inf,
    most: float = math.inf,
) -> Judgement:
    """Judge whether a mean over strings lies within bounds.

    Args:
        values: One for each string.
        what: What the number is, in words.
        unit: Its unit; may be empty.
        least: Lower bound.
        most: Upper bound.

    Returns:
        Holds where the 95 % t-interval over strings lies within the bounds, fails where it lies
        outside; where it crosses a bound the strings cannot tell, and it is not tested.
    """
    known = [v for v in values if v is not None and np.isfinite(v)]
    at_least(len(known), LEAST_STRINGS, "strings")
    found = over_strings(known)
    text = f"{what}: {number(found)}{' ' + unit if unit else ''}, {len(known)} strings"
    numbers: dict[str, Any] = {k: found[k] for k in ("value", "low", "high")}
    predicate = f"holds {_bounds(least, most)}"
    if least <= found["low"] and found["high"] <= most:
        return decide(True, text, predicate, n=len(known), **numbers)
    if found["high"] < least or found["low"] > most:
        return decide(False, text, predicate, n=len(known), **numbers)
    why = f"{predicate}; the interval crosses the bound, so that these strings cannot tell"
    return Judgement("not tested", text, why, n=len(known), **numbers)


def _bounds(least: float, most: float) -> str:
    low, high = (f"{bound:g}".replace("-", "−") for bound in (least, most))
    if math.isinf(least):
        return f"up to {high}"
    return f"from {low} on" if math.isinf(most) else f"from {low} to {high}"


def number(found: Mapping[str, float]) -> str:
    """A mean with its interval, as `−0.54 (−0.60 to −0.48)`."""
    shown = [f"{found[key]:.2f}".replace("-", "−") for key in ("value", "low", "high")]
    return f"{shown[0]} ({shown[1]} to {shown[2]})"
