"""Options that every command shares, and how lists of numbers are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from cyclopts import Parameter

from byrote.errors import InputError

__all__ = ["Common", "count_or_all", "integers"]


@Parameter(name="*")
@dataclass(frozen=True)
class Common:
    """How a command speaks.

    Attributes:
        quiet: No progress and no table; errors still appear.
        json: Print the result as one JSON document on standard output.
        debug: Show the traceback of an error.
    """

    quiet: Annotated[bool, Parameter(negative="", show_default=False)] = False
    json: Annotated[bool, Parameter(negative="", show_default=False)] = False
    debug: Annotated[bool, Parameter(negative="", show_default=False)] = False

    def start(self) -> None:
        """Turn progress on unless the user wants silence."""
        from byrote import progress

        progress.show(not self.quiet)


def integers(_: Any, tokens: Sequence[Any]) -> tuple[int, ...]:
    """Read `50`, `10 25 50` or `10,25,50`."""
    words = [word for token in tokens for word in token.value.split(",") if word]
    try:
        return tuple(int(word) for word in words)
    except ValueError as error:
        raise InputError(f"{tokens[0].keyword} {' '.join(words)}: whole numbers only") from error


def count_or_all(name: str, word: str) -> int | None:
    """Read a number, or `all` as None."""
    if word == "all":
        return None
    try:
        return int(word)
    except ValueError as error:
        raise InputError(f"{name} {word!r}: give a whole number, or `all`") from error
