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

__all__ = ["flat_fields", "from_json", "load_config", "override", "to_json"]

C = TypeVar("C")


def override(config: C, values: Mapping[str, Any]) -> C:
    """Change fields by their dotted names.

    Example:
        `override(config, {"exposure.lr": "1e-4", "alphabets": "2,26", "models.0.source": "gpt2"})`

    Args:
        config: A frozen dataclass; it is left as it is.
        values: Name -> value. A name leads through nested dataclasses by field, through mappings
            by key and through tuples by index. A value is text as it is typed on a command line
            (`1,2,5` for a tuple, `none`, or JSON for what is nested), or of its field's type. A
            mapping takes a new key with a whole value.

    Returns:
        A new config.

    Raises:
        InputError: A field is unknown, or a value does not fit it.
    """
    for name, value in values.items():
        config = _Change(tuple(name.split(".")), value, config).made()
    return config


def load_config(path: Path, config: C) -> C:
    """Change a config by what a TOML or YAML file says; fields and keys that it leaves out stay.

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
        for names, value in _paths(values, config):
            config = _Change(names, value, config).made()
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    return config


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


def flat_fields(config: Any, before: str = "") -> dict[str, Any]:
    """All fields of a config by the dotted names that `override` takes, as JSON values."""
    flat: dict[str, Any] = {}
    for key, value in _items(config):
        inner = flat_fields(value, f"{before}{key}.")
        flat |= inner or {f"{before}{key}": _plain(value)}
    return flat


def _items(value: Any) -> list[tuple[str, Any]]:
    if dataclasses.is_dataclass(value):
        return [(f.name, getattr(value, f.name)) for f in dataclasses.fields(value)]
    if isinstance(value, Mapping):
        return [(str(key), item) for key, item in value.items()]
    if isinstance(value, tuple) and any(dataclasses.is_dataclass(item) for item in value):
        return [(str(i), item) for i, item in enumerate(value)]
    return []


@dataclasses.dataclass(frozen=True)
class _Change:
    """One field of a config to be changed.

    Attributes:
        path: The parts of its name.
        value: What it is to be.
        root: The config.
    """

    path: tuple[str, ...]
    value: Any
    root: Any

    def made(self) -> Any:
        """The config with the change."""
        return self._within(self.root, self.path, type(self.root))

    @property
    def name(self) -> str:
        return ".".join(self.path)

    def _within(self, holder: Any, path: tuple[str, ...], hint: Any) -> Any:
        """A part of the config, with the field at `path` below it changed."""
        if not path:
            try:
                return read_value(self.value, hint)
            except Misfit as error:
                raise InputError(f"{self.name} = {shown(self.value)}: {error}") from error
        if dataclasses.is_dataclass(holder) and not isinstance(holder, type):
            hints = hints_of(type(holder))
            if path[0] not in hints:
                raise self._unknown(path, list(hints))
            inner = self._within(getattr(holder, path[0]), path[1:], hints[path[0]])
            return dataclasses.replace(holder, **{path[0]: inner})
        if isinstance(holder, Mapping):
            key, rest = self._key(holder, path)
            return {**holder, key: self._within(holder.get(key), rest, item_hint(hint, holder))}
        if isinstance(holder, tuple):
            if not path[0].isdigit() or int(path[0]) >= len(holder):
                known = f"give an index from 0 to {len(holder) - 1}" if holder else "it is empty"
                raise InputError(f"{self.name}: {path[0]!r} is no item; {known}")
            i = int(path[0])
            inner = self._within(holder[i], path[1:], item_hint(hint, holder, i))
            return (*holder[:i], inner, *holder[i + 1 :])
        raise InputError(
            f"{self.name}: there is no field {path[0]!r} in {shown(holder)}, which has no fields"
        )

    def _key(self, holder: Mapping[str, Any], path: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
        """The key that a path begins with, and the rest; keys may hold dots themselves."""
        for length in range(len(path), 0, -1):
            key = ".".join(path[:length])
            if key in holder:
                return key, path[length:]
        # A new key needs a whole value: with fields to come, it is a known one misspelt.
        whole = not isinstance(self.value, str) or self.value.lstrip().startswith("{")
        if len(path) > 1 and not whole:
            raise self._unknown(path, [str(key) for key in holder])
        return ".".join(path), ()

    def _unknown(self, path: tuple[str, ...], known: list[str]) -> InputError:
        # The right name in the wrong place is likelier meant than a similar name in this one.
        fields = flat_fields(self.root)
        near = [name for name in fields if name.rpartition(".")[2] == path[-1]][:3]
        near = near or difflib.get_close_matches(path[0], known, n=3)
        before = ".".join(self.path[: -len(path)])
        where = f" in {before}" if before else ""
        hint = f"did you mean {' or '.join(near)}?" if near else f"known are: {', '.join(known)}"
        return InputError(f"{self.name}: there is no field {path[0]!r}{where}; {hint}")


def _paths(
    values: Mapping[str, Any], config: Any, before: tuple[str, ...] = ()
) -> list[tuple[tuple[str, ...], Any]]:
    """Nested mappings as paths and values, as deep as the config has parts of that name."""
    known = dict(_items(config)) if not isinstance(config, tuple) else {}
    found: list[tuple[tuple[str, ...], Any]] = []
    for name, value in values.items():
        path, part = (*before, str(name)), known.get(str(name))
        if isinstance(value, Mapping) and (
            dataclasses.is_dataclass(part) or isinstance(part, Mapping)
        ):
            found += _paths(value, part, path)
        else:
            found.append((path, value))
    return found


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
