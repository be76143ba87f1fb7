"""Configs of studies: frozen dataclasses, changed by dotted names, read from TOML, YAML and JSON.

The annotations of the fields say how a value is read, so that the command line, a file and
`run.json` all mean the same. Understood are `int`, `float`, `bool`, `str`, `None`, `Literal`,
unions of these, tuples, mappings with string keys, and nested dataclasses.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from byrote.errors import InputError
from byrote.studies.values import Misfit, hints_of, item_hint, read_value, shown

__all__ = ["field_names", "from_json", "load_config", "override", "to_json"]

C = TypeVar("C")


def override(config: C, values: Mapping[str, Any]) -> C:
    """Change fields by their dotted names.

    Example:
        `override(config, {"exposure.lr": "1e-4", "alphabets": "2,26", "models.0.source": "gpt2"})`

    Args:
        config: A frozen dataclass; it is left as it is.
        values: Name -> value. A name leads through nested dataclasses by field, through mappings
            by key and through tuples by index. A value is text as it is typed on a command line
            (`1,2,5` for a tuple, `none`, or JSON for what is nested), or of its field's type.

    Returns:
        A new config.

    Raises:
        InputError: A field is unknown, or a value does not fit it.
    """
    for name, value in values.items():
        config = _set(config, name, name.split("."), value, type(config), config)
    return config


def load_config(path: Path, config: C) -> C:
    """Change a config by what a TOML or YAML file says; fields that it leaves out stay.

    Args:
        path: A file whose name ends in `.toml`, `.yaml`, `.yml` or `.json`.
        config: What is changed, such as a preset.

    Raises:
        InputError: The file is missing, unreadable, of another kind, or does not fit the config.
    """
    values = _read(path)
    if not isinstance(values, dict):
        raise InputError(f"{path} holds no fields; it needs lines such as `seed = 1`")
    try:
        return override(config, _flat(values, config))
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def to_json(config: Any) -> dict[str, Any]:
    """A config as JSON values: tuples become lists, dataclasses mappings."""
    return {f.name: _plain(getattr(config, f.name)) for f in dataclasses.fields(config)}


def from_json(config_type: type[C], values: Mapping[str, Any]) -> C:
    """Read back what `to_json` gave.

    Raises:
        InputError: A field is unknown, missing without a default, or of another type.
    """
    try:
        return read_value(values, config_type)
    except Misfit as error:
        raise InputError(f"the config cannot be read: {error}") from error


def field_names(config: Any, before: str = "") -> list[str]:
    """The dotted names of all fields of a config, nested ones and tuple items included."""
    names = []
    for key, value in _items(config):
        name = f"{before}{key}"
        inner = field_names(value, f"{name}.")
        names += inner if dataclasses.is_dataclass(value) else [name, *inner]
    return names


def _items(value: Any) -> list[tuple[str, Any]]:
    if dataclasses.is_dataclass(value):
        return [(f.name, getattr(value, f.name)) for f in dataclasses.fields(value)]
    if isinstance(value, Mapping):
        return [(str(key), item) for key, item in value.items()]
    if isinstance(value, tuple) and any(dataclasses.is_dataclass(item) for item in value):
        return [(str(i), item) for i, item in enumerate(value)]
    return []


def _set(holder: Any, name: str, path: list[str], value: Any, hint: Any, root: Any) -> Any:
    """`holder`, a part of `root`, with the field at `path` replaced."""
    if not path:
        try:
            return read_value(value, hint)
        except Misfit as error:
            raise InputError(f"{name} = {shown(value)}: {error}") from error
    key, rest = path[0], path[1:]
    if dataclasses.is_dataclass(holder) and not isinstance(holder, type):
        hints = hints_of(type(holder))
        if key not in hints:
            raise InputError(_unknown(name, key, path, list(hints), root))
        changed = _set(getattr(holder, key), name, rest, value, hints[key], root)
        return dataclasses.replace(holder, **{key: changed})
    if isinstance(holder, Mapping):
        if rest and key not in holder:
            raise InputError(_unknown(name, key, path, [str(k) for k in holder], root))
        return {
            **holder,
            key: _set(holder.get(key), name, rest, value, item_hint(hint, holder), root),
        }
    if isinstance(holder, tuple):
        if not key.isdigit() or int(key) >= len(holder):
            raise InputError(
                f"{name}: {key!r} is no item; give an index from 0 to {len(holder) - 1}"
                if holder
                else f"{name}: the tuple is empty, so it has no item {key!r}"
            )
        i = int(key)
        changed = _set(holder[i], name, rest, value, item_hint(hint, holder, i), root)
        return (*holder[:i], changed, *holder[i + 1 :])
    raise InputError(f"{name}: there is no field {key!r} in {shown(holder)}, which has no fields")


def _unknown(name: str, key: str, path: list[str], known: list[str], root: Any) -> str:
    # The right name in the wrong place is likelier meant than a similar name in this one.
    near = [full for full in field_names(root) if full.rpartition(".")[2] == path[-1]][:3]
    near = near or difflib.get_close_matches(key, known, n=3)
    before = ".".join(name.split(".")[: -len(path)])
    where = f" in {before}" if before else ""
    hint = f"did you mean {' or '.join(near)}?" if near else f"known are: {', '.join(known)}"
    return f"{name}: there is no field {key!r}{where}; {hint}"


def _flat(values: Mapping[str, Any], config: Any, before: str = "") -> dict[str, Any]:
    """Nested mappings as dotted names, as deep as the config has dataclasses."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{before}{key}"
        inner = getattr(config, str(key), None)
        if isinstance(value, Mapping) and dataclasses.is_dataclass(inner):
            flat |= _flat(value, inner, f"{name}.")
        else:
            flat[name] = value
    return flat


def _read(path: Path) -> Any:
    kind = path.suffix.lower()
    if kind not in (".toml", ".yaml", ".yml", ".json"):
        raise InputError(f"{path}: a config file ends in .toml, .yaml or .json")
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise InputError(f"no config file at {path}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {path}: {error}") from error
    try:
        if kind == ".toml":
            return tomllib.loads(text)
        return json.loads(text) if kind == ".json" else _read_yaml(text)
    except ValueError as error:
        raise InputError(f"{path} is no valid {kind[1:].upper()}: {error}") from error


def _read_yaml(text: str) -> Any:
    """YAML, without the tags that build Python objects.

    Raises:
        ValueError: It is none.
    """
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return to_json(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
