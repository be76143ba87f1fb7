"""Judges of the paper's claims on INJ, and on what both benchmarks say. A sentence is the unit.

Bounds were set before anything was measured here, from what the sentence says or from the largest
number that was published. Methods are compared on the same sentences or passages.
"""

from __future__ import annotations

import polars as pl

from byrote.studies.claims import Judgement, NotTested, Tables
from byrote.studies.localization.analysis import values_of
from byrote.studies.localization.comparing import (
    FINDERS,
    GRADIENTS,
    OTHERS,
    PRUNING,
    beats,
    significant,
)
from byrote.studies.localization.config import LocalizationConfig
from byrote.studies.localization.methods import PARTS
from byrote.studies.localization.reading import (
    EXAMPLES,
    TARGETS,
    called,
    for_each,
    injected,
    methods_in,
    there,
)
from byrote.studies.weighing import SIGNED_SHARE, direction, each

__all__ = [
    "agree",
    "injection_above_random",
    "injection_activations_last",
    "injection_pruning_first",
    "injection_significance",
    "injection_smaller_fraction",
]

_LARGE_FRACTION = 0.01


def injection_pruning_first(tables: Tables, config: LocalizationConfig) -> Judgement:
    """Table 2: both pruning methods find more than Zero-Out, IG and Activations."""
    return beats(injected(tables), config, PRUNING, OTHERS)


def injection_activations_last(tables: Tables, config: LocalizationConfig) -> Judgement:
    """Table 2, r = 1 %: Activations find less than Zero-Out and IG."""
    groups = [
        (words, rows) for words, rows in injected(tables) if rows["fraction"][0] == _LARGE_FRACTION
    ]
    if not groups:
        raise NotTested("nothing was injected into 1 % of the neurons")
    return beats(groups, config, GRADIENTS, ("activations",))


def injection_above_random(tables: Tables, config: LocalizationConfig) -> Judgement:
    """Table 2: every method finds more than chance."""

    def parts(rows: pl.DataFrame):
        cast = methods_in(rows, config)
        excess = rows.with_columns(excess=pl.col("recall") - pl.col("random"))
        return [
            (
                PARTS[part],
                lambda name=cast[part]: direction(
                    values_of(excess, name, "example", "excess").values(),
                    1,
                    "Recall@r less that of chance",
                    limits=SIGNED_SHARE,
                    of=EXAMPLES,
                ),
            )
            for part in there(cast, FINDERS)
        ]

    return for_each(injected(tables), parts, "methods")


def injection_smaller_fraction(tables: Tables, config: LocalizationConfig) -> Judgement:
    """Table 2: Recall@r is higher at r = 0.1 % than at 1 %, for every method and model."""
    asked = []
    plain = tables["recalls"].filter((pl.col("multiple") == 1) & (pl.col("scope") == "layer"))
    for (model,), rows in plain.group_by("model", maintain_order=True):
        least, most = rows["fraction"].min(), rows["fraction"].max()
        if least == most:
            continue
        cast = methods_in(rows, config)
        for part in there(cast, FINDERS):
            small, large = (
                values_of(rows.filter(pl.col("fraction") == r), cast[part], "example", "recall")
                for r in (least, most)
            )
            gaps = [small[key] - large[key] for key in small if key in large]
            asked.append((f"{called(model)}, {PARTS[part]}", gaps))
    if not asked:
        raise NotTested("no model was injected into two different shares of its neurons")
    return each(
        asked,
        lambda gaps: direction(
            gaps,
            1,
            "Recall@r at the smallest r less that at the largest",
            limits=SIGNED_SHARE,
            of=EXAMPLES,
        ),
        "methods",
    )


def injection_significance(tables: Tables, config: LocalizationConfig) -> Judgement:
    """The pruning methods beat IG significantly (24 of 24 and 23 of 24 tests)."""
    return significant(tables, "inj", EXAMPLES)


def agree(tables: Tables, config: LocalizationConfig) -> Judgement:
    """The two benchmarks rank the methods alike."""
    keys = ("model", "injected", "setting", "dropped")
    asked = [
        (
            f"{called(key[0])}, r = {key[1]:g}, and {key[2]}, {key[3]:g}",
            rows["correlation"].to_list(),
        )
        for key, rows in tables["agreement"].group_by(*keys, maintain_order=True)
    ]
    return each(
        asked,
        lambda values: direction(
            values,
            1,
            "rank correlation of mean Recall@r with the accuracy that a target loses",
            limits=SIGNED_SHARE,
            of=TARGETS,
        ),
        "pairs of settings",
    )
