"""How judges read the tables: arms by the part they play, and what cannot be told from too little.

Arms are found by their fields (`Cast`), so that an arm with a preset's name and other fields is not
taken for it.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from byrote.recall.intervals import wilson
from byrote.studies.claims import Judgement, NotTested, Tables, at_least, decide
from byrote.studies.goldfish.arms import Cast
from byrote.studies.goldfish.config import GoldfishConfig
from byrote.studies.weighing import LEAST_STRINGS

__all__ = [
    "ORDINARY",
    "REPETITIONS",
    "WITHOUT",
    "beam_gains",
    "extreme_ends",
    "greedy_members",
    "hash_arms",
    "none_recited",
    "scratch_cast",
    "seed_means",
    "the",
    "with_k",
]

REPETITIONS = "repetitions"
ORDINARY = "ordinary training with exact copies"
WITHOUT = "trained without the documents"
_LEAST_DOCUMENTS = 16


def scratch_cast(config: GoldfishConfig) -> Cast:
    """The arms that are trained from scratch."""
    return Cast.of(config, config.scratch.arms)


def the(name: str | None, what: str) -> str:
    """A name that has to be there.

    Raises:
        NotTested: It is not.
    """
    if name is None:
        raise NotTested(f"no arm of this run is {what}")
    return name


def with_k(ladder: dict[int, str], k: int, strategy: str = "hash") -> str:
    """The arm of a ladder with this k.

    Raises:
        NotTested: There is none.
    """
    return the(ladder.get(k), f"the {strategy} mask with k = {k} and nothing else changed")


def extreme_ends(tables: Tables, arm: str) -> pl.DataFrame:
    """Rows of `extreme` at the last epoch of an arm, without those of the longer course."""
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


def beam_gains(tables: Tables) -> pl.DataFrame:
    """Share recited with beams less that of greedy decoding: columns `arm`, `seed`, `gain`."""
    beams = seed_means(tables, "exact", decoding="beams")
    both = beams.join(seed_means(tables, "exact"), on=["arm", "seed"], suffix="_greedy")
    return both.select("arm", "seed", gain=pl.col("exact") - pl.col("exact_greedy"))


def hash_arms(config: GoldfishConfig, names: Sequence[str], k: Sequence[int]) -> list[str]:
    """Those of some arms that are hash masks with one of these k."""
    found = []
    for name in names:
        arm = config.arms[name]
        if arm.objective == "goldfish" and arm.strategy == "hash" and arm.k in k:
            found.append(name)
    return found


def none_recited(found: pl.DataFrame, what: str, against: pl.DataFrame | None = None) -> Judgement:
    """Judge whether none of some documents is recited, pooled over repetitions.

    Args:
        found: One row for each document, with `seed` and `exact`.
        what: What the rows are, in the plural.
        against: The same of a training that recites: where its interval does not lie above this
            one's, there was nothing to prevent.
    """
    at_least(found["seed"].n_unique(), LEAST_STRINGS, REPETITIONS)
    n, k = len(found), int(found["exact"].sum())
    at_least(n, _LEAST_DOCUMENTS, "documents")
    low, high = wilson(k, n)
    text = f"{k} of {n} {what} (95 % interval up to {100 * high:.0f} %)"
    why = "holds at none"
    if against is not None:
        other = int(against["exact"].sum())
        text += f", {other} of {len(against)} without the measure"
        if k == 0 and wilson(other, len(against))[0] <= high:
            raise NotTested(f"{text}: too little is recited anyway to show that it is prevented")
    return decide(k == 0, text, why, value=k / n, low=low, high=high, n=n)
