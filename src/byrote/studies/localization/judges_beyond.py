"""Judges of what the paper leaves open: is a localization specific, and does erasing then work?

The predicates were fixed before anything was measured with this study. What is contrasted is so
with passages and texts that are held out: none of the negatives is among them.
"""

from __future__ import annotations

import polars as pl

from byrote.studies.claims import Judgement, NotTested, Tables
from byrote.studies.localization.analysis import paired, values_of
from byrote.studies.localization.config import LocalizationConfig
from byrote.studies.localization.methods import PARTS, WEIGHTS
from byrote.studies.localization.reading import (
    EXAMPLES,
    TARGETS,
    dropped,
    for_each,
    injected,
    methods_in,
    variant,
)
from byrote.studies.weighing import ANY, SIGNED_SHARE, direction, each

__all__ = [
    "contrast_erases",
    "contrast_finds",
    "contrast_specific",
    "retain_spares",
    "together_specific",
    "weights_more_specific",
]

CHOSEN = {"activations": "ratio", "attribution": "difference"}
"""The contrasts that are judged; the others are measured beside them."""

_KEPT = 0.5


def contrast_specific(tables: Tables, config: LocalizationConfig) -> Judgement:
    """With a contrast the other passages lose less than by the same scores without."""

    def parts(rows: pl.DataFrame):
        return [
            (
                f"{localizer}, {CHOSEN[localizer]}",
                lambda plain=plain, own=own: direction(
                    paired(rows, "neg_lost", own, plain),
                    -1,
                    "mean accuracy that others lose, with contrast less without",
                    limits=SIGNED_SHARE,
                    of=TARGETS,
                ),
            )
            for localizer, plain, own in _pairs(rows, config)
        ]

    return for_each(dropped(tables), parts, "contrasts")


def contrast_erases(tables: Tables, config: LocalizationConfig) -> Judgement:
    """With a contrast the target still loses at least half of what it loses without."""

    def judge(rows: pl.DataFrame, plain: str, own: str) -> Judgement:
        with_it, without = (values_of(rows, name, "target", "self_lost") for name in (own, plain))
        gaps = [with_it[key] - _KEPT * without[key] for key in with_it if key in without]
        what = "accuracy that the target loses with contrast, less half of that without"
        return direction(gaps, 1, what, limits=(-1.5, 1.5), of=TARGETS)

    def parts(rows: pl.DataFrame):
        return [
            (
                f"{localizer}, {CHOSEN[localizer]}",
                lambda plain=plain, own=own: judge(rows, plain, own),
            )
            for localizer, plain, own in _pairs(rows, config)
        ]

    return for_each(dropped(tables), parts, "contrasts")


def contrast_finds(tables: Tables, config: LocalizationConfig) -> Judgement:
    """INJ: a contrast finds more of the neurons that a sentence was written into."""

    def parts(rows: pl.DataFrame):
        return [
            (
                f"{localizer}, {CHOSEN[localizer]}",
                lambda plain=plain, own=own: direction(
                    paired(rows, "recall", own, plain, "example"),
                    1,
                    "Recall@r with contrast less without",
                    limits=SIGNED_SHARE,
                    of=EXAMPLES,
                ),
            )
            for localizer, plain, own in _pairs(rows, config)
        ]

    return for_each(injected(tables), parts, "contrasts")


def retain_spares(tables: Tables, config: LocalizationConfig) -> Judgement:
    """A retain term in the loss of Hard Concrete spares the other passages."""

    def parts(rows: pl.DataFrame):
        plain = methods_in(rows, config).get("hard-concrete")
        names = rows["method"].unique(maintain_order=True).to_list()
        retaining = [
            name
            for name in names
            if config.methods[name].localizer == "hard-concrete"
            and config.methods[name].retain > 0
            and config.methods[name].contrast == "none"
        ]
        if plain is None:
            return []
        return [
            (
                PARTS["hard-concrete"],
                lambda own=own, plain=plain: direction(
                    paired(rows, "neg_lost", own, plain),
                    -1,
                    "mean accuracy that others lose, with the retain term less without",
                    limits=SIGNED_SHARE,
                    of=TARGETS,
                ),
            )
            for own in retaining
        ]

    return for_each(dropped(tables), parts, "fractions")


def together_specific(tables: Tables, config: LocalizationConfig) -> Judgement:
    """Several passages deleted at once lose more than others do, by contrasted scores."""
    asked = []
    found = tables["together"]
    for (setting,), rows in found.group_by("setting", maintain_order=True):
        for localizer, contrast in CHOSEN.items():
            name = variant(config, rows, localizer, contrast)
            if name is not None:
                asked.append((f"{setting}, {name}", _over_others(rows, name)))
    if not asked:
        raise NotTested("no contrasted method has deleted several passages at once")
    return each(
        asked,
        lambda gaps: direction(
            gaps,
            1,
            "accuracy that a deleted passage loses, less the mean of the others",
            limits=SIGNED_SHARE,
            of=TARGETS,
        ),
        "contrasts",
    )


def weights_more_specific(tables: Tables, config: LocalizationConfig) -> Judgement:
    """2410.02159: taking out weights is more specific than taking out Hard Concrete's neurons."""
    asked = []
    found = tables["together"]
    for (setting,), rows in found.group_by("setting", maintain_order=True):
        neurons = methods_in(rows, config).get("hard-concrete")
        names = rows["method"].unique(maintain_order=True).to_list()
        for name in names:
            if neurons is not None and config.methods[name].localizer == WEIGHTS:
                one, two = (_over_others_by(rows, each) for each in (name, neurons))
                gaps = [one[key] - two[key] for key in one if key in two]
                asked.append((str(setting), gaps))
    if not asked:
        raise NotTested("no setting has both weights and Hard Concrete's neurons taken out")
    return each(
        asked,
        lambda gaps: direction(
            gaps,
            1,
            "what a deleted passage loses over the others, weights less neurons",
            limits=ANY,
            of=TARGETS,
        ),
        "settings",
    )


def _pairs(rows: pl.DataFrame, config: LocalizationConfig) -> list[tuple[str, str, str]]:
    """Localizer, plain method, contrasted method: of those that a table has."""
    names = rows["method"].unique(maintain_order=True).to_list()
    found = []
    for localizer, contrast in CHOSEN.items():
        own = variant(config, rows, localizer, contrast)
        plain = variant(config, rows, localizer, "none")
        if own in names and plain in names:
            found.append((localizer, plain, own))
    return found


def _over_others(rows: pl.DataFrame, method: str) -> list[float]:
    return list(_over_others_by(rows, method).values())


def _over_others_by(rows: pl.DataFrame, method: str) -> dict[str, float]:
    """Of each deleted passage, the accuracy lost less the mean that the others lose."""
    own = rows.filter(pl.col("method") == method).with_columns(
        lost=pl.col("accuracy_before") - pl.col("accuracy_after")
    )
    others = own.filter(~pl.col("erased"))["lost"].mean()
    erased = own.filter(pl.col("erased")).select("passage", "lost")
    if others is None:
        return {}
    return {passage: lost - float(others) for passage, lost in erased.iter_rows()}  # type: ignore[arg-type]
