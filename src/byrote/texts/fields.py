"""From a row of named fields (JSON, CSV, a data set) to a record, with errors that say where."""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping
from typing import Any, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from byrote.errors import InputError
from byrote.texts.records import Record

__all__ = ["OPTIONAL_FIELDS", "Place", "ids_from_list", "record_from_row"]

# The fields besides the text itself; readers of column formats ask for these columns only.
OPTIONAL_FIELDS = ("id", "source", "count", "member", "category")

_MAX_ID = 2**31 - 1
_PLAIN_NAMES: dict[type, str] = {
    str: "a string",
    bool: "a boolean",
    int: "an integer",
    float: "a number",
    list: "a list",
    dict: "an object",
    bytes: "bytes",
}


class Place(NamedTuple):
    """Where a row stands in its source, for messages and for default ids."""

    origin: str
    stem: str
    unit: str
    number: int

    def __str__(self) -> str:
        return f"{self.origin}, {self.unit} {self.number}"

    @property
    def default_id(self) -> str:
        """The id of a record that has none: `<stem>:<line>`."""
        return f"{self.stem}:{self.number}"


def record_from_row(
    row: Mapping[str, Any], place: Place, *, source: str, text_field: str = "text"
) -> Record:
    """Check a row's fields and build its record.

    A row that could be read in several ways is read as `input_ids` first, then as
    `prefix` + `suffix`, then as text. A field that is null counts as absent.

    Args:
        row: Field names and values. `input_ids` is a list, or an int32 array that is used as is.
        place: Where the row stands.
        source: Name of the source, where the row has no `source` of its own.
        text_field: The field that holds the text.

    Raises:
        InputError: If a field has the wrong type, or the row has none of the three forms.
    """
    get = row.get
    text = prefix = suffix = input_ids = prefix_len = None
    if (ids := get("input_ids")) is not None:
        input_ids = ids if isinstance(ids, np.ndarray) else ids_from_list(ids, place)
        if (value := get("prefix_len")) is not None:
            prefix_len = _prefix_len(value, len(input_ids), place)
    elif get("prefix_len") is not None:
        raise InputError(
            f'{place}: "prefix_len" counts tokens and needs "input_ids", which are missing; '
            'to cut a text at a place of your own, give "prefix" and "suffix".'
        )
    elif get("prefix") is not None and get("suffix") is not None:
        prefix = _string(row["prefix"], "prefix", place)
        suffix = _string(row["suffix"], "suffix", place)
    elif (value := get(text_field)) is not None:
        text = _string(value, text_field, place)
    else:
        _refuse_form(row, place, text_field)
    record_id = get("id")
    own_source = get("source")
    count = get("count")
    member = get("member")
    category = get("category")
    return Record(
        id=place.default_id if record_id is None else _label(record_id, "id", place),
        source=source if own_source is None else _group(own_source, "source", place),
        text=text,
        prefix=prefix,
        suffix=suffix,
        input_ids=input_ids,
        prefix_len=prefix_len,
        count=None if count is None else _count(count, place),
        member=None if member is None else _member(member, place),
        category=None if category is None else _group(category, "category", place),
    )


def ids_from_list(value: Any, place: Place) -> NDArray[np.int32]:
    """Turn a list of Python integers into int32 token ids.

    Raises:
        InputError: If it is no list, or an entry is no integer in 0 … 2³¹-1.
    """
    if not isinstance(value, list):
        _refuse_type(value, "input_ids", "a list of integers", place)
    if not set(map(type, value)) <= {int}:
        at = next(i for i, entry in enumerate(value) if type(entry) is not int)
        raise InputError(
            f'{place}: "input_ids" must hold integers only, but position {at} holds '
            f"{describe(value[at])}."
        )
    if not value:
        return np.empty(0, dtype=np.int32)
    try:
        # By way of array: twice as fast as numpy with a list.
        ids = np.frombuffer(array("i", value), dtype=np.int32)
    except OverflowError:
        ids = None
    # One unsigned view finds negative ids as well: they are the largest there.
    if ids is None or ids.view(np.uint32).max() > _MAX_ID:
        at = next(i for i, entry in enumerate(value) if not 0 <= entry <= _MAX_ID)
        raise InputError(
            f'{place}: "input_ids" must be token ids of 0 or more (and below 2^31), but '
            f"position {at} holds {value[at]}."
        )
    return ids


def describe(value: Any) -> str:
    """Name a value and its type for a message, cut to a readable length."""
    name = _PLAIN_NAMES.get(type(value), f"a {type(value).__name__}")
    shown = repr(value)
    return f"{name}: {shown if len(shown) <= 40 else shown[:37] + '...'}"


def _refuse_type(value: Any, field: str, wanted: str, place: Place) -> NoReturn:
    raise InputError(f'{place}: "{field}" must be {wanted}, but it is {describe(value)}.')


def _refuse_form(row: Mapping[str, Any], place: Place, text_field: str) -> NoReturn:
    for given, missing in (("prefix", "suffix"), ("suffix", "prefix")):
        if row.get(given) is not None:
            raise InputError(f'{place}: has "{given}" but no "{missing}"; a pair needs both.')
    names = ", ".join(f'"{name}"' for name in list(row)[:8]) or "no fields"
    raise InputError(
        f'{place}: holds none of "{text_field}", "prefix" + "suffix", or "input_ids" (it has '
        f"{names}); name the field that holds the text with text_field."
    )


def _string(value: Any, field: str, place: Place) -> str:
    if not isinstance(value, str):
        _refuse_type(value, field, "a string", place)
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise InputError(
                f'{place}: "{field}" holds half of a surrogate pair at character {error.start}, '
                "which is no text; write the whole character."
            ) from None
    return value


def _label(value: Any, field: str, place: Place) -> str:
    """A short name: a string, or an integer that stands for one."""
    if type(value) is int:
        return str(value)
    text = _string(value, field, place)
    if not text.strip():
        raise InputError(f'{place}: "{field}" is empty; leave the field out, or fill it.')
    return text


def _group(value: Any, field: str, place: Place) -> str:
    """A name to report by; "all" is taken."""
    name = _label(value, field, place)
    if name == "all":
        raise InputError(
            f'{place}: "{field}" is "all", the name of the pool of them in every table; give '
            "another name."
        )
    return name


def _integer(value: Any) -> int | None:
    """An integer, also where a table stored a column with gaps as floats (3.0)."""
    if type(value) is int:
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return None


def _prefix_len(value: Any, tokens: int, place: Place) -> int | None:
    if isinstance(value, float) and math.isnan(value):
        return None
    prefix_len = _integer(value)
    if prefix_len is None:
        _refuse_type(value, "prefix_len", "an integer", place)
    if not 0 < prefix_len < tokens:
        raise InputError(
            f'{place}: "prefix_len" is {prefix_len}, but it must leave at least one token on '
            f'either side of {tokens} "input_ids".'
        )
    return prefix_len


def _count(value: Any, place: Place) -> int | None:
    if isinstance(value, float) and math.isnan(value):
        return None
    count = _integer(value)
    if count is None:
        _refuse_type(value, "count", "an integer of 0 or more", place)
    if count < 0:
        raise InputError(f'{place}: "count" is {count}, but a text is seen 0 times or more.')
    return count


def _member(value: Any, place: Place) -> bool | None:
    if isinstance(value, bool):
        return value
    if isinstance(value, float) and math.isnan(value):
        return None
    if _integer(value) in (0, 1):
        return bool(value)
    _refuse_type(value, "member", "true or false", place)
