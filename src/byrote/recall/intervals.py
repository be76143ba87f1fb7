"""Confidence intervals: a rate is never alone.

Rates get Wilson or Clopper–Pearson intervals, everything else the percentile bootstrap. Windows of
one document are not independent, so both take a cluster label for each observation: the bootstrap
draws whole clusters, and a rate's interval is made for the effective number of observations
(Korn and Graubard 1998).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse, stats

from byrote.errors import InputError

__all__ = [
    "Estimate",
    "bootstrap",
    "bootstrap_mean",
    "bootstrap_means",
    "bootstrap_median",
    "clopper_pearson",
    "effective_size",
    "rate",
    "t_mean",
    "wilson",
]

RESAMPLES = 2000
# With fewer documents than this, a bootstrap over them knows nothing of how they differ.
_FEWEST = 5
# Weights held at once, so that many observations need no more memory than few.
_WEIGHTS_AT_ONCE = 1 << 21

Weights = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its interval.

    Attributes:
        value: The point estimate; NaN where there are no observations.
        low: Lower end of the interval; NaN where there is no interval.
        high: Upper end.
        n: Observations.
        method: "wilson", "clopper-pearson", "bootstrap", "t", or "none" where no interval can be
            made.
        confidence: The level of the interval, such as 0.95.
    """

    value: float
    low: float
    high: float
    n: int
    method: str
    confidence: float

    @classmethod
    def bare(cls, value: float, n: int, confidence: float) -> Estimate:
        """A value without an interval."""
        return cls(value, math.nan, math.nan, n, "none", confidence)


def wilson(k: float, n: float, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval for k successes in n trials; (0, 1) for n = 0.

    k and n may be fractions: see `effective_size`.

    Raises:
        InputError: The counts or the confidence make no sense.
    """
    _check_counts(k, n, confidence)
    if n == 0:
        return 0.0, 1.0
    z2 = float(stats.norm.ppf(0.5 + confidence / 2)) ** 2
    p = k / n
    centre = p + z2 / (2 * n)
    half = math.sqrt(z2 * (p * (1 - p) / n + z2 / (4 * n * n)))
    # At the ends one bound is the end itself, which rounding would miss.
    low = 0.0 if k == 0 else (centre - half) / (1 + z2 / n)
    high = 1.0 if k == n else (centre + half) / (1 + z2 / n)
    return low, high


def clopper_pearson(k: float, n: float, confidence: float = 0.95) -> tuple[float, float]:
    """The exact interval of Clopper and Pearson for k successes in n trials; (0, 1) for n = 0.

    Raises:
        InputError: The counts or the confidence make no sense.
    """
    _check_counts(k, n, confidence)
    tail = (1 - confidence) / 2
    low = 0.0 if k == 0 else float(stats.beta.ppf(tail, k, n - k + 1))
    high = 1.0 if k == n else float(stats.beta.ppf(1 - tail, k + 1, n - k))
    return low, high


def effective_size(
    outcomes: ArrayLike, clusters: ArrayLike | None, confidence: float = 0.95
) -> float:
    """How many independent trials would tell as much of the rate as these clustered ones.

    n / design effect, where the design effect compares the variance of the rate between clusters
    with p(1-p)/n, times (t_{n-1} / t_{G-1})² for the few clusters that this variance is known from
    (Korn and Graubard 1998, equation 2); never above n. Where there is nothing to compare (no or a
    single cluster, every outcome the same) it is n.
    """
    y = np.asarray(outcomes, dtype=np.float64)
    n, p = len(y), float(y.mean()) if len(y) else 0.0
    if clusters is None or p in (0.0, 1.0):
        return float(n)
    codes = _codes(clusters, n)
    count = int(codes.max()) + 1
    if count in (1, n):
        return float(n)
    residuals = np.bincount(codes, weights=y - p, minlength=count)
    variance = count / (count - 1) * float(residuals @ residuals) / n**2
    if variance == 0.0:
        return float(n)
    t = stats.t.ppf(0.5 + confidence / 2, np.array([n - 1, count - 1]))
    return min(float(n), p * (1 - p) / variance * float(t[0] / t[1]) ** 2)


def rate(
    outcomes: ArrayLike,
    *,
    clusters: ArrayLike | None = None,
    confidence: float = 0.95,
    method: str = "wilson",
) -> Estimate:
    """The share of true outcomes and its interval.

    Args:
        outcomes: Booleans, `[n]`.
        clusters: The document of each outcome, `[n]`; None where all are independent.
        confidence: The level of the interval.
        method: "wilson" or "clopper-pearson".

    Raises:
        InputError: Unknown method, or a confidence outside (0, 1).
    """
    makers = {"wilson": wilson, "clopper-pearson": clopper_pearson}
    if method not in makers:
        raise InputError(f"interval method is {method!r}; choose one of {', '.join(makers)}.")
    y = np.asarray(outcomes, dtype=bool)
    n = len(y)
    value = float(y.mean()) if n else math.nan
    size = effective_size(y, clusters, confidence)
    k = size if n and y.all() else (value * size if n else 0.0)
    low, high = makers[method](k, size, confidence)
    return Estimate(value, low, high, n, method, confidence)


def t_mean(values: ArrayLike, *, confidence: float = 0.95) -> Estimate:
    """Mean of independent repetitions `[n]` and Student's t-interval, which n = 1 has none of.

    Raises:
        InputError: A confidence outside (0, 1).
    """
    _check_confidence(confidence)
    x = np.asarray(values, dtype=np.float64)
    n, value = len(x), float(x.mean()) if len(x) else math.nan
    if n < 2 or not np.isfinite(x).all():
        return Estimate.bare(value, n, confidence)
    half = float(stats.t.ppf(0.5 + confidence / 2, n - 1)) * float(x.std(ddof=1)) / math.sqrt(n)
    return Estimate(value, value - half, value + half, n, "t", confidence)


def bootstrap(
    statistic: Callable[[Weights], NDArray[np.float64]],
    n: int,
    *,
    clusters: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    confidence: float = 0.95,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Estimate:
    """Percentile bootstrap of a statistic (Efron and Tibshirani 1993, chapter 13).

    Args:
        statistic: From weights `[resamples, n]`, how often each observation was drawn, to values
            `[resamples]`. All weights one gives the point estimate. NaN marks a resample for which
            the statistic is not defined; it is left out.
        n: Observations.
        clusters: The document of each observation, `[n]`: whole documents are drawn. With a single
            document the observations themselves are.
        strata: A label for each observation, `[n]`: each stratum is resampled by itself.
        confidence: The level of the interval.
        seed: The same seed gives the same interval.
        resamples: How many.

    Returns:
        The estimate, without an interval where there are fewer than five documents (in a stratum),
        where all resamples agree, or where the value is not finite: the bootstrap would then show
        an interval far too narrow, or of no width at all.

    Raises:
        InputError: A confidence outside (0, 1), or labels of another length.
    """
    return _bootstrap_columns(
        lambda w: statistic(w)[:, None], n, clusters, strata, confidence, seed, resamples
    )[0]


def bootstrap_means(
    values: ArrayLike,
    *,
    clusters: ArrayLike | None = None,
    confidence: float = 0.95,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> list[Estimate]:
    """Means of several columns `[n, columns]` from the same resamples; see `bootstrap`."""
    x = np.asarray(values, dtype=np.float64)
    finite: NDArray[np.bool_] = np.all(np.isfinite(x), axis=0)
    sums, sizes = np.where(finite, x, 0.0), np.ones(len(x))
    codes = None if clusters is None else _codes(clusters, len(x))
    if codes is not None and len(x) and codes.max() > 0:
        # Whole documents are drawn, so their sums and sizes are all that a mean needs.
        sizes = np.bincount(codes).astype(np.float64)
        sums = np.stack([np.bincount(codes, weights=column) for column in sums.T], axis=1)

    def means(weights: Weights) -> NDArray[np.float64]:
        return weights @ sums / (weights @ sizes)[:, None]

    estimates = _bootstrap_columns(means, len(sums), None, None, confidence, seed, resamples)
    return [
        replace(estimate, n=len(x))
        if good
        else Estimate.bare(float(column.mean()), len(x), confidence)
        for estimate, good, column in zip(estimates, finite, x.T, strict=True)
    ]


def bootstrap_mean(values: ArrayLike, **options: Any) -> Estimate:
    """Mean of one column `[n]`; options as in `bootstrap_means`."""
    return bootstrap_means(np.asarray(values, dtype=np.float64)[:, None], **options)[0]


def bootstrap_median(
    values: ArrayLike,
    *,
    clusters: ArrayLike | None = None,
    confidence: float = 0.95,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Estimate:
    """Median of one column `[n]`; see `bootstrap`.

    Where the values differ but all resamples have the same median, the interval is that one value.
    """
    x = np.asarray(values, dtype=np.float64)
    codes = None if clusters is None else _codes(clusters, len(x))
    if codes is None or not len(x) or codes.max() == 0:
        codes = np.arange(len(x))
    units = int(codes.max(initial=-1)) + 1
    distinct, where = np.unique(x, return_inverse=True)
    # How often each document holds each value: few values make a resample short to go through.
    table = sparse.csc_array((np.ones(len(x)), (codes, where)), shape=(units, len(distinct)))

    def median(weights: Weights) -> NDArray[np.float64]:
        reached = (weights @ table).cumsum(axis=1)
        half = reached[:, -1:] / 2
        # The two middle observations of the resample; one and the same where its size is odd.
        lower, upper = (reached < half).sum(axis=1), (reached <= half).sum(axis=1)
        return (distinct[lower] + distinct[np.minimum(upper, len(distinct) - 1)]) / 2

    if not len(x):
        return Estimate.bare(math.nan, 0, confidence)
    estimate = bootstrap(median, units, confidence=confidence, seed=seed, resamples=resamples)
    if estimate.method == "none" and units >= _FEWEST and len(distinct) > 1:
        value = estimate.value
        estimate = replace(estimate, low=value, high=value, method="bootstrap")
    return replace(estimate, n=len(x))


def _bootstrap_columns(
    statistic: Callable[[Weights], NDArray[np.float64]],
    n: int,
    clusters: ArrayLike | None,
    strata: ArrayLike | None,
    confidence: float,
    seed: int,
    resamples: int,
) -> list[Estimate]:
    _check_confidence(confidence)
    if n == 0:
        columns = statistic(np.ones((0, 0))).shape[1]
        return [Estimate.bare(math.nan, 0, confidence)] * columns
    values = statistic(np.ones((1, n)))[0]
    groups = _drawn_apart(n, clusters, strata)
    if min(count for _, _, count in groups) < _FEWEST:
        return [Estimate.bare(float(value), n, confidence) for value in values]
    draws = np.concatenate([statistic(w) for w in _resampled(n, groups, seed, resamples)])
    tails = [(1 - confidence) / 2, (1 + confidence) / 2]
    return [
        _percentile(float(value), column[~np.isnan(column)], tails, n, confidence)
        for value, column in zip(values, draws.T, strict=True)
    ]


def _percentile(
    value: float, draws: NDArray[np.float64], tails: list[float], n: int, confidence: float
) -> Estimate:
    if not math.isfinite(value) or not len(draws):
        return Estimate.bare(value, n, confidence)
    low, high = np.quantile(draws, tails)
    if high - low <= 1e-12 * max(1.0, abs(value)):
        return Estimate.bare(value, n, confidence)
    return Estimate(value, float(low), float(high), n, "bootstrap", confidence)


def _drawn_apart(
    n: int, clusters: ArrayLike | None, strata: ArrayLike | None
) -> list[tuple[NDArray[np.int64], NDArray[np.int64], int]]:
    """For each stratum its observations, the document of each of them, and how many documents."""
    unit = np.arange(n) if clusters is None else _codes(clusters, n)
    layer = np.zeros(n, dtype=np.int64) if strata is None else _codes(strata, n)
    groups = []
    for label in range(int(layer.max()) + 1):
        members = np.flatnonzero(layer == label)
        codes = _codes(unit[members], len(members))
        if codes.max() == 0:
            codes = np.arange(len(members))
        groups.append((members, codes, int(codes.max()) + 1))
    return groups


def _resampled(
    n: int,
    groups: list[tuple[NDArray[np.int64], NDArray[np.int64], int]],
    seed: int,
    resamples: int,
) -> Iterator[Weights]:
    """Weights `[some, n]` until there are `resamples` of them."""
    rng = np.random.default_rng(seed)
    step = max(1, _WEIGHTS_AT_ONCE // n)
    for start in range(0, resamples, step):
        rows = min(step, resamples - start)
        weights = np.empty((rows, n))
        for members, codes, count in groups:
            drawn = rng.integers(count, size=(rows, count)) + count * np.arange(rows)[:, None]
            times = np.bincount(drawn.ravel(), minlength=rows * count).reshape(rows, count)
            weights[:, members] = times[:, codes]
        yield weights


def _codes(labels: ArrayLike, n: int) -> NDArray[np.int64]:
    array = np.asarray(labels)
    if array.shape != (n,):
        raise InputError(f"{array.size} cluster labels for {n} observations; give one for each.")
    return np.unique(array, return_inverse=True)[1].astype(np.int64)


def _check_counts(k: float, n: float, confidence: float) -> None:
    _check_confidence(confidence)
    if not 0 <= k <= n:
        raise InputError(f"{k} successes in {n} trials; there are 0 to {n}.")


def _check_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise InputError(f"confidence is {confidence}; it lies strictly between 0 and 1: try 0.95.")
