"""The study on models that learn in a second, without engines and processes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from byrote.runs.tasks import CellContext, Work, call
from byrote.studies.cells import seeded
from byrote.studies.config import override
from byrote.studies.dynamics import STUDY
from byrote.studies.dynamics.config import (
    ContextConfig,
    DynamicsConfig,
    ModelConfig,
    PhasesConfig,
    TrainingConfig,
)
from byrote.studies.job import plan_cells

MODEL = (
    "random:llama?hidden_size=32&num_hidden_layers=2&num_attention_heads=2&vocab_size=300"
    "&max_position_embeddings=128"
)

TINY = DynamicsConfig(
    models={"tiny": ModelConfig(MODEL, lr=1e-2)},
    strings=1,
    training=TrainingConfig(epochs=4, heldout=2, heldout_every=2),
    phases=PhasesConfig(models=("tiny",), alphabets=(4,), n=16),
    context=ContextConfig(n=16, k=(1, 3), epochs=(2,), positions=6, shuffle_positions=3, draws=2),
)
"""One model, one string of 16 tokens over four letters, four epochs."""

MODELS = {
    "plain": ModelConfig(MODEL, lr=1e-2),
    "begun": ModelConfig(MODEL + "&bos_token_id=7", lr=1e-2),
}
"""Without and with a BOS token."""


def tiny(**values: Any) -> DynamicsConfig:
    """`TINY` with other fields; `__` stands for the dot."""
    return override(TINY, {name.replace("__", "."): value for name, value in values.items()})


def works(config: DynamicsConfig) -> list[Work]:
    return seeded(plan_cells(STUDY, config), config.seed)


def run_cell(work: Work, folder: Path) -> dict[str, pl.DataFrame]:
    folder.mkdir(parents=True, exist_ok=True)
    return call(work.task, work.params, CellContext(work.id, work.seed, folder, 1, lambda _: None))


def run(config: DynamicsConfig, folder: Path) -> dict[str, pl.DataFrame]:
    """The joined tables of all cells."""
    parts: dict[str, list[pl.DataFrame]] = {}
    for work in works(config):
        for name, table in run_cell(work, folder / work.id).items():
            parts.setdefault(name, []).append(table)
    return {name: pl.concat(frames) for name, frames in parts.items()}


def string_of(tables: dict[str, pl.DataFrame], **where: Any) -> np.ndarray:
    """The token ids of the one exposure that fits."""
    return np.array(tables["trainings"].filter(**where)["ids"].item())
