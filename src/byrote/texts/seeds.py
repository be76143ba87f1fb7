"""Seeds that depend on names, never on global state or on Python's salted `hash`."""

from __future__ import annotations

import hashlib
import json

__all__ = ["derive_seed"]


def derive_seed(seed: int, *names: str | None) -> int:
    """Derive a 64-bit seed from the run's seed and the names of what it is for.

    Example:
        >>> derive_seed(0, "shuffled", "Psalms 23@0") == derive_seed(0, "shuffled", "Psalms 23@0")
        True
    """
    key = json.dumps([seed, *names]).encode()
    return int.from_bytes(hashlib.sha256(key).digest()[:8], "big")
