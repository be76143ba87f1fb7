"""How the judges read the tables: strings of an experiment, groups of them, bounds and ranks."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

import numpy as np
import polars as pl

from byrote.studies.claims import NotTested, Tables, at_least
from byrote.studies.dynamics.analysis import learned_at, spearman
from byrote.studies.dynamics.config import DynamicsConfig
from byrote.studies.weighing import SIGNED_SHARE, Span

__all__ = [
    "by_string",
    "groups",
    "is_untrained",
    "orders",
    "paired",
    "pretrained_models",
    "ranks",
    "spans",
    "uniform",
    "uniform_strings",
]

_STEP_0 = re.compile(r"@step0$")


def is_untrained(config: DynamicsConfig, name: str) -> bool:
    """Whether a model of the config starts from random weights: drawn here, or of a step 0."""
    model = config.models.get(name)
    if model is None:
        return False
    source = model.source
    return model.init == "random" or source.startswith("random:") or bool(_STEP_0.search(source))


def by_string(tables: Tables, experiment: str) -> pl.DataFrame:
    """The rows of `phases` that an experiment reads, one a string of an exposure.

    Returns:
        With its `ladder` and `step`, with `family`, `lr` and `epochs_at_most` of the exposure, and
        with the bounds `t_low` and `t_high` of `t_mem`, epochs.

    Raises:
        NotTested: The experiment was not run.
    """
    wanted = tables["experiments"].filter(pl.col("experiment") == experiment)
    found = wanted.join(tables["phases"], on="training", how="inner")
    if found.is_empty():
        raise NotTested(f"the experiment `{experiment}` was not part of this run")
    return _described(tables, found)


def uniform_strings(tables: Tables) -> pl.DataFrame:
    """As `by_string`, for all exposures of whole models to uniform strings, of any experiment."""
    return _described(tables, uniform(tables["phases"]))


def uniform(found: pl.DataFrame) -> pl.DataFrame:
    """Only exposures of whole models to uniform strings."""
    return found.filter((pl.col("distribution") == "uniform") & (pl.col("part") == "all"))


def _described(tables: Tables, found: pl.DataFrame) -> pl.DataFrame:
    facts = tables["trainings"].select(
        "training", pl.col("string").cast(pl.Int64), "family", "lr", "epochs_at_most"
    )
    late = (pl.col("last_epoch") + 1).cast(pl.Float64)
    return (
        found.with_columns(pl.col("string").cast(pl.Int64))
        .join(facts, on=["training", "string"], how="left")
        .with_columns(
            t_low=pl.col("t_mem").cast(pl.Float64).fill_null(late),
            t_high=pl.col("t_mem").cast(pl.Float64).fill_null(math.inf),
        )
    )


def pretrained_models(config: DynamicsConfig, found: pl.DataFrame) -> pl.DataFrame:
    """Only the rows of models with pretrained weights; `found` has a column `model`.

    Raises:
        NotTested: There are none.
    """
    random = [name for name in config.models if is_untrained(config, name)]
    kept = found.filter(~pl.col("model").is_in(random))
    if kept.is_empty():
        raise NotTested("no pretrained model is part of this run's experiment")
    return kept


def groups(found: pl.DataFrame, *keys: str) -> Iterator[tuple[str, pl.DataFrame]]:
    """Split rows of `by_string`, each part with the words that name it for the reader."""
    for _, group in found.group_by(*keys, maintain_order=True):
        yield _named(group), group.sort("string")


def _named(group: pl.DataFrame) -> str:
    names = ", ".join(group["model"].unique(maintain_order=True))
    if group["init"].n_unique() == 1 and group["init"][0] == "random":
        names += " (untrained)"
    parts = [names]
    for column, words in (("letters", "{} letters"), ("n", "n = {}")):
        if group[column].n_unique() == 1:
            parts.append(words.format(group[column][0]))
    most = " or ".join(str(epochs) for epochs in sorted(set(group["epochs_at_most"])))
    parts.append(f"up to {most} epochs")
    rates = [f"{rate:g}" for rate in sorted(set(group["lr"]))]
    return f"{', '.join(parts)} at lr {' to '.join(dict.fromkeys(rates))}"


def spans(found: pl.DataFrame, suffix: str = "") -> list[Span]:
    """The epochs of memorisation, row by row, from the columns `t_low` and `t_high`."""
    columns = (found[f"t_low{suffix}"], found[f"t_high{suffix}"])
    return [Span(low, high) for low, high in zip(*columns, strict=True)]


def paired(one: pl.DataFrame, other: pl.DataFrame) -> pl.DataFrame:
    """Rows of two exposures side by side, string by string; those of `other` end in `_other`."""
    return one.join(other, on="string", how="inner", suffix="_other").sort("string")


def ranks(found: pl.DataFrame, against: str, low: str, high: str | None = None) -> list[Span]:
    """Spearman's rank correlation with `against`, for each string that has all levels of it.

    Args:
        found: One row for each string and level.
        against: The column of the levels.
        low: The column to correlate, or its lower bounds.
        high: Its upper bounds, infinite where it was not reached.

    Raises:
        NotTested: There are fewer than three levels of `against`.
    """
    levels = found[against].n_unique()
    at_least(levels, 3, f"levels of {against}")
    result = []
    for _, group in found.group_by("string", maintain_order=True):
        known = group.drop_nulls([against, low])
        if known[against].n_unique() == levels:
            bounds = known[low].to_numpy(), known[high or low].to_numpy()
            result.append(_rank_span(known[against].to_numpy(), *bounds))
    return result


def _rank_span(x: np.ndarray, low: np.ndarray, high: np.ndarray) -> Span:
    """The rank correlations that are possible, wherever what was not reached would come."""
    y = np.asarray(low, dtype=float)
    late = np.isinf(high)
    if not late.any():
        rho = spearman(x, y)
        return Span(rho, rho)
    if not late.all() and y[late].min() <= y[~late].max():
        # It may come before or after what was reached in a longer exposure.
        return Span(*SIGNED_SHARE)
    # All that is late comes last, in an order that nobody knows: at best in that of x.
    place = np.argsort(np.argsort(x[late], kind="stable"), kind="stable")
    found = []
    for order in (place, -place):
        filled = y.copy()
        filled[late] = y.max() + 1 + order - order.min()
        found.append(spearman(x, filled))
    return Span(min(found), max(found))


def orders(tables: Tables, found: pl.DataFrame) -> list[Span]:
    """Rank correlation of a token's position with the epoch from which it is right for good.

    Args:
        tables: With `positions`; strings below 8 positions are left out, as in `order`.
        found: The exposures and strings, rows of `by_string`.
    """
    order = tables["order"].drop_nulls("spearman").with_columns(pl.col("string").cast(pl.Int64))
    wanted = found.join(order, on=["training", "string"], how="semi").sort("string")
    positions = tables["positions"]
    result = []
    for row in wanted.iter_rows(named=True):
        learned = learned_at(
            positions.filter(
                (pl.col("training") == row["training"]) & (pl.col("string") == row["string"])
            )
        )
        late = np.where(np.isnan(learned), math.inf, learned)
        early = np.where(np.isnan(learned), row["last_epoch"] + 1, learned)
        result.append(_rank_span(np.arange(len(learned)), early, late))
    return result
