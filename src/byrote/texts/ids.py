"""Record ids that stay unique over millions of records, at eight bytes each."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

__all__ = ["UniqueIds"]

_RECENT = 1 << 18


class UniqueIds:
    """Gives a second record of the same id the id `x#2`, a third one `x#3`, and so on.

    Only a 64-bit hash of each id is kept: recent ones in a set, older ones in sorted arrays, so
    that a stream of ten million records costs 80 MB and not two gigabytes. Two different ids
    with the same hash (one chance in 10^5 for ten million) only cost a needless `#2`.
    """

    def __init__(self) -> None:
        self._recent: set[int] = set()
        self._sorted: list[NDArray[np.uint64]] = []
        self._next: dict[str, int] = {}

    def __call__(self, wanted: str) -> str:
        """Return `wanted`, or the first free `wanted#N`."""
        if self._add(wanted):
            return wanted
        number = self._next.get(wanted, 2)
        while not self._add(candidate := f"{wanted}#{number}"):
            number += 1
        self._next[wanted] = number + 1
        return candidate

    def _add(self, name: str) -> bool:
        key = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big")
        if key in self._recent or any(_holds(keys, key) for keys in self._sorted):
            return False
        self._recent.add(key)
        if len(self._recent) >= _RECENT:
            self._compact()
        return True

    def _compact(self) -> None:
        keys = np.fromiter(self._recent, dtype=np.uint64, count=len(self._recent))
        keys.sort()
        self._recent.clear()
        # Arrays of like size are merged, so that there are few of them and each id moves seldom.
        while self._sorted and len(self._sorted[-1]) <= 2 * len(keys):
            keys = np.concatenate([self._sorted.pop(), keys])
            keys.sort(kind="stable")
        self._sorted.append(keys)


def _holds(keys: NDArray[np.uint64], key: int) -> bool:
    wanted = np.uint64(key)
    at = int(keys.searchsorted(wanted))
    return at < len(keys) and keys[at] == wanted
