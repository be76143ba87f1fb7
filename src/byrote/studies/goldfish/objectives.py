"""All ways of training beside each other: what is still written, what it costs, what shows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import polars as pl

from byrote.exposure.objectives import find_objective
from byrote.report.study import StudyData
from byrote.studies.goldfish.arms import Cast
from byrote.studies.goldfish.charts import attack_means, estimates
from byrote.studies.goldfish.config import GoldfishConfig
from byrote.studies.goldfish.placing import scratch_cast
from byrote.studies.looks import table

__all__ = ["ObjectiveRow", "Triple", "membership_rows", "objective_rows"]

Triple = tuple[float, float, float]
"""Value, low and high; NaN where there is no interval."""

_MEASURES = ("exact", "rouge_l", "edit_similarity")


@dataclass(frozen=True)
class ObjectiveRow:
    """One way of training, or of decoding what standard training has learned.

    Attributes:
        label: In words.
        estimates: By `exact`, `rouge_l` and `edit_similarity`: over documents that were repeated.
        loss: Validation loss at the end, nats per token; None where it is that of another row.
        gap: The same less that of standard training.
        auc: Area under the ROC curve of the zlib attack; without an interval where all members
            are told apart in every repetition.
        epsilon: Of differential privacy, where the arm has it.
        delta: That it is for.
    """

    label: str
    estimates: dict[str, Triple]
    loss: Triple | None = None
    gap: Triple | None = None
    auc: Triple | None = None
    epsilon: float | None = None
    delta: float | None = None


def membership_rows(data: StudyData, measure: str, attack: str) -> pl.DataFrame:
    """Values of an attack of each arm and repetition: `arm`, `seed`, `value`."""
    found = table(data, "membership")
    if found is None:
        schema = {"arm": pl.String, "seed": pl.Int32, "value": pl.Float64}
        return pl.DataFrame(schema=schema)
    chosen = (pl.col("measure") == measure) & (pl.col("attack") == attack)
    return found.filter(chosen).select("arm", "seed", "value")


def objective_rows(data: StudyData, config: GoldfishConfig) -> list[ObjectiveRow]:
    """Control, standard training, a goldfish mask, all other objectives, and MemFree decoding."""
    cast = scratch_cast(config)
    found = []
    for name in cast.objectives():
        label = cast.label(name)
        if cast.arms[name].objective == "goldfish":
            label = f"goldfish, {label}"
        found.append(_row(data, cast, name, "greedy", label))
    for name, arm in cast.arms.items():
        if arm.memfree:
            label = f"{cast.label(name)}, MemFree decoding"
            found.append(_row(data, cast, name, "memfree", label))
    return [row for row in found if row.estimates]


def _row(data: StudyData, cast: Cast, name: str, decoding: str, label: str) -> ObjectiveRow:
    written: dict[str, Triple] = {}
    for measure in _MEASURES:
        rows = estimates(data, measure, [name], decoding=decoding)
        if not rows.is_empty():
            written[measure] = _triple(rows.row(0, named=True))
    losses = table(data, "losses")
    loss = gap = None
    if losses is not None and not (here := losses.filter(pl.col("arm") == name)).is_empty():
        row = here.row(0, named=True)
        loss = _triple(row)
        ends = (row["gap"], row["gap_low"], row["gap_high"])
        gap = (0.0, math.nan, math.nan) if name == cast.standard else _numbers(ends)
    attack = membership_rows(data, "auc", "zlib").filter(pl.col("arm") == name)
    auc = None
    if not attack.is_empty():
        auc = _triple(attack_means(attack, ("arm",), "auc", 0).row(0, named=True))
    trainings = table(data, "trainings")
    epsilon, delta = (_most(trainings, name, column) for column in ("epsilon", "delta"))
    if epsilon is not None and delta is None:
        # Runs of before it was written down: it is what the objective was made with.
        arm = cast.arms[name]
        delta = getattr(find_objective(arm.objective, arm.options), "delta", None)
    return ObjectiveRow(label, written, loss, gap, auc, epsilon, delta)


def _most(trainings: pl.DataFrame | None, name: str, column: str) -> float | None:
    """The largest value of an arm's repetitions."""
    if trainings is None or column not in trainings.columns:
        return None
    found = trainings.filter(pl.col("arm") == name)[column].drop_nulls()
    return None if found.is_empty() else float(found.max())  # type: ignore[arg-type]


def _triple(row: dict[str, Any]) -> Triple:
    return _numbers((row["value"], row["low"], row["high"]))


def _numbers(ends: tuple[float | None, ...]) -> Triple:
    value, low, high = (math.nan if end is None else float(end) for end in ends)
    return value, low, high
