"""Judges of E6 and E7: the local prefix against the global context; strings in sequence.

Both are findings on pretrained models. In E6 two conditions are compared on the same positions of
the same string only, at the last epoch measured; in E7 each optimiser is judged apart.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import polars as pl

from byrote.studies.claims import Judgement, NotTested, Tables, at_least
from byrote.studies.dynamics.config import DynamicsConfig
from byrote.studies.dynamics.reading import (
    by_string,
    groups,
    paired,
    pretrained_models,
    ranks,
    spans,
)
from byrote.studies.weighing import (
    SIGNED_SHARE,
    direction,
    each,
    within,
    worst,
)

__all__ = [
    "below_ceiling",
    "context_helps",
    "distribution_needed",
    "forgetting",
    "later_faster",
    "local_suffices",
    "local_suffices_twentieth",
    "savings",
    "text_suffers",
]

_MATCHED = ("fresh", "other", "shuffle")
_UNMATCHED = ("constant", "other-alphabet", "random-vocab")
_CELLS = "models and alphabets"
_CHAINS = "models and optimisers"
# Share of the tokens by which recall may fall short and still count as full.
_SHORT_OF = 0.05
# 2407.19262's "about 100 %", as the rule of the phases has it.
_RECALLED = 0.95
_FORGOTTEN = 0.5


def local_suffices(tables: Tables, config: DynamicsConfig) -> Judgement:
    """Section 5: behind matched contexts a tenth comes within .05 of the full prefix's recall."""
    return _local(tables, config, _longest(config, 10))


def local_suffices_twentieth(tables: Tables, config: DynamicsConfig) -> Judgement:
    """Section 5: the same for a twentieth of the string."""
    return _local(tables, config, _longest(config, 20))


def distribution_needed(tables: Tables, config: DynamicsConfig) -> Judgement:
    """Section 5: recall behind each unmatched context is below that behind matched ones."""
    k = _longest(config, 10)

    def judge(asked: pl.DataFrame) -> Judgement:
        judged = []
        for condition in _UNMATCHED:
            values = _differences(asked, (_MATCHED, k), (condition, k))
            found = direction(values, 1, f"difference at k = {k}", limits=SIGNED_SHARE)
            judged.append((f"matched contexts less {condition}", found))
        return worst(judged, "conditions")

    return each(_asked(tables, config), judge, _CELLS)


def context_helps(tables: Tables, config: DynamicsConfig) -> Judgement:
    """Section 5: without a global context recall is below that behind matched ones.

    And it is more than .05 below that of the full prefix.
    """
    k = _longest(config, 10)

    def judge(asked: pl.DataFrame) -> Judgement:
        matched = _differences(asked, (_MATCHED, k), ("truncate", k))
        full = _differences(asked, (("intact",), None), ("truncate", k))
        helps = direction(matched, 1, f"difference at k = {k}", limits=SIGNED_SHARE)
        lacks = within(full, f"difference at k = {k}", least=_SHORT_OF, limits=SIGNED_SHARE)
        parts = [
            ("matched contexts less no context", helps),
            ("the whole prefix less no context", lacks),
        ]
        return worst(parts, "conditions")

    return each(_asked(tables, config), judge, _CELLS)


def below_ceiling(tables: Tables, config: DynamicsConfig) -> Judgement:
    """Our control: without context, recall is below what the k tokens determine, mean over k."""
    keys = ["training", "string", "k"]
    # At the positions that were asked for, where the strings are known.
    name = "asked_ceilings" if "asked_ceilings" in tables else "ceilings"
    ceilings = tables[name].select(
        "training", pl.col("string").cast(pl.Int64), "k", pl.col("accuracy").alias("ceiling")
    )

    def judge(asked: pl.DataFrame) -> Judgement:
        _require_recall(asked)
        alone = asked.filter(pl.col("condition") == "truncate").with_columns(
            pl.col("string").cast(pl.Int64)
        )
        if alone.is_empty():
            raise NotTested("the condition truncate was not measured")
        by_k = alone.group_by(keys).agg(pl.col("hit").mean()).join(ceilings, on=keys)
        below = by_k.group_by("string").agg((pl.col("hit") - pl.col("ceiling")).mean())
        return direction(below["hit"], -1, "difference, mean over k", limits=SIGNED_SHARE)

    return each(_asked(tables, config), judge, _CELLS)


def forgetting(tables: Tables, config: DynamicsConfig) -> Judgement:
    """Section 6: accuracy on earlier strings falls until the last new one has been learned."""

    def judge(found: pl.DataFrame) -> Judgement:
        last = found.filter(pl.col("stage") == pl.col("stage").max())
        earlier = last.filter(pl.col("since") > 0)
        fresh = found.filter(pl.col("since") == 0).select(
            "chain", "measured", pl.col("accuracy").alias("at_first")
        )
        both = earlier.join(fresh, on=["chain", "measured"])
        if both.is_empty():
            raise NotTested("only one string was learned in sequence")
        drops = both.group_by("chain").agg((pl.col("at_first") - pl.col("accuracy")).mean())
        what = f"loss of accuracy on earlier strings (they keep {both['accuracy'].mean():.2f})"
        return direction(drops["at_first"], 1, what, limits=SIGNED_SHARE, of="chains")

    return each(_sequences(tables["retention"], config), judge, _CHAINS)


def later_faster(tables: Tables, config: DynamicsConfig) -> Judgement:
    """Section 6: the epoch of memorisation falls with the place in the sequence."""

    def judge(found: pl.DataFrame) -> Judgement:
        new = _bounded(found.filter(~pl.col("again")), config)
        at_least(new["stage"].n_unique(), 3, "strings in sequence")
        by_stage = new.group_by("stage").agg(pl.col("t_low").median()).sort("stage")
        medians = ", ".join(f"{t:g}" for t in by_stage["t_low"])
        values = ranks(new.rename({"chain": "string"}), "stage", "t_low", "t_high")
        what = f"rank correlation (median epochs {medians})"
        return direction(values, -1, what, limits=SIGNED_SHARE, of="chains")

    return each(_sequences(tables["stages"], config), judge, _CHAINS)


def savings(tables: Tables, config: DynamicsConfig) -> Judgement:
    """Beyond the paper: learned again, the first string takes fewer epochs than before.

    Than itself at first, and than the last new string just before: new strings get faster too
    (`later_faster`), so that being faster than at first is not enough.
    Only where less than half of the string was left.
    """

    def judge(found: pl.DataFrame) -> Judgement:
        bounded = _bounded(found, config).rename({"chain": "string"})
        again = bounded.filter(pl.col("again"))
        if again.is_empty():
            raise NotTested("the first string was not learned again")
        left = again["first_accuracy"].max()
        if left is None or float(left) >= _FORGOTTEN:  # type: ignore[arg-type]
            raise NotTested(
                f"the first string was not forgotten: an accuracy of {left:.2f} was left of it in "
                "one chain"
            )
        judged = []
        new = bounded.filter(~pl.col("again"))
        for name, place in (("at first", pl.col("stage").min()), ("new", pl.col("stage").max())):
            both = paired(new.filter(pl.col("stage") == place), again)
            values = [a - b for a, b in zip(spans(both), spans(both, "_other"), strict=True)]
            medians = f"median {both['t_low'].median():g} against {both['t_low_other'].median():g}"
            what = f"epochs saved ({medians})"
            words = (
                "against the same string at first"
                if name == "at first"
                else ("against the last new string")
            )
            judged.append((words, direction(values, 1, what, of="chains")))
        return worst(judged, "comparisons")

    return each(_sequences(tables["stages"], config), judge, _CHAINS)


def text_suffers(tables: Tables, config: DynamicsConfig) -> Judgement:
    """Beyond the paper: the loss on natural text rises over the sequence, nats.

    From before the first to after the last new string; learning the first again is no part of it.
    """
    after = config.sequential.strings - 1

    def judge(found: pl.DataFrame) -> Judgement:
        one, other = (found.filter(pl.col("stage") == stage) for stage in (after, -1))
        both = one.join(other, on="chain", suffix="_before").sort("chain")
        if both.is_empty():
            raise NotTested("the loss on text was not measured before and after the sequence")
        what = f"rise of the loss ({both['loss_before'].mean():.2f} → {both['loss'].mean():.2f})"
        return direction(both["loss"] - both["loss_before"], 1, what, "nats", of="chains")

    return each(_sequences(tables["sequential_text"], config), judge, _CHAINS)


def _local(tables: Tables, config: DynamicsConfig, k: int) -> Judgement:
    def judge(asked: pl.DataFrame) -> Judgement:
        _require_recall(asked)
        values = _differences(asked, (("fresh", "other"), k), ("intact", None))
        what = f"recall behind fresh and other strings less that of the whole prefix, k = {k}"
        return within(values, what, least=-_SHORT_OF, limits=SIGNED_SHARE)

    return each(_asked(tables, config), judge, _CELLS)


def _longest(config: DynamicsConfig, part: int) -> int:
    """The longest local prefix up to a part of the string."""
    fitting = [k for k in config.context.k if k <= config.context.n / part]
    if not fitting:
        raise NotTested(f"no k is at most n / {part}, with n = {config.context.n}")
    return max(fitting)


def _asked(tables: Tables, config: DynamicsConfig) -> Iterator[tuple[str, pl.DataFrame]]:
    """For each pretrained model and alphabet, the tokens asked for at the last epoch."""
    context = tables["context"]
    last = context.filter(pl.col("epoch") == pl.col("epoch").max().over("training"))
    found = pretrained_models(config, by_string(tables, "context"))
    for name, group in groups(found, "training"):
        asked = last.filter(pl.col("training") == group["training"][0])
        if not asked.is_empty():
            yield f"{name}, epoch {asked['epoch'][0]}", asked


def _require_recall(asked: pl.DataFrame) -> None:
    """What the whole prefix does not recall says nothing about a part of it."""
    intact = asked.filter(pl.col("condition") == "intact")
    if intact.is_empty():
        raise NotTested("the condition intact was not measured")
    recall = float(intact.group_by("string").agg(pl.col("hit").mean())["hit"].min() or 0.0)  # type: ignore[arg-type]
    if recall < _RECALLED:
        raise NotTested(f"even the whole prefix recalls only {recall:.2f} of a string")


def _differences(
    asked: pl.DataFrame,
    ours: tuple[tuple[str, ...], int | None],
    theirs: tuple[str, int | None],
) -> list[float]:
    """For each string, recall under some conditions less that under another, same positions.

    Args:
        asked: Rows of `context` of one exposure and epoch.
        ours: Conditions, over which the mean is taken, and k (None: the whole prefix).
        theirs: The other condition, and its k.
    """
    conditions, k = ours
    one = _recall(asked, conditions, k)
    other = _recall(asked, (theirs[0],), theirs[1]).drop("condition")
    both = one.join(other, on=["string", "position"], suffix="_other")
    if missing := set(conditions) - set(both["condition"]):
        raise NotTested(f"no position was asked under {', '.join(sorted(missing))} and {theirs[0]}")
    each_condition = both.group_by("string", "condition").agg(
        (pl.col("hit") - pl.col("hit_other")).mean()
    )
    return (
        each_condition.group_by("string").agg(pl.col("hit").mean()).sort("string")["hit"].to_list()
    )


def _recall(asked: pl.DataFrame, conditions: tuple[str, ...], k: int | None) -> pl.DataFrame:
    found = asked.filter(pl.col("condition").is_in(conditions))
    if k is not None:
        found = found.filter(pl.col("k") == k)
    if missing := set(conditions) - set(found["condition"]):
        raise NotTested(f"the conditions {', '.join(sorted(missing))} were not measured")
    return found.group_by("string", "condition", "position").agg(
        pl.col("hit").cast(pl.Float64).mean()
    )


def _sequences(table: pl.DataFrame, config: DynamicsConfig) -> Iterator[tuple[str, pl.DataFrame]]:
    """For each pretrained model and optimiser, its rows."""
    found = pretrained_models(config, table)
    wanted = config.sequential
    for (model, optimiser), group in found.group_by("model", "optimiser", maintain_order=True):
        name = (
            f"{model}, {optimiser} optimiser, {wanted.strings} strings with n = {wanted.n}, "
            f"{wanted.epochs} epochs each"
        )
        if str(model) in config.models:
            name += f" at lr {config.models[str(model)].lr:g}"
        yield name, group


def _bounded(found: pl.DataFrame, config: DynamicsConfig) -> pl.DataFrame:
    """Bounds of `t_mem` as in `by_string`; a stage is never ended early."""
    late = float(config.sequential.epochs + 1)
    time = pl.col("t_mem").cast(pl.Float64)
    return found.with_columns(t_low=time.fill_null(late), t_high=time.fill_null(math.inf))
