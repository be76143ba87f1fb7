"""Is one method better than another on the same passages? Paired t-tests, held to a family."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from byrote._options import between, one_of, whole
from byrote.errors import InputError

__all__ = ["ALTERNATIVES", "PAIRED", "paired_tests"]

ALTERNATIVES = ("greater", "less", "two-sided")
"""What is tested: that a method's values are greater than the baseline's, less, or other."""

PAIRED = {
    "method": pl.String,
    "baseline": pl.String,
    "n": pl.Int64,
    "difference": pl.Float64,
    "standard_error": pl.Float64,
    "t": pl.Float64,
    "p": pl.Float64,
    "threshold": pl.Float64,
    "significant": pl.Boolean,
}
"""Columns of the table of tests: the mean of method minus baseline over `n` passages and its
standard error, Student's t and its p, the Bonferroni threshold, and whether p is below it."""

# A spread of the differences this small against the values is rounding.
_ROUNDING = 4 * float(np.finfo(np.float64).eps)


def paired_tests(
    values: Mapping[str, ArrayLike],
    baseline: str,
    *,
    alternative: str = "greater",
    alpha: float = 0.05,
    family: int | None = None,
) -> pl.DataFrame:
    """Test every method against a baseline on the same passages.

    One-tailed paired t-tests with Bonferroni's correction are how 2311.09060 compares its methods
    with Integrated Gradients (sections 5.1 and 5.2; a family of 24 tests in INJ and of 6 in DEL).

    Args:
        values: One value for each passage, `[n]`, by method; the passages in the same order.
        baseline: Which of them the others are tested against.
        alternative: One of `ALTERNATIVES`. Take `less` for changes of accuracy, where the more
            negative is the better.
        alpha: The level of the whole family.
        family: How many tests there are in all, if more than are made here (other models,
            fractions, …).

    Returns:
        One row for each method but the baseline; columns as in `PAIRED`. Where no t can be had
        (fewer than two passages, or the same difference in all) `t` and `p` are null and nothing is
        significant.

    Raises:
        InputError: There is no such baseline, lengths differ, a value is not finite, or the family
            is smaller than the tests that are made.
    """
    one_of("paired tests", "alternative", alternative, ALTERNATIVES)
    one_of("paired tests", "baseline", baseline, tuple(values))
    between("paired tests", "alpha", alpha, 0.0, 1.0)
    tests = len(values) - 1
    if family is not None:
        whole("paired tests", "family", family, max(tests, 1))
    threshold = alpha / (family or max(tests, 1))
    base = _values(baseline, values[baseline])
    rows = []
    for method, given in values.items():
        if method == baseline:
            continue
        own = _values(method, given)
        if len(own) != len(base):
            raise InputError(
                f"The paired tests: {method!r} has {len(own)} values and {baseline!r} has "
                f"{len(base)}; they must be of the same passages."
            )
        rows.append(_row(method, baseline, own, base, alternative, threshold))
    return pl.DataFrame(rows, schema=PAIRED)


def _row(
    method: str,
    baseline: str,
    own: NDArray[np.float64],
    base: NDArray[np.float64],
    alternative: str,
    threshold: float,
) -> dict[str, object]:
    differences, n = own - base, len(own)
    mean = float(differences.mean()) if n else None
    error = float(differences.std(ddof=1)) / n**0.5 if n > 1 else None
    t = p = None
    if mean is not None and error and error > _ROUNDING * float(np.abs([own, base]).max()):
        t = mean / error
        tail = {"greater": t, "less": -t, "two-sided": abs(t)}[alternative]
        p = float(stats.t.sf(tail, n - 1)) * (2 if alternative == "two-sided" else 1)
    return {
        "method": method,
        "baseline": baseline,
        "n": n,
        "difference": mean,
        "standard_error": error,
        "t": t,
        "p": p,
        "threshold": threshold,
        "significant": p is not None and p < threshold,
    }


def _values(method: str, values: ArrayLike) -> NDArray[np.float64]:
    found = np.asarray(values, dtype=np.float64)
    if found.ndim != 1 or not np.isfinite(found).all():
        raise InputError(
            f"The paired tests: the values of {method!r} are not one finite number for each "
            "passage; leave out passages that some method has no value for."
        )
    return found
