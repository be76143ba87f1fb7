from __future__ import annotations

import math
from itertools import pairwise

import pytest

from byrote.recall import wilson
from byrote.report.numbers import difference, format_interval, format_value
from byrote.report.palette import DARK, LIGHT


def test_difference_is_newcombes_example():
    # Newcombe (1998), Statistics in Medicine 17:873, table II, case (a): 56/70 against 48/80.
    ours = difference((56 / 70, *wilson(56, 70)), (48 / 80, *wilson(48, 80)))
    assert ours == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)


@pytest.mark.parametrize(
    ("value", "share", "words"),
    [
        (0.05625, True, "5.6 %"),
        (0.0, True, "0.0 %"),
        (12.345, False, "12.3"),
        (1234.5, False, "1,234"),
        (-0.5, False, "−0.50"),
        (None, False, "–"),
        (math.nan, True, "–"),
        (math.inf, False, "∞"),
        (-math.inf, False, "−∞"),
    ],
)
def test_values_in_words(value, share, words):
    assert format_value(value, share) == words


def test_intervals_in_words():
    assert format_interval(0.03, 0.103, True) == "3.0–10.3 %"
    assert format_interval(-1.5, 2.0, False) == "−1.50 to 2.00"
    assert format_interval(math.nan, math.nan, True) == ""
    assert format_interval(None, None, True) == ""


def _luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(a: str, b: str) -> float:
    high, low = sorted((_luminance(a), _luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_text_is_readable_on_every_shade(theme):
    for step in range(6):
        assert _contrast(theme["ink"], theme[f"p{step}"]) >= 4.5
    for name in ("ink", "muted", "accent", "recited"):
        assert _contrast(theme[name], theme["page"]) >= 4.5
        assert _contrast(theme[name], theme["panel"]) >= 4.5


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_shades_are_ordered_by_lightness(theme):
    shades = [_luminance(theme[f"p{step}"]) for step in range(6)]
    steps = [b - a for a, b in pairwise(shades)]
    assert all(s < 0 for s in steps) if theme is LIGHT else all(s > 0 for s in steps)


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_the_underline_of_recited_spans_stands_out_from_their_shade(theme):
    assert _contrast(theme["recited"], theme["p5"]) >= 2.4
    assert _contrast(theme["recited"], theme["p3"]) >= 3


def test_chart_colours_differ_so_that_each_can_become_a_css_variable():
    colours = [value for name, value in LIGHT.items() if name.startswith("chart-")]
    assert len(set(colours)) == len(colours)
    assert LIGHT.keys() == DARK.keys()
