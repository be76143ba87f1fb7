"""Judges of E1 to E5: phases, entropy, length, size, order."""

from __future__ import annotations

import polars as pl

from byrote.recall.intervals import wilson
from byrote.studies.claims import Judgement, NotTested, Tables, at_least, decide
from byrote.studies.dynamics.config import DynamicsConfig
from byrote.studies.dynamics.reading import (
    LEAST_STRINGS,
    by_string,
    censored_at_end,
    direction,
    pretrained_models,
    ranks,
    within,
)

__all__ = [
    "entropy_alphabet",
    "entropy_markov",
    "entropy_skew",
    "families",
    "guess_easier",
    "guess_level",
    "larger_faster",
    "length_pretrained",
    "length_untrained",
    "order_pretrained",
    "order_untrained",
    "two_letters",
    "two_phases",
]

_SHARE = 0.9
_MASS, _ABOVE_MODAL = 0.9, 0.1
_LEVEL = 0.15
_SAME_LENGTH_FACTOR = 2.0
_NO_ORDER = 0.2


def two_phases(tables: Tables, config: DynamicsConfig) -> Judgement:
    """At least nine tenths of the strings of pretrained models show both phases."""
    found = _with_phases(tables, config)
    at_least(len(found), LEAST_STRINGS, "strings")
    share, text, numbers = _share(found)
    predicate = f"holds from {_SHARE:.0%} of the strings on"
    return decide(share >= _SHARE, text, predicate, n=len(found), **numbers)


def families(tables: Tables, config: DynamicsConfig) -> Judgement:
    """The same in the family where it is rarest."""
    found = _with_phases(tables, config)
    names = tables["trainings"].select("training", "family").unique()
    shares = [
        (_share(group), str(family), len(group))
        for (family,), group in found.join(names, on="training").group_by("family")
    ]
    at_least(len(shares), 2, "families")
    (share, text, numbers), family, n = min(shares, key=lambda each: (each[0][0], each[1]))
    at_least(n, LEAST_STRINGS, "strings")
    predicate = f"holds from {_SHARE:.0%} in each of {len(shares)} families on"
    return decide(share >= _SHARE, f"{family}: {text}", predicate, n=n, **numbers)


def guess_level(tables: Tables, config: DynamicsConfig) -> Judgement:
    """Within 0.15 nats of the entropy, mean over the alphabets of a string."""
    found = _uniform(pretrained_models(config, by_string(tables, "phases")))
    each = found.drop_nulls("guess_loss").with_columns(
        above=pl.col("guess_loss") - pl.col("entropy")
    )
    return within(
        _per_string(each, "above"),
        "loss at the end of guessing less the entropy",
        "nats",
        least=-_LEVEL,
        most=_LEVEL,
    )


def two_letters(tables: Tables, config: DynamicsConfig) -> Judgement:
    """Only where the run is as the published one: n = 1024, 100 epochs, no early end."""
    found = _uniform(pretrained_models(config, by_string(tables, "phases")))
    two = found.filter(pl.col("letters") == 2)
    if two.is_empty():
        raise NotTested("no strings over two letters were learned")
    if config.training.stop_loss is not None or config.phases.n != 1024:
        raise NotTested(
            "the number is for n = 1024 after 100 epochs; this run has "
            f"n = {config.phases.n}"
            + (" and ends exposures early" if config.training.stop_loss is not None else "")
        )
    return within(
        _per_string(two, "last_accuracy"),
        "accuracy after the last epoch",
        "",
        least=0.93,
        most=0.99,
    )


def guess_easier(tables: Tables, config: DynamicsConfig) -> Judgement:
    """Accuracy at the end of guessing falls with the size of the alphabet."""
    found = _first_model(_uniform(pretrained_models(config, by_string(tables, "phases"))))
    values = ranks(found, "letters", "guess_accuracy")
    return direction(values, -1, "rank correlation", "", "holds below 0")


def entropy_alphabet(tables: Tables, config: DynamicsConfig) -> Judgement:
    """T_mem falls with the size of the alphabet."""
    found = _first_model(_uniform(pretrained_models(config, by_string(tables, "phases"))))
    values = ranks(censored_at_end(found), "letters", "t_mem")
    return direction(values, -1, "rank correlation", "", "holds below 0")


def entropy_skew(tables: Tables, config: DynamicsConfig) -> Judgement:
    """T_mem falls with the entropy at a fixed alphabet."""
    found = by_string(tables, "entropy").filter(pl.col("distribution") != "markov")
    values = ranks(censored_at_end(_first_model(found)), "entropy", "t_mem")
    return direction(values, -1, "rank correlation", "", "holds below 0")


def entropy_markov(tables: Tables, config: DynamicsConfig) -> Judgement:
    """T_mem falls with the entropy rate at uniform letters."""
    found = by_string(tables, "entropy").filter(pl.col("distribution") != "skewed")
    if "markov" not in found["distribution"]:
        raise NotTested("no Markov strings were learned: entropy.markov_rates is empty")
    values = ranks(censored_at_end(_first_model(found)), "entropy_rate", "t_mem")
    return direction(values, -1, "rank correlation", "", "holds below 0")


def length_pretrained(tables: Tables, config: DynamicsConfig) -> Judgement:
    """At most twice the epochs for the longest string."""
    found = _first_model(pretrained_models(config, by_string(tables, "length")))
    factor, text = _growth(found, int(found["n"].min()), int(found["n"].max()))  # type: ignore[arg-type]
    return within(
        factor,
        f"factor from {text}",
        "",
        most=_SAME_LENGTH_FACTOR,
    )


def length_untrained(tables: Tables, config: DynamicsConfig) -> Judgement:
    """The growth factor of the untrained model less that of the pretrained one."""
    untrained = _first_model(by_string(tables, "untrained"))
    pretrained = _first_model(pretrained_models(config, by_string(tables, "length")))
    shared = sorted(set(untrained["n"]) & set(pretrained["n"]))
    at_least(len(shared), 2, "lengths that both models learned")
    ours, text = _growth(untrained, shared[0], shared[-1])
    theirs, _ = _growth(pretrained, shared[0], shared[-1])
    values = [a - b for a, b in zip(ours, theirs, strict=False)]
    return direction(values, 1, f"difference of the factors from {text}", "", "holds above 0")


def larger_faster(tables: Tables, config: DynamicsConfig) -> Judgement:
    """T_mem falls with the parameters in every ladder, mean over ladders."""
    found = censored_at_end(by_string(tables, "size"))
    per_ladder = [
        ranks(group, "parameters", "t_mem")
        for _, group in found.group_by("ladder", maintain_order=True)
    ]
    values = [sum(each) / len(each) for each in zip(*per_ladder, strict=False)]
    return direction(values, -1, "rank correlation", "", "holds below 0")


def order_pretrained(tables: Tables, config: DynamicsConfig) -> Judgement:
    """The mean rank correlation lies within 0.2 of zero."""
    found = _uniform(pretrained_models(config, by_string(tables, "phases")))
    order = tables["order"].join(found, on=["training", "string"], how="semi")
    return within(
        _per_string(order.drop_nulls("spearman"), "spearman"),
        "rank correlation, mean over alphabets",
        "",
        least=-_NO_ORDER,
        most=_NO_ORDER,
    )


def order_untrained(tables: Tables, config: DynamicsConfig) -> Judgement:
    """The rank correlation is above zero for the longest strings of the untrained model."""
    found = by_string(tables, "untrained")
    longest = found.filter(pl.col("n") == pl.col("n").max())
    order = tables["order"].join(longest, on=["training", "string"], how="semi")
    values = _per_string(order.drop_nulls("spearman"), "spearman")
    return direction(values, 1, "rank correlation", "", "holds above 0")


def _with_phases(tables: Tables, config: DynamicsConfig) -> pl.DataFrame:
    """Memorised strings of pretrained models, and whether each shows both phases."""
    found = _uniform(pretrained_models(config, by_string(tables, "phases")))
    memorised = found.drop_nulls(["t_mem", "t_guess"])
    return memorised.with_columns(
        both=(pl.col("t_guess") < pl.col("t_mem"))
        & (pl.col("guess_mass") >= _MASS)
        & (pl.col("guess_accuracy") <= pl.col("modal") + _ABOVE_MODAL)
    )


def _share(found: pl.DataFrame) -> tuple[float, str, dict[str, float]]:
    hits, n = int(found["both"].sum()), len(found)
    low, high = wilson(hits, n)
    share = hits / n if n else 0.0
    text = f"{hits} of {n} strings ({share:.0%}, {low:.0%} to {high:.0%})"
    return share, text, {"value": share, "low": low, "high": high}


def _uniform(found: pl.DataFrame) -> pl.DataFrame:
    return found.filter((pl.col("distribution") == "uniform") & (pl.col("part") == "all"))


def _first_model(found: pl.DataFrame) -> pl.DataFrame:
    """Models are not mixed: what the experiment's first one learned."""
    if found.is_empty():
        raise NotTested("no string of the kind that is asked for was learned")
    return found.filter(pl.col("model") == found["model"][0])


def _per_string(found: pl.DataFrame, column: str) -> list[float]:
    """The mean of a column for each string, over alphabets and models."""
    return (
        found.group_by("string", maintain_order=True).agg(pl.col(column).mean())[column].to_list()
    )


def _growth(found: pl.DataFrame, short: int, long: int) -> tuple[list[float], str]:
    """For each string, the epochs for `long` tokens over those for `short` ones."""
    if short == long:
        raise NotTested("only one length was learned")
    wide = censored_at_end(found).filter(pl.col("n").is_in([short, long]))
    times = wide.pivot(on="n", index="string", values="t_mem").drop_nulls().sort("string")
    factors = (times[str(long)] / times[str(short)].clip(1.0)).to_list()
    medians = [wide.filter(pl.col("n") == n)["t_mem"].median() for n in (short, long)]
    return factors, f"n = {short} ({medians[0]:g} epochs) to {long} ({medians[1]:g})"
