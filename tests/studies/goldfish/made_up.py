"""Tables of a run of the study, made up: no model, in no time.

The more tokens an arm learns the more it writes, random masks and differing copies leak, and the
control writes what anyone would.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from byrote.report.study import StudyData
from byrote.studies.goldfish.analysis import analyse
from byrote.studies.goldfish.config import Arm, GoldfishConfig
from byrote.studies.goldfish.schemas import SCHEMAS

CLAIMS = pl.DataFrame({"verdict": ["holds", "not tested"]})


def study_data(config: GoldfishConfig, **changes: Any) -> StudyData:
    """A run of a config.

    Args:
        config: What was asked.
        changes: Tables of the cells to put in place of those made up; None leaves one out.
    """
    tables = {**cell_tables(config), **changes}
    tables = {name: table for name, table in tables.items() if table is not None}
    whole = {**tables, **analyse(tables, config), "membership": _membership(config)}
    if not config.scratch.arms:
        del whole["membership"]
    return StudyData(Path("run"), {"kind": "goldfish"}, {**whole, "claims": CLAIMS}, CLAIMS)


def cell_tables(config: GoldfishConfig) -> dict[str, pl.DataFrame]:
    """What the cells of a config would give, but for the scores of membership attacks."""
    rng = np.random.default_rng(0)
    rows: dict[str, list[dict[str, Any]]] = {}
    for name in config.scratch.arms:
        for seed in range(config.seeds):
            _train(config, name, seed, rng, rows)
    for name in config.extreme.arms:
        for seed in range(config.seeds):
            _tune(config, name, seed, False, rng, rows)
    for name in config.extreme.long_arms:
        _tune(config, name, 0, True, rng, rows)
    return {name: pl.DataFrame(found, schema=SCHEMAS[name]) for name, found in rows.items()}


def strength(arm: Arm) -> float:
    """How much of a document an arm learns, 0 to 1."""
    if arm.copies == "none":
        return 0.0
    if arm.objective == "dp-sgd":
        return 0.05
    if arm.objective != "goldfish":
        return 0.95
    found = 0.95 * (1 - 1 / arm.k) ** 4
    leaks = {"random": 0.25}.get(arm.strategy, 0.0)
    if arm.copies != "exact" and not arm.normalize:
        leaks += 0.2
    return min(0.95, found + leaks)


def _train(
    config: GoldfishConfig,
    name: str,
    seed: int,
    rng: np.random.Generator,
    rows: dict[str, list[dict[str, Any]]],
) -> None:
    scratch, arm = config.scratch, config.arms[name]
    mask = arm.objective == "goldfish"
    marks = {"cell": f"scratch.{name}.s{seed}", "arm": name, "seed": seed}
    sequences = int(arm.input_factor * (scratch.background + scratch.documents * scratch.repeats))
    batch = round(scratch.batch * arm.batch_factor)
    kept = 1 - 1 / arm.k if mask else 1.0
    steps = math.ceil(sequences / batch)
    for step in [*range(0, steps, scratch.validate_every), steps]:
        shown = min(step * batch, sequences) * (scratch.tokens - 1)
        loss = 3.5 + 3.0 * math.exp(-shown * kept / 80_000) + 0.03 * rng.random()
        rows.setdefault("validation", []).append(
            marks
            | {
                "step": step,
                "tokens_shown": shown,
                "tokens_learned": round(shown * kept),
                "loss": loss,
            }
        )
    last = rows["validation"][-1]
    rows.setdefault("trainings", []).append(
        marks
        | {
            "objective": arm.objective,
            "k": arm.k if mask else None,
            "h": arm.h if mask else None,
            "strategy": arm.strategy if mask else None,
            "normalize": arm.normalize if mask else None,
            "copies": arm.copies,
            "parameters": 250_000,
            "vocab": 1024,
            "sequences": sequences,
            "batch": batch,
            "steps": steps,
            "tokens_shown": last["tokens_shown"],
            "tokens_learned": last["tokens_learned"],
            "epsilon": 7.5 if arm.objective == "dp-sgd" else None,
            "delta": 1e-6 if arm.objective == "dp-sgd" else None,
            "seconds": 20.0,
            "validation_loss": last["loss"],
        }
    )
    ways = ["greedy", *(["beams"] if arm.beams else []), *(["memfree"] if arm.memfree else [])]
    for way in ways:
        for number in range(scratch.documents + scratch.heldout):
            member = number < scratch.documents
            more = strength(arm) * member * (1.1 if way == "beams" else 1.0)
            fixed = mask and arm.strategy != "random"
            one = _recital(rng, more, way == "memfree", 1 / arm.k if fixed else None)
            rows.setdefault("documents", []).append(
                {**marks, "document": f"r{number}", "member": member, "decoding": way, **one}
            )


def _recital(
    rng: np.random.Generator, strength: float, filtered: bool, dropped: float | None
) -> dict[str, Any]:
    overlap = float(np.clip(0.16 + 0.06 * rng.standard_normal() + strength * rng.random(), 0, 1))
    exact = rng.random() < max(0.0, strength - 0.3) and not filtered
    overlap = 1.0 if exact else min(overlap, 0.94)
    return {
        "exact": exact,
        "rouge_l": overlap,
        "edit_similarity": 0.2 + 0.8 * overlap,
        "first_divergence": None if exact else int(20 * overlap),
        "at_dropped": None if exact or dropped is None else bool(rng.random() < 0.3 + dropped),
        "dropped_share": dropped,
    }


def _tune(
    config: GoldfishConfig,
    name: str,
    seed: int,
    long: bool,
    rng: np.random.Generator,
    rows: dict[str, list[dict[str, Any]]],
) -> None:
    extreme, arm = config.extreme, config.arms[name]
    epochs = extreme.long_epochs if long else extreme.epochs
    mask = arm.objective == "goldfish"
    kind = "extreme-long" if long else "extreme"
    marks = {"cell": f"{kind}.{name}.s{seed}", "arm": name, "seed": seed, "long": long}
    for epoch in range(epochs + 1):
        done = 1 / (1 + math.exp(-(epoch - 12) / 2)) * strength(arm)
        for number in range(extreme.passages):
            shared = marks | {"epoch": epoch, "document": f"p{seed}.{number}"}
            rows.setdefault("extreme", []).append(
                shared
                | {
                    "exact": rng.random() < done - 0.3,
                    "accuracy": done,
                    "loss_learned": 3.5 * math.exp(-epoch / 6) + 0.05 * rng.random(),
                    "loss_dropped": 3.5 + 0.02 * epoch if mask else None,
                }
            )
            if epoch % extreme.every == 0 or epoch == epochs:
                one = _recital(rng, done, False, 1 / arm.k if mask else None)
                shared |= {"member": True, "decoding": "greedy"}
                rows.setdefault("extreme_texts", []).append(shared | one)
            if epoch in (0, epochs):
                one = _recital(rng, 0.0, False, 1 / arm.k if mask else None)
                shared |= {"document": f"n{seed}.{number}", "member": False, "decoding": "greedy"}
                rows["extreme_texts"].append(shared | one)


def _membership(config: GoldfishConfig) -> pl.DataFrame:
    rows = []
    for name in config.scratch.arms:
        known = strength(config.arms[name])
        for seed in range(config.seeds):
            for attack, bonus in (("loss", 0.0), ("zlib", 0.05)):
                area = min(1.0, 0.5 + 0.45 * math.sqrt(known) + bonus * known + 0.01 * seed)
                for measure, value in (
                    ("auc", area),
                    ("tpr_at_0.01", max(0.0, known - 0.2 + bonus)),
                    ("tpr_at_0.05", max(0.05, known - 0.1 + bonus)),
                ):
                    rows.append(
                        {
                            "arm": name,
                            "seed": seed,
                            "attack": attack,
                            "measure": measure,
                            "value": value,
                            "low": value - 0.02,
                            "high": min(1.0, value + 0.02),
                            "n": config.scratch.documents + config.scratch.heldout,
                        }
                    )
    schema = SCHEMAS["membership"]
    return pl.DataFrame(rows, schema=schema) if rows else pl.DataFrame(schema=schema)
