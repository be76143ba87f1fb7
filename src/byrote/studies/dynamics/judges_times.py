"""Judges of E3 to E5: epochs by length and by the size of the model, order of positions."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import polars as pl

from byrote.studies.claims import Judgement, NotTested, Tables, at_least
from byrote.studies.dynamics.config import DynamicsConfig
from byrote.studies.dynamics.reading import (
    by_string,
    groups,
    is_untrained,
    orders,
    paired,
    pretrained_models,
    spans,
    uniform,
    uniform_strings,
)
from byrote.studies.weighing import (
    SIGNED_SHARE,
    Span,
    direction,
    each,
    within,
)

__all__ = [
    "larger_faster",
    "larger_faster_scratch",
    "length_pretrained",
    "length_untrained",
    "order_pretrained",
    "order_untrained",
    "twins",
]

_SAME_LENGTH_FACTOR = 2.0
_NO_ORDER = 0.2
_FACTOR = (0.0, math.inf)


def length_pretrained(tables: Tables, config: DynamicsConfig) -> Judgement:
    """Logs of the authors: the longest string takes at most twice the epochs of the shortest."""

    def judge(group: pl.DataFrame) -> Judgement:
        short, long = _ends(group)
        both = _lengths(group, short, long)
        return within(
            _factors(both),
            f"factor from n = {short} to {long} ({_medians(both)})",
            most=_SAME_LENGTH_FACTOR,
            limits=_FACTOR,
        )

    found = pretrained_models(config, by_string(tables, "length"))
    return each(groups(found, "model"), judge, "models")


def length_untrained(tables: Tables, config: DynamicsConfig) -> Judgement:
    """Logs of the authors: epochs grow by a larger factor than for the pretrained twin."""

    def judge(pair: tuple[pl.DataFrame, pl.DataFrame]) -> Judgement:
        untrained, pretrained = pair
        shared = sorted(set(untrained["n"]) & set(pretrained["n"]))
        at_least(len(shared), 2, "lengths that both models learned")
        short, long = shared[0], shared[-1]
        ours, theirs = (_lengths(one, short, long) for one in pair)
        factors = dict(zip(theirs["string"], _factors(theirs), strict=True))
        values = [
            factor - factors[string]
            for string, factor in zip(ours["string"], _factors(ours), strict=True)
            if string in factors
        ]
        medians = f"{_medians(ours)}, pretrained {_medians(theirs)}"
        what = f"difference of the factors from n = {short} to {long} ({medians})"
        return direction(values, 1, what)

    return each(twins(tables, config), judge, "models")


def larger_faster(tables: Tables, config: DynamicsConfig) -> Judgement:
    """Section 3: epochs fall with the parameters in each ladder of pretrained models."""
    return _ladders(tables, config, pretrained=True)


def larger_faster_scratch(tables: Tables, config: DynamicsConfig) -> Judgement:
    """Beyond the paper: the same for ladders of models from scratch."""
    return _ladders(tables, config, pretrained=False)


def order_pretrained(tables: Tables, config: DynamicsConfig) -> Judgement:
    """E5: the rank correlation of position and epoch lies within 0.2 of zero."""

    def judge(group: pl.DataFrame) -> Judgement:
        values = orders(tables, group)
        return within(
            values, "rank correlation", least=-_NO_ORDER, most=_NO_ORDER, limits=SIGNED_SHARE
        )

    found = uniform(pretrained_models(config, by_string(tables, "phases")))
    return each(groups(found, "model", "letters"), judge, "models and alphabets")


def order_untrained(tables: Tables, config: DynamicsConfig) -> Judgement:
    """Rasters of the authors: the rank correlation is above zero for the longest strings."""

    def judge(group: pl.DataFrame) -> Judgement:
        return direction(orders(tables, group), 1, "rank correlation", limits=SIGNED_SHARE)

    found = _untrained(tables, config)
    longest = found.filter(pl.col("n") == pl.col("n").max().over("model"))
    return each(groups(longest, "model"), judge, "models")


def twins(
    tables: Tables, config: DynamicsConfig
) -> Iterator[tuple[str, tuple[pl.DataFrame, pl.DataFrame]]]:
    """Each untrained model of E8 and the pretrained one of the same shape.

    Yields:
        The words that name the pair, and the rows of `by_string` of both: untrained, pretrained.

    Raises:
        NotTested: An untrained model has no pretrained twin in this run.
    """
    untrained = _untrained(tables, config)
    everything = uniform_strings(tables)
    letters = untrained["letters"].unique().to_list()
    others = everything.filter(pl.col("letters").is_in(letters))
    run = others["model"].unique(maintain_order=True).to_list()
    for name, group in groups(untrained, "model"):
        model = group["model"][0]
        shape = _shape(config.models[model].source)
        twin = next(
            (
                other
                for other in run
                if other in config.models
                and not is_untrained(config, other)
                and _shape(config.models[other].source) == shape
            ),
            None,
        )
        if twin is None:
            raise NotTested(f"no pretrained model of the shape of {model} was run")
        yield f"{name}, against {twin}", (group, others.filter(pl.col("model") == twin))


def _untrained(tables: Tables, config: DynamicsConfig) -> pl.DataFrame:
    found = by_string(tables, "untrained").filter(pl.col("part") == "all")
    random = [name for name in config.models if is_untrained(config, name)]
    found = found.filter(pl.col("model").is_in(random))
    if found.is_empty():
        raise NotTested("no model with random weights is part of this run's experiment")
    return found


def _shape(source: str) -> str:
    """A source without its revision: step 0 of a published model has the shape of its last one."""
    return source.partition("@")[0]


def _ladders(tables: Tables, config: DynamicsConfig, *, pretrained: bool) -> Judgement:
    found = by_string(tables, "size").drop_nulls("ladder")
    random = [name for name in config.models if is_untrained(config, name)]
    mixed = pl.col("model").is_in(random)
    kept = found.filter((~mixed if pretrained else mixed).all().over("ladder"))
    if kept.is_empty():
        kind = "pretrained models" if pretrained else "models from scratch"
        raise NotTested(f"no ladder of {kind} is part of this run's experiment")

    def judge(group: pl.DataFrame) -> Judgement:
        count = group["parameters"].n_unique()
        at_least(count, 2, "sizes in a ladder")
        values = [
            _slope(one)
            for _, one in group.group_by("string", maintain_order=True)
            if one["parameters"].n_unique() == count
        ]
        return direction(values, -1, "doublings of the epochs for each doubling of the parameters")

    return each(groups(kept, "ladder"), judge, "ladders")


def _slope(ladder: pl.DataFrame) -> Span:
    """Least squares through the logarithms; each bound takes the worst of every epoch."""
    x = np.log2(ladder["parameters"].to_numpy())
    weights = (x - x.mean()) / ((x - x.mean()) ** 2).sum()
    low = np.log2(np.maximum(ladder["t_low"].to_numpy(), 1.0))
    high = np.log2(np.maximum(ladder["t_high"].to_numpy(), 1.0))
    used = weights != 0
    rising = weights[used] > 0
    lower = np.where(rising, low[used], high[used])
    upper = np.where(rising, high[used], low[used])
    return Span(float(weights[used] @ lower), float(weights[used] @ upper))


def _ends(group: pl.DataFrame) -> tuple[int, int]:
    lengths = sorted(set(group["n"]))
    at_least(len(lengths), 2, "lengths")
    return lengths[0], lengths[-1]


def _lengths(group: pl.DataFrame, short: int, long: int) -> pl.DataFrame:
    """Two lengths of a string side by side, the longer one first."""
    one, other = (group.filter(pl.col("n") == n) for n in (long, short))
    return paired(one, other)


def _factors(both: pl.DataFrame) -> list[Span]:
    longer, shorter = spans(both), spans(both, "_other")
    return [a.over(b) for a, b in zip(longer, shorter, strict=True)]


def _medians(both: pl.DataFrame) -> str:
    """Median epochs, of which those not reached count as the epoch after the last."""
    short, long = both["t_low_other"].median(), both["t_low"].median()
    more = "> " if both["t_mem"].null_count() else ""
    return f"median {short:g} to {more}{long:g} epochs" if len(both) else "no strings"
