"""A study of pure Python cells: quick, seeded, and able to be slow, to fail and to die."""

from __future__ import annotations

import os
import random
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import polars as pl

from byrote.errors import InputError
from byrote.studies.base import Paper, Study
from byrote.studies.cells import Cell, CellContext
from byrote.studies.claims import Claim, Tables, at_least, decide


@dataclass(frozen=True)
class Source:
    name: str = "coin"
    sides: int = 2


@dataclass(frozen=True)
class Throwing:
    throws: int = 20
    pause: float = 0.0
    limit: int | None = None


@dataclass(frozen=True)
class DiceConfig:
    sources: tuple[Source, ...] = (Source(), Source("die", 6))
    strings: int = 3
    throwing: Throwing = field(default_factory=Throwing)
    ks: tuple[int, ...] = (1, 2)
    bounds: tuple[float, float] = (0.0, 1.0)
    order: Literal["random", "sorted"] = "random"
    tags: dict[str, float] = field(default_factory=dict)
    label: str | None = None
    verbose: bool = False
    trouble: str = ""
    seed: int = 0


def check(config: DiceConfig) -> None:
    if config.strings < 1:
        raise InputError(f"strings = {config.strings}: it must be at least 1")


def cells(config: DiceConfig) -> list[Cell]:
    found = []
    for source in config.sources:
        for string in range(config.strings):
            params = {
                "name": source.name,
                "sides": source.sides,
                "string": string,
                "throws": config.throwing.throws,
                "pause": config.throwing.pause,
                "trouble": config.trouble,
            }
            cost = config.throwing.throws * source.sides / 10
            found.append(Cell(f"{source.name}-{string}", "tests.studies.fake:throw", params, cost))
    return found


def throw(params: dict, context: CellContext) -> dict[str, pl.DataFrame]:
    """Throw a die, with a checkpoint at every throw, and trouble where it is asked for."""
    kind, _, where = params["trouble"].partition("@")
    trouble = kind if where == context.id else ""
    if trouble == "raise":
        raise ZeroDivisionError("the die has no sides")
    if trouble == "input":
        raise InputError("sides = 0: a die has at least 1")
    if trouble == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if trouble == "exit":
        os._exit(7)
    if kind == "raise-unless" and not Path(where).exists():
        raise RuntimeError(f"{where} is not there")
    print("printed by a task")  # noqa: T201
    generator = random.Random(context.seed)
    saved = context.folder / "thrown"
    before = [int(word) for word in saved.read_text().split()] if saved.exists() else []
    thrown: list[int] = []
    for i in range(params["throws"]):
        thrown.append(generator.randrange(params["sides"]))
        if i < len(before):
            assert before[i] == thrown[i]
            continue
        time.sleep(params["pause"])
        fresh = context.folder / ".thrown.tmp"
        fresh.write_text(" ".join(map(str, thrown)))
        fresh.replace(saved)
        context.progress((i + 1) / params["throws"])
    rows = pl.DataFrame(
        {
            "name": params["name"],
            "sides": params["sides"],
            "string": params["string"],
            "throw": range(len(thrown)),
            "side": thrown,
        }
    )
    threads = pl.DataFrame({"threads": [context.threads], "omp": [os.environ["OMP_NUM_THREADS"]]})
    return {"throws": rows, "surroundings": threads}


def analyse(tables: dict[str, pl.DataFrame], config: DiceConfig) -> dict[str, pl.DataFrame]:
    if "throws" not in tables:
        return {}
    means = tables["throws"].group_by("name", "string", maintain_order=True)
    return {"means": means.agg(mean=pl.col("side").mean())}


def _more_on_dice(tables: Tables, config: DiceConfig):
    means = tables["means"].group_by("name").agg(pl.col("mean").mean(), n=pl.len())
    found = dict(means.select("name", "mean").iter_rows())
    at_least(min(means["n"]), 3, "strings")
    gap = found["die"] - found["coin"]
    return decide(
        gap > 0, f"{gap:.2f} more eyes", "the gap is above 0", value=gap, n=config.strings
    )


def _never(tables: Tables, config: DiceConfig):
    return decide(False, "6 <b>sides</b>", "a die is no coin & never was", value=6.0)


def _missing(tables: Tables, config: DiceConfig):
    return decide(len(tables["loaded_dice"]) > 0, "", "")


CLAIMS = (
    Claim("more", "Dice show more eyes", "§1, E1", "2.0", "T", "gap of the means", _more_on_dice),
    Claim("never", "A die is a <i>coin</i>", "§2", "not published", "R,S", "sides", _never),
    Claim("loaded", "Dice are loaded", "§3", "not published", "beyond", "bias", _missing),
)

STUDY = Study(
    name="dice",
    title="Dice and coins",
    paper=Paper("0000.00000", "On <dice>"),
    config_type=DiceConfig,
    presets={"smoke": DiceConfig(), "one": DiceConfig(strings=1)},
    cells=cells,
    claims=CLAIMS,
    check=check,
    analyse=analyse,
    notes=lambda tables, config: [f"{config.strings} strings of each source"],
)


def register() -> None:
    """Make this the only study that there is."""
    from byrote.studies import registry

    registry.STUDIES.clear()
    registry.STUDIES["dice"] = "tests.studies.fake:STUDY"


if __name__ == "__main__":
    import sys

    from byrote.cli import main

    register()
    sys.exit(main())
