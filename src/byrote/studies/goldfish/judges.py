"""Judges of the goldfish claims. A repetition is the unit; arms are compared within it.

Published numbers are those of 2406.10209 version 2. Bounds were set before anything was measured
here, from what the sentence says. That something is prevented can only be told where ordinary
training does it: without that a claim is not tested.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import polars as pl

from byrote.studies.claims import Judgement, NotTested, Tables, at_least
from byrote.studies.goldfish.analysis import by_seed, paired
from byrote.studies.goldfish.arms import Cast
from byrote.studies.goldfish.config import GoldfishConfig
from byrote.studies.goldfish.reading import (
    ORDINARY,
    REPETITIONS,
    WITHOUT,
    beam_gains,
    extreme_ends,
    greedy_members,
    hash_arms,
    none_recited,
    scratch_cast,
    seed_means,
    the,
    with_k,
)
from byrote.studies.weighing import (
    LEAST_STRINGS,
    SHARE,
    SIGNED_SHARE,
    direction,
    each,
    within,
)

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
    "monotone",
    "random_worse",
    "standard_recites",
    "width_matters",
]

_MOST = 0.5
_NEAR_CONTROL = 0.25
_SAME_LOSS = 0.05
_SAME_OVERLAP = 0.1
# Between tokens learned that count as the same number.
_SAME_TOKENS = 0.05
_PAPERS_BEAMS = 30


def extreme_standard(tables: Tables, config: GoldfishConfig) -> Judgement:
    """Section 4.1, Figure 1: more than half of the passages in each repetition, by the interval."""
    cast = Cast.of(config, config.extreme.arms)
    ends = extreme_ends(tables, the(cast.standard, ORDINARY))
    shares = by_seed(ends, "exact")
    what = f"share recited in full after {ends['epoch'].max()} epochs"
    return within(shares, what, least=_MOST, limits=SHARE, of=REPETITIONS)


def extreme_goldfish(tables: Tables, config: GoldfishConfig) -> Judgement:
    """Section 4.1, Figure 1: none of the passages, of which standard training recites many."""
    cast = Cast.of(config, config.extreme.arms)
    standard = extreme_ends(tables, the(cast.standard, ORDINARY))

    def judge(name: str) -> Judgement:
        ends = extreme_ends(tables, name)
        return none_recited(ends, f"passages after {ends['epoch'].max()} epochs", standard)

    arms = hash_arms(config, config.extreme.arms, k=(3, 4))
    return each([(name, name) for name in arms], judge, "masks")


def extreme_overlap(tables: Tables, config: GoldfishConfig) -> Judgement:
    """Figure 1: ROUGE-L of 4-goldfish lies between that of no training and of standard training."""
    cast = Cast.of(config, config.extreme.arms)
    standard = the(cast.standard, ORDINARY)
    goldfish = with_k(cast.ladder(), 4)
    texts = tables["extreme_texts"].filter(~pl.col("long") & pl.col("member"))
    last = texts.filter(pl.col("epoch") == pl.col("epoch").max().over("arm"))
    first = texts.filter((pl.col("epoch") == 0) & (pl.col("arm") == standard))
    means = pl.concat([last, first.with_columns(arm=pl.lit("untrained"))]).group_by("arm", "seed")
    means = means.agg(pl.col("rouge_l").mean())
    parts = [
        ("above no training", paired(means, "rouge_l", goldfish, "untrained")),
        ("below standard", paired(means, "rouge_l", standard, goldfish)),
    ]
    return each(
        parts,
        lambda gap: direction(gap, 1, "ROUGE-L", limits=SIGNED_SHARE, of=REPETITIONS),
        "sides",
    )


def control_unaware(tables: Tables, config: GoldfishConfig) -> Judgement:
    """A model that never saw the documents recites none of them (Figure 2)."""
    return none_recited(
        greedy_members(tables, the(scratch_cast(config).control, WITHOUT)), "documents"
    )


def standard_recites(tables: Tables, config: GoldfishConfig) -> Judgement:
    """Figure 2: standard training recites documents that the control does not."""
    gaps = _added(tables, config, "exact")
    return direction(
        gaps, 1, "share recited, standard less control", limits=SIGNED_SHARE, of=REPETITIONS
    )


def like_control(tables: Tables, config: GoldfishConfig) -> Judgement:
    """Figure 2: of the ROUGE-L that standard training adds to the control's, at most a quarter."""
    cast = scratch_cast(config)
    control = the(cast.control, WITHOUT)
    _something_to_prevent(tables, config)
    means = seed_means(tables, "rouge_l").filter(pl.col("arm") == control)
    most = seed_means(tables, "rouge_l").filter(pl.col("arm") == the(cast.standard, ORDINARY))
    base = most.join(means, on="seed", suffix="_control")

    def judge(name: str) -> Judgement:
        own = seed_means(tables, "rouge_l").filter(pl.col("arm") == name)
        both = own.join(base, on="seed", suffix="_standard").sort("seed")
        added = both["rouge_l"] - both["rouge_l_control"]
        shares = added / (both["rouge_l_standard"] - both["rouge_l_control"])
        what = "share of what standard training adds to ROUGE-L"
        return within(shares.to_list(), what, most=_NEAR_CONTROL, of=REPETITIONS)

    ladder = cast.ladder()
    return each([(ladder[k], ladder[k]) for k in (3, 4) if k in ladder], judge, "masks")


def monotone(tables: Tables, config: GoldfishConfig) -> Judgement:
    """Section 4.2: the more tokens are kept, the more is recited; rank correlation with k."""
    cast = scratch_cast(config)
    names = [*cast.ladder().values(), *([cast.standard] if cast.standard else [])]
    if len(names) < 4:
        raise NotTested("fewer than four values of k were trained")
    means = seed_means(tables, "rouge_l").filter(pl.col("arm").is_in(names))
    values = []
    for _, group in means.group_by("seed", maintain_order=True):
        found = dict(group.select("arm", "rouge_l").iter_rows())
        if len(found) == len(names):
            values.append(_rank([found[name] for name in names]))
    what = "rank correlation of k with ROUGE-L"
    return direction(values, 1, what, limits=SIGNED_SHARE, of=REPETITIONS)


def drops_where_diverged(strategy: str) -> Callable[[Tables, GoldfishConfig], Judgement]:
    """Table 1: the first divergence lies on a dropped token, at least twice as often as chance."""

    def judge(tables: Tables, config: GoldfishConfig) -> Judgement:
        found = tables["documents"].filter(
            pl.col("member") & (pl.col("decoding") == "greedy") & pl.col("at_dropped").is_not_null()
        )
        excess = found.with_columns(
            excess=pl.col("at_dropped").cast(pl.Float64) - 2 * pl.col("dropped_share")
        )

        def one(name: str) -> Judgement:
            values = by_seed(excess.filter(pl.col("arm") == name), "excess")
            what = "share of first divergences on dropped tokens, less twice the share dropped"
            return direction(values, 1, what, limits=(-2.0, 1.0), of=REPETITIONS)

        ladder = scratch_cast(config).ladder(strategy)
        return each([(name, name) for name in ladder.values()], one, "masks")

    return judge


def equal_input_trails(tables: Tables, config: GoldfishConfig) -> Judgement:
    """Section 5.2, Figure 5: after as many tokens of input, 4-goldfish has the higher loss."""
    cast = scratch_cast(config)
    standard, goldfish = the(cast.standard, ORDINARY), with_k(cast.ladder(), 4)
    gaps = paired(tables["trainings"], "validation_loss", goldfish, standard)
    return direction(gaps, 1, "validation loss less that of standard", "nats", of=REPETITIONS)


def equal_learned(tables: Tables, config: GoldfishConfig) -> Judgement:
    """Figure 5: after as many learned tokens the losses are nearly the same (within 0.05 nats)."""
    cast = scratch_cast(config)
    standard = the(cast.standard, ORDINARY)
    trainings = tables["trainings"]

    def judge(name: str) -> Judgement:
        learned = {
            arm: trainings.filter(pl.col("arm") == arm)["tokens_learned"].mean() or 0.0
            for arm in (name, standard)
        }
        if abs(learned[name] - learned[standard]) > _SAME_TOKENS * learned[standard]:  # pyright: ignore
            raise NotTested(
                f"{name} learns from {learned[name]:,.0f} tokens and {standard} from "
                f"{learned[standard]:,.0f}, which is not the same number"
            )
        gaps = paired(trainings, "validation_loss", name, standard)
        what = "validation loss less that of standard"
        return within(gaps, what, "nats", least=-_SAME_LOSS, most=_SAME_LOSS, of=REPETITIONS)

    return each([(name, name) for name in cast.scaled().values()], judge, "ways")


def beam_resists(tables: Tables, config: GoldfishConfig) -> Judgement:
    """Section 5.4, Figure 8: with 30 beams 3-goldfish recites none, standard training many."""
    cast, beams = scratch_cast(config), config.scratch.beams
    goldfish, standard = with_k(cast.ladder(), 3), the(cast.standard, ORDINARY)
    if beams < _PAPERS_BEAMS:
        raise NotTested(f"{beams} beams search less than the paper's {_PAPERS_BEAMS}")
    return none_recited(
        greedy_members(tables, goldfish, decoding="beams"),
        f"documents with {beams} beams",
        greedy_members(tables, standard, decoding="beams"),
    )


def beam_gain(tables: Tables, config: GoldfishConfig) -> Judgement:
    """Figure 8: the beam attack gains more the larger k is: 128-goldfish against 3-goldfish."""
    ladder = scratch_cast(config).ladder()
    gaps = paired(beam_gains(tables), "gain", with_k(ladder, 128), with_k(ladder, 3))
    what = "gain by beams at k = 128, less that at k = 3"
    return direction(gaps, 1, what, limits=SIGNED_SHARE, of=REPETITIONS)


def random_worse(tables: Tables, config: GoldfishConfig) -> Judgement:
    """Figure 9: at the same k a mask drawn anew each time lets more be recited than the hash."""
    cast = scratch_cast(config)
    means = seed_means(tables, "rouge_l")
    drawn, hashed = cast.ladder("random"), cast.ladder()

    def judge(k: int) -> Judgement:
        gaps = paired(means, "rouge_l", drawn[k], hashed[k])
        what = "ROUGE-L, random less hash"
        return direction(gaps, 1, what, limits=SIGNED_SHARE, of=REPETITIONS)

    return each([(f"k = {k}", k) for k in drawn if k in hashed], judge, "values of k")


def width_matters(tables: Tables, config: GoldfishConfig) -> Judgement:
    """Figure 9: h = 4 and h = 13 prevent memorisation alike: both do, ROUGE-L within 0.1."""
    cast = scratch_cast(config)
    standard = the(cast.standard, ORDINARY)
    _something_to_prevent(tables, config)
    _, by_h = cast.widths()
    small, large = (the(by_h.get(h), f"a hash mask with h = {h}") for h in (4, 13))
    means = seed_means(tables, "rouge_l")
    gaps = paired(means, "rouge_l", small, large)
    alike = within(
        gaps,
        "ROUGE-L, h = 4 less h = 13",
        least=-_SAME_OVERLAP,
        most=_SAME_OVERLAP,
        of=REPETITIONS,
    )
    prevented = [
        (
            f"{name} below standard",
            direction(
                paired(means, "rouge_l", standard, name),
                1,
                "ROUGE-L, standard less goldfish",
                limits=SIGNED_SHARE,
                of=REPETITIONS,
            ),
        )
        for name in (small, large)
    ]
    return each([("alike", alike), *prevented], lambda found: found, "conditions")


def _added(tables: Tables, config: GoldfishConfig, measure: str) -> list[float]:
    """What standard training adds to the control's mean, in each repetition."""
    cast = scratch_cast(config)
    standard, control = the(cast.standard, ORDINARY), the(cast.control, WITHOUT)
    return paired(seed_means(tables, measure), measure, standard, control)


def _something_to_prevent(tables: Tables, config: GoldfishConfig) -> None:
    added = _added(tables, config, "rouge_l")
    at_least(len(added), LEAST_STRINGS, REPETITIONS)
    if min(added) <= 0:
        raise NotTested("standard training adds nothing to the control's ROUGE-L here")


def _rank(values: Sequence[float]) -> float:
    from scipy import stats

    if len(set(values)) < 2:
        return 0.0
    return float(stats.spearmanr(np.arange(len(values)), values)[0])  # type: ignore[arg-type]
