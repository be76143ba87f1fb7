"""Where documents start in packed rows, from what the packers say about it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from byrote.errors import InputError

__all__ = [
    "as_numpy",
    "starts_from_cu_seqlens",
    "starts_from_lengths",
    "starts_from_position_ids",
    "starts_from_segment_ids",
]

Starts = NDArray[np.bool_]


def as_numpy(array: Any) -> NDArray[Any]:
    """See a numpy array, a torch tensor (of any device) or a list as numpy."""
    if hasattr(array, "detach"):
        return array.detach().cpu().numpy()
    return np.asarray(array)


def starts_from_position_ids(position_ids: Any) -> Starts:
    """Documents start where positions do not go on by one.

    Args:
        position_ids: Integers `[batch, tokens]` or `[tokens]`.

    Returns:
        bool, of the same shape; True at the first token of each document.
    """
    positions = as_numpy(position_ids)
    starts = np.ones(positions.shape, dtype=bool)
    starts[..., 1:] = positions[..., 1:] != positions[..., :-1] + 1
    return starts


def starts_from_segment_ids(segment_ids: Any) -> Starts:
    """Documents start where the number of the segment changes.

    Args:
        segment_ids: Integers `[batch, tokens]` or `[tokens]`, such as axolotl's numbered attention
            masks or TRL's `seq_idx`.
    """
    segments = as_numpy(segment_ids)
    starts = np.ones(segments.shape, dtype=bool)
    starts[..., 1:] = segments[..., 1:] != segments[..., :-1]
    return starts


def starts_from_cu_seqlens(cu_seqlens: Any, shape: tuple[int, ...]) -> Starts:
    """Documents start at cumulated lengths, as variable-length attention takes them.

    Args:
        cu_seqlens: Integers `[documents + 1]`, from 0 up, over the rows one after the other.
        shape: Of the ids.

    Raises:
        InputError: One lies outside the ids.
    """
    starts = np.zeros(int(np.prod(shape)), dtype=bool)
    edges = as_numpy(cu_seqlens).reshape(-1)
    if len(edges) and not 0 <= int(edges.min()) <= int(edges.max()) <= len(starts):
        raise InputError(
            f"cu_seqlens go from {int(edges.min())} to {int(edges.max())}, but there are "
            f"{len(starts)} tokens (shape {list(shape)})."
        )
    starts[edges[edges < len(starts)]] = True
    return starts.reshape(shape)


def starts_from_lengths(lengths: Sequence[Iterable[int]], shape: tuple[int, int]) -> Starts:
    """Documents start after one another in each row; what is left of a row is padding.

    Args:
        lengths: For each row the lengths of its documents, such as TRL's `seq_lengths`.
        shape: Of the ids, `[batch, tokens]`.

    Raises:
        InputError: There are more or fewer rows, or a row has more tokens than the ids.
    """
    if len(lengths) != shape[0]:
        raise InputError(f"There are lengths for {len(lengths)} rows, but {shape[0]} rows of ids.")
    starts = np.zeros(shape, dtype=bool)
    for row, own in enumerate(lengths):
        edges = np.cumsum([0, *own])
        if edges[-1] > shape[1]:
            raise InputError(
                f"The documents of row {row} have {edges[-1]} tokens together, but the row has "
                f"{shape[1]}."
            )
        starts[row, edges[edges < shape[1]]] = True
    return starts
