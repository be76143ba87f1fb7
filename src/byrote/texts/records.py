"""One record of a text source, before it is cut into passages."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Record"]


@dataclass(frozen=True, slots=True)
class Record:
    """What a source holds: a text, a prefix and suffix, or token ids.

    Attributes:
        id: Name of the record, unique in its source.
        source: Name of the source, as the user wrote it.
        text: A text that is to be cut into windows.
        prefix: Text given to the model; needs `suffix`.
        suffix: Text asked of the model; needs `prefix`.
        input_ids: Token ids, int32 `[tokens]`, used as they are.
        prefix_len: Where `input_ids` are cut; None cuts them into windows like a text.
        count: How often the record was in the training data, where that is known.
        member: Whether the record was in the training data, where that is known.
        category: A label to report by.
    """

    id: str
    source: str
    text: str | None = None
    prefix: str | None = None
    suffix: str | None = None
    input_ids: NDArray[np.int32] | None = None
    prefix_len: int | None = None
    count: int | None = None
    member: bool | None = None
    category: str | None = None
