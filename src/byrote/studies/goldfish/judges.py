"""Judges of the goldfish claims. A repetition is the unit; arms are compared within it.

Published numbers are those of 2406.10209 version 2. Bounds were set before anything was measured
here, from what the sentence says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import polars as pl

from byrote.recall.intervals import wilson
from byrote.studies.claims import Judgement, NotTested, Tables, at_least, decide
from byrote.studies.goldfish.analysis import by_seed, paired
from byrote.studies.goldfish.config import GoldfishConfig
from byrote.studies.goldfish.reading import (
    LADDER,
    REPETITIONS,
    extreme_ends,
    greedy_members,
    hash_arms,
    seed_means,
)
from byrote.studies.dynamics.weighing import SHARE, SIGNED_SHARE, direction, each, within

__all__ = [
    "beam_gain",
    "beam_resists",
    "control_unaware",
    "drops_where_diverged",
    "equal_input_trails",
    "equal_learned",
    "extreme_goldfish",
    "extreme_overlap",
    "extreme_standard",
    "like_control",
    "membership_low_fpr",
    "membership_stays",
    "memfree_overlap",
    "memfree_verbatim",
    "monotone",
    "near_duplicates_leak",
    "normalized_helps",
    "not_measured",
    "random_worse",
    "standard_recites",
    "width_matters",
]

_MOST = 0.5
_FEW = 0.05
_NEAR_CONTROL = 0.25
_SAME_LOSS = 0.05


def extreme_standard(tables: Tables, config: GoldfishConfig) -> Judgement:
    """Section 4.1, Figure 1: more than half of the passages in each repetition, by the interval."""
    ends = extreme_ends(tables, "standard")
    shares = by_seed(ends, "exact")
    epochs = ends["epoch"].max()
    what = f"share recited in full after {epochs} epochs"
    return within(shares, what, least=_MOST, limits=SHARE, of=REPETITIONS)


def extreme_goldfish(tables: Tables, config: GoldfishConfig) -> Judgement:
    """Section 4.1, Figure 1: none of the passages, and so few that 95 % intervals end below 1/5."""

    def judge(ends: pl.DataFrame) -> Judgement:
        n, k = len(ends), int(ends["exact"].sum())
        at_least(n, 16, "passages")
        low, high = wilson(k, n)
        text = f"{k} of {n} passages after {ends['epoch'].max()} epochs"
        numbers = {"value": k / n, "low": low, "high": high, "n": n}
        return decide(k == 0 and high < 0.2, text, "holds at none, interval below 20 %", **numbers)

    arms = hash_arms(config, config.extreme.arms, k=(3, 4))
    return each([(name, extreme_ends(tables, name)) for name in arms], judge, "masks")


def extreme_overlap(tables: Tables, config: GoldfishConfig) -> Judgement:
    """Figure 1: ROUGE-L of 4-goldfish lies between that of no training and of standard training."""
    texts = tables["extreme_texts"].filter(~pl.col("long"))
    last = texts.filter(pl.col("epoch") == pl.col("epoch").max().over("arm"))
    untrained = texts.filter((pl.col("epoch") == 0) & (pl.col("arm") == "standard"))
    if untrained.is_empty() or last.filter(pl.col("arm") == "hash-4").is_empty():
        raise NotTested("the extreme setting was not run with the arms standard and hash-4")
    goldfish = by_seed(last.filter(pl.col("arm") == "hash-4"), "rouge_l")
    standard = by_seed(last.filter(pl.col("arm") == "standard"), "rouge_l")
    before = by_seed(untrained, "rouge_l")
    parts = [
        ("above no training", [a - b for a, b in zip(goldfish, before, strict=True)]),
        ("below standard", [b - a for a, b in zip(goldfish, standard, strict=True)]),
    ]
    return each(
        parts,
        lambda gap: direction(gap, 1, "ROUGE-L", limits=SIGNED_SHARE, of=REPETITIONS),
        "sides",
    )


def control_unaware(tables: Tables, config: GoldfishConfig) -> Judgement:
    """A model that never saw the documents recites none of them (Figures 1 and 2)."""
    found = greedy_members(tables, "control")
    shares = by_seed(found, "exact")
    return within(shares, "share recited", most=_FEW, limits=SHARE, of=REPETITIONS)


def standard_recites(tables: Tables, config: GoldfishConfig) -> Judgement:
    """Figure 2: standard training recites documents that the control does not."""
    gaps = paired(seed_means(tables, "exact"), "exact", "standard", "control")
    return direction(
        gaps, 1, "share recited, standard less control", limits=SIGNED_SHARE, of=REPETITIONS
    )


def like_control(tables: Tables, config: GoldfishConfig) -> Judgement:
    """Figure 2: of the ROUGE-L that standard training adds to the control's, at most a quarter."""
    means = seed_means(tables, "rouge_l")

    def judge(name: str) -> Judgement:
        added = paired(means, "rouge_l", name, "control")
        most = paired(means, "rouge_l", "standard", "control")
        if len(most) >= 3 and min(most) <= 0:
            raise NotTested("standard training adds nothing to the control's ROUGE-L here")
        shares = [a / b for a, b in zip(added, most, strict=True)]
        what = "share of what standard training adds to ROUGE-L"
        return within(shares, what, most=_NEAR_CONTROL, of=REPETITIONS)

    arms = [name for name in ("hash-3", "hash-4") if name in config.scratch.arms]
    return each([(name, name) for name in arms], judge, "masks")


def monotone(tables: Tables, config: GoldfishConfig) -> Judgement:
    """Section 4.2: the more tokens are kept, the more is recited; rank correlation with 1/k."""
    names = [name for name in (*LADDER, "standard") if name in config.scratch.arms]
    if len(names) < 4:
        raise NotTested("fewer than four values of k were trained")
    means = seed_means(tables, "rouge_l")
    values = []
    for (_,), group in means.filter(pl.col("arm").is_in(names)).group_by(
        "seed", maintain_order=True
    ):
        found = dict(group.select("arm", "rouge_l").iter_rows())
        if len(found) == len(names):
            values.append(_rank([found[name] for name in names]))
    what = "rank correlation of k with ROUGE-L"
    return direction(values, 1, what, limits=SIGNED_SHARE, of=REPETITIONS)


def drops_where_diverged(strategy: str) -> Callable[[Tables, GoldfishConfig], Judgement]:
    """Table 1: the first divergence lies on a dropped token more often than tokens are dropped."""

    def judge(tables: Tables, config: GoldfishConfig) -> Judgement:
        found = tables["documents"].filter(
            pl.col("member")
            & (pl.col("decoding") == "greedy")
            & pl.col("dropped_share").is_not_null()
        )
        arms = [
            name
            for name in config.scratch.arms
            if config.arms[name].strategy == strategy
            and config.arms[name].objective == "goldfish"
            and name.startswith(f"{strategy}-")
            and name.count("-") == 1
        ]

        def one(group: pl.DataFrame) -> Judgement:
            diverged = group.filter(pl.col("at_dropped").is_not_null())
            excess = diverged.with_columns(
                excess=pl.col("at_dropped").cast(pl.Float64) - pl.col("dropped_share")
            )
            what = "share of first divergences on dropped tokens, less the share dropped"
            return direction(
                by_seed(excess, "excess"), 1, what, limits=SIGNED_SHARE, of=REPETITIONS
            )

        return each([(name, found.filter(pl.col("arm") == name)) for name in arms], one, "masks")

    return judge


def equal_input_trails(tables: Tables, config: GoldfishConfig) -> Judgement:
    """Section 5.2, Figure 5: after as many tokens of input, 4-goldfish has the higher loss."""
    gaps = paired(tables["trainings"], "validation_loss", "hash-4", "standard")
    return direction(gaps, 1, "validation loss less that of standard", "nats", of=REPETITIONS)


def equal_learned(tables: Tables, config: GoldfishConfig) -> Judgement:
    """Figure 5: after as many learned tokens the losses are nearly the same (within 0.05 nats)."""

    def judge(name: str) -> Judgement:
        gaps = paired(tables["trainings"], "validation_loss", name, "standard")
        what = "validation loss less that of standard"
        bound = {"least": -_SAME_LOSS, "most": _SAME_LOSS}
        return within(gaps, what, "nats", of=REPETITIONS, **bound)

    arms = ("hash-4-more-steps", "hash-4-larger-batch")
    return each([(n, n) for n in arms if n in config.scratch.arms], judge, "ways")


def membership_stays(tables: Tables, config: GoldfishConfig) -> Judgement:
    """Table 2: membership still shows under every mask: AUC of loss / zlib above 0.9."""

    def judge(group: pl.DataFrame) -> Judgement:
        return within(by_seed(group, "value"), "AUC", least=0.9, limits=SHARE, of=REPETITIONS)

    found = tables["membership"].filter((pl.col("measure") == "auc") & (pl.col("attack") == "zlib"))
    arms = [name for name in LADDER if name in config.scratch.arms]
    return each([(n, found.filter(pl.col("arm") == n)) for n in arms], judge, "masks")


def membership_low_fpr(tables: Tables, config: GoldfishConfig) -> Judgement:
    """Table 2: at few false positives the loss attack finds fewer members under 3-goldfish."""
    found = tables["membership"].filter(
        (pl.col("measure") == "tpr_at_0.01") & (pl.col("attack") == "loss")
    )
    gaps = paired(found, "value", "hash-3", "standard")
    what = "true positives at 1 % false ones, 3-goldfish less standard"
    return direction(gaps, -1, what, limits=SIGNED_SHARE, of=REPETITIONS)


def beam_resists(tables: Tables, config: GoldfishConfig) -> Judgement:
    """Section 5.4, Figure 8: under 3-goldfish 30 beams recite no more than greedy decoding."""
    gains = _beam_gains(tables, "hash-3")
    bound = {"least": -_FEW, "most": _FEW}
    what = "share recited with beams, less greedy"
    return within(gains, what, limits=SIGNED_SHARE, of=REPETITIONS, **bound)


def beam_gain(tables: Tables, config: GoldfishConfig) -> Judgement:
    """Figure 8: the beam attack gains more the larger k is: 128-goldfish against 3-goldfish."""
    pairs = zip(_beam_gains(tables, "hash-128"), _beam_gains(tables, "hash-3"), strict=True)
    gaps = [large - small for large, small in pairs]
    what = "gain by beams at k = 128, less that at k = 3"
    return direction(gaps, 1, what, limits=SIGNED_SHARE, of=REPETITIONS)


def random_worse(tables: Tables, config: GoldfishConfig) -> Judgement:
    """Figure 9: at the same k a mask drawn anew each time lets more be recited than the hash."""
    means = seed_means(tables, "rouge_l")

    def judge(k: int) -> Judgement:
        gaps = paired(means, "rouge_l", f"random-{k}", f"hash-{k}")
        what = "ROUGE-L, random less hash"
        return direction(gaps, 1, what, limits=SIGNED_SHARE, of=REPETITIONS)

    ks = [k for k in (4, 8, 32) if {f"random-{k}", f"hash-{k}"} <= set(config.scratch.arms)]
    return each([(f"k = {k}", k) for k in ks], judge, "values of k")


def width_matters(tables: Tables, config: GoldfishConfig) -> Judgement:
    """Figure 9: h = 4 and h = 13 prevent memorisation alike (ROUGE-L within 0.1)."""
    gaps = paired(seed_means(tables, "rouge_l"), "rouge_l", "hash-4-h4", "hash-4")
    bound = {"least": -0.1, "most": 0.1}
    return within(gaps, "ROUGE-L, h = 4 less h = 13", of=REPETITIONS, **bound)


def near_duplicates_leak(how: str) -> Callable[[Tables, GoldfishConfig], Judgement]:
    """2509.14233 (Apertus): copies that differ a little defeat the mask of the tokens."""

    def judge(tables: Tables, config: GoldfishConfig) -> Judgement:
        gaps = paired(seed_means(tables, "rouge_l"), "rouge_l", f"hash-4-{how}", "hash-4")
        what = f"ROUGE-L with {how} copies less that with exact ones"
        return direction(gaps, 1, what, limits=SIGNED_SHARE, of=REPETITIONS)

    return judge


def normalized_helps(how: str) -> Callable[[Tables, GoldfishConfig], Judgement]:
    """Section 3.1 advises to normalise text before hashing; here it is measured."""

    def judge(tables: Tables, config: GoldfishConfig) -> Judgement:
        means = seed_means(tables, "rouge_l")
        gaps = paired(means, "rouge_l", f"normalized-4-{how}", f"hash-4-{how}")
        what = f"ROUGE-L with {how} copies, mask of the text less mask of the tokens"
        return direction(gaps, -1, what, limits=SIGNED_SHARE, of=REPETITIONS)

    return judge


def memfree_verbatim(tables: Tables, config: GoldfishConfig) -> Judgement:
    """2210.17546, section 4: what MemFree writes is never the suffix."""
    found = greedy_members(tables, "standard", decoding="memfree")
    if config.scratch.tokens - config.scratch.prefix < config.scratch.ngram:
        raise NotTested("the suffix is shorter than the n-grams that are forbidden")
    shares = by_seed(found, "exact")
    return within(shares, "share recited", most=0.0, limits=SHARE, of=REPETITIONS)


def memfree_overlap(tables: Tables, config: GoldfishConfig) -> Judgement:
    """2210.17546: near copies remain: ROUGE-L under MemFree stays above the control's."""
    means = pl.concat(
        [
            seed_means(tables, "rouge_l", decoding="memfree"),
            seed_means(tables, "rouge_l").filter(pl.col("arm") == "control"),
        ]
    )
    gaps = paired(means, "rouge_l", "standard", "control")
    what = "ROUGE-L under MemFree less the control's"
    return direction(gaps, 1, what, limits=SIGNED_SHARE, of=REPETITIONS)


def not_measured(why: str) -> Callable[[Tables, Any], Judgement]:
    """A claim whose experiment byrote does not run, and why."""

    def judge(tables: Tables, config: GoldfishConfig) -> Judgement:
        raise NotTested(why)

    return judge


def _beam_gains(tables: Tables, arm: str) -> list[float]:
    beams = seed_means(tables, "exact", decoding="beams").filter(pl.col("arm") == arm)
    plain = seed_means(tables, "exact").filter(pl.col("arm") == arm)
    both = beams.join(plain, on="seed", suffix="_greedy").sort("seed")
    return (both["exact"] - both["exact_greedy"]).to_list()


def _rank(values: Sequence[float]) -> float:
    from scipy import stats

    if len(set(values)) < 2:
        return 0.0
    return float(stats.spearmanr(np.arange(len(values)), values)[0])  # type: ignore[arg-type]
