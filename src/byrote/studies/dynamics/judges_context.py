"""Judges of E6 and E7: the local prefix against the global context; strings in sequence."""

from __future__ import annotations

import polars as pl

from byrote.studies.claims import Judgement, NotTested, Tables, at_least
from byrote.studies.dynamics.analysis import spearman
from byrote.studies.dynamics.config import DynamicsConfig
from byrote.studies.dynamics.reading import direction, within

__all__ = [
    "below_ceiling",
    "context_helps",
    "distribution_needed",
    "forgetting",
    "later_faster",
    "local_suffices",
    "savings",
    "text_suffers",
]

_MATCHED = ("fresh", "other", "shuffle")
_UNMATCHED = ("constant", "other-alphabet", "random-vocab")
_AS_FULL = -0.05


def local_suffices(tables: Tables, config: DynamicsConfig) -> Judgement:
    """Matched contexts come within .05 of the full prefix."""
    k = _short(config)
    matched = _accuracy(tables, ("fresh", "other"), k)
    full = _accuracy(tables, ("intact",), None)
    return within(
        _differences(matched, full),
        f"difference at k = {k}",
        "",
        least=_AS_FULL,
    )


def distribution_needed(tables: Tables, config: DynamicsConfig) -> Judgement:
    """Matched contexts do better than unmatched ones."""
    k = _short(config)
    values = _differences(_accuracy(tables, _MATCHED, k), _accuracy(tables, _UNMATCHED, k))
    return direction(values, 1, f"difference at k = {k}", "", "holds above 0")


def context_helps(tables: Tables, config: DynamicsConfig) -> Judgement:
    """Matched contexts do better than none."""
    k = _short(config)
    values = _differences(_accuracy(tables, _MATCHED, k), _accuracy(tables, ("truncate",), k))
    return direction(values, 1, f"difference at k = {k}", "", "holds above 0")


def below_ceiling(tables: Tables, config: DynamicsConfig) -> Judgement:
    """Without context, below what the k tokens determine; mean over k."""
    ceilings = tables["ceilings"].rename({"accuracy": "ceiling"})
    found = _last(tables["context"]).filter(pl.col("condition") == "truncate")
    by_k = found.group_by("training", "string", "k").agg(pl.col("hit").mean())
    both = by_k.join(
        ceilings.select("training", "string", "k", "ceiling"), on=["training", "string", "k"]
    )
    per_string = (
        both.group_by("string").agg((pl.col("hit") - pl.col("ceiling")).mean()).sort("string")
    )
    return direction(per_string["hit"], -1, "difference, mean over k", "", "holds below 0")


def forgetting(tables: Tables, config: DynamicsConfig) -> Judgement:
    """Accuracy on earlier strings falls until the last new one has been learned."""
    found = _first(tables["retention"])
    last = found.filter(pl.col("stage") == pl.col("stage").max())
    earlier = last.filter(pl.col("since") > 0)
    fresh = found.filter(pl.col("since") == 0).select(
        "chain", "measured", pl.col("accuracy").alias("at_first")
    )
    both = earlier.join(fresh, on=["chain", "measured"])
    if both.is_empty():
        raise NotTested("only one string was learned in sequence")
    drops = both.group_by("chain").agg((pl.col("at_first") - pl.col("accuracy")).mean())
    kept = float(earlier["accuracy"].mean() or 0.0)  # type: ignore[arg-type]
    values = drops.sort("chain")["at_first"]
    what = f"loss of accuracy on earlier strings (they keep {kept:.2f})"
    return direction(values, 1, what, "", "holds above 0")


def later_faster(tables: Tables, config: DynamicsConfig) -> Judgement:
    """T_mem falls with the place in the sequence."""
    found = _first(tables["stages"]).filter(~pl.col("again"))
    at_least(found["stage"].n_unique(), 3, "strings in sequence")
    late = config.sequential.epochs + 1
    values = [
        spearman(group["stage"].to_numpy(), group["t_mem"].fill_null(late).to_numpy())
        for _, group in found.group_by("chain", maintain_order=True)
    ]
    by_stage = found.group_by("stage").agg(pl.col("t_mem").fill_null(late).median()).sort("stage")
    what = f"rank correlation (median epochs {', '.join(f'{t:g}' for t in by_stage['t_mem'])})"
    return direction(values, -1, what, "", "holds below 0")


def savings(tables: Tables, config: DynamicsConfig) -> Judgement:
    """The first string takes fewer epochs the second time."""
    found = _first(tables["stages"])
    late = config.sequential.epochs + 1
    filled = found.with_columns(pl.col("t_mem").fill_null(late))
    first = filled.filter(pl.col("stage") == 0).select("chain", pl.col("t_mem").alias("first"))
    again = filled.filter(pl.col("again")).select("chain", pl.col("t_mem").alias("second"))
    both = first.join(again, on="chain").sort("chain")
    if both.is_empty():
        raise NotTested("the first string was not learned again")
    return direction(
        (both["first"] - both["second"]).cast(pl.Float64), 1, "epochs saved", "", "holds above 0"
    )


def text_suffers(tables: Tables, config: DynamicsConfig) -> Judgement:
    """The loss on natural text rises over the sequence."""
    found = _first(tables["sequential_text"]).sort("stage")
    ends = found.group_by("chain", maintain_order=True).agg(
        pl.col("loss").first().alias("before"), pl.col("loss").last().alias("after")
    )
    before, after = ends["before"].mean(), ends["after"].mean()
    what = f"rise of the loss ({before:.2f} → {after:.2f})"
    return direction(ends["after"] - ends["before"], 1, what, "nats", "holds above 0")


def _short(config: DynamicsConfig) -> int:
    """The longest local prefix up to a tenth of the string."""
    fitting = [k for k in config.context.k if k <= config.context.n / 10]
    if not fitting:
        raise NotTested(f"no k is at most a tenth of n = {config.context.n}")
    return max(fitting)


def _last(context: pl.DataFrame) -> pl.DataFrame:
    return context.filter(pl.col("epoch") == pl.col("epoch").max().over("training"))


def _accuracy(tables: Tables, conditions: tuple[str, ...], k: int | None) -> pl.DataFrame:
    """Accuracy of each string at the last epoch, mean over alphabets and conditions."""
    found = _last(tables["context"]).filter(pl.col("condition").is_in(conditions))
    if k is not None:
        found = found.filter(pl.col("k") == k)
    if missing := set(conditions) - set(found["condition"]):
        raise NotTested(f"the conditions {', '.join(sorted(missing))} were not measured")
    each = found.group_by("training", "string", "condition").agg(pl.col("hit").mean())
    return each.group_by("string").agg(pl.col("hit").mean()).sort("string")


def _differences(one: pl.DataFrame, other: pl.DataFrame) -> list[float]:
    both = one.join(other, on="string", suffix="_other").sort("string")
    return (both["hit"] - both["hit_other"]).to_list()


def _first(table: pl.DataFrame) -> pl.DataFrame:
    """Models and optimisers are not mixed: the first of each (the fresh optimiser by default)."""
    return table.filter(
        (pl.col("model") == table["model"][0]) & (pl.col("optimiser") == table["optimiser"][0])
    )
