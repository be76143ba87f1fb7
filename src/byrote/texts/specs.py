"""The query string that a corpus or a hub data set may carry: `corpus:kjv?book=Psalms,John`."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import unquote_plus

from byrote.errors import InputError

__all__ = ["parse_query"]


def parse_query(rest: str, spec: str, options: Sequence[str]) -> tuple[str, dict[str, list[str]]]:
    """Split `name?key=a,b&key2=c` into the name and a table of lists.

    Args:
        rest: The spec without its scheme.
        spec: The whole spec, for messages.
        options: The keys that are known.

    Raises:
        InputError: On a key that is not known, or one without a value.
    """
    name, _, query = rest.partition("?")
    values: dict[str, list[str]] = {}
    for part in filter(None, query.split("&")):
        key, _, value = part.partition("=")
        if key not in options:
            raise InputError(f'{spec}: unknown option "{key}"; {name} takes {", ".join(options)}.')
        given = [unquote_plus(entry).strip() for entry in value.split(",")]
        if not all(given):
            raise InputError(f'{spec}: the option "{key}" has no value; write {key}=VALUE.')
        values.setdefault(key, []).extend(given)
    return name, values
