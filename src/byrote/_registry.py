"""What is found by name: which module holds it, and which options it takes."""

from __future__ import annotations

import difflib
import importlib
import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from byrote.errors import InputError

__all__ = ["bind", "lookup"]


def lookup(kind: str, name: str, registry: Mapping[str, str]) -> Any:
    """Import what a registry has under a name.

    Args:
        kind: What is looked for, as the error calls it: `objective`, `localizer`.
        name: The name.
        registry: From name to `module:attribute`.

    Raises:
        InputError: There is none of that name.
    """
    if name not in registry:
        near = difflib.get_close_matches(name, registry, n=2, cutoff=0.6)
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        raise InputError(f"There is no {kind} {name!r}.{hint} There are: {', '.join(registry)}.")
    module, _, attribute = registry[name].partition(":")
    return getattr(importlib.import_module(module), attribute)


def bind(
    kind: str,
    name: str,
    parameters: Iterable[inspect.Parameter],
    options: Mapping[str, Any],
) -> None:
    """See that options fit parameters.

    Args:
        kind: As for `lookup`.
        name: The name.
        parameters: Those that an option may be.
        options: By name.

    Raises:
        InputError: There is no such option, or one is lacking.
    """
    parameters = list(parameters)
    try:
        inspect.Signature(parameters).bind(**options)
    except TypeError as error:
        known = ", ".join(parameter.name for parameter in parameters) or "none"
        raise InputError(f"The {kind} {name!r}: {error}. Its options: {known}.") from error
