"""The study on a tiny model with random weights, and cells without engines."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from byrote.runs.tasks import CellContext, Work, call
from byrote.studies.cells import seeded
from byrote.studies.config import override
from byrote.studies.job import plan_cells
from byrote.studies.localization import STUDY
from byrote.studies.localization.config import (
    DeletionConfig,
    Group,
    InjectionConfig,
    LocalizationConfig,
    Method,
    Setting,
)

MODEL = (
    "random:gpt2?hidden_size=32&num_hidden_layers=3&num_attention_heads=2&n_inner=64"
    "&max_position_embeddings=256&initializer_range=0.2"
)

METHODS = {
    "hard-concrete": Method("hard-concrete", {"epochs": 4}, grid={"penalty": (1.0, 10.0)}),
    "slimming": Method("slimming", {"epochs": 3, "penalty": 10.0}),
    "zero-out": Method("zero-out"),
    "integrated-gradients": Method("integrated-gradients", {"steps": 3}),
    "activations": Method("activations"),
    "random": Method("random"),
    "attribution": Method("attribution"),
    "activations-ratio": Method("activations", contrast="ratio"),
    "attribution-difference": Method("attribution", contrast="difference"),
    "attribution-spared": Method("attribution", spare_lead=True),
    "activations-negatives": Method("activations", contrast="ratio", references="negatives"),
    "retaining": Method("hard-concrete", {"epochs": 3, "per_step": 1}, retain=1.0),
    "weights": Method("balanced-subnet", {"steps": 2}),
}

EXPOSED = Setting(
    model=MODEL,
    how="exposed",
    windows=6,
    prefix=4,
    suffix=8,
    passages=4,
    dev=1,
    accuracy=0.2,
    distance=200,
    distinct=3,
    epochs=60,
    lr=1e-2,
)


def tiny(corpus: str, **values: Any) -> LocalizationConfig:
    """Both benchmarks with quick methods; `__` stands for the dot."""
    config = LocalizationConfig(
        vocab=300,
        vocab_text=corpus,
        methods=METHODS,
        injection=InjectionConfig(
            models=(MODEL,),
            dev=2,
            examples=3,
            fractions=(0.2, 0.1),
            rates=(0.05, 0.05),
            steps=5,
            multiples=(1, 2),
            groups={"quick": Group(("activations", "activations-ratio", "random"))},
        ),
        deletion=DeletionConfig(
            settings={"exposed": replace(EXPOSED, sources=(corpus,))},
            fractions=(0.05, 0.2),
            text=corpus,
            text_rows=2,
            text_tokens=12,
            references=3,
            groups={"quick": Group(("activations", "activations-ratio", "random"))},
        ),
    )
    return override(config, {name.replace("__", "."): value for name, value in values.items()})


def everything(corpus: str) -> LocalizationConfig:
    """All methods and experiments."""
    plain = tuple(METHODS)[:9]
    return tiny(
        corpus,
        injection__groups={
            "dear": Group(plain[:4], most=2),
            "quick": Group(plain[4:]),
        },
        deletion__scopes=("layer", "model"),
        deletion__curve=(0.05, 0.1, 0.3),
        deletion__curve_methods=("activations", "attribution-difference"),
        deletion__one_layer=("activations",),
        deletion__one_layer_fraction=0.1,
        deletion__together=("activations-ratio", "hard-concrete", "weights"),
        deletion__together_fraction=0.1,
        deletion__groups={
            "dear": Group(plain[:4], most=3),
            "quick": Group(tuple(METHODS)[4:]),
        },
    )


def works(config: LocalizationConfig) -> list[Work]:
    return seeded(plan_cells(STUDY, config), config.seed)


def run_cell(work: Work, folder: Path) -> dict[str, pl.DataFrame]:
    folder.mkdir(parents=True, exist_ok=True)
    return call(work.task, work.params, CellContext(work.id, work.seed, folder, 1, lambda _: None))


def run(config: LocalizationConfig, folder: Path) -> dict[str, pl.DataFrame]:
    """The joined tables of all cells, each with the column `cell`."""
    parts: dict[str, list[pl.DataFrame]] = {}
    for work in works(config):
        for name, table in run_cell(work, folder / work.id).items():
            cell = pl.lit(work.id).alias("cell")
            parts.setdefault(name, []).append(table.select(cell, pl.all()))
    return {name: pl.concat(frames) for name, frames in parts.items()}


def timeless(table: pl.DataFrame) -> pl.DataFrame:
    """A table without what differs from run to run."""
    return table.drop("seconds", strict=False)
