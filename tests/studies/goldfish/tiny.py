"""The study on a small made-up corpus and models that learn in a second, without engines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from byrote.runs.tasks import CellContext, Work, call
from byrote.studies.cells import seeded
from byrote.studies.config import override
from byrote.studies.goldfish import STUDY
from byrote.studies.goldfish.config import Arm, ExtremeConfig, GoldfishConfig, ScratchConfig
from byrote.studies.job import plan_cells

MODEL = (
    "random:llama?hidden_size=32&num_hidden_layers=1&num_attention_heads=2&intermediate_size=64"
    "&max_position_embeddings=64&tie_word_embeddings=true"
)

_SYLLABLES = [c + v for c in "bcdfghjklm" for v in "aeiou"]

ARMS = {
    "control": Arm(copies="none", beams=True),
    "standard": Arm(beams=True, memfree=True),
    "hash-3": Arm(objective="goldfish", k=3, h=5, beams=True),
    "hash-4": Arm(objective="goldfish", k=4, h=5),
    "random-4": Arm(objective="goldfish", k=4, strategy="random"),
    "static-4": Arm(objective="goldfish", k=4, strategy="static"),
    "text-4": Arm(objective="goldfish", k=4, h=5, normalize=True, copies="reformatted"),
    "edited-4": Arm(objective="goldfish", k=4, h=5, copies="edited"),
    "more": Arm(objective="goldfish", k=4, h=5, input_factor=4 / 3),
    "wider": Arm(objective="goldfish", k=4, h=5, input_factor=4 / 3, batch_factor=1.5),
}


def write_corpus(folder: Path, records: int = 60, words: int = 90) -> str:
    """A JSON-lines file of made-up sentences; no two records share more than words."""
    rng = np.random.default_rng(5)
    lexicon = ["".join(rng.choice(_SYLLABLES, rng.integers(1, 5))) for _ in range(150)]
    lines = []
    for number in range(records):
        drawn = [str(word) for word in rng.choice(lexicon, words)]
        for end in range(7, words, 11):
            drawn[end] += "."
        text = " ".join(drawn)
        lines.append(json.dumps({"id": f"r{number}", "text": text}))
    path = folder / "corpus.jsonl"
    path.write_text("\n".join(lines))
    return str(path)


def tiny(corpus: str, **values: Any) -> GoldfishConfig:
    """One repetition of a few steps; `__` stands for the dot."""
    config = GoldfishConfig(
        seeds=1,
        arms=ARMS,
        scratch=ScratchConfig(
            model=MODEL,
            vocab=300,
            arms=("standard",),
            corpus=corpus,
            documents=3,
            repeats=4,
            tokens=32,
            prefix=16,
            background=20,
            heldout=5,
            validation=4,
            validate_every=3,
            batch=4,
            beams=3,
            ngram=4,
            edit_every=10,
        ),
    )
    return override(config, {name.replace("__", "."): value for name, value in values.items()})


def tuning(corpus: str, model: str, **values: Any) -> GoldfishConfig:
    """The extreme setting alone."""
    config = GoldfishConfig(
        seeds=1,
        arms=ARMS,
        extreme=ExtremeConfig(
            model=model,
            arms=("standard",),
            corpus=corpus,
            passages=3,
            tokens=24,
            prefix=12,
            epochs=4,
            every=2,
            long_epochs=6,
            lr=1e-3,
        ),
    )
    return override(config, {name.replace("__", "."): value for name, value in values.items()})


def works(config: GoldfishConfig) -> list[Work]:
    return seeded(plan_cells(STUDY, config), config.seed)


def run_cell(work: Work, folder: Path) -> dict[str, pl.DataFrame]:
    folder.mkdir(parents=True, exist_ok=True)
    return call(work.task, work.params, CellContext(work.id, work.seed, folder, 1, lambda _: None))


def run(config: GoldfishConfig, folder: Path) -> dict[str, pl.DataFrame]:
    """The joined tables of all cells."""
    parts: dict[str, list[pl.DataFrame]] = {}
    for work in works(config):
        for name, table in run_cell(work, folder / work.id).items():
            parts.setdefault(name, []).append(table)
    return {name: pl.concat(frames) for name, frames in parts.items()}


def timeless(table: pl.DataFrame) -> pl.DataFrame:
    """A table without what differs from run to run."""
    return table.drop("seconds", strict=False)
