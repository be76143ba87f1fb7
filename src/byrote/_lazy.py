"""Exports that are imported on first use, so that `import byrote` stays light."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import sys
from collections.abc import Callable
from typing import Any


def lazy(package: str) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Build `__getattr__` and `__dir__` from the imports under `if TYPE_CHECKING:` in a package.

    The package's `__init__` states its exports once, as plain imports that type checkers and
    readers understand; at run time they are carried out one by one, when a name is first used.

    Args:
        package: The package's `__name__`.

    Returns:
        The two functions, to be bound in the package's `__init__`.
    """
    homes = _stated_imports(package)

    def getattr_(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(homes[name]), name)
        setattr(sys.modules[package], name, value)
        return value

    def dir_() -> list[str]:
        return sorted(homes)

    return getattr_, dir_


def _stated_imports(package: str) -> dict[str, str]:
    spec = importlib.util.find_spec(package)
    source = spec.loader.get_source(package) if spec and spec.loader else None  # type: ignore[attr-defined]
    homes: dict[str, str] = {}
    for node in ast.parse(source or "").body:
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
            for statement in node.body:
                if isinstance(statement, ast.ImportFrom) and statement.module:
                    homes |= {alias.name: statement.module for alias in statement.names}
    return homes
