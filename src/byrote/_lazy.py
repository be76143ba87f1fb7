"""Exports that are imported on first use, so that `import byrote` stays light."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from typing import Any


def attach(
    package: str, exports: dict[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Build a package's `__getattr__`, `__dir__` and `__all__` from a table of exports.

    Args:
        package: The package's `__name__`.
        exports: For each public name the submodule (relative, without a dot) that defines it.

    Returns:
        The three objects, to be bound in the package's `__init__`.
    """

    def getattr_(name: str) -> Any:
        if name not in exports:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(f"{package}.{exports[name]}"), name)
        setattr(sys.modules[package], name, value)
        return value

    def dir_() -> list[str]:
        return sorted(exports)

    return getattr_, dir_, sorted(exports)
