"""Judges of the paper's claims on DEL. A passage is the unit.

Bounds were set before anything was measured here, from what the sentence says or from the largest
number that was published. Methods are compared on the same sentences or passages.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import polars as pl

from byrote.studies.claims import Judgement, NotTested, Tables
from byrote.studies.localization.analysis import values_of
from byrote.studies.localization.comparing import FINDERS, OTHERS, PRUNING, beats, significant
from byrote.studies.localization.config import LocalizationConfig
from byrote.studies.localization.methods import PARTS
from byrote.studies.localization.reading import TARGETS, dropped, for_each, methods_in, there
from byrote.studies.weighing import SIGNED_SHARE, direction, each, within

__all__ = [
    "deletion_larger_fraction",
    "deletion_negatives",
    "deletion_pruning_hurts",
    "deletion_pruning_most",
    "deletion_random",
    "deletion_significance",
    "deletion_text",
    "layer_one_hurts",
    "one_layer_worse",
    "same_kind_hurt",
]

# Random neurons cost at most .5 points of accuracy in the paper; this is ten times as much.
_HARMLESS = 0.05
# The largest published rise of the paper's perplexity, .58 on 5.24 (Pythia-6.9B, Slimming).
_TEXT = 1.12


def deletion_significance(tables: Tables, config: LocalizationConfig) -> Judgement:
    """The pruning methods beat IG significantly (6 of 6 and 5 of 6 tests)."""
    return significant(tables, "del", TARGETS)


def deletion_pruning_most(tables: Tables, config: LocalizationConfig) -> Judgement:
    """Table 3: dropping what the pruning methods find costs the target most accuracy."""
    return beats(dropped(tables), config, PRUNING, OTHERS, "self_lost", "target")


def deletion_pruning_hurts(tables: Tables, config: LocalizationConfig) -> Judgement:
    """Table 3: it also costs the other passages more than what IG finds."""
    return beats(dropped(tables), config, PRUNING, ("integrated-gradients",), "neg_lost", "target")


def deletion_negatives(tables: Tables, config: LocalizationConfig) -> Judgement:
    """Table 3: whatever the method, other memorised passages lose accuracy too."""

    def parts(rows: pl.DataFrame):
        cast = methods_in(rows, config)
        return [
            (
                PARTS[part],
                lambda name=cast[part]: direction(
                    values_of(rows, name, "target", "neg_lost").values(),
                    1,
                    "mean accuracy that other passages lose",
                    limits=SIGNED_SHARE,
                    of=TARGETS,
                ),
            )
            for part in there(cast, FINDERS)
        ]

    return for_each(dropped(tables), parts, "methods")


def deletion_larger_fraction(tables: Tables, config: LocalizationConfig) -> Judgement:
    """Table 3: 0.5 % of the neurons cost the target more accuracy than 0.1 %."""
    found: dict[str, list[tuple[float, pl.DataFrame]]] = {}
    for _, rows in dropped(tables):
        found.setdefault(rows["setting"][0], []).append((rows["fraction"][0], rows))
    asked = []
    for setting, groups in found.items():
        if len(groups) < 2:
            continue
        ordered = [rows for _, rows in sorted(groups, key=lambda pair: pair[0])]
        small, large = ordered[0], ordered[-1]
        cast = methods_in(small, config)
        for part in there(cast, FINDERS):
            few, many = (
                values_of(rows, cast[part], "target", "self_lost") for rows in (small, large)
            )
            gaps = [many[key] - few[key] for key in many if key in few]
            asked.append((f"{setting}, {PARTS[part]}", gaps))
    if not asked:
        raise NotTested("in no setting were two different shares of the neurons dropped")
    return each(
        asked,
        lambda gaps: direction(
            gaps,
            1,
            "accuracy that the target loses, largest less smallest share",
            limits=SIGNED_SHARE,
            of=TARGETS,
        ),
        "methods",
    )


def deletion_random(tables: Tables, config: LocalizationConfig) -> Judgement:
    """Table 3: as many random neurons cost next to nothing (at most .5 points; here 5)."""

    def parts(rows: pl.DataFrame):
        cast = methods_in(rows, config)
        return [
            (
                who,
                lambda name=cast["random"], column=column: within(
                    values_of(rows, name, "target", column).values(),
                    "accuracy lost",
                    most=_HARMLESS,
                    limits=SIGNED_SHARE,
                    of=TARGETS,
                ),
            )
            for who, column in (("target", "self_lost"), ("others", "neg_lost"))
            if "random" in cast
        ]

    return for_each(dropped(tables), parts, "sides")


def deletion_text(tables: Tables, config: LocalizationConfig) -> Judgement:
    """Table 3: general text hardly suffers; the paper's perplexity rises by at most 12 %."""

    def parts(rows: pl.DataFrame):
        cast = methods_in(rows, config)
        # 2 to the change in nats is the ratio of what the paper calls perplexity.
        ratios = rows.with_columns(ratio=2.0 ** pl.col("text_nll"))
        return [
            (
                PARTS[part],
                lambda name=cast[part]: within(
                    values_of(ratios, name, "target", "ratio").values(),
                    "the paper's perplexity of general text, after over before",
                    most=_TEXT,
                    limits=(0.0, math.inf),
                    of=TARGETS,
                ),
            )
            for part in there(cast, FINDERS)
        ]

    return for_each(dropped(tables), parts, "methods")


def one_layer_worse(tables: Tables, config: LocalizationConfig) -> Judgement:
    """Figures 3 and 4: as many neurons spread over all layers erase more than those of any one.

    Layer 1 is left out, as the paper says that it is the exception.
    """
    asked = []
    found = tables["one_layer"]
    for (setting, method), rows in found.group_by("setting", "method", maintain_order=True):
        spread = dict(rows.filter(pl.col("layer").is_null()).select("target", "self_lost").rows())
        single = rows.filter(pl.col("layer") > 1)
        for (layer,), own in single.group_by("layer", maintain_order=True):
            gaps = [spread[t] - lost for t, lost in own.select("target", "self_lost").rows()]
            asked.append((f"{setting}, {method}, layer {layer}", gaps))
    return each(
        asked,
        lambda gaps: direction(
            gaps,
            1,
            "accuracy that the target loses, spread less one layer",
            limits=SIGNED_SHARE,
            of=TARGETS,
        ),
        "layers",
    )


def layer_one_hurts(tables: Tables, config: LocalizationConfig) -> Judgement:
    """Figure 4: all neurons from layer 1 cost the other passages more than neurons spread out."""
    asked = []
    for (setting, method), rows in tables["one_layer"].group_by(
        "setting", "method", maintain_order=True
    ):
        spread = dict(rows.filter(pl.col("layer").is_null()).select("target", "neg_lost").rows())
        first = rows.filter(pl.col("layer") == 1).select("target", "neg_lost").rows()
        if first:
            asked.append((f"{setting}, {method}", [lost - spread[t] for t, lost in first]))
    return each(
        asked,
        lambda gaps: direction(
            gaps,
            1,
            "mean accuracy that others lose, layer 1 less spread",
            limits=SIGNED_SHARE,
            of=TARGETS,
        ),
        "methods",
    )


def same_kind_hurt(tables: Tables, config: LocalizationConfig) -> Judgement:
    """Figure 2: passages of one kind hurt one another more than those of different kinds."""
    kinds = {
        (setting, passage): category
        for setting, passage, category in tables["passages"]
        .select("setting", "passage", "category")
        .iter_rows()
        if category is not None
    }
    found = tables["confusion"].filter(
        (pl.col("scope") == "layer") & (pl.col("target") != pl.col("passage"))
    )
    found = found.filter(pl.col("fraction") == pl.col("fraction").max())
    asked = []
    for (setting, method), rows in found.group_by("setting", "method", maintain_order=True):
        part = next((p for p, name in methods_in(rows, config).items() if name == method), None)
        if part not in FINDERS:
            continue
        gaps = []
        for (target,), own in rows.group_by("target", maintain_order=True):
            lost: dict[bool, list[float]] = {True: [], False: []}
            kind = kinds.get((str(setting), str(target)))
            for passage, before, after in own.select(
                "passage", "accuracy_before", "accuracy_after"
            ).iter_rows():
                other = kinds.get((str(setting), passage))
                if kind is not None and other is not None:
                    lost[kind == other].append(before - after)
            if lost[True] and lost[False]:
                gaps.append(_mean(lost[True]) - _mean(lost[False]))
        if gaps:
            asked.append((f"{setting}, {PARTS[part]}", gaps))
    if not asked:
        raise NotTested("no passage has another of its own kind and one of a different kind")
    return each(
        asked,
        lambda gaps: direction(
            gaps,
            1,
            "accuracy that others of its kind lose, less that of other kinds",
            limits=SIGNED_SHARE,
            of=TARGETS,
        ),
        "methods",
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
