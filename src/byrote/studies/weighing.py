"""Verdicts by intervals over strings, with bounds for what was not reached; the worst decides.

Three rules hold for every claim. Things that differ (models, alphabets, masks) are not mixed: each
is judged apart, over its repetitions (strings, seeds), and the worst decides (`each`). A verdict
goes by the 95 % interval, not by the mean alone. And what was not reached within the epochs is
known between bounds only (`Span`), of which the one decides that speaks against the verdict.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from byrote.recall.intervals import t_mean
from byrote.studies.claims import Judgement, NotTested, at_least

__all__ = [
    "ANY",
    "LEAST_STRINGS",
    "SHARE",
    "SIGNED_SHARE",
    "Span",
    "Weighed",
    "direction",
    "each",
    "number",
    "untested",
    "within",
    "worst",
]

LEAST_STRINGS = 3
"""Fewer strings give no verdict."""

ANY = (-math.inf, math.inf)
"""Limits of a measure that has none."""
SHARE = (0.0, 1.0)
"""Limits of a share."""
SIGNED_SHARE = (-1.0, 1.0)
"""Limits of a difference of shares, and of a rank correlation."""

_T = TypeVar("_T")
_SEVERITY = {"fails": 0, "not tested": 1, "holds": 2}


@dataclass(frozen=True, slots=True)
class Span:
    """A number that is known between two bounds; they are equal where it was measured.

    Attributes:
        low: Lower bound; of an epoch that was not reached, the one after the last.
        high: Upper bound; of an epoch that was not reached, infinity.
    """

    low: float
    high: float

    def __sub__(self, other: Span) -> Span:
        return Span(self.low - other.high, self.high - other.low)

    def over(self, other: Span) -> Span:
        """The ratio of two numbers of epochs; nothing is memorised in less than one."""
        return Span(self.low / max(other.high, 1.0), self.high / max(other.low, 1.0))


@dataclass(frozen=True)
class Weighed(Judgement):
    """A judgement that knows how far the interval stays from the bound.

    Attributes:
        margin: Distance to the nearest bound, below zero where the interval crosses it or lies
            beyond; -inf where there is no interval.
    """

    margin: float = -math.inf


def direction(
    values: Iterable[float | Span | None],
    sign: int,
    what: str,
    unit: str = "",
    *,
    limits: tuple[float, float] = ANY,
    of: str = "strings",
) -> Weighed:
    """Judge whether a mean over strings lies on one side of zero.

    Args:
        values: One for each string (or chain).
        sign: 1 where the claim says above zero, -1 below.
        what: What the number is, in words.
        unit: Its unit, such as "epochs"; may be empty.
        limits: Between which the measure lies, whatever happens.
        of: What the values are of, in the plural.

    Returns:
        Holds or fails where the 95 % t-interval over strings leaves zero out, else not tested.
    """
    bounds = (0.0, math.inf) if sign > 0 else (-math.inf, 0.0)
    predicate = f"holds {'above' if sign > 0 else 'below'} 0"
    crossed = "the interval includes zero"
    return _weigh(values, what, unit, bounds, True, (predicate, crossed), limits, of)


def within(
    values: Iterable[float | Span | None],
    what: str,
    unit: str = "",
    *,
    least: float = -math.inf,
    most: float = math.inf,
    limits: tuple[float, float] = ANY,
    of: str = "strings",
) -> Weighed:
    """Judge whether a mean over strings lies within bounds.

    Args:
        values: One for each string.
        what: What the number is, in words.
        unit: Its unit; may be empty.
        least: Lower bound.
        most: Upper bound.
        limits: Between which the measure lies, whatever happens.
        of: What the values are of, in the plural.

    Returns:
        Holds where the 95 % t-interval over strings lies within the bounds, fails where it lies
        outside; where it crosses a bound the strings cannot tell, and it is not tested.
    """
    predicate = f"holds {_bounds(least, most)}"
    crossed = "the interval crosses the bound"
    return _weigh(values, what, unit, (least, most), False, (predicate, crossed), limits, of)


def _weigh(
    values: Iterable[float | Span | None],
    what: str,
    unit: str,
    bounds: tuple[float, float],
    strict: bool,
    words: tuple[str, str],
    limits: tuple[float, float],
    of: str,
) -> Weighed:
    known = [v if isinstance(v, Span) else Span(v, v) for v in values if v is not None]
    known = [v for v in known if not (math.isnan(v.low) or math.isnan(v.high))]
    at_least(len(known), LEAST_STRINGS, of)
    lows, highs = (_interval([getattr(v, end) for v in known], limits) for end in ("low", "high"))
    below, above = lows["low"], highs["high"]
    least, most = bounds
    open_ended = sum(v.low != v.high for v in known)
    shown = _shown(lows, highs, unit, len(known), of)
    text = f"{what}: {shown}"
    predicate, why = words
    if open_ended:
        text += f", {open_ended} of them known by a bound only"
        why = "what was not reached within the epochs leaves it open"
    else:
        why = f"{why}, so that these {of} cannot tell"
    inside = least <= below and above <= most
    if strict and (below == least > -math.inf or above == most < math.inf):
        inside = False
    margin = min(below - least, most - above)
    verdict = "holds" if inside else "not tested"
    if above < least or below > most:
        verdict, margin = "fails", -max(least - above, below - most)
    value = lows["value"] if math.isfinite(lows["value"]) else highs["value"]
    return Weighed(
        verdict,
        text,
        predicate if verdict != "not tested" else f"{predicate}; {why}",
        value=_finite(value),
        low=_finite(below),
        high=_finite(above),
        n=len(known),
        margin=margin,
    )


def _interval(values: Sequence[float], limits: tuple[float, float]) -> dict[str, float]:
    """Mean and t-interval, which knows no limits of its own; all of it infinite if a value is."""
    endless = [v for v in values if math.isinf(v)]
    if endless:
        bound = limits[0] if endless[0] < 0 else limits[1]
        return dict.fromkeys(("value", "low", "high"), bound)
    found = t_mean(values)
    return {key: float(np.clip(getattr(found, key), *limits)) for key in ("value", "low", "high")}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _bounds(least: float, most: float) -> str:
    low, high = (f"{bound:g}".replace("-", "−") for bound in (least, most))
    if math.isinf(least):
        return f"up to {high}"
    return f"from {low} on" if math.isinf(most) else f"from {low} to {high}"


def _shown(
    lows: Mapping[str, float], highs: Mapping[str, float], unit: str, n: int, of: str
) -> str:
    unit = f" {unit}" if unit else ""
    if lows == highs and math.isclose(lows["low"], lows["high"], abs_tol=1e-9):
        return f"{_signed(lows['value'])}{unit} in all {n} {of}"
    if lows == highs:
        return f"{number(lows)}{unit}, {n} {of}"
    low, high = lows["low"], highs["high"]
    if math.isinf(low) and math.isinf(high):
        return f"no bound, {n} {of}"
    if math.isinf(high):
        return f"at least {_signed(lows['value'])} (from {_signed(low)} on){unit}, {n} {of}"
    if math.isinf(low):
        return f"at most {_signed(highs['value'])} (up to {_signed(high)}){unit}, {n} {of}"
    return f"between {_signed(low)} and {_signed(high)}{unit}, {n} {of}"


def untested(found: Judgement, why: str) -> Judgement:
    """The same numbers, from which for some reason nothing follows."""
    return replace(found, verdict="not tested", why=why)


def number(found: Mapping[str, float]) -> str:
    """A mean with its interval, as `−0.54 (−0.60 to −0.48)`."""
    value, low, high = (_signed(found[key]) for key in ("value", "low", "high"))
    return f"{value} ({low} to {high})"


def _signed(value: float) -> str:
    shown = f"{value:.2f}"
    return shown.replace("-", "" if float(shown) == 0 else "−")


def each(
    parts: Iterable[tuple[str, _T]], judge: Callable[[_T], Judgement], plural: str = "groups"
) -> Judgement:
    """Judge every part apart; the worst decides.

    Args:
        parts: Pairs of the words that name a part and what is judged of it.
        judge: From a part to a judgement; it may raise `NotTested`.
        plural: What the parts are, for the reader.

    Raises:
        NotTested: There are no parts.
    """
    judged = []
    for name, part in parts:
        try:
            judged.append((name, judge(part)))
        except NotTested as reason:
            judged.append((name, Judgement("not tested", why=str(reason))))
    return worst(judged, plural)


def worst(judged: Sequence[tuple[str, Judgement]], plural: str = "groups") -> Judgement:
    """The judgement that decides for all: one that fails, else one not tested, else any.

    Among equals it is the one that comes nearest to its bound, or is farthest beyond it.

    Args:
        judged: Pairs of a name and its judgement.
        plural: What the names are of, for the reader.

    Raises:
        NotTested: There are none.
    """
    if not judged:
        raise NotTested("nothing of the kind that is asked for was measured")

    def key(pair: tuple[str, Judgement]) -> tuple[int, float]:
        margin = pair[1].margin if isinstance(pair[1], Weighed) else -math.inf
        return _SEVERITY[pair[1].verdict], margin

    name, found = min(judged, key=key)
    text = f"{name}: {found.text}" if found.text else name
    if len(judged) > 1:
        count = {v: sum(j.verdict == v for _, j in judged) for v in reversed(_SEVERITY)}
        rest = ", ".join(f"{verdict}: {n}" for verdict, n in count.items() if n)
        text += f"; the worst of {len(judged)} {plural} ({rest})"
    return Weighed(
        found.verdict,
        text,
        found.why,
        value=found.value,
        low=found.low,
        high=found.high,
        n=found.n,
        margin=key((name, found))[1],
    )
