"""Membership inference: was this text in the training data?

Every attack is one small function from the scores of a passage and the text of its suffix to a
number that is HIGH for members; a function with `@attack("name")` in this file is all it takes to
add one, and its column `mia_name` then appears in the table of passages. How well an attack tells
members from others is judged by `auc` and by `tpr_at_fpr` (Carlini et al. 2112.03570, section III).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from byrote.errors import InputError
from byrote.recall.intervals import Estimate, Weights, bootstrap
from byrote.recall.scores import Scores

__all__ = ["Attack", "attack", "attacks", "auc", "fpr_floor", "min_k", "min_k_pp", "tpr_at_fpr"]

Attack = Callable[[Scores, str], float]
A = TypeVar("A", bound=Attack)

# Only keeps a distribution that is a single point (or flat) from dividing by zero.
_LEAST_DEVIATION = 1e-6
# Half of what means get: each resample goes through the whole ROC curve.
_RESAMPLES = 1000

_registry: dict[str, Attack] = {}


def attack(name: str) -> Callable[[A], A]:
    """Register a membership attack under a name; the first line of its docstring describes it.

    Raises:
        InputError: The name is taken.
    """

    def register(function: A) -> A:
        if name in _registry:
            raise InputError(f"a membership attack named {name!r} exists; choose another name.")
        _registry[name] = function
        return function

    return register


def attacks() -> dict[str, Attack]:
    """All registered attacks by name, in the order of registration."""
    return dict(_registry)


@attack("loss")
def loss(scores: Scores, text: str) -> float:
    """Mean log-probability per token, in nats: minus the loss (Yeom et al. 1709.01604)."""
    return float(scores.logprob.mean(dtype=np.float64))


@attack("zlib")
def zlib_ratio(scores: Scores, text: str) -> float:
    """Log-probability of the suffix over its zlib bytes (Carlini et al. 2012.07805), in nats."""
    size = len(zlib.compress(text.encode("utf-8", errors="surrogatepass")))
    return float(scores.logprob.sum(dtype=np.float64)) / size


@attack("min_k")
def min_k(scores: Scores, text: str = "", k: float = 0.2) -> float:
    """Mean of the lowest 20 % of the token log-probabilities (Min-K%, Shi et al. 2310.16789)."""
    return _mean_of_lowest(scores.logprob.astype(np.float64), k)


@attack("min_k_pp")
def min_k_pp(scores: Scores, text: str = "", k: float = 0.2) -> float:
    """Min-K% on log-probabilities standardised by position (Min-K%++, Zhang et al. 2404.02936)."""
    deviation = np.sqrt(np.maximum(scores.logprob_var.astype(np.float64), 0.0))
    centred = scores.logprob.astype(np.float64) - scores.logprob_mean.astype(np.float64)
    return _mean_of_lowest(centred / np.maximum(deviation, _LEAST_DEVIATION), k)


def fpr_floor(negatives: int) -> float:
    """The smallest false-positive rate that so many non-members can show: 1 / negatives."""
    return 1 / negatives if negatives else 1.0


def auc(scores: ArrayLike, member: ArrayLike, **options: Any) -> Estimate:
    """Area under the ROC curve: the chance that a member scores above a non-member, ties half.

    Args:
        scores: An attack's values, `[n]`, high for members.
        member: Labels, `[n]` booleans.
        options: `clusters`, `confidence`, `seed`, `resamples` of `intervals.bootstrap`; members and
            non-members are resampled apart.

    Raises:
        InputError: A score is NaN, or one of the two classes is empty.
    """
    x, y = _checked(scores, member)
    positives_negatives = _by_value(x, y)

    def area(weights: Weights) -> NDArray[np.float64]:
        pos, neg = positives_negatives(weights)
        below = neg.cumsum(axis=1) - neg
        wins = (pos * (below + neg / 2)).sum(axis=1)
        return wins / (pos.sum(axis=1) * neg.sum(axis=1))

    return bootstrap(area, len(x), strata=y, **({"resamples": _RESAMPLES} | options))


def tpr_at_fpr(scores: ArrayLike, member: ArrayLike, fpr: float, **options: Any) -> Estimate:
    """The largest true-positive rate of a threshold whose false-positive rate is at most `fpr`.

    Args:
        scores: As in `auc`.
        member: As in `auc`.
        fpr: The false-positive rate allowed, in (0, 1).
        options: As in `auc`.

    Raises:
        InputError: As in `auc`; or there are too few non-members to show such a rate.
    """
    x, y = _checked(scores, member)
    negatives = int((~y).sum())
    if not 0 < fpr < 1:
        raise InputError(f"false-positive rate is {fpr}; it lies strictly between 0 and 1.")
    if fpr < fpr_floor(negatives):
        raise InputError(
            f"false-positive rate is {fpr:g}, but {negatives} non-members show none below "
            f"{fpr_floor(negatives):.3g} (1/{negatives}); "
            "ask for a higher rate or give more non-members."
        )
    positives_negatives = _by_value(x, y)

    def rate(weights: Weights) -> NDArray[np.float64]:
        pos, neg = positives_negatives(weights)
        true = pos[:, ::-1].cumsum(axis=1)
        false = neg[:, ::-1].cumsum(axis=1)
        # Counts against a rate times a count: allow for the rounding of the product.
        allowed = false <= fpr * neg.sum(axis=1, keepdims=True) * (1 + 1e-12)
        return np.where(allowed, true, 0.0).max(axis=1) / pos.sum(axis=1)

    return bootstrap(rate, len(x), strata=y, **({"resamples": _RESAMPLES} | options))


def _by_value(
    scores: NDArray[np.float64], member: NDArray[np.bool_]
) -> Callable[[Weights], tuple[Weights, Weights]]:
    """A function from weights to the weight of members and others at each distinct score."""
    order = np.argsort(scores, kind="stable")
    ordered, labels = scores[order], member[order].astype(np.float64)
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))

    def split(weights: Weights) -> tuple[Weights, Weights]:
        w = weights[:, order]
        every = np.add.reduceat(w, starts, axis=1)
        positives = np.add.reduceat(w * labels, starts, axis=1)
        return positives, every - positives

    return split


def _mean_of_lowest(values: NDArray[np.float64], share: float) -> float:
    if not 0 < share <= 1:
        raise InputError(f"k is {share}; the share of tokens lies above 0 and at most at 1.")
    count = max(1, int(len(values) * share))
    return float(np.partition(values, count - 1)[:count].mean())


def _checked(scores: ArrayLike, member: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    x, y = np.asarray(scores, dtype=np.float64), np.asarray(member, dtype=bool)
    if x.shape != y.shape:
        raise InputError(f"{x.size} scores for {y.size} member labels; give one label for each.")
    if np.isnan(x).any():
        raise InputError(f"{int(np.isnan(x).sum())} of {x.size} attack scores are NaN.")
    if y.all() or not y.any():
        raise InputError(
            f"{int(y.sum())} members and {int((~y).sum())} non-members; "
            "an attack is judged on both kinds."
        )
    return x, y
