"""Prompts in another style, which slip past a filter of token n-grams.

Ippolito et al. (2210.17546) put a prompt into another style, let the model go on in it, and undid
the style: what comes out is the memorised text, though not one n-gram of it is the original. To add
a style, write a function from text to text and a line in `STYLES`; case and white space are all
that it may change, since these are all that `normalised` undoes.
"""

from __future__ import annotations

import re
from collections.abc import Callable

__all__ = ["STYLES", "normalised", "restyle"]

_WORDS_A_LINE = 5


def _lines(text: str) -> str:
    """A line break in place of every fifth space."""
    count = 0

    def broken(_: re.Match[str]) -> str:
        nonlocal count
        count += 1
        return " " if count % _WORDS_A_LINE else "\n"

    return re.sub(" ", broken, text)


# Name -> how a text is written in it.
STYLES: dict[str, Callable[[str], str]] = {
    "original": lambda text: text,
    "upper": str.upper,
    "lower": str.lower,
    "spaces": lambda text: text.replace(" ", "  "),
    "lines": _lines,
}


def restyle(text: str, style: str) -> str:
    """Write a text in a style of `STYLES`."""
    return STYLES[style](text)


def normalised(text: str) -> list[str]:
    """The words of a text without its style: case folded, white space only between words."""
    return text.casefold().split()
