"""Observers that the cells of several studies use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import polars as pl

from byrote.exposure import EpochView, Observer, StepView

__all__ = ["Looks", "Progress"]


class Looks(Observer):
    """Calls a function at chosen epochs and keeps the rows that it gives.

    Args:
        when: From the epoch's view to whether to look.
        look: From the epoch's view to the table.
        schema: Columns of that table; `epoch` is added.
    """

    def __init__(
        self,
        when: Callable[[EpochView], bool],
        look: Callable[[EpochView], pl.DataFrame],
        schema: Mapping[str, Any],
    ) -> None:
        self._when = when
        self._look = look
        self._schema = {**schema, "epoch": pl.Int32()}
        self._rows: list[dict[str, Any]] = []

    def on_epoch(self, view: EpochView) -> None:
        """Look, if this is an epoch to look at."""
        if self._when(view):
            rows = self._look(view).to_dicts()
            self._rows += [{**row, "epoch": view.epoch} for row in rows]

    def table(self) -> pl.DataFrame:
        """All rows, in the order of looking."""
        return pl.DataFrame(self._rows, schema=self._schema)

    def state_dict(self) -> dict[str, Any]:
        """Give the rows."""
        return {"rows": [dict(row) for row in self._rows]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take the rows back."""
        self._rows = [dict(row) for row in state["rows"]]


class Progress(Observer):
    """Tells how far an exposure is.

    Args:
        tell: Takes the finished fraction.
        epochs: How many there will probably be.
    """

    def __init__(self, tell: Callable[[float], None], epochs: int) -> None:
        self._tell = tell
        self._epochs = epochs

    def on_step(self, view: StepView) -> None:
        """Tell after every step; near the end is as far as it gets when there are more."""
        self._tell(min(view.epoch / self._epochs, 0.95))
