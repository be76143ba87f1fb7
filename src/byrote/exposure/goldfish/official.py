"""The reference's hash, bit for bit, made without torch.

What it does, from the released code (github.com/ahans30/goldfish-loss): the product of the last h
target ids, the target itself among them, modulo 2**64, then modulo 1,000,003, picks a number from
a table of uniform ones; the target is dropped where it is below 1/k. The first h - 1 targets of a
row are kept. Row means row: it knows neither documents nor padding.

Known defects, kept here and absent from the strategy `hash`: docs/goldfish.md lists them.
"""

from __future__ import annotations

from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["TABLE_SIZE", "dropped", "keys", "table"]

TABLE_SIZE = 1_000_003
_SEED = 2_971_215_073


@cache
def table() -> NDArray[np.float32]:
    """The uniform numbers `[TABLE_SIZE]` that torch's CPU generator gives for the seed.

    Both are the Mersenne twister: a float32 takes the lower 24 bits of one 32-bit draw.
    """
    draws = np.random.RandomState(_SEED).randint(0, 2**32, TABLE_SIZE, dtype=np.uint32)
    return ((draws & np.uint32(0xFFFFFF)) / np.float32(2**24)).astype(np.float32)


@lru_cache(maxsize=8)
def _dropping(k: int) -> NDArray[np.bool_]:
    return table() < np.float32(1 / k)


def keys(ids: NDArray[np.integer], h: int) -> NDArray[np.int64]:
    """The places in the table that windows of targets choose.

    Args:
        ids: `[batch, tokens]`.
        h: Width of the window.

    Returns:
        int64 `[batch, tokens - h]`: entry j belongs to the window that ends with token j + h.
    """
    # Products of windows of a power of two, each from two halves; the binary digits of h then say
    # which of them make up a window of h.
    targets = ids[:, 1:].astype(np.int64)
    count = targets.shape[1] - h + 1
    if count < 1:
        return np.zeros((len(ids), 0), dtype=np.int64)
    product = np.ones((len(ids), count), dtype=np.int64)
    doubled, width, done = targets, 1, 0
    while width <= h:
        if h & width:
            product *= doubled[:, done : done + count]
            done += width
        if 2 * width <= h:
            doubled = doubled[:, :-width] * doubled[:, width:]
        width *= 2
    return product % TABLE_SIZE


def dropped(ids: NDArray[np.integer], k: int, h: int) -> NDArray[np.bool_]:
    """Which tokens the reference drops, bool `[batch, tokens]`; never the first h of a row."""
    found = np.zeros(ids.shape, dtype=bool)
    found[:, h:] = _dropping(k)[keys(ids, h)]
    return found
