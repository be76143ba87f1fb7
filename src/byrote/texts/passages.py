"""A passage: token ids cut into a prefix (given to the model) and a suffix (asked of it)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Passage"]


@dataclass(frozen=True, slots=True)
class Passage:
    """Token ids with a boundary; they are never decoded and tokenized again.

    Attributes:
        id: Unique within a run: `record@offset`; a control adds `~` and its kind.
        source: Name of the source.
        record: Id of the record that the passage was cut from.
        offset: Where the passage starts in its record, in tokens.
        input_ids: int32 `[prefix_len + suffix_len]`, without any BOS.
        prefix_len: Number of prefix tokens.
        control: None for a passage of the texts; else the kind of control.
        control_of: Id of the passage that this one is the control of, if there is one.
        count: How often the record was in the training data, where known.
        member: Whether the record was in the training data, where known.
        category: A label to report by.
    """

    id: str
    source: str
    record: str
    offset: int
    input_ids: NDArray[np.int32]
    prefix_len: int
    control: str | None = None
    control_of: str | None = None
    count: int | None = None
    member: bool | None = None
    category: str | None = None

    @property
    def suffix_len(self) -> int:
        """Number of suffix tokens."""
        return len(self.input_ids) - self.prefix_len

    @property
    def prefix_ids(self) -> NDArray[np.int32]:
        """The prefix, int32 `[prefix_len]`."""
        return self.input_ids[: self.prefix_len]

    @property
    def suffix_ids(self) -> NDArray[np.int32]:
        """The suffix, int32 `[suffix_len]`."""
        return self.input_ids[self.prefix_len :]
