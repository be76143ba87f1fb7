"""How judges compare methods: on the same sentences or passages, every pair apart."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from byrote.studies.claims import Judgement, NotTested, Tables, at_least, decide
from byrote.studies.localization.analysis import paired
from byrote.studies.localization.config import LocalizationConfig
from byrote.studies.localization.methods import PARTS
from byrote.studies.localization.reading import (
    EXAMPLES,
    TARGETS,
    called,
    for_each,
    methods_in,
    there,
)
from byrote.studies.weighing import LEAST_STRINGS, SIGNED_SHARE, Weighed, direction, each

__all__ = ["FINDERS", "GRADIENTS", "OTHERS", "PRUNING", "beats", "significant"]

PRUNING = ("hard-concrete", "slimming")
GRADIENTS = ("zero-out", "integrated-gradients")
OTHERS = (*GRADIENTS, "activations")
FINDERS = (*PRUNING, *OTHERS)
"""Parts of methods that should find something."""


def beats(
    groups: list[tuple[str, pl.DataFrame]],
    config: LocalizationConfig,
    winners: Sequence[str],
    losers: Sequence[str],
    measure: str = "recall",
    unit: str = "example",
) -> Judgement:
    """Every winner lies above every loser, on the same sentences or passages."""
    what = {
        "recall": "Recall@r",
        "self_lost": "accuracy that the target loses",
        "neg_lost": "mean accuracy that others lose",
    }[measure]

    def parts(rows: pl.DataFrame):
        cast = methods_in(rows, config)
        return [
            (
                f"{PARTS[winner]} less {PARTS[loser]}",
                lambda one=cast[winner], two=cast[loser]: direction(
                    paired(rows, measure, one, two, unit),
                    1,
                    what,
                    limits=SIGNED_SHARE,
                    of=EXAMPLES if unit == "example" else TARGETS,
                ),
            )
            for winner in there(cast, winners)
            for loser in there(cast, losers)
        ]

    return for_each(groups, parts, "pairs")


def significant(tables: Tables, benchmark: str, of: str) -> Judgement:
    """All tests of a benchmark are significant; one that is not may be too small to tell."""
    found = tables["significance"].filter(pl.col("benchmark") == benchmark)
    if found.is_empty():
        raise NotTested("this run has not both a pruning method and Integrated Gradients")

    def judge(row: dict[str, object]) -> Judgement:
        at_least(int(row["n"]), LEAST_STRINGS, of)  # type: ignore[call-overload]
        value, low, high = (float(row[key]) for key in ("difference", "low", "high"))  # type: ignore[arg-type]
        p = row["p"]
        shown = "no spread" if p is None else f"p = {p:.2g}"
        text = f"difference {value:.2f}, {shown} against {row['threshold']:.2g}"
        why = "holds where p is below the threshold"
        numbers = {"value": value, "low": low, "high": high, "n": int(row["n"])}  # type: ignore[call-overload]
        if row["significant"]:
            return Weighed("holds", text, why, **numbers, margin=low)
        if high < 0:
            return decide(False, text, f"{why}; IG is better", **numbers)
        return Judgement("not tested", text, f"{why}; these {of} are too few to tell", **numbers)

    asked = [
        (f"{called(row['where'])}, {row['part']}, at {row['at']:g}", row)
        for row in found.iter_rows(named=True)
    ]
    return each(asked, judge, "tests")
