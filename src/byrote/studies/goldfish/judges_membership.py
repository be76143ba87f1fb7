"""Judges of whether it still shows that a document was trained on (Table 2, E7).

At the scale of the presets an attack can tell all documents apart in every repetition. Repetitions
that agree have no interval of their own then, and a difference of two such arms says nothing.
"""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from byrote.recall.intervals import wilson
from byrote.studies.claims import Judgement, NotTested, Tables, at_least
from byrote.studies.goldfish.analysis import by_seed, paired
from byrote.studies.goldfish.arms import Cast
from byrote.studies.goldfish.config import GoldfishConfig
from byrote.studies.goldfish.reading import ORDINARY, REPETITIONS, scratch_cast, the, with_k
from byrote.studies.weighing import SHARE, SIGNED_SHARE, direction, each, untested, within

__all__ = ["membership_low_fpr", "membership_stays"]

_LEAST_AREA = 0.9
_RATES = (0.001, 0.01)
"""Rates of false positives that are low, the paper's first."""


def membership_stays(tables: Tables, config: GoldfishConfig) -> Judgement:
    """Table 2: membership still shows under every mask: AUC of loss / zlib above 0.9."""
    scratch = config.scratch
    of = f"of {scratch.documents} members and {scratch.heldout} others in each"

    def judge(group: pl.DataFrame) -> Judgement:
        areas = by_seed(group, "value")
        # Fewer than three repetitions end here.
        found = within(areas, "AUC", least=_LEAST_AREA, limits=SHARE, of=REPETITIONS)
        if min(areas) == 1:
            text = f"AUC 1: all told apart in {len(areas)} of {len(areas)} {REPETITIONS}, {of}"
            return replace(found, text=text, low=None, high=None)
        # Close to 1, two digits would hide the interval.
        ends = f"{found.value:.4f} ({found.low:.4f} to {found.high:.4f})"
        return replace(found, text=f"AUC: {ends}, {len(areas)} {REPETITIONS}, {of}")

    arms = list(scratch_cast(config).ladder().values())
    at_least(len(arms), 3, "values of k")
    found = tables["membership"].filter((pl.col("measure") == "auc") & (pl.col("attack") == "zlib"))
    return each([(name, found.filter(pl.col("arm") == name)) for name in arms], judge, "masks")


def membership_low_fpr(tables: Tables, config: GoldfishConfig) -> Judgement:
    """Table 2: at few false positives the loss attack finds fewer members under 3-goldfish."""
    cast: Cast = scratch_cast(config)
    standard, goldfish = the(cast.standard, ORDINARY), with_k(cast.ladder(), 3)
    attacked = tables["membership"].filter(pl.col("attack") == "loss")
    fpr = next((r for r in _RATES if f"tpr_at_{r:g}" in set(attacked["measure"])), None)
    if fpr is None:
        raise NotTested(
            f"{config.scratch.heldout} documents never shown cannot show a false-positive rate of "
            "1 %, for which it takes 100"
        )
    found = attacked.filter(pl.col("measure") == f"tpr_at_{fpr:g}")
    gaps = paired(found, "value", goldfish, standard)
    what = f"true positives at {100 * fpr:g} % false ones, 3-goldfish less standard"
    judged = direction(gaps, -1, what, limits=SIGNED_SHARE, of=REPETITIONS)
    both = found.filter(pl.col("arm").is_in([standard, goldfish]))
    if both["value"].min() == 1:
        members = len(gaps) * config.scratch.documents
        text = (
            f"at {100 * fpr:g} % false positives the loss attack finds {members} of {members} "
            f"members (95 % interval from {100 * wilson(members, members)[0]:.0f} %) under "
            "3-goldfish and as many under standard"
        )
        why = "all members are found under both, so that nothing can be hidden better"
        return untested(replace(judged, text=text, low=None, high=None), why)
    return judged
