"""Judges of E1 and E2: the phases and their signature, entropy by alphabet, skew and order.

All are of pretrained models, whose phases the paper describes. What stood while guessing is read at
`t_best_guess`, the lowest divergence from the string's letters, and compared with `floor`, the loss
of the best guess (`byrote.recall.phases`).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import polars as pl

from byrote.studies.claims import Judgement, NotTested, Tables, at_least
from byrote.studies.dynamics.config import DynamicsConfig
from byrote.studies.dynamics.reading import (
    by_string,
    groups,
    pretrained_models,
    ranks,
    spans,
    uniform,
)
from byrote.studies.weighing import (
    SHARE,
    SIGNED_SHARE,
    Span,
    direction,
    each,
    untested,
    within,
    worst,
)

__all__ = [
    "alphabet_first",
    "entropy_alphabet",
    "entropy_markov",
    "entropy_signature",
    "entropy_skew",
    "families",
    "guess_easier",
    "guess_level",
    "kl_signature",
    "two_letters",
    "two_phases",
]

_MASS, _ABOVE_MODAL = 0.9, 0.1
# Nats that a measure may lie off the level that it should stand at.
_LEVEL = 0.15
_DIVERGENCE = (0.0, math.inf)
_CELLS = "models and alphabets"
# Figure 1c of 2407.19262, read by eye: about .96.
_PUBLISHED_N, _PUBLISHED_EPOCHS, _PUBLISHED_MODEL = 1024, 100, "llama-2-13b"
_NEAR_96 = (0.93, 0.99)


def two_phases(tables: Tables, config: DynamicsConfig) -> Judgement:
    """2407.19262, section 3: the strings are guessed, at the guessing level, before memorised.

    In the mean over strings of each model and alphabet, at the best guess (which by its definition
    comes before memorisation): a mass of at least .9 on the alphabet, and an accuracy at most .1
    above the string's most frequent letter. It does not hold where a string was not memorised.
    """
    return each(groups(_guessed(tables, config), "model", "letters"), _both_phases, _CELLS)


def families(tables: Tables, config: DynamicsConfig) -> Judgement:
    """Section 3: the same in each family of models, of which there must be two."""
    found = _guessed(tables, config)
    at_least(found["family"].n_unique(), 2, "families")
    judged = [
        (
            str(family),
            each(groups(of_family, "model", "letters"), _both_phases, _CELLS),
        )
        for (family,), of_family in found.group_by("family", maintain_order=True)
    ]
    return worst(judged, "families")


def guess_level(tables: Tables, config: DynamicsConfig) -> Judgement:
    """Logs of the authors: while guessing the loss is within 0.15 nats of the entropy.

    That of the string's own letters: who knows how often each letter occurs in a short string
    guesses it below the source's entropy.
    """

    def judge(group: pl.DataFrame) -> Judgement:
        return within(
            group["guess_loss"] - group["floor"],
            "loss while guessing less the entropy",
            "nats",
            least=-_LEVEL,
            most=_LEVEL,
        )

    return each(groups(_guessed(tables, config), "model", "letters"), judge, _CELLS)


def two_letters(tables: Tables, config: DynamicsConfig) -> Judgement:
    """Figure 1c: accuracy from .93 to .99; only of the published model, length and epochs."""
    found = uniform(pretrained_models(config, by_string(tables, "phases")))
    two = found.filter(pl.col("letters") == 2)
    if two.is_empty():
        raise NotTested("no strings over two letters were learned")
    published = {
        name
        for name, model in config.models.items()
        if _PUBLISHED_MODEL in model.source.lower().replace("llama2", "llama-2")
    }
    same = two.filter(
        pl.col("model").is_in(list(published))
        & (pl.col("n") == _PUBLISHED_N)
        & (pl.col("last_epoch") == _PUBLISHED_EPOCHS)
    )
    if same.is_empty() or config.training.stop_loss is not None:
        models = ", ".join(two["model"].unique(maintain_order=True))
        early = " that end early" if config.training.stop_loss is not None else ""
        raise NotTested(
            f"the number is for Llama-2-13B, n = {_PUBLISHED_N} and {_PUBLISHED_EPOCHS} epochs; "
            f"this run has {models}, n = {config.phases.n} and at most {config.training.epochs} "
            f"epochs{early}"
        )
    least, most = _NEAR_96

    def judge(group: pl.DataFrame) -> Judgement:
        what = "accuracy after the last epoch"
        return within(group["last_accuracy"], what, least=least, most=most, limits=SHARE)

    return each(groups(same, "model"), judge, "models")


def alphabet_first(tables: Tables, config: DynamicsConfig) -> Judgement:
    """Expected signature, E1: the mass on the alphabet reaches .95 before memorisation."""

    def judge(group: pl.DataFrame) -> Judgement:
        late = (group["last_epoch"] + 1).to_list()
        entered = [
            Span(last, math.inf) if at is None else Span(at, at)
            for at, last in zip(group["t_in_alphabet"].to_list(), late, strict=True)
        ]
        values = [t - a for t, a in zip(spans(group), entered, strict=True)]
        medians = f"median {group['t_in_alphabet'].median()} against {group['t_low'].median():g}"
        what = f"epochs from a mass of .95 to memorisation ({medians})"
        return direction(values, 1, what)

    found = uniform(pretrained_models(config, by_string(tables, "phases")))
    return each(groups(found, "model", "letters"), judge, _CELLS)


def entropy_signature(tables: Tables, config: DynamicsConfig) -> Judgement:
    """Expected signature, E1: entropy within 0.15 nats of the letters', then below 0.15 nats."""

    def judge(group: pl.DataFrame) -> Judgement:
        guessing = within(
            group["guess_entropy"] - group["floor"],
            "entropy of the prediction less that of the letters",
            "nats",
            least=-_LEVEL,
            most=_LEVEL,
        )
        last = _at(tables, group, "last_epoch", "entropy")
        after = within(last, "entropy of the prediction", "nats", most=_LEVEL)
        found = worst([("while guessing", guessing), ("at the end", after)], "conditions")
        return _if_memorised(group, found)

    return each(groups(_guessed(tables, config), "model", "letters"), judge, _CELLS)


def kl_signature(tables: Tables, config: DynamicsConfig) -> Judgement:
    """Expected signature, E1: the divergence falls to within 0.15 nats of 0, and rises again."""

    def judge(group: pl.DataFrame) -> Judgement:
        lowest = _at(tables, group, "t_best_guess", "kl_empirical_model")
        last = _at(tables, group, "last_epoch", "kl_empirical_model")
        near = within(lowest, "lowest divergence", "nats", most=_LEVEL, limits=_DIVERGENCE)
        rise = direction(last - lowest, 1, "rise of the divergence", "nats")
        found = worst([("while guessing", near), ("up to the end", rise)], "conditions")
        return _if_memorised(group, found)

    return each(groups(_guessed(tables, config), "model", "letters"), judge, _CELLS)


def guess_easier(tables: Tables, config: DynamicsConfig) -> Judgement:
    """Section 4: accuracy while guessing falls with the size of the alphabet."""

    def judge(group: pl.DataFrame) -> Judgement:
        values = ranks(group, "letters", "guess_accuracy")
        return direction(values, -1, "rank correlation", limits=SIGNED_SHARE)

    found = _several(_guessed(tables, config), "letters", "sizes of the alphabet")
    return each(groups(found, "model"), judge, "models")


def entropy_alphabet(tables: Tables, config: DynamicsConfig) -> Judgement:
    """Section 4: the epoch of memorisation falls with the size of the alphabet."""
    found = uniform(pretrained_models(config, by_string(tables, "phases")))
    found = _several(found, "letters", "sizes of the alphabet")
    return each(groups(found, "model"), _faster("letters"), "models")


def entropy_skew(tables: Tables, config: DynamicsConfig) -> Judgement:
    """Section 4: the epoch of memorisation falls with the entropy at a fixed alphabet."""
    found = pretrained_models(config, by_string(tables, "entropy"))
    found = _several(found.filter(pl.col("distribution") != "markov"), "entropy", "entropies")
    return each(groups(found, "model"), _faster("entropy"), "models")


def entropy_markov(tables: Tables, config: DynamicsConfig) -> Judgement:
    """Beyond the paper: the epoch of memorisation falls with the entropy rate."""
    found = pretrained_models(config, by_string(tables, "entropy"))
    if "markov" not in found["distribution"]:
        raise NotTested("no Markov strings were learned by a pretrained model")
    found = found.filter(pl.col("distribution") != "skewed")
    found = _several(found, "entropy_rate", "entropy rates")
    return each(groups(found, "model"), _faster("entropy_rate"), "models")


def _faster(against: str) -> Callable[[pl.DataFrame], Judgement]:
    """A judge of whether epochs fall with a column."""

    def judge(group: pl.DataFrame) -> Judgement:
        values = ranks(group, against, "t_low", "t_high")
        return direction(values, -1, "rank correlation", limits=SIGNED_SHARE)

    return judge


def _guessed(tables: Tables, config: DynamicsConfig) -> pl.DataFrame:
    """What pretrained models learned of E1's strings, with what stood while guessing."""
    return uniform(pretrained_models(config, by_string(tables, "phases")))


def _both_phases(group: pl.DataFrame) -> Judgement:
    above = group["guess_accuracy"] - group["modal"]
    words = "accuracy while guessing less the most frequent letter's share"
    judged = [
        ("alphabet", within(group["guess_mass"], "mass while guessing", least=_MASS, limits=SHARE)),
        ("level", within(above, words, most=_ABOVE_MODAL, limits=SIGNED_SHARE)),
    ]
    found = worst(judged, "conditions")
    return _if_memorised(group, found)


def _if_memorised(group: pl.DataFrame, found: Judgement) -> Judgement:
    """What says that strings were memorised does not hold where some were not."""
    missed = group["t_mem"].null_count()
    if not missed or found.verdict != "holds":
        return found
    return untested(found, f"{missed} of {len(group)} strings were not memorised within the epochs")


def _at(tables: Tables, group: pl.DataFrame, when: str, column: str) -> pl.Series:
    """A measure of each string of a group at an epoch that a column of the group names."""
    measures = tables["epochs"].select(
        "training",
        pl.col("string").cast(pl.Int64),
        pl.col("epoch").cast(pl.Int64).alias(when),
        pl.col(column).alias("found"),
    )
    keys = ["training", "string", when]
    return group.select(keys).join(measures, on=keys, how="left", maintain_order="left")["found"]


def _several(found: pl.DataFrame, column: str, what: str) -> pl.DataFrame:
    """Only models that learned at least three levels; the others have no say in it.

    Raises:
        NotTested: There are none.
    """
    kept = found.filter(pl.col(column).n_unique().over("model") >= 3)
    if kept.is_empty():
        most = 0 if found.is_empty() else found.group_by("model").agg(pl.col(column).n_unique())
        most = most if isinstance(most, int) else int(most[column].max())  # type: ignore[arg-type]
        at_least(most, 3, what)
    return kept
