"""64-bit hashes of n-grams of token ids, for many windows or many last tokens at once.

A window's state is a polynomial in a fixed odd multiplier, modulo 2^64, over one random-looking
64-bit value for each token id: state(x_1 … x_w) = Σ value(x_i) · M^(w-i). It depends on the order,
no id is special, and it is linear in the last token: state(prefix + v) = state(prefix) · M +
value(v), so that all v of a vocabulary cost one addition each. `mix` makes a key of a state.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from byrote.errors import InputError

__all__ = [
    "Chunk",
    "append_token",
    "chunks",
    "mix",
    "row_states",
    "token_values",
    "window_states",
]

Keys = NDArray[np.uint64]

# Powers of the multiplier must not come near one another: it is 3 modulo 8, so that M^j - 1 has few
# factors of two, and exchanged tokens give other states.
MULTIPLIER = 0xD6E8FEB86659FD93
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
# The finaliser of splitmix64 (Steele, Lea, Flood 2014).
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_CHUNK_TOKENS = 1 << 18


class Chunk(NamedTuple):
    """Documents in a row.

    Attributes:
        ids: int32 `[tokens]`, the documents one behind the other.
        starts: int64 `[n-grams]`, where an n-gram begins that lies within one document.
        documents: How many documents there are.
    """

    ids: NDArray[np.int32]
    starts: NDArray[np.int64]
    documents: int


def mix(states: Keys) -> Keys:
    """Make keys of states: every bit of a key depends on every bit of its state."""
    keys = states ^ (states >> np.uint64(30))
    keys *= _FIRST
    keys ^= keys >> np.uint64(27)
    keys *= _SECOND
    keys ^= keys >> np.uint64(31)
    return keys


def token_values(ids: NDArray[np.integer]) -> Keys:
    """One random-looking number for each token id, of the same shape."""
    return mix((ids.astype(np.uint64) + np.uint64(1)) * _GOLDEN)


def append_token(states: Keys, values: Keys) -> Keys:
    """States of windows that are one token longer; broadcasts."""
    return states * np.uint64(MULTIPLIER) + values


def window_states(values: Keys, width: int) -> Keys:
    """States of all windows of a sequence, in about 2 log2(width) passes.

    Args:
        values: `token_values` of the sequence, `[tokens]`.
        width: Tokens in a window.

    Returns:
        `[tokens - width + 1]`; empty where the sequence is shorter than a window.
    """
    if len(values) < width:
        return np.zeros(0, dtype=np.uint64)
    # `done` holds windows of `size` tokens, `block` windows of a power of two.
    done, size = None, 0
    block, length = values, 1
    while True:
        if width & length:
            done = block if done is None else _join(done, size, block, length)
            size += length
        if size == width:
            return done if done is not block else done.copy()  # type: ignore[return-value]
        block, length = _join(block, length, block, length), 2 * length


def _join(left: Keys, left_width: int, right: Keys, right_width: int) -> Keys:
    """Windows of `left_width`, each followed by the window of `right_width` behind it."""
    count = len(right) - left_width
    power = np.uint64(pow(MULTIPLIER, right_width, 1 << 64))
    joined = left[:count] * power
    joined += right[left_width:]
    return joined


def row_states(rows: NDArray[np.integer]) -> Keys:
    """The state of each row of `[rows, width]` token ids."""
    return (token_values(rows) * _powers(rows.shape[1])).sum(axis=1, dtype=np.uint64)


@cache
def _powers(width: int) -> Keys:
    powers = [pow(MULTIPLIER, width - 1 - place, 1 << 64) for place in range(width)]
    return np.array(powers, dtype=np.uint64)


def chunks(documents: Iterable[ArrayLike], n: int) -> Iterator[Chunk]:
    """Join documents until they are worth a vectorised step; no n-gram crosses a document's end.

    Args:
        documents: Token ids of each document, `[tokens]`.
        n: Tokens of an n-gram.

    Raises:
        InputError: A document is not a vector of token ids.
    """
    waiting: list[NDArray[np.int32]] = []
    tokens = 0
    for number, document in enumerate(documents):
        ids = as_ids(document, f"document {number}")
        waiting.append(ids)
        tokens += len(ids)
        if tokens >= _CHUNK_TOKENS:
            yield _chunk(waiting, n)
            waiting, tokens = [], 0
    if waiting:
        yield _chunk(waiting, n)


def _chunk(documents: list[NDArray[np.int32]], n: int) -> Chunk:
    ids = np.concatenate(documents)
    lengths = [len(document) for document in documents]
    owner = np.repeat(np.arange(len(documents), dtype=np.int32), lengths)
    starts = np.flatnonzero(owner[: max(len(owner) - n + 1, 0)] == owner[n - 1 :])
    return Chunk(ids, starts, len(documents))


def as_ids(document: Any, name: str) -> NDArray[np.int32]:
    """Read token ids, int32 `[tokens]`.

    Raises:
        InputError: They are no vector of token ids.
    """
    array = np.asarray(document)
    if array.ndim == 1 and not array.size:
        return array.astype(np.int32)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise InputError(
            f"{name} is {array.dtype} of shape {list(array.shape)}; give a vector of token ids."
        )
    if int(array.min()) < 0 or int(array.max()) > np.iinfo(np.int32).max:
        outside = array[(array < 0) | (array > np.iinfo(np.int32).max)][0]
        raise InputError(f"{name} holds {outside}, which is no token id.")
    return array.astype(np.int32, copy=False)
