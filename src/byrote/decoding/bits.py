"""A Bloom filter of 64-bit keys: bits in a numpy array, filled and asked in whole batches."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from byrote.errors import InputError

__all__ = ["BitArray"]

# A key's bits lie in one block of 4 KiB: one page of memory for a lookup, and keys in order fill
# the array from front to end. A block is so large that its load hardly varies.
_BLOCK_BITS = 1 << 15
_BLOCK_BYTES = _BLOCK_BITS // 8
_AT_ONCE = 1 << 15
_FEW = 256
_BLOCKS_AT_ONCE = 1 << 10
# What uneven loads of the blocks and double hashing cost; measured rates lie just below the target.
_SPARE = 1.01


class BitArray:
    """Keys in, keys asked for; no key that went in is ever denied.

    Probe i of a key looks at bit a + i·b + (i³ - i)/6 of its block (enhanced double hashing:
    Dillinger and Manolios 2004; the block from the upper half of the key, a and b from the lower).

    Attributes:
        data: uint8 `[blocks · 4096]`.
        probes: Bits of a key.
    """

    def __init__(self, data: NDArray[np.uint8], probes: int) -> None:
        self.data = data
        self.probes = probes
        self._blocks = np.uint64(len(data) // _BLOCK_BYTES)

    @classmethod
    def sized(cls, capacity: int, fpr: float) -> BitArray:
        """An empty array for `capacity` keys at a rate `fpr` of false positives.

        Raises:
            InputError: The rate is not between 0 and 1, there is no room for a key, or more is
                asked for than there is memory.
        """
        if not 0 < fpr < 1:
            raise InputError(
                f"The false-positive rate is {fpr}; it lies strictly between 0 and 1: try 0.001."
            )
        if isinstance(capacity, bool) or not isinstance(capacity, int | np.integer):
            raise InputError(f"The capacity is {capacity!r}; it must be a whole number of n-grams.")
        if capacity < 1:
            raise InputError(f"The capacity is {capacity}; a filter holds at least 1 n-gram.")
        probes = max(1, round(math.log2(1 / fpr)))
        bits = -probes * capacity / math.log1p(-(fpr ** (1 / probes))) * _SPARE
        size = math.ceil(bits / _BLOCK_BITS) * _BLOCK_BYTES
        try:
            data = np.zeros(size, dtype=np.uint8)
        # More than an array can have, or a machine can count, is no MemoryError.
        except (MemoryError, ValueError, OverflowError) as error:
            raise InputError(
                f"A filter for {capacity:,} n-grams at a false-positive rate of {fpr:g} takes "
                f"{size:.3g} bytes, which is more than there is; ask for a smaller capacity or a "
                "higher rate."
            ) from error
        return cls(data, probes)

    def add(self, keys: NDArray[np.uint64]) -> None:
        """Put keys in; quickest where they are sorted."""
        if not self.data.flags.writeable:
            self.data = self.data.copy()
        for start in range(0, len(keys), _AT_ONCE):
            base, a, b = self._parts(keys[start : start + _AT_ONCE])
            for probe in range(self.probes):
                place, bit = _probe(base, a, b, probe)
                np.bitwise_or.at(self.data, place, bit)

    def contains(self, keys: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Whether each of `[keys]` may have been put in."""
        if len(keys) <= _FEW:
            # All probes at once: for a few keys, what counts is the number of operations.
            base, a, b = self._parts(keys)
            every = np.arange(self.probes, dtype=np.int32)
            place, bit = _probe(base[:, None], a[:, None], b[:, None], every)
            return np.all(self.data[place] & bit, axis=1)
        found = np.zeros(len(keys), dtype=np.bool_)
        for start in range(0, len(keys), _AT_ONCE):
            base, a, b = self._parts(keys[start : start + _AT_ONCE])
            left: NDArray[np.int64] | None = None
            for probe in range(self.probes):
                place, bit = _probe(base, a, b, probe)
                good = np.flatnonzero(self.data[place] & bit)
                left = good if left is None else left[good]
                if not len(left):
                    break
                if len(good) < len(base):
                    base, a, b = base[good], a[good], b[good]
            if left is not None:
                found[start + left] = True
        return found

    @property
    def fpr(self) -> float:
        """Expected rate of false positives as filled: the mean over blocks of (share of ones)^k."""
        words = self.data.view(np.uint64).reshape(-1, _BLOCK_BYTES // 8)
        powers = 0.0
        for start in range(0, len(words), _BLOCKS_AT_ONCE):
            ones = np.bitwise_count(words[start : start + _BLOCKS_AT_ONCE]).sum(1, dtype=np.int64)
            powers += float(((ones / _BLOCK_BITS) ** self.probes).sum())
        return powers / len(words)

    def _parts(
        self, keys: NDArray[np.uint64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int32]]:
        block = (keys >> np.uint64(32)) * self._blocks >> np.uint64(32)
        base = block.astype(np.int64) * _BLOCK_BYTES
        low = (keys & np.uint64(0x3FFFFFFF)).astype(np.int32)
        return base, low & (_BLOCK_BITS - 1), low >> 15 | 1


def _probe(
    base: NDArray[np.int64],
    a: NDArray[np.int32],
    b: NDArray[np.int32],
    probe: int | NDArray[np.int32],
) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    bit = (a + (probe * b + (probe**3 - probe) // 6)) & (_BLOCK_BITS - 1)
    return base + (bit >> 3), np.uint8(1) << (bit & 7).astype(np.uint8)
