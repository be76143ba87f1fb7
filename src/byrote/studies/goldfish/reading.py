"""How judges and figures read the tables."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from byrote.studies.claims import NotTested, Tables
from byrote.studies.goldfish.config import GoldfishConfig

__all__ = ["LADDER", "REPETITIONS", "extreme_ends", "greedy_members", "hash_arms", "seed_means"]

LADDER = ("hash-3", "hash-4", "hash-8", "hash-32", "hash-128")
"""Arms of the presets that differ in k alone."""
REPETITIONS = "repetitions"


def extreme_ends(tables: Tables, arm: str) -> pl.DataFrame:
    """Rows of `extreme` at the last epoch of an arm, of the repetitions that all arms have."""
    found = tables["extreme"].filter((pl.col("arm") == arm) & ~pl.col("long"))
    if found.is_empty():
        raise NotTested(f"the extreme setting was not run with the arm {arm}")
    return found.filter(pl.col("epoch") == pl.col("epoch").max())


def greedy_members(tables: Tables, arm: str, decoding: str = "greedy") -> pl.DataFrame:
    """Rows of `documents` of an arm: documents that were repeated in the others' training."""
    found = tables["documents"].filter(
        (pl.col("arm") == arm) & pl.col("member") & (pl.col("decoding") == decoding)
    )
    if found.is_empty():
        raise NotTested(f"nothing was asked of the arm {arm} with {decoding} decoding")
    return found


def seed_means(tables: Tables, measure: str, decoding: str = "greedy") -> pl.DataFrame:
    """Means over repeated documents: columns `arm`, `seed` and the measure."""
    return (
        tables["documents"]
        .filter(pl.col("member") & (pl.col("decoding") == decoding))
        .group_by("arm", "seed", maintain_order=True)
        .agg(pl.col(measure).cast(pl.Float64).mean())
    )


def hash_arms(config: GoldfishConfig, names: Sequence[str], k: Sequence[int]) -> list[str]:
    """Those of some arms that are hash masks with one of these k."""
    found = []
    for name in names:
        arm = config.arms[name]
        if arm.objective == "goldfish" and arm.strategy == "hash" and arm.k in k:
            found.append(name)
    return found
