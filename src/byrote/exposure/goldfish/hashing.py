"""A keyed, order-sensitive hash of windows, at a cost that does not depend on their length.

A window of values r_j that ends before position e and holds L of them has the hash

    H(e, L) = sum over j in [e - L, e) of r_j * M**(e - j)   modulo 2**64,  M odd.

As M is odd it has an inverse modulo 2**64, so with the running sums Q(e) = sum_{j < e} r_j * M**-j
every window, of whatever length, is (Q(e) - Q(e - L)) * M**e, exactly: no floating point, and the
same wherever in a row the window stands. A final mixing makes every bit depend on every other.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["key", "mix", "scramble", "threshold", "window_hashes"]

Words = NDArray[np.uint64]

# SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014): the
# step of its counter, the two multipliers and the three shifts of its finaliser.
_STEP = 0x9E3779B97F4A7C15
_FACTORS = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
_SHIFTS = (np.uint64(30), np.uint64(27), np.uint64(31))
_MASK = 2**64 - 1


def mix(values: Words) -> Words:
    """Scramble 64-bit words one to one, in place."""
    for shift, factor in zip(_SHIFTS, _FACTORS, strict=False):
        values ^= values >> shift
        values *= factor
    values ^= values >> _SHIFTS[2]
    return values


def key(seed: int, use: int) -> np.uint64:
    """A 64-bit key for one use of a seed."""
    first = mix(np.array([(seed + _STEP) & _MASK], dtype=np.uint64))
    return mix(first + np.uint64((use * _STEP) & _MASK))[0]


def scramble(ids: NDArray[np.integer], seed: int, use: int = 0) -> Words:
    """Give each id a word of 64 bits of its own, keyed; no id is special, not even 0."""
    values = ids.astype(np.uint64)
    values *= np.uint64(_STEP)
    values += key(seed, use)
    return mix(values)


def threshold(k: int) -> np.uint64:
    """A word is below it with probability 1/k; of its upper 32 bits, as an upper end."""
    return np.uint64(-(-(2**32) // k))


def window_hashes(
    values: Words,
    ends: NDArray[np.integer] | slice,
    lengths: NDArray[np.integer],
    seed: int,
) -> Words:
    """Hash windows of values, mixed to the last bit.

    Args:
        values: `[n]`, from `scramble`.
        ends: `[m]`, the position after each window's last value; a slice of 0 … n is as good.
        lengths: `[m]`, how many values each window has; 0 is a window too.
        seed: The key.

    Returns:
        `[m]`. Equal windows have equal hashes wherever they stand.
    """
    powers, inverses = _powers(seed, _ceiling(len(values) + 1))
    sums = np.zeros(len(values) + 1, dtype=np.uint64)
    np.cumsum(values * inverses[: len(values)], out=sums[1:])
    positions = np.arange(len(sums))[ends] if isinstance(ends, slice) else ends
    found = sums[ends]
    found = found - sums[positions - lengths]
    found *= powers[: len(sums)][ends]
    # The length tells a short window from a longer one with the same sum.
    found += lengths.astype(np.uint64) * np.uint64(_STEP)
    found += key(seed, 2)
    return mix(found)


def _ceiling(size: int) -> int:
    return max(4096, 1 << (size - 1).bit_length())


@lru_cache(maxsize=8)
def _powers(seed: int, size: int) -> tuple[Words, Words]:
    # 5 modulo 8: the powers of M then take as long as any to come round, 2**62 of them.
    base = (int(key(seed, 1)) & ~7) | 5
    return _table(base, size), _table(pow(base, -1, 2**64), size)


def _table(base: int, size: int) -> Words:
    table = np.ones(size, dtype=np.uint64)
    filled = 1
    while filled < size:
        more = min(filled, size - filled)
        np.multiply(
            table[:more], np.uint64(pow(base, filled, 2**64)), out=table[filled : filled + more]
        )
        filled += more
    table.setflags(write=False)
    return table
