"""What the charts of DEL share: rows with labels, and methods for charts with room for a few."""

from __future__ import annotations

import polars as pl

from byrote.studies.localization.config import LocalizationConfig
from byrote.studies.localization.judges_beyond import CHOSEN
from byrote.studies.localization.labels import label, names
from byrote.studies.localization.methods import part_of
from byrote.studies.looks import Look

__all__ = ["SIDES", "labelled", "passages", "telling"]

SIDES = {
    "self_accuracy": Look("the target", "chart-texts"),
    "neg_accuracy": Look("the other passages", "chart-control-1", "diamond"),
}


def telling(config: LocalizationConfig, rows: pl.DataFrame, most: int) -> list[str]:
    """Methods of a table that charts with room for a few show: contrasted ones, the paper's."""
    there = [name for name in names(config) if name in set(rows["method"])]
    chosen = [
        name
        for name in there
        if CHOSEN.get(config.methods[name].localizer) == config.methods[name].contrast
        and config.methods[name].references == "held-out"
    ]
    wanted = ("hard-concrete", "integrated-gradients", "activations", "slimming", "zero-out")
    parts = {part_of(config.methods[name]): name for name in reversed(there)}
    plain = [parts[part] for part in wanted if part in parts]
    kept = {*chosen, *plain[: max(most - len(chosen), 1)]}
    return [name for name in there if name in kept]


def labelled(rows: pl.DataFrame, config: LocalizationConfig) -> pl.DataFrame:
    """Rows of known methods, with the label of each as `at`."""
    own = rows.filter(pl.col("method").is_in(list(config.methods)))
    labels = {name: label(config, name) for name in own["method"].unique()}
    return own.with_columns(at=pl.col("method").replace_strict(labels, return_dtype=pl.String))


def passages(rows: pl.DataFrame) -> str:
    """Of how many passages some rows speak."""
    least, most = int(rows["n"].min() or 0), int(rows["n"].max() or 0)  # type: ignore[arg-type]
    return f"{most} passages" if least == most else f"{least} to {most} passages"
