"""What goes wrong during an exposure."""

from __future__ import annotations

from byrote.errors import ByroteError

__all__ = ["DivergedError"]


class DivergedError(ByroteError):
    """The loss is no longer a number.

    Attributes:
        step: The optimiser step that could not be taken, from 1.
        epoch: How often the sequences had been shown by then.
    """

    def __init__(self, message: str, *, step: int, epoch: int) -> None:
        super().__init__(message)
        self.step = step
        self.epoch = epoch
