"""Checks of single options; each refuses with an error that names owner, option and value."""

from __future__ import annotations

from collections.abc import Sequence

from byrote.errors import InputError

__all__ = ["above", "between", "one_of", "whole"]


def above(owner: str, name: str, value: float, bound: float) -> None:
    """See that an option is a finite number above a bound.

    Args:
        owner: Whose option it is, as it stands in the error: `objective 'focal'`.
        name: The option.
        value: Its value.
        bound: What it must exceed.

    Raises:
        InputError: It does not.
    """
    if not (_number(value) and bound < value < float("inf")):
        raise InputError(f"The {owner}: {name}={value!r} must be a number above {bound:g}.")


def between(owner: str, name: str, value: float, low: float, high: float) -> None:
    """See that an option is a finite number within bounds, which belong to it.

    Raises:
        InputError: It is not.
    """
    if not (_number(value) and low <= value <= high and abs(value) != float("inf")):
        bounds = f"of at least {low:g}" if high == float("inf") else f"from {low:g} to {high:g}"
        raise InputError(f"The {owner}: {name}={value!r} must be a number {bounds}.")


def whole(owner: str, name: str, value: int, least: int) -> None:
    """See that an option is a whole number of at least so much.

    Raises:
        InputError: It is not.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise InputError(
            f"The {owner}: {name}={value!r} must be a whole number of at least {least}."
        )


def one_of(owner: str, name: str, value: str, choices: Sequence[str]) -> None:
    """See that an option is one of some words.

    Raises:
        InputError: It is not.
    """
    if value not in choices:
        raise InputError(f"The {owner}: {name}={value!r} must be one of {', '.join(choices)}.")


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
