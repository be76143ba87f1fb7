"""One palette for charts and page, distinguishable to colour-blind readers (Okabe and Ito).

A chart is drawn with the light colours. In the page each of them is replaced by a CSS variable of
the same name, so that one picture serves the light and the dark theme.
"""

from __future__ import annotations

import re
from typing import Any

__all__ = [
    "DARK",
    "LIGHT",
    "PROBABILITY_STEPS",
    "css_variables",
    "themed_spec",
    "themed_svg",
]

PROBABILITY_STEPS = (0.01, 0.1, 0.5, 0.9, 0.99)
"""Where the shade of a token changes; token probabilities crowd at both ends."""

# Names are CSS variables; the chart-* values must differ from each other in the light theme.
LIGHT = {
    "page": "#fbfbfa",
    "panel": "#ffffff",
    "ink": "#16202a",
    "muted": "#566370",
    "line": "#dde2e7",
    "accent": "#00568c",
    "recited": "#b03a00",
    "good": "#0a6b4e",
    "chart-ink": "#17212b",
    "chart-muted": "#57646f",
    "chart-grid": "#e3e7eb",
    "chart-texts": "#0072b2",
    "chart-control-1": "#d55e00",
    "chart-control-2": "#b0589a",
    "chart-control-3": "#009e73",
    "chart-step-1": "#90c3ea",
    "chart-step-2": "#4f9bd3",
    "chart-step-3": "#1d71b4",
    "chart-step-4": "#0b4a82",
    "chart-step-5": "#052b52",
    "p0": "#ffffff",
    "p1": "#eef5fb",
    "p2": "#dbeaf7",
    "p3": "#c1dcf1",
    "p4": "#a0cae9",
    "p5": "#7ab3e0",
}
DARK = {
    "page": "#10151a",
    "panel": "#171d24",
    "ink": "#e9eef3",
    "muted": "#a3b0bc",
    "line": "#2e3843",
    "accent": "#7cc4f5",
    "recited": "#ffa66b",
    "good": "#63d2aa",
    "chart-ink": "#e9eef3",
    "chart-muted": "#a3b0bc",
    "chart-grid": "#2a333d",
    "chart-texts": "#56b4e9",
    "chart-control-1": "#ff9142",
    "chart-control-2": "#e39bcd",
    "chart-control-3": "#3fd0a4",
    "chart-step-1": "#1f5f96",
    "chart-step-2": "#3685c4",
    "chart-step-3": "#62aee6",
    "chart-step-4": "#9ad0f7",
    "chart-step-5": "#d6edff",
    "p0": "#171d24",
    "p1": "#192936",
    "p2": "#1a374e",
    "p3": "#1d4767",
    "p4": "#205881",
    "p5": "#24699c",
}

_VARIABLE_OF = {value: f"var(--{name})" for name, value in LIGHT.items() if "chart" in name}
_PAINT = re.compile(r'\b(fill|stroke)="(#[0-9a-fA-F]{6})"')
_IDENTIFIER = re.compile(r'(\bid="|url\(#|href="#)([A-Za-z0-9_-]+)')


def css_variables(theme: dict[str, str]) -> str:
    """The theme's colours as CSS custom properties."""
    return "".join(f"--{name}:{value};" for name, value in theme.items())


def themed_spec(spec: Any) -> Any:
    """A Vega-Lite specification with the palette's colours as CSS variables; data untouched."""
    if isinstance(spec, dict):
        return {
            key: value if key in ("data", "datasets", "$schema") else themed_spec(value)
            for key, value in spec.items()
        }
    if isinstance(spec, list):
        return [themed_spec(value) for value in spec]
    return _VARIABLE_OF.get(spec.lower(), spec) if isinstance(spec, str) else spec


def themed_svg(svg: str, prefix: str) -> str:
    """An SVG for use within a page: palette colours as CSS variables, ids of its own.

    Args:
        svg: The picture as vl-convert draws it.
        prefix: Put before each id, since several pictures share one page.
    """
    svg = _PAINT.sub(
        lambda m: f'{m[1]}="{_VARIABLE_OF.get(m[2].lower(), m[2])}"',
        svg,
    )
    return _IDENTIFIER.sub(lambda m: f"{m[1]}{prefix}-{m[2]}", svg)
