"""What goes through the model together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

__all__ = ["Batch"]


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Some sequences, shifted: position p of the input predicts position p of the labels.

    Attributes:
        input_ids: int64 `[batch, positions]`, every sequence without its last token; padded with 0
            on the right.
        labels: int64 `[batch, positions]`, the next tokens; `IGNORED` where none is asked for.
        indices: int64 `[batch]`, which sequences these are.
        epoch: How often these sequences have been shown.
        step: Optimiser steps taken before.
        done: Share of all steps that they are; 1 after the last.
    """

    input_ids: Tensor
    labels: Tensor
    indices: np.ndarray
    epoch: int = 0
    step: int = 0
    done: float = 0.0
