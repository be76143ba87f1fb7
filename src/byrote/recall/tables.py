"""From the table of passages to the tables that speak of many: summary, draws, coverage, fits.

Every function takes the frame of `passages.parquet` in any row order. Numbers come for each source
and category and for their pools (named "all"), at each prefix length, for the texts and for each
kind of control. Windows of one record are not independent: all intervals know the record.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from byrote.recall.coverage import greedy_coverage, probability_coverage
from byrote.recall.extraction import draws_needed
from byrote.recall.intervals import (
    Estimate,
    bootstrap_means,
    bootstrap_median,
    clopper_pearson,
    rate,
)
from byrote.recall.laws import log_linear_fit
from byrote.recall.measures import Measure, summary_measures
from byrote.recall.membership import attacks, auc, fpr_floor, tpr_at_fpr
from byrote.recall.pools import Pool, pools, table_of
from byrote.recall.schemas import (
    COVERAGE_SCHEMA,
    DISCOVERABLE_SCHEMA,
    FIT_SCHEMA,
    SUMMARY_SCHEMA,
    TEXTS,
)

__all__ = [
    "COVERAGE_THRESHOLDS",
    "DRAWS",
    "FITTED",
    "coverage_table",
    "discoverable_table",
    "fit_table",
    "summarise",
]

DRAWS: tuple[float, ...] = tuple(dict.fromkeys(float(round(10 ** (i / 4))) for i in range(25)))
"""Numbers of draws from 1 to a million, four in each power of ten."""
COVERAGE_THRESHOLDS = (0.5, 0.1, 0.01, 0.001)
FITTED = ("extractable", "token_accuracy", "discoverable")
"""Measures that are fitted against prefix length and count."""

_LOW_FPR = 0.01


def summarise(
    frame: pl.DataFrame,
    *,
    confidence: float = 0.95,
    seed: int = 0,
    n: float = 1000,
    p: float = 0.5,
    method: str = "wilson",
    sweep: bool = True,
) -> pl.DataFrame:
    """The long table of measures with their intervals.

    Rates get the interval `method`, the rest a bootstrap over records, or none where there are
    fewer than five. Where passages say whether they were in training, and both kinds occur, the
    membership attacks are judged as well.

    Args:
        frame: The passages.
        confidence: The level of the intervals.
        seed: Seed of the bootstrap; every pool uses the same, so equal data get equal intervals.
        n: Draws of (n, p)-discoverable extraction.
        p: Its probability.
        method: "wilson" or "clopper-pearson".
        sweep: Keep the prefix lengths apart, because they were swept; else they are pooled, and
            `prefix_len` is null where records brought several of their own.

    Returns:
        A frame of `SUMMARY_SCHEMA`; measures that no passage of a pool has are left out.

    Raises:
        InputError: An option is outside its range.
    """
    measures = summary_measures(n, p)
    rows: list[dict[str, Any]] = []
    for pool in pools(frame, by_prefix=sweep):
        rows += _measured(pool, measures, confidence, seed, method)
        if pool.group == TEXTS:
            rows += _attacked(pool, confidence, seed)
    return table_of(rows, SUMMARY_SCHEMA)


def discoverable_table(
    frame: pl.DataFrame,
    *,
    p: Sequence[float] = (0.1, 0.5, 0.9),
    draws: Sequence[float] = DRAWS,
    confidence: float = 0.95,
    method: str = "wilson",
    sweep: bool = True,
) -> pl.DataFrame:
    """The rate of (n, p)-discoverable extraction over a grid of n (Hayes et al. 2410.19482).

    Args:
        frame: The passages.
        p: The wanted probabilities, each strictly between 0 and 1.
        draws: The grid of n.
        confidence: The level of the intervals.
        method: "wilson" or "clopper-pearson".
        sweep: Keep the prefix lengths apart, as in `summarise`.

    Returns:
        A frame of `DISCOVERABLE_SCHEMA`.

    Raises:
        InputError: An option is outside its range.
    """
    rows = []
    for pool in pools(frame.filter(pl.col("logprob_sampled").is_not_null()), by_prefix=sweep):
        logprob, documents = pool.frame["logprob_sampled"].to_numpy(), pool.documents
        for chance in p:
            needed = draws_needed(logprob, chance)
            for n in draws:
                seen = rate(
                    needed <= n,
                    clusters=documents,
                    confidence=confidence,
                    method=method,
                )
                rows.append(
                    pool.key()
                    | {"p": chance, "n": n, "passages": seen.n, "rate": seen.value}
                    | {"low": seen.low, "high": seen.high}
                )
    return table_of(rows, DISCOVERABLE_SCHEMA)


def coverage_table(
    frame: pl.DataFrame, thresholds: Sequence[float] = COVERAGE_THRESHOLDS
) -> pl.DataFrame:
    """How much of each record is covered by recited spans (Cooper et al. 2505.12546).

    Args:
        frame: The passages; controls are left out.
        thresholds: Least probabilities of a window that counts, in (0, 1].

    Returns:
        A frame of `COVERAGE_SCHEMA`, with one row for each threshold and one, whose threshold is
        null, for greedy extraction.

    Raises:
        InputError: A threshold lies outside (0, 1].
    """
    texts = frame.filter(~pl.col("is_control") & pl.col("logprob_sampled").is_not_null())
    keys = ["source", "record", "category", "prefix_len"]
    rows = []
    for key, windows in texts.sort([*keys, "id"]).group_by(keys, maintain_order=True):
        offset, prefix, suffix, logprob, recited = (
            windows[name].to_numpy()
            for name in ("offset", "prefix_len", "suffix_len", "logprob_sampled", "extractable")
        )
        found = probability_coverage(offset, prefix, suffix, logprob, thresholds)
        found.append(greedy_coverage(offset, prefix, suffix, recited))
        for result in found:
            rows.append(
                dict(zip(keys, key, strict=True))
                | {"tokens": result.tokens, "threshold": result.threshold}
                | {"covered": result.covered, "coverage": result.share}
            )
    return table_of(rows, COVERAGE_SCHEMA)


def fit_table(
    frame: pl.DataFrame,
    *,
    n: float = 1000,
    p: float = 0.5,
    confidence: float = 0.95,
    seed: int = 0,
    sweep: bool = True,
) -> pl.DataFrame:
    """Log-linear fits against prefix length and count (Carlini et al. 2202.07646).

    Args:
        frame: The passages; controls are left out. A fit against one of the two pools the other.
        n: Draws of (n, p)-discoverable extraction.
        p: Its probability.
        confidence: The level of the slopes' intervals.
        seed: Seed of the bootstrap over records.
        sweep: Whether prefix lengths were swept. Where records brought their own, length and
            content differ together, so there is no fit against it.

    Returns:
        A frame of `FIT_SCHEMA`; empty where nothing was swept.

    Raises:
        InputError: An option is outside its range.
    """
    rows = []
    fitted = [m for m in summary_measures(n, p) if m.name in FITTED]
    for pool in pools(frame.filter(~pl.col("is_control")), by_prefix=False):
        for against in ("prefix_len", "count") if sweep else ("count",):
            x = pool.frame[against].cast(pl.Float64).to_numpy()
            for measure in fitted:
                fit = log_linear_fit(
                    x,
                    measure.of(pool.frame),
                    clusters=pool.documents,
                    confidence=confidence,
                    seed=seed,
                )
                if fit is not None:
                    rows.append(
                        {"against": against, "source": pool.source, "category": pool.category}
                        | {"measure": measure.name, "slope": fit.slope, "intercept": fit.intercept}
                        | {"r2": fit.r2, "n_points": fit.n_points}
                        | {"low": fit.low, "high": fit.high}
                    )
    return table_of(rows, FIT_SCHEMA)


def _measured(
    pool: Pool, measures: Sequence[Measure], confidence: float, seed: int, method: str
) -> list[dict[str, Any]]:
    """Summary rows of one pool, in the order of the measures."""
    documents = pool.documents
    found: dict[str, tuple[Estimate, int]] = {}
    # Columns that are known for the same passages share their resamples.
    together: dict[bytes, list[tuple[Measure, NDArray[np.float64]]]] = {}
    for measure in measures:
        values = measure.of(pool.frame)
        known = ~np.isnan(values)
        if known.any():
            together.setdefault(known.tobytes(), []).append((measure, values[known]))
    for mask, columns in together.items():
        labels = documents[np.frombuffer(mask, dtype=bool)]
        count = len(np.unique(labels))
        means = [(m, x) for m, x in columns if m.kind in ("mean", "exp_mean")]
        if means:
            estimates = bootstrap_means(
                np.stack([x for _, x in means], axis=1),
                clusters=labels,
                confidence=confidence,
                seed=seed,
            )
            for (measure, _), estimate in zip(means, estimates, strict=True):
                if measure.kind == "exp_mean":
                    estimate = _exponential(estimate)
                elif measure.unit == "share":
                    estimate = _bounded(estimate, count)
                found[measure.name] = (estimate, count)
        for measure, values in columns:
            if measure.kind == "rate":
                estimate = rate(values, clusters=labels, confidence=confidence, method=method)
            elif measure.kind == "median":
                estimate = bootstrap_median(
                    values, clusters=labels, confidence=confidence, seed=seed
                )
            elif measure.kind == "max":
                # The largest value grows with the sample: it has no interval.
                nan = float("nan")
                estimate = Estimate(float(values.max()), nan, nan, len(values), "none", confidence)
            else:
                continue
            found[measure.name] = (estimate, count)
    return [
        _summary_row(pool, m.name, m.label, m.unit, *found[m.name])
        for m in measures
        if m.name in found
    ]


def _attacked(pool: Pool, confidence: float, seed: int) -> list[dict[str, Any]]:
    """How well each attack tells the members of a pool from the rest, where both are labelled."""
    rows = []
    for name in attacks():
        column = f"mia_{name}"
        if column not in pool.frame.columns:
            continue
        labelled = pool.frame.filter(
            pl.col("member").is_not_null()
            & pl.col(column).is_not_null()
            & pl.col(column).is_not_nan()
        )
        member = labelled["member"].to_numpy()
        if member.all() or not member.any():
            continue
        scores, documents = labelled[column].to_numpy(), labelled["_document"].to_numpy()
        options = {"clusters": documents, "confidence": confidence, "seed": seed}
        count = len(np.unique(documents))
        area = auc(scores, member, **options)
        label = f"membership attack {name}: area under the ROC curve"
        rows.append(_summary_row(pool, f"auc_{name}", label, "AUC", area, count))
        if fpr_floor(int((~member).sum())) <= _LOW_FPR:
            found = tpr_at_fpr(scores, member, _LOW_FPR, **options)
            label = f"membership attack {name}: members found at {_LOW_FPR:.0%} false positives"
            rows.append(_summary_row(pool, f"tpr_at_low_fpr_{name}", label, "share", found, count))
    return rows


def _summary_row(
    pool: Pool, measure: str, label: str, unit: str, estimate: Estimate, documents: int
) -> dict[str, Any]:
    return pool.key() | {
        "measure": measure,
        "label": label,
        "unit": unit,
        "n": estimate.n,
        "documents": documents,
        "value": estimate.value,
        "low": estimate.low,
        "high": estimate.high,
        "method": estimate.method,
    }


def _bounded(estimate: Estimate, documents: int) -> Estimate:
    """An interval for a mean of shares that are all 0 or all 1, for which no resample differs.

    The mean is at least the chance that a document has nothing but ones, of which each document is
    one trial (a single document's passages are): Clopper and Pearson's bound for it holds.
    """
    if estimate.method != "none" or estimate.value not in (0.0, 1.0):
        return estimate
    trials = documents if documents > 1 else estimate.n
    low, high = clopper_pearson(estimate.value * trials, trials, estimate.confidence)
    return replace(estimate, low=low, high=high, method="clopper-pearson")


def _exponential(estimate: Estimate) -> Estimate:
    with np.errstate(over="ignore"):
        value, low, high = np.exp([estimate.value, estimate.low, estimate.high]).tolist()
    return replace(estimate, value=value, low=low, high=high)
