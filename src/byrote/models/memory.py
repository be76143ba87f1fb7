"""Keep the memory of activations in the process instead of giving it back after every operation.

glibc returns a freed block of some megabytes to the system at once, and the next activation of the
same size is then mapped and filled with zeros anew, page by page. A forward pass of 32 × 100 tokens
through SmolLM2-135M costs more than half a million page faults that way.
"""

from __future__ import annotations

import ctypes
import sys

__all__ = ["keep_freed_memory"]

# Parameters of glibc's mallopt(3).
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_LARGEST = 2**31 - 1
# Blocks up to this size come from the heap, which is kept; larger ones (weights) are mapped alone.
_FROM_HEAP = 2**26


def keep_freed_memory() -> bool:
    """Let this process keep what it frees, for all that follows.

    It concerns the whole process, so a library must not do it unasked: the audit and the studies,
    which own their process, call it before they load a model.

    Returns:
        Whether it could be done: with glibc only, and not where the environment sets its own.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:  # musl has no mallopt.
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, _FROM_HEAP) and mallopt(_M_TRIM_THRESHOLD, _LARGEST))
