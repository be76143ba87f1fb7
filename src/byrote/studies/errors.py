"""How a study can end other than well."""

from __future__ import annotations

from typing import TYPE_CHECKING

from byrote.errors import ByroteError

if TYPE_CHECKING:
    from byrote.runs import Run

__all__ = ["CellsFailedError"]


class CellsFailedError(ByroteError):
    """Cells failed; what the others gave is joined and judged, if there are any.

    Attributes:
        run: The run, whose status is `failed`.
    """

    def __init__(self, message: str, run: Run) -> None:
        super().__init__(message)
        self.run = run
