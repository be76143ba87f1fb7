"""Log-linear laws of memorization (Carlini et al. 2202.07646, section 4)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from byrote.recall.intervals import RESAMPLES, Weights, bootstrap

__all__ = ["LogLinearFit", "log_linear_fit"]


@dataclass(frozen=True, slots=True)
class LogLinearFit:
    """outcome ≈ intercept + slope · log10(x).

    Attributes:
        slope: Change of the outcome for ten times x.
        intercept: Outcome at x = 1.
        r2: Share of the variance between the groups (one for each x, weighted by its observations)
            that the line explains; NaN where the groups do not differ.
        n_points: Distinct values of x.
        n: Observations.
        low: Lower end of the slope's interval; NaN where there is none.
        high: Upper end.
        confidence: The level of the interval.
    """

    slope: float
    intercept: float
    r2: float
    n_points: int
    n: int
    low: float
    high: float
    confidence: float

    def predict(self, x: ArrayLike) -> NDArray[np.float64]:
        """The line's value at x > 0."""
        return self.intercept + self.slope * np.log10(np.asarray(x, dtype=np.float64))


def log_linear_fit(
    x: ArrayLike,
    outcome: ArrayLike,
    *,
    clusters: ArrayLike | None = None,
    confidence: float = 0.95,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> LogLinearFit | None:
    """Fit a rate, or any mean, against log10(x) by weighted least squares.

    The line goes through the means of the groups of equal x, each weighted by its number of
    observations, which is the least-squares line through the observations themselves. The interval
    of the slope is a percentile bootstrap over the observations, or over whole clusters, so that a
    record which is asked at every prefix length stays together.

    Args:
        x: What the outcome is fitted against (prefix length, count in training), `[n]`. Values that
            have no logarithm (zero and below, NaN) are left out.
        outcome: Booleans or numbers, `[n]`; NaN is left out.
        clusters: The document of each observation, `[n]`.
        confidence: The level of the interval.
        seed: The same seed gives the same interval.
        resamples: How many.

    Returns:
        The fit, or None where fewer than two distinct x are left.
    """
    xs, y = np.asarray(x, dtype=np.float64), np.asarray(outcome, dtype=np.float64)
    usable = (xs > 0) & np.isfinite(xs) & np.isfinite(y)
    xs, y = xs[usable], y[usable]
    labels = None if clusters is None else np.asarray(clusters)[usable]
    points, group = np.unique(xs, return_inverse=True)
    if len(points) < 2:
        return None

    log = np.log10(xs)
    centre, scale = float(log.mean()), float(log.std())
    u = (log - centre) / scale  # both moments are then of order one, whatever x was
    columns = np.stack([np.ones_like(u), u, y, u * u, u * y], axis=1)
    if labels is not None:
        # Whole documents are drawn, so their moments are all that a line needs.
        codes = np.unique(labels, return_inverse=True)[1]
        if codes.max() > 0:
            columns = np.stack([np.bincount(codes, weights=c) for c in columns.T], axis=1)

    def slope(weights: Weights) -> NDArray[np.float64]:
        s, su, sy, suu, suy = (weights @ columns).T
        spread = suu - su * su / s
        # A resample that holds one x only has no slope; its spread is zero up to rounding.
        known = spread > 1e-9 * s
        rise = suy - su * sy / s
        return np.where(known, rise / np.where(known, spread, 1.0), np.nan) / scale

    estimate = bootstrap(slope, len(columns), confidence=confidence, seed=seed, resamples=resamples)
    b = estimate.value
    a = float(y.mean()) - b * centre
    return LogLinearFit(
        slope=b,
        intercept=a,
        r2=_r2(group, y, a + b * np.log10(points)),
        n_points=len(points),
        n=len(y),
        low=estimate.low,
        high=estimate.high,
        confidence=confidence,
    )


def _r2(group: NDArray[np.int64], y: NDArray[np.float64], fitted: NDArray[np.float64]) -> float:
    size = np.bincount(group)
    mean = np.bincount(group, weights=y) / size
    total = float(size @ (mean - y.mean()) ** 2)
    if total <= 1e-24 * len(y):
        return float("nan")
    return 1 - float(size @ (mean - fitted) ** 2) / total
