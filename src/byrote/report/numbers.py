"""Numbers as a reader meets them: percentages, intervals, differences."""

from __future__ import annotations

import math
from typing import Any

__all__ = [
    "CONTROL_WORDS",
    "difference",
    "finite",
    "format_interval",
    "format_value",
    "group_label",
    "is_share",
]

CONTROL_WORDS = {
    "mismatched": "the suffix of another passage",
    "shuffled": "the suffix with its tokens shuffled",
    "held-out": "texts held out from training",
}

_SHARE_UNITS = {"share", "rate", "fraction", "proportion", "probability"}
_SHARE_MEASURES = ("extractable", "token_accuracy", "discoverable", "run_ge_")


def difference(
    texts: tuple[float, float, float], controls: tuple[float, float, float]
) -> tuple[float, float, float]:
    """Difference of two estimates, with an interval recovered from their own intervals.

    Square-and-add (Newcombe, 1998, method 10; for any estimate Zou and Donner, 2008). It takes
    the two as independent; for controls paired with their texts it is, if anything, too wide.

    Args:
        texts: Value, low and high.
        controls: Value, low and high.

    Returns:
        Difference, low and high.
    """
    (a, a_low, a_high), (b, b_low, b_high) = texts, controls
    d = a - b
    low = d - math.sqrt((a - a_low) ** 2 + (b_high - b) ** 2)
    high = d + math.sqrt((a_high - a) ** 2 + (b - b_low) ** 2)
    return d, low, high


def finite(value: Any) -> float | None:
    """The number itself, or None for a missing, infinite or undefined one (JSON has none)."""
    if value is None or not math.isfinite(value):
        return None
    return float(value)


def is_share(measure: str, unit: str | None = None) -> bool:
    """Whether a measure lies between 0 and 1 and reads as a percentage."""
    return unit in _SHARE_UNITS or measure.startswith(_SHARE_MEASURES)


def format_value(value: float | None, share: bool, *, signed: bool = False) -> str:
    """A value in words: "5.6 %" for a share, "12.3" for anything else, "–" for none."""
    if value is None or math.isnan(value):
        return "–"
    if math.isinf(value):
        return "−∞" if value < 0 else "∞"
    sign = "+" if signed and value > 0 else ""
    text = f"{sign}{100 * value:.1f}" if share else f"{sign}{_plain(value)}"
    return text.replace("-", "−") + (" %" if share and not signed else "")


def format_interval(low: float | None, high: float | None, share: bool) -> str:
    """An interval in words: "3.0–10.3 %"; empty where there is none."""
    if low is None or high is None or math.isnan(low) or math.isnan(high):
        return ""
    a, b = format_value(low, share), format_value(high, share)
    if share:
        a = a.removesuffix(" %")
    dash = " to " if low < 0 else "–"
    return f"{a}{dash}{b}"


def _plain(value: float) -> str:
    if abs(value) >= 1e5:
        return f"{value:.3g}"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def group_label(group: str) -> str:
    """A group's name as charts and tables show it."""
    return group if group == "texts" else f"control: {group}"
