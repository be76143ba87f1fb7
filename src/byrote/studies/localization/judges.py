"""Judges of the paper's claims on INJ and DEL. A sentence, a passage is the unit.

Bounds were set before anything was measured here, from what the sentence says or from the largest
number that was published. Methods are compared on the same sentences or passages.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import polars as pl

from byrote.studies.claims import Judgement, NotTested, Tables, at_least, decide
from byrote.studies.localization.analysis import paired, values_of
from byrote.studies.localization.config import LocalizationConfig
from byrote.studies.localization.methods import PARTS
from byrote.studies.localization.reading import (
    EXAMPLES,
    TARGETS,
    dropped,
    for_each,
    injected,
    methods_in,
    there,
)
from byrote.studies.weighing import (
    LEAST_STRINGS,
    SIGNED_SHARE,
    Weighed,
    direction,
    each,
    within,
)

__all__ = [
    "agree",
    "deletion_larger_fraction",
    "deletion_negatives",
    "deletion_pruning_hurts",
    "deletion_pruning_most",
    "deletion_random",
    "deletion_significance",
    "deletion_text",
    "injection_above_random",
    "injection_activations_last",
    "injection_pruning_first",
    "injection_significance",
    "injection_smaller_fraction",
    "layer_one_hurts",
    "one_layer_worse",
    "same_kind_hurt",
]

_PRUNING = ("hard-concrete", "slimming")
_GRADIENTS = ("zero-out", "integrated-gradients")
_OTHERS = (*_GRADIENTS, "activations")
_FINDERS = (*_PRUNING, *_OTHERS)
# Random neurons cost at most .5 points of accuracy in the paper; this is ten times as much.
_HARMLESS = 0.05
# The largest published rise of the paper's perplexity, .58 on 5.24 (Pythia-6.9B, Slimming).
_TEXT = 1.12
_LARGE_FRACTION = 0.01


def injection_pruning_first(tables: Tables, config: LocalizationConfig) -> Judgement:
    """Table 2: both pruning methods find more than Zero-Out, IG and Activations."""
    return _beats(injected(tables), config, _PRUNING, _OTHERS)


def injection_activations_last(tables: Tables, config: LocalizationConfig) -> Judgement:
    """Table 2, r = 1 %: Activations find less than Zero-Out and IG."""
    groups = [
        (words, rows) for words, rows in injected(tables) if rows["fraction"][0] == _LARGE_FRACTION
    ]
    if not groups:
        raise NotTested("nothing was injected into 1 % of the neurons")
    return _beats(groups, config, _GRADIENTS, ("activations",))


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
            for part in there(cast, _FINDERS)
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
        for part in there(cast, _FINDERS):
            small, large = (
                values_of(rows.filter(pl.col("fraction") == r), cast[part], "example", "recall")
                for r in (least, most)
            )
            gaps = [small[key] - large[key] for key in small if key in large]
            asked.append((f"{model}, {PARTS[part]}", gaps))
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
    return _significant(tables, "inj", EXAMPLES)


def deletion_significance(tables: Tables, config: LocalizationConfig) -> Judgement:
    """The pruning methods beat IG significantly (6 of 6 and 5 of 6 tests)."""
    return _significant(tables, "del", TARGETS)


def deletion_pruning_most(tables: Tables, config: LocalizationConfig) -> Judgement:
    """Table 3: dropping what the pruning methods find costs the target most accuracy."""
    return _beats(dropped(tables), config, _PRUNING, _OTHERS, "self_lost", "target")


def deletion_pruning_hurts(tables: Tables, config: LocalizationConfig) -> Judgement:
    """Table 3: it also costs the other passages more than what IG finds."""
    return _beats(
        dropped(tables), config, _PRUNING, ("integrated-gradients",), "neg_lost", "target"
    )


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
            for part in there(cast, _FINDERS)
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
        for part in there(cast, _FINDERS):
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
            for part in there(cast, _FINDERS)
        ]

    return for_each(dropped(tables), parts, "methods")


def agree(tables: Tables, config: LocalizationConfig) -> Judgement:
    """The two benchmarks rank the methods alike."""
    keys = ("model", "injected", "setting", "dropped")
    asked = [
        (f"{key[0]}, r = {key[1]:g}, and {key[2]}, {key[3]:g}", rows["correlation"].to_list())
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
        if part not in _FINDERS:
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


def _beats(
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


def _significant(tables: Tables, benchmark: str, of: str) -> Judgement:
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
        (f"{row['where']}, {row['part']}, at {row['at']:g}", row)
        for row in found.iter_rows(named=True)
    ]
    return each(asked, judge, "tests")


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
