"""How a config's field is read: from text, from a file's values, or as it is.

The annotation of the field decides. What does not fit is told in words that say what would.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import math
import types
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

__all__ = ["Misfit", "hints_of", "item_hint", "read_value", "shown"]

_TRUE = {"true", "yes", "on", "1"}
_FALSE = {"false", "no", "off", "0"}
_NONE = {"none", "null", ""}


class Misfit(Exception):
    """A value does not fit its field's type; says what would."""


def _options(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)


@cache
def hints_of(kind: type) -> dict[str, Any]:
    """Annotations of a dataclass, without class variables."""
    hints = get_type_hints(kind)
    return {f.name: hints[f.name] for f in dataclasses.fields(kind)}


def read_value(value: Any, hint: Any) -> Any:
    """Read a value as a type.

    Raises:
        Misfit: It cannot be read so.
    """
    options = _options(hint)
    if len(options) > 1:
        return _any_of(value, options)
    if hint is Any:
        return value
    if hint is None or hint is type(None):
        if value is None or (isinstance(value, str) and value.lower() in _NONE):
            return None
        raise Misfit("it is not `none`")
    if get_origin(hint) is Literal:
        return _literal(value, get_args(hint))
    if dataclasses.is_dataclass(hint):
        return _dataclass(value, hint)
    origin = get_origin(hint) or hint
    if origin is tuple:
        return _tuple(value, get_args(hint))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _mapping(value, get_args(hint))
    if hint in _SCALARS:
        return _SCALARS[hint](value)
    raise TypeError(f"fields of type {hint} are not understood")


def _any_of(value: Any, options: Sequence[Any]) -> Any:
    # `none` is a text only where nothing else is meant by it.
    ordered = sorted(options, key=lambda o: (o is not type(None), o is str))
    reasons = []
    for option in ordered:
        try:
            return read_value(value, option)
        except Misfit as error:
            if option is not type(None):
                reasons.append(str(error))
    last = " or `none`" if type(None) in options else ""
    raise Misfit("; ".join(dict.fromkeys(reasons)) + last)


def _literal(value: Any, choices: tuple[Any, ...]) -> Any:
    for choice in choices:
        if value == choice or (isinstance(value, str) and value == str(choice)):
            return choice
    near = difflib.get_close_matches(str(value), [str(c) for c in choices], n=1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    raise Misfit(f"it is one of {', '.join(map(str, choices))}{hint}")


def _integer(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str):
        try:
            return int(value)
        except ValueError:
            pass
    raise Misfit("it must be a whole number")


def _float(value: Any) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        number = float(value)
    elif isinstance(value, str):
        try:
            number = float(value)
        except ValueError:
            raise Misfit("it must be a number") from None
    else:
        raise Misfit("it must be a number")
    if not math.isfinite(number):
        raise Misfit("it must be a finite number")
    return number


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    word = value.lower() if isinstance(value, str) else ""
    if word not in _TRUE | _FALSE:
        raise Misfit("it must be true or false")
    return word in _TRUE


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise Misfit("it must be text; put it in quotes")
    return value


_SCALARS: dict[Any, Any] = {int: _integer, float: _float, bool: _boolean, str: _string}


def _tuple(value: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
    if isinstance(value, str):
        value = _from_text(value, "[", "several values are separated by commas, or a JSON list")
        if isinstance(value, str):
            value = [word.strip() for word in value.strip("()").split(",") if word.strip()]
    if not isinstance(value, list | tuple):
        raise Misfit("it must be a list")
    if not args:
        return tuple(value)
    if len(args) == 2 and args[1] is Ellipsis:
        return tuple(read_value(item, args[0]) for item in value)
    if len(value) != len(args):
        raise Misfit(f"it must have {len(args)} values, not {len(value)}")
    return tuple(read_value(item, arg) for item, arg in zip(value, args, strict=True))


def _mapping(value: Any, args: tuple[Any, ...]) -> dict[str, Any]:
    if isinstance(value, str):
        value = _from_text(value, "{", 'it must be a JSON object, such as {"k": 0.5}')
    if not isinstance(value, Mapping):
        raise Misfit('it must be a mapping, such as {"k": 0.5}')
    item = args[1] if len(args) == 2 else Any
    return {str(key): read_value(inner, item) for key, inner in value.items()}


def _dataclass(value: Any, kind: Any) -> Any:
    if isinstance(value, kind):
        return value
    if isinstance(value, str):
        value = _from_text(value, "{", "set its fields by their own names")
    hints = hints_of(kind)
    if not isinstance(value, Mapping):
        raise Misfit(f"it has fields of its own: {', '.join(hints)}")
    if foreign := [key for key in value if key not in hints]:
        near = difflib.get_close_matches(str(foreign[0]), hints, n=1)
        hint = f"; did you mean {near[0]}?" if near else f"; known are: {', '.join(hints)}"
        raise Misfit(f"there is no field {foreign[0]!r}{hint}")
    given = {}
    for key, inner in value.items():
        try:
            given[key] = read_value(inner, hints[key])
        except Misfit as error:
            raise Misfit(f"{key} = {shown(inner)}: {error}") from error
    needed = [
        f.name
        for f in dataclasses.fields(kind)
        if f.name not in given
        and f.default is dataclasses.MISSING
        and f.default_factory is dataclasses.MISSING
    ]
    if needed:
        raise Misfit(f"it lacks {', '.join(needed)}")
    return kind(**given)


def _from_text(text: str, bracket: str, hint: str) -> Any:
    """Text that looks like JSON as what it says; other text as it is."""
    if not text.lstrip().startswith(bracket):
        return text
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise Misfit(f"this is no JSON ({error.msg}); {hint}") from error


def item_hint(hint: Any, holder: Any, index: int = 0) -> Any:
    """The type of the items of a tuple or mapping, out of a union if need be."""
    wanted = tuple if isinstance(holder, tuple) else (dict, Mapping)
    for option in _options(hint):
        origin = get_origin(option)
        if isinstance(origin, type) and issubclass(origin, wanted):
            args = get_args(option)
            if not issubclass(origin, tuple):
                return args[1]
            return args[0] if len(args) == 2 and args[1] is Ellipsis else args[index]
    return Any


def shown(value: Any) -> str:
    """A value in quotes and at most 60 characters long, for a message."""
    text = value if isinstance(value, str) else repr(value)
    return repr(text if len(text) <= 60 else f"{text[:57]}…")
