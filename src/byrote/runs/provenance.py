"""Where a run's numbers come from: versions and machine."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from byrote._version import __version__
from byrote.runs.devices import memory_bytes

__all__ = ["cores", "hardware", "now", "versions"]

_PACKAGES = ("torch", "transformers", "tokenizers", "numpy", "polars", "scipy", "gguf")


def now() -> str:
    """The present time, ISO 8601 with its zone."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def versions() -> dict[str, str]:
    """Versions of byrote, Python and the packages that results depend on."""
    found = {"byrote": __version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def hardware() -> dict[str, Any]:
    """What the machine is; no host name, since runs are shared."""
    return {
        "system": platform.system(),
        "machine": platform.machine(),
        "cpu": _cpu_name(),
        "cores": cores(),
        "memory_gib": _memory_gib(),
    }


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or "unknown"


def _memory_gib() -> float | None:
    total = memory_bytes()
    return None if total is None else round(total / 2**30, 1)


def cores() -> int | None:
    """Cores that this process may use, which in a container are fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()
