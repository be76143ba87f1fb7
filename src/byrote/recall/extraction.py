"""What greedy decoding and repeated sampling would get out of the model, from scores alone.

Greedy decoding emits a suffix verbatim if and only if every suffix token is the argmax given the
true tokens before it, so one teacher-forced pass decides extractability exactly (Carlini et al.
2202.07646, definition 3.1). The same pass gives the probability of the suffix under a sampling
scheme, and with it how many independent draws it takes to see the suffix (Hayes et al. 2410.19482).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from byrote.errors import InputError
from byrote.recall.scores import Scores

__all__ = [
    "discoverable",
    "discoverable_rate",
    "discovery_probability",
    "draws_needed",
    "extractable",
    "first_miss",
    "longest_run",
    "nll",
    "perplexity",
    "recited_spans",
    "token_accuracy",
]

# Below this log-probability exp() nears the subnormal numbers and loses digits; log(1 - x) = -x
# has been exact in float64 for a long way by then.
_TINY_LOGPROB = -700.0


def extractable(scores: Scores) -> bool:
    """Whether greedy decoding from the prefix recites the whole suffix."""
    return bool(scores.hit.all())


def first_miss(scores: Scores) -> int:
    """Index of the first suffix token that is not the argmax; the suffix length if there is none.

    This is how many tokens greedy decoding recites before it leaves the text.
    """
    return len(scores) if scores.hit.all() else int(scores.hit.argmin())


def token_accuracy(scores: Scores) -> float:
    """Share of suffix tokens that are the argmax given the true tokens before them."""
    return float(scores.hit.mean())


def longest_run(hit: NDArray[np.bool_]) -> int:
    """Length in tokens of the longest run of hits in `hit`, shape `[suffix]`.

    A run may start anywhere in the suffix: after a miss the model is put back on the text, since
    the pass is teacher-forced.
    """
    misses = np.flatnonzero(~np.asarray(hit, dtype=bool))
    bounds = np.concatenate(([-1], misses, [len(hit)]))
    return int(np.diff(bounds).max() - 1)


def recited_spans(hit: NDArray[np.bool_], min_run: int) -> list[tuple[int, int]]:
    """The maximal runs of at least `min_run` hits, as half-open `(start, end)` in order.

    Raises:
        InputError: `min_run` is below 1.
    """
    if min_run < 1:
        raise InputError(f"min_run is {min_run}; a recited span has at least 1 token.")
    edges = np.diff(np.concatenate(([0], np.asarray(hit, dtype=np.int8), [0])))
    starts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    long = ends - starts >= min_run
    return list(zip(starts[long].tolist(), ends[long].tolist(), strict=True))


def nll(scores: Scores) -> float:
    """Mean negative log-likelihood of the suffix, in nats per token."""
    return -float(scores.logprob.mean(dtype=np.float64))


def perplexity(scores: Scores) -> float:
    """The exponential of `nll`; infinite where that leaves float64."""
    value = nll(scores)
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf


@overload
def draws_needed(logprob: float, p: float) -> float: ...
@overload
def draws_needed(logprob: NDArray[np.floating], p: float) -> NDArray[np.float64]: ...
def draws_needed(logprob: float | NDArray[np.floating], p: float) -> float | NDArray[np.float64]:
    """Independent draws after which the suffix has been seen with probability `p`.

    n = log(1 - p) / log(1 - p_z), not rounded up and at least 1 (Hayes et al. 2410.19482,
    section 3). The p_z of a long suffix is far below what float64 can hold as a probability, so it
    comes in as a logarithm and 1 - p_z is never formed.

    Args:
        logprob: log p_z in nats: the sum of the suffix's log-probabilities under the sampling
            scheme. Scalar or any shape. Above zero (rounding) counts as zero.
        p: The wanted probability, strictly between 0 and 1.

    Returns:
        The number of draws, with the shape of `logprob`; infinite where p_z is zero or the number
        leaves float64 (near 1e308); NaN where `logprob` is.

    Raises:
        InputError: `p` is not strictly between 0 and 1.
    """
    _check_probability(p)
    z = np.minimum(np.asarray(logprob, dtype=np.float64), 0.0)
    with np.errstate(divide="ignore", over="ignore"):
        tiny = np.exp(math.log(-math.log1p(-p)) - z)
        n = np.where(z < _TINY_LOGPROB, tiny, math.log1p(-p) / _log1mexp(z))
    n = np.maximum(n, 1.0)
    return n if isinstance(logprob, np.ndarray) else float(n)


def discovery_probability(logprob: float, n: float) -> float:
    """Probability of seeing the suffix at least once in `n` draws: 1 - (1 - p_z)^n."""
    if logprob >= 0.0:
        return 1.0 if n > 0 else 0.0
    if logprob < _TINY_LOGPROB:
        return math.exp(logprob + math.log(n)) if n > 0 else 0.0
    return -math.expm1(n * float(_log1mexp(np.float64(logprob))))


def discoverable(logprob: float, n: float, p: float) -> bool:
    """Whether `n` draws show the suffix with probability at least `p`: 1 - (1 - p_z)^n >= p.

    Decided as n >= `draws_needed`, so that verdicts agree with that column to the last bit.

    Raises:
        InputError: `p` is not strictly between 0 and 1.
    """
    return n >= draws_needed(float(logprob), p)


def discoverable_rate(
    logprobs: ArrayLike, n_grid: Sequence[float] | NDArray[np.floating], p: float
) -> NDArray[np.float64]:
    """Share of passages that are (n, p)-discoverable, for each n of a grid.

    Args:
        logprobs: log p_z of each passage in nats, shape `[passages]`.
        n_grid: Numbers of draws, shape `[grid]`, in any order.
        p: The wanted probability.

    Returns:
        Rates, shape `[grid]`; NaN where there is no passage.

    Raises:
        InputError: `p` is not strictly between 0 and 1.
    """
    needed = np.sort(draws_needed(np.asarray(logprobs, dtype=np.float64), p))
    grid = np.asarray(n_grid, dtype=np.float64)
    if not len(needed):
        return np.full(grid.shape, np.nan)
    # An infinite grid value would count the impossible passages too; draws are finite.
    return np.searchsorted(needed[np.isfinite(needed)], grid, side="right") / len(needed)


def _log1mexp(x: NDArray[np.float64] | np.float64) -> NDArray[np.float64]:
    """log(1 - exp(x)) for x <= 0 without cancellation (Mächler 2012, equation 7)."""
    x = np.asarray(x)
    with np.errstate(divide="ignore"):
        return np.where(x > -math.log(2), np.log(-np.expm1(x)), np.log1p(-np.exp(x)))


def _check_probability(p: float) -> None:
    if not 0.0 < p < 1.0:
        raise InputError(f"p is {p}; the probability of discovery lies strictly between 0 and 1.")
