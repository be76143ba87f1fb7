"""From a config to cells: one for each arm and repetition, in both settings."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from byrote.studies.cells import Cell
from byrote.studies.goldfish.config import Arm, GoldfishConfig
from byrote.studies.sizes import parameters_of
from byrote.texts.seeds import derive_seed

__all__ = ["cells"]

# Rough speed of one core, for estimates only.
_FLOPS = 6e10
_START_SECONDS = 8.0
_SLOWER = {"dp-sgd": 2.0, "self-contrastive": 1.3, "patch-level": 0.8}


def cells(config: GoldfishConfig) -> list[Cell]:
    """Split the study into cells; a repetition is the same for every arm."""
    found = []
    extreme = config.extreme
    for name in extreme.arms:
        found += [_extreme(config, name, index, long=False) for index in range(config.seeds)]
    found += [_extreme(config, name, 0, long=True) for name in extreme.long_arms]
    for name in config.scratch.arms:
        found += [_scratch(config, name, index) for index in range(config.seeds)]
    return found


def _extreme(config: GoldfishConfig, name: str, index: int, *, long: bool) -> Cell:
    extreme = config.extreme
    epochs = extreme.long_epochs if long else extreme.epochs
    size = parameters_of(extreme.model)
    tokens = extreme.passages * extreme.tokens
    looks = epochs / extreme.every + 1
    work = epochs * 6 * size * tokens + looks * 2 * size * tokens * 3
    kind = "extreme-long" if long else "extreme"
    return Cell(
        id=f"{kind}.{name}.s{index}",
        task="byrote.studies.goldfish.extreme:run",
        params={
            **_common(config, name, index),
            "extreme": dataclasses.asdict(extreme),
            "epochs": epochs,
            "long": long,
        },
        cost=work / _FLOPS + _START_SECONDS,
    )


def _scratch(config: GoldfishConfig, name: str, index: int) -> Cell:
    scratch, arm = config.scratch, config.arms[name]
    sequences = arm.input_factor * (scratch.background + scratch.documents * scratch.repeats)
    steps = math.ceil(sequences / (scratch.batch * arm.batch_factor))
    size = parameters_of(scratch.model)
    seen = sequences * scratch.tokens
    checks = steps / scratch.validate_every * scratch.validation * scratch.tokens
    asked = (scratch.documents + scratch.heldout) * scratch.tokens
    asked *= 3 + scratch.beams * arm.beams
    work = 6 * size * seen * _SLOWER.get(arm.objective, 1.0) + 2 * size * (checks + asked)
    most = max(config.arms[each].input_factor for each in scratch.arms)
    return Cell(
        id=f"scratch.{name}.s{index}",
        task="byrote.studies.goldfish.scratch:run",
        params={
            **_common(config, name, index),
            "scratch": dataclasses.asdict(scratch),
            "most_input": most,
        },
        cost=work / _FLOPS + 0.01 * steps + _START_SECONDS,
    )


def _common(config: GoldfishConfig, name: str, index: int) -> dict[str, Any]:
    """What every cell is told; its seed does not depend on the arm."""
    arm: Arm = config.arms[name]
    return {
        "name": name,
        "arm": dataclasses.asdict(arm),
        "repetition": index,
        "repetition_seed": derive_seed(config.seed, "repetition", str(index)),
    }
