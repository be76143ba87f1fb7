"""What is measured while passages are erased, and when to stop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import polars as pl
from numpy.typing import ArrayLike

from byrote._options import between
from byrote.errors import InputError
from byrote.localization.effects import RECITAL, Gauge, perplexities
from byrote.localization.selection import Selection
from byrote.models.loading import LoadedModel
from byrote.texts.passages import Passage

__all__ = ["STEPS", "ErasureBench", "Limits", "Step", "check_recited"]


@dataclass(frozen=True, slots=True)
class Limits:
    """When a passage counts as erased, and what that may cost.

    Attributes:
        enough: A passage is erased when at most this share of its suffix tokens is still the
            argmax.
        retain: The mean accuracy of the passages to be kept may not fall below this share of what
            it was.
        text: The loss on general texts may not rise by more than this, in nats per token.
        recited: A passage of which the model gets a smaller share of tokens right is refused.
    """

    enough: float = 0.5
    retain: float = 0.9
    text: float = 0.1
    recited: float = 0.9

    def __post_init__(self) -> None:
        for name in ("enough", "retain", "recited"):
            between("erasure", name, getattr(self, name), 0.0, 1.0)
        between("erasure", "text", self.text, 0.0, float("inf"))


STEPS: dict[str, Any] = {
    "fraction": pl.Float64,
    "neurons": pl.Int64,
    "accuracy": pl.Float64,
    "worst": pl.Float64,
    "retain_accuracy": pl.Float64,
    "text_nll": pl.Float64,
    "verdict": pl.String,
}
"""Columns of the search's table, one row a fraction: see `Erasure.steps`."""


@dataclass(slots=True, eq=False)
class Step:
    """One fraction of a search.

    Attributes:
        fraction: The share of neurons.
        selection: These neurons.
        own: The recital table of the passages to be erased without them.
        after: What `ErasureBench.measure` says, where it was asked.
        crossed: The limit that is crossed, if one was found to be: `retain` or `text`.
    """

    fraction: float
    selection: Selection
    own: pl.DataFrame
    after: tuple[pl.DataFrame, float | None] | None = None
    crossed: str | None = None

    @property
    def worst(self) -> float:
        """The highest accuracy of a passage to be erased."""
        return float(self.own["accuracy"].max())  # pyright: ignore[reportArgumentType]


def check_recited(loaded: LoadedModel, before: pl.DataFrame, recited: float) -> None:
    """See that a model recites passages, before anything is done about them.

    Args:
        loaded: The model.
        before: Their recital table.
        recited: The share of suffix tokens that it must get right.

    Raises:
        InputError: It does not recite one.
    """
    weak = before.filter(pl.col("accuracy") < recited)
    if len(weak):
        shown = ", ".join(
            f"{row['passage']!r} ({row['accuracy']:.0%})"
            for row in weak.head(5).iter_rows(named=True)
        )
        more = f" and {len(weak) - 5} more" if len(weak) > 5 else ""
        raise InputError(
            f"{loaded.source} does not recite {shown}{more}: less than {recited:.0%} of the "
            "suffix tokens are right, so there is little to be found. Leave these out, or force it."
        )


class ErasureBench:
    """Measures passages to be erased, passages to be kept and texts under one ablation or none."""

    def __init__(
        self,
        loaded: LoadedModel,
        targets: Sequence[Passage],
        retain: Sequence[Passage],
        text: Sequence[ArrayLike],
    ) -> None:
        self._gauge = Gauge(loaded)
        self._targets, self._retain, self._text = targets, retain, text

    @cached_property
    def before(self) -> tuple[pl.DataFrame, float | None]:
        """What `measure` says of the model as it is."""
        return self.measure(None)

    @property
    def retain_before(self) -> float | None:
        """Mean accuracy of the passages to be kept; None without any."""
        return self._retained(self.before[0])

    def targets(self, selection: Selection | None) -> pl.DataFrame:
        """A recital table of the passages to be erased alone, which takes little time."""
        return self._gauge.recital(self._targets, selection)

    def measure(self, selection: Selection | None) -> tuple[pl.DataFrame, float | None]:
        """A recital table of targets and retained, and nats per token of the texts."""
        table = self._gauge.recital([*self._targets, *self._retain], selection)
        return table, self._gauge.text_loss(self._text, selection) if self._text else None

    def _retained(self, table: pl.DataFrame) -> float | None:
        return _mean(table["accuracy"][len(self._targets) :])

    def look(self, step: Step, limits: Limits) -> None:
        """Measure a step in full, and see which limit it crosses."""
        step.after = self.measure(step.selection)
        table, nats = step.after
        kept, floor = self._retained(table), self.retain_before
        step.crossed = None
        if kept is not None and floor is not None and kept < limits.retain * floor:
            step.crossed = "retain"
        elif nats is not None and not nats - (self.before[1] or 0.0) <= limits.text:
            step.crossed = "text"

    def row(self, step: Step, limits: Limits) -> dict[str, Any]:
        """A row of the table of steps."""
        verdict = step.crossed
        if verdict is None:
            erased = step.worst <= limits.enough
            verdict = "erased" if erased else "recited"
        return {
            "fraction": step.fraction,
            "neurons": len(step.selection),
            "accuracy": _mean(step.own["accuracy"]),
            "worst": step.worst,
            "retain_accuracy": None if step.after is None else self._retained(step.after[0]),
            "text_nll": None if step.after is None else step.after[1],
            "verdict": verdict,
        }

    def passages(self, after: pl.DataFrame) -> pl.DataFrame:
        """Before and after, passage by passage."""
        groups = ["erased"] * len(self._targets) + ["retained"] * len(self._retain)
        measures = [name for name in RECITAL if name != "passage"]
        return pl.DataFrame(
            {
                "group": groups,
                "passage": after["passage"],
                **{
                    f"{name}_{when}": table[name]
                    for name in measures
                    for when, table in (("before", self.before[0]), ("after", after))
                },
            }
        )

    def summary(self, after: pl.DataFrame, nats: float | None) -> pl.DataFrame:
        """Before and after, group by group."""
        rows: list[tuple[str, int, str, str, float | None, float | None]] = []
        table = self.passages(after)
        units = {"accuracy": "share", "recited": "share", "distance": "characters", "nll": "nats"}
        for group in ("erased", "retained"):
            part = table.filter(group=group)
            for name, unit in units.items():
                was, now = (_mean(part[f"{name}_{when}"]) for when in ("before", "after"))
                if was is not None and now is not None:
                    rows.append((group, len(part), name, unit, was, now))
        text_before = self.before[1]
        if nats is not None and text_before is not None:
            count = len(self._text)
            rows.append(("text", count, "nll", "nats", text_before, nats))
            pair = (perplexities(text_before)[0], perplexities(nats)[0])
            rows.append(("text", count, "perplexity", "", *pair))
        schema: dict[str, Any] = {
            "group": pl.String, "n": pl.Int64, "measure": pl.String, "unit": pl.String,
            "before": pl.Float64, "after": pl.Float64,
        }  # fmt: skip
        frame = pl.DataFrame(rows, schema=schema, orient="row")
        return frame.with_columns((pl.col("after") - pl.col("before")).alias("change"))


def _mean(values: pl.Series) -> float | None:
    """The mean; None of nothing."""
    mean = values.cast(pl.Float64).mean()
    return None if mean is None else float(mean)  # pyright: ignore[reportArgumentType]
