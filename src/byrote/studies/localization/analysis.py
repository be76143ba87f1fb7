"""From what cells measured to what is shown and judged.

An example of INJ, a target of DEL is what intervals are over; methods are compared on the same
ones.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from byrote.localization.deletion import changes
from byrote.localization.paired import paired_tests
from byrote.recall.intervals import t_mean
from byrote.studies.localization.config import LocalizationConfig
from byrote.studies.localization.methods import players
from byrote.studies.localization.tables import table_of

__all__ = ["MEASURES", "analyse", "changed", "paired", "values_of"]

MEASURES = (
    "self_accuracy",
    "self_distance",
    "neg_accuracy",
    "neg_distance",
    "text_nll",
    "perplexity",
    "paper_perplexity",
    "specificity",
)
"""What a deletion changes; `specificity` is accuracy that the target loses less that of others."""

_TESTED = ("hard-concrete", "slimming")
_AGAINST = "integrated-gradients"
# Fewer methods have no ranking worth the name.
_LEAST_RANKED = 4


def analyse(
    tables: Mapping[str, pl.DataFrame], config: LocalizationConfig
) -> dict[str, pl.DataFrame]:
    """Make the derived tables that the cells' tables allow."""
    derived: dict[str, pl.DataFrame] = {}
    recalls, deletions = tables.get("recalls"), tables.get("deletions")
    if recalls is not None:
        derived["recall_means"] = _recall_means(recalls)
    if deletions is not None:
        derived["deletion_means"] = _deletion_means(deletions)
    if recalls is not None or deletions is not None:
        derived["significance"] = _significance(recalls, deletions, config)
    if recalls is not None and deletions is not None:
        derived["agreement"] = _agreement(recalls, deletions, config)
    return derived


def changed(deletions: pl.DataFrame) -> pl.DataFrame:
    """`deletions` with one column for each of `MEASURES`, after less before."""
    found = changes(deletions)
    return found.with_columns(specificity=pl.col("neg_accuracy") - pl.col("self_accuracy"))


def values_of(table: pl.DataFrame, method: str, unit: str, measure: str) -> dict[str, float]:
    """A measure of a method, by example or target; without those that have none.

    Args:
        table: With `method`, the unit and the measure; one row for each.
        method: Which one.
        unit: What intervals are over: `example`, `target`, `passage`.
        measure: Which column.
    """
    own = table.filter(pl.col("method") == method).select(unit, measure)
    return {key: value for key, value in own.iter_rows() if value is not None}


def paired(
    table: pl.DataFrame, measure: str, method: str, other: str, unit: str = "target"
) -> list[float]:
    """Differences of a method to another, one for each example or target that both have."""
    one, two = (values_of(table, name, unit, measure) for name in (method, other))
    return [one[key] - two[key] for key in one if key in two]


def _recall_means(recalls: pl.DataFrame) -> pl.DataFrame:
    keys = ("model", "fraction", "method", "scope", "multiple", "k")
    rows = []
    for key, group in recalls.group_by(*keys, maintain_order=True):
        rows.append(
            {
                **dict(zip(keys, key, strict=True)),
                **_interval(group["recall"].to_list()),
                "ceiling": group["ceiling"].mean(),
                "random": group["random"].mean(),
            }
        )
    return table_of("recall_means", rows)


def _deletion_means(deletions: pl.DataFrame) -> pl.DataFrame:
    keys = ("setting", "method", "fraction", "scope")
    rows = []
    for key, group in changed(deletions).group_by(*keys, maintain_order=True):
        named = dict(zip(keys, key, strict=True))
        for measure in MEASURES:
            found = group[measure].drop_nulls()
            if not found.is_empty():
                rows.append({**named, "measure": measure, **_interval(found.to_list())})
    return table_of("deletion_means", rows)


def _interval(values: Sequence[float]) -> dict[str, float]:
    found = t_mean(values)
    error = float(np.std(values, ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else math.nan
    return {
        "value": found.value,
        "low": found.low,
        "high": found.high,
        "se": error,
        "n": found.n,
    }


def _significance(
    recalls: pl.DataFrame | None, deletions: pl.DataFrame | None, config: LocalizationConfig
) -> pl.DataFrame:
    """The tests of the paper, held to the number that this run makes of a method."""
    tests: list[tuple[dict[str, Any], pl.DataFrame, str, str]] = []
    if recalls is not None:
        layerwise = recalls.filter(pl.col("scope") == "layer")
        keys = ("model", "fraction", "multiple")
        for (model, fraction, multiple), group in layerwise.group_by(*keys, maintain_order=True):
            marks = {"benchmark": "inj", "where": model, "fraction": fraction, "at": multiple}
            tests.append((marks, group, "example", "recall"))
    if deletions is not None:
        layerwise = changed(deletions).filter(pl.col("scope") == "layer")
        lost = layerwise.with_columns(lost=-pl.col("self_accuracy"))
        for (setting, fraction), group in lost.group_by("setting", "fraction", maintain_order=True):
            marks = {"benchmark": "del", "where": setting, "fraction": None, "at": fraction}
            tests.append((marks, group, "target", "lost"))
    rows = []
    for part in _TESTED:
        for benchmark in ("inj", "del"):
            own = [test for test in tests if test[0]["benchmark"] == benchmark]
            rows += _tests_of(part, own, config)
    return table_of("significance", rows)


def _tests_of(
    part: str,
    tests: Sequence[tuple[dict[str, Any], pl.DataFrame, str, str]],
    config: LocalizationConfig,
) -> list[dict[str, Any]]:
    """The tests of one pruning method in one benchmark, which are a family."""
    pairs = []
    for marks, group, unit, measure in tests:
        cast = players(config, group["method"].unique(maintain_order=True).to_list())
        if part not in cast or _AGAINST not in cast:
            continue
        one, two = (values_of(group, cast[name], unit, measure) for name in (part, _AGAINST))
        shared = [key for key in one if key in two]
        if shared:
            own, base = [one[key] for key in shared], [two[key] for key in shared]
            pairs.append((marks, cast[part], cast[_AGAINST], own, base))
    rows = []
    for marks, method, against, own, base in pairs:
        values = {method: own, against: base}
        found = paired_tests(values, against, family=len(pairs)).row(0, named=True)
        gap = t_mean([a - b for a, b in zip(own, base, strict=True)])
        rows.append(
            {
                **marks,
                "part": part,
                "method": method,
                "against": against,
                **{key: found[key] for key in ("n", "difference", "p", "threshold", "significant")},
                "low": gap.low,
                "high": gap.high,
            }
        )
    return rows


def _agreement(
    recalls: pl.DataFrame, deletions: pl.DataFrame, config: LocalizationConfig
) -> pl.DataFrame:
    """Rank the paper's methods by mean Recall@r, and by what each target of DEL loses."""
    from scipy import stats

    plain = recalls.filter((pl.col("scope") == "layer") & (pl.col("multiple") == 1))
    lost = changed(deletions).filter(pl.col("scope") == "layer")
    rows = []
    for (model, fraction), group in plain.group_by("model", "fraction", maintain_order=True):
        means = dict(group.group_by("method").agg(pl.col("recall").mean()).iter_rows())
        cast = players(config, [name for name in config.methods if name in means])
        keys = ("setting", "fraction", "target")
        for (setting, dropped, target), own in lost.group_by(*keys, maintain_order=True):
            known = dict(own.select("method", "self_accuracy").iter_rows())
            there = players(config, [name for name in config.methods if name in known])
            shared = [part for part in cast if part in there]
            if len(shared) < _LEAST_RANKED:
                continue
            one = [means[cast[part]] for part in shared]
            two = [-known[there[part]] for part in shared]
            flat = len(set(one)) < 2 or len(set(two)) < 2
            rows.append(
                {
                    "model": model,
                    "injected": fraction,
                    "setting": setting,
                    "dropped": dropped,
                    "target": target,
                    "methods": len(shared),
                    "correlation": 0.0 if flat else float(stats.spearmanr(one, two)[0]),  # type: ignore[arg-type]
                }
            )
    return table_of("agreement", rows)
