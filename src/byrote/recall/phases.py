"""When a string stops being guessed and when it is memorised, from its curves over epochs.

2407.19262 (section 3) tells a guessing phase, in which a model learns which tokens occur and how
often, from a memorisation phase, in which it learns each token given those before it. The paper's
exact rule is not known. The rule here is the operational one of this project's notes on the paper
(their section 3, "Phases": "guessing ends at the KL minimum (equivalently, train loss first below
H(P_A) - 0.05 and never back); memorised at accuracy ≥ 0.95 or loss < 0.1"), for a finite string.

**What guessing is measured against.** A guess is a prediction that does not depend on the tokens
before. With p̂ the letter frequencies of the string itself and Ĥ their entropy, the mean loss of any
guess q on this string is Σ p̂ · -log q = Ĥ + KL(p̂ ‖ q) ≥ Ĥ. So Ĥ is the level that no guess gets
below, and KL(p̂ ‖ P_M), over the whole vocabulary and averaged over positions, is how far the
model's predictions, taken as guesses, are from the best guess. The source's entropy H is not that
level: a string of 16 letters over 26 has Ĥ ≈ 2.6 where H = 3.26, and a model that has learned only
which letters occur has a loss far below H. This direction of the divergence is finite where a
letter of the alphabet does not occur in the string, and it holds -log(mass): a model that is
uniform over its vocabulary is no good guesser, though it is uniform on any alphabet.

**The margin** is a share of the entropy, 0.05 / ln 26 = 1.5 %: the 0.05 nats of the notes at 26
letters. A position that becomes known lowers the mean loss of a guesser by Ĥ / n, so it is the same
share of known positions at every alphabet. In nats it would not be: 0.05 nats below ln 2, a
calibrated model is right 66 % of the time on two letters.

With `loss[e]`, `accuracy[e]`, `kl[e]` at epoch e = 0 … E (0 is before training) and m = margin · Ĥ,
a condition holds *for good* from e if it holds at e, at e + 1 (where there is one), and never again
fails two epochs in a row: one epoch alone is a spike.

- **t_in_alphabet**: the first epoch with mass ≥ 0.95.
- **t_mem**: the first epoch with accuracy ≥ 0.95, to the nearest whole token (15 of 16, 30 of 32),
  or loss < 0.1, which must hold at the next epoch too where there is one. Where a string is so
  predictable that guessing comes near (guessing accuracy above 0.9, entropy below 0.2), the
  accuracy must undo half of the errors of guessing and the loss be below half of the entropy.
- **t_below**: the first epoch from which loss < Ĥ - m for good, judged up to the epoch after t_mem:
  what is forgotten later does not undo it. From here on it cannot be a guess.
- **t_best_guess**: the epoch with the lowest KL before t_below and t_mem: where the model is the
  best guesser that it gets. What the guessing level is (loss, accuracy, mass) is read here.
- **t_guess**, the last epoch of the guessing phase: the last one before KL > min KL + m for good,
  and before t_below and t_mem. The margin makes it the end of a plateau; the minimum itself is any
  epoch on it. KL tells this earlier than the loss where the model is a poor guesser: then its loss
  is above Ĥ while it knows some positions already. Without KL it is the epoch before t_below (or
  t_mem), and it is 0 if that is epoch 0. None, as t_best_guess, where there is neither t_below nor
  t_mem: then guessing has not ended.

A source whose letters depend on those before (a Markov chain) can be guessed better than Ĥ by who
knows its rule, which is no memory of the string. There the level is the lower of Ĥ and the entropy
rate, and KL is that of the source's conditional distribution.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from byrote.errors import InputError
from byrote.recall.intervals import Estimate

__all__ = ["PhaseRule", "PhaseTimes", "Phases", "detect_phases", "phase_times", "times"]


@dataclass(frozen=True, slots=True)
class PhaseRule:
    """The thresholds of the rule; see the module.

    Attributes:
        accuracy: Memorised from this recollection accuracy on.
        loss: Memorised below this loss, nats per token.
        margin: Guessing has ended this far below the entropy, or above the lowest KL, as a share
            of the entropy.
        mass: In the alphabet from this probability on.
    """

    accuracy: float = 0.95
    loss: float = 0.1
    margin: float = 0.05 / math.log(26)
    mass: float = 0.95


@dataclass(frozen=True, slots=True)
class Phases:
    """Epochs at which phases end; None where that was not reached.

    Attributes:
        t_guess: Last epoch of the guessing phase.
        t_mem: First epoch at which the string is memorised.
        t_in_alphabet: First epoch with the mass on the alphabet; None also where it is not known.
        t_below: First epoch from which the loss stays below the entropy.
        t_best_guess: Epoch of the guessing phase with the lowest KL; None also without KL.
    """

    t_guess: int | None
    t_mem: int | None
    t_in_alphabet: int | None = None
    t_below: int | None = None
    t_best_guess: int | None = None


@dataclass(frozen=True, slots=True)
class PhaseTimes:
    """One phase's end over several strings; a string that did not get there counts as infinite.

    Attributes:
        n: Strings.
        censored: Strings that did not reach the phase's end.
        median: Their median, infinite where half or more are censored (for an even number, where
            one of the middle two is). Its interval is of order statistics: the narrowest symmetric
            pair that has the wanted confidence, or else the smallest and the largest value;
            `confidence` is what that pair really has (for 3 strings .75, for 5 strings .94), and
            the upper end may be infinite. Method "order-statistics", or "none" below 2 strings.
        mean: Mean and t-interval, method "t"; only where nothing is censored, otherwise NaN and
            "none".
    """

    n: int
    censored: int
    median: Estimate
    mean: Estimate


def detect_phases(
    loss: ArrayLike,
    accuracy: ArrayLike,
    entropy: float,
    *,
    kl: ArrayLike | None = None,
    mass: ArrayLike | None = None,
    guess_accuracy: float = 0.0,
    positions: int | None = None,
    rule: PhaseRule | None = None,
) -> Phases:
    """Find the ends of the phases of one string; the rule is in the module's documentation.

    Args:
        loss: Nats per token at each epoch, `[epochs + 1]`; the first is before training.
        accuracy: Recollection accuracy, `[epochs + 1]`.
        entropy: Nats per letter of the string's own letter frequencies; or less, if a guesser who
            knows the source gets below that.
        kl: KL(p̂ ‖ P_M) over the vocabulary, `[epochs + 1]`, nats; without it the loss decides.
        mass: Probability on the alphabet, `[epochs + 1]`; for `t_in_alphabet` only.
        guess_accuracy: Accuracy of the best guess, which raises the bar of `t_mem` above 0.9.
        positions: Tokens that the accuracy is over, so that its bar is a whole number of them.
        rule: Other thresholds.

    Raises:
        InputError: The curves are empty or of different lengths, or the entropy is not finite.
    """
    rule = rule or PhaseRule()
    losses = _curve("loss", loss, None)
    count = len(losses)
    accuracies = _curve("accuracy", accuracy, count)
    kls = None if kl is None else _curve("kl", kl, count)
    masses = None if mass is None else _curve("mass", mass, count)
    if not math.isfinite(entropy) or entropy < 0:
        raise InputError(f"entropy is {entropy}; it must be 0 or more, in nats.")

    enough = max(rule.accuracy, (1 + guess_accuracy) / 2)
    if positions:
        # Half a token less than a whole number of hits: shares are rounded.
        enough = (math.floor(enough * positions + 0.5) - 0.5) / positions
    memorised = (accuracies >= enough) | (losses < min(rule.loss, entropy / 2))
    t_mem = _first(memorised & _next(memorised))
    end = count - 1 if t_mem is None else t_mem
    margin = rule.margin * entropy
    t_below = _for_good((losses < entropy - margin)[: end + 2])
    t_guess = t_best = None
    if t_below is not None or t_mem is not None:
        over = min(epoch for epoch in (t_below, t_mem) if epoch is not None)
        t_guess = max(over - 1, 0)
        if kls is not None and np.isfinite(kls[: t_guess + 1]).any():
            t_best = int(np.nanargmin(kls[: t_guess + 1]))
            left = _for_good(kls[t_best : over + 1] > kls[t_best] + margin)
            if left is not None:
                t_guess = min(t_best + left - 1, t_guess)
    return Phases(
        t_guess=t_guess,
        t_mem=t_mem,
        t_in_alphabet=None if masses is None else _first(masses >= rule.mass),
        t_below=t_below,
        t_best_guess=t_best,
    )


def phase_times(
    phases: Iterable[Phases], which: str = "t_mem", *, confidence: float = 0.95
) -> PhaseTimes:
    """The median and the mean of one phase's end over strings, with intervals; see `PhaseTimes`.

    Args:
        phases: Of several strings.
        which: "t_guess", "t_mem", "t_in_alphabet", "t_below" or "t_best_guess".
        confidence: The wanted level of the intervals.

    Raises:
        InputError: No such phase, or a confidence outside (0, 1).
    """
    if which not in Phases.__slots__:
        raise InputError(f"phase is {which!r}; choose one of {', '.join(Phases.__slots__)}.")
    return times([getattr(each, which) for each in phases], confidence=confidence)


def times(epochs: Sequence[float | None], *, confidence: float = 0.95) -> PhaseTimes:
    """As `phase_times`, for plain numbers; None (or infinity) is a string that did not get there.

    Raises:
        InputError: A confidence outside (0, 1).
    """
    if not 0 < confidence < 1:
        raise InputError(f"confidence is {confidence}; it lies strictly between 0 and 1: try 0.95.")
    values = np.sort([math.inf if epoch is None else float(epoch) for epoch in epochs])
    n = len(values)
    censored = int(np.isinf(values).sum())
    mean = Estimate.bare(float(values.mean()) if n and not censored else math.nan, n, confidence)
    if n > 1 and not censored:
        half = stats.t.ppf(0.5 + confidence / 2, n - 1) * values.std(ddof=1) / math.sqrt(n)
        mean = Estimate(mean.value, mean.value - half, mean.value + half, n, "t", confidence)
    if n == 0:
        return PhaseTimes(n, censored, Estimate.bare(math.nan, n, confidence), mean)
    middle = float((values[(n - 1) // 2] + values[n // 2]) / 2)
    median = Estimate.bare(middle, n, confidence)
    if n > 1:
        # The median lies between the i-th smallest and the i-th largest value unless fewer than i
        # of n values fall on one side of it (binomial, 1/2).
        inside = 1 - 2 * stats.binom.cdf(np.arange(n // 2), n, 0.5)
        depth = max(int((inside >= confidence).sum()) - 1, 0)
        low, high = float(values[depth]), float(values[n - 1 - depth])
        median = Estimate(middle, low, high, n, "order-statistics", float(inside[depth]))
    return PhaseTimes(n, censored, median, mean)


def _curve(name: str, values: ArrayLike, count: int | None) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or not len(array):
        raise InputError(f"{name} of shape {list(array.shape)}: give one number for each epoch.")
    if count is not None and len(array) != count:
        raise InputError(f"{name} has {len(array)} epochs and loss {count}; give one for each.")
    return array


def _first(condition: NDArray[np.bool_]) -> int | None:
    return int(condition.argmax()) if condition.any() else None


def _next(condition: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The condition one epoch later; true after the last."""
    return np.append(condition[1:], True)


def _for_good(condition: NDArray[np.bool_]) -> int | None:
    """First epoch of a condition that then never fails two epochs in a row."""
    failing = np.flatnonzero(~condition[:-1] & ~condition[1:])
    after = int(failing[-1]) + 2 if len(failing) else 0
    steady = (condition & _next(condition))[after:]
    found = _first(steady)
    return None if found is None else after + found
