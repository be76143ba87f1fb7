"""The GPUs of this machine, so that each worker gets one of its own, and its memory."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Gpu", "gpus", "memory_bytes"]

# Signs of a driver: importing torch to learn that there is no GPU would cost seconds.
_DRIVERS = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")
_VISIBLE = "CUDA_VISIBLE_DEVICES"


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU that torch can use.

    Attributes:
        name: What `CUDA_VISIBLE_DEVICES` calls it.
        memory: Bytes.
    """

    name: str
    memory: int

    @property
    def environment(self) -> dict[str, str]:
        """Variables under which a process sees this GPU alone."""
        return {_VISIBLE: self.name}


def gpus() -> tuple[Gpu, ...]:
    """The GPUs that this process may use, none of them reserved."""
    if shutil.which("nvidia-smi") is None and not any(Path(path).exists() for path in _DRIVERS):
        return ()
    import torch

    if not torch.cuda.is_available():
        return ()
    count = torch.cuda.device_count()
    given = [name.strip() for name in os.environ.get(_VISIBLE, "").split(",") if name.strip()]
    names = given[:count] if len(given) >= count else [str(i) for i in range(count)]
    return tuple(
        Gpu(name, int(torch.cuda.get_device_properties(i).total_memory))
        for i, name in enumerate(names)
    )


def memory_bytes() -> int | None:
    """The memory of this machine; None where the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None
