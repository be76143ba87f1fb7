"""The token sequences that a model is shown."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from byrote.errors import InputError

if TYPE_CHECKING:
    import torch

    from byrote.exposure.batches import Batch

__all__ = ["IGNORED", "Sequences"]

IGNORED = -100
"""The label of a position that is not asked for."""


@dataclass(frozen=True, slots=True, eq=False)
class Sequences:
    """Token sequences, and which of their tokens are asked for.

    Shorter sequences are padded on the right, where causal attention never looks: no mask is
    needed, and none is passed to the model.

    Attributes:
        input_ids: int32 `[sequences, tokens]`, with a BOS in front where one was given.
        labels: int32 `[sequences, tokens]`, the tokens themselves; `IGNORED` for padding, for what
            is not asked, and always for the first token of a sequence, which nothing predicts. A
            string of n tokens has n targets behind a BOS, n - 1 without.
        lengths: int32 `[sequences]`, tokens without padding.
        bos_id: The BOS that leads every sequence, or None.
    """

    input_ids: np.ndarray
    labels: np.ndarray
    lengths: np.ndarray
    bos_id: int | None = None

    @classmethod
    def from_ids(
        cls,
        ids: Iterable[Sequence[int] | np.ndarray],
        bos_id: int | None = None,
        asked: Iterable[Sequence[bool] | np.ndarray] | None = None,
    ) -> Sequences:
        """Make sequences from token ids.

        Args:
            ids: One row of ids per sequence, without any BOS.
            bos_id: Put in front of every sequence; never a target itself.
            asked: Per sequence and token, whether it is a target; all are by default.

        Raises:
            InputError: There are no sequences, or one has no target.
        """
        rows = [np.asarray(row, dtype=np.int32).reshape(-1) for row in ids]
        if not rows:
            raise InputError("There are no sequences to be shown: give at least one.")
        masks = [np.ones(len(row), dtype=bool) for row in rows]
        if asked is not None:
            masks = [np.asarray(mask, dtype=bool).reshape(-1) for mask in asked]
            if [len(mask) for mask in masks] != [len(row) for row in rows]:
                raise InputError("`asked` must have one value per token of every sequence.")
        lead = 0 if bos_id is None else 1
        lengths = np.array([len(row) + lead for row in rows], dtype=np.int32)
        width = int(lengths.max())
        input_ids = np.zeros((len(rows), width), dtype=np.int32)
        labels = np.full((len(rows), width), IGNORED, dtype=np.int32)
        for index, (row, mask) in enumerate(zip(rows, masks, strict=True)):
            if bos_id is not None:
                input_ids[index, 0] = bos_id
            input_ids[index, lead : lead + len(row)] = row
            labels[index, lead : lead + len(row)] = np.where(mask, row, IGNORED)
            labels[index, 0] = IGNORED
            if not (labels[index] != IGNORED).any():
                raise InputError(
                    f"Sequence {index} ({len(row)} tokens, {'with' if lead else 'without'} BOS) "
                    "has no token that can be asked for: the first token of a sequence has nothing "
                    "to predict it from. Make it longer, or put a BOS in front."
                )
        return cls(input_ids, labels, lengths, bos_id)

    def __len__(self) -> int:
        return len(self.input_ids)

    @property
    def first(self) -> int:
        """Which token of a string (without BOS) the first position of the logits predicts."""
        return 0 if self.bos_id is not None else 1

    def check(self, vocab_size: int, max_len: int | None) -> None:
        """See that a model can take the sequences.

        Raises:
            InputError: A token is not in its vocabulary, or a sequence longer than its context.
        """
        low, high = int(self.input_ids.min()), int(self.input_ids.max())
        if low < 0 or high >= vocab_size:
            raise InputError(
                f"The sequences hold the token id {low if low < 0 else high}; the model's "
                f"vocabulary has the ids 0 to {vocab_size - 1}."
            )
        longest = int(self.lengths.max())
        if max_len is not None and longest > max_len:
            bos = " (BOS included)" if self.bos_id is not None else ""
            raise InputError(
                f"The longest sequence has {longest} tokens{bos}, the model's context "
                f"{max_len}. Shorten the sequences, or take a model with a longer context."
            )

    def targets(self, indices: np.ndarray | None = None) -> int:
        """How many tokens are asked for, in all sequences or in some."""
        labels = self.labels if indices is None else self.labels[indices]
        return int(np.count_nonzero(labels != IGNORED))

    def digest(self) -> str:
        """A hash of what is shown and asked, in hexadecimal."""
        whole = hashlib.sha256(f"{self.input_ids.shape}".encode())
        for array in (self.input_ids, self.labels, self.lengths):
            whole.update(np.ascontiguousarray(array, dtype="<i4").tobytes())
        return whole.hexdigest()

    def batch(self, indices: np.ndarray, device: torch.device | str = "cpu") -> Batch:
        """Put some sequences side by side, shifted, and only as wide as the longest of them."""
        import torch

        from byrote.exposure.batches import Batch

        width = int(self.lengths[indices].max())

        def tensor(array: np.ndarray, part: slice) -> torch.Tensor:
            return torch.from_numpy(array[indices, part].astype(np.int64)).to(device)

        return Batch(
            tensor(self.input_ids, slice(0, width - 1)),
            tensor(self.labels, slice(1, width)),
            np.asarray(indices, dtype=np.int64),
        )
