"""Judges of what the goldfish paper leaves open: near copies, normalised text, MemFree decoding."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl

from byrote.studies.claims import Judgement, NotTested, Tables
from byrote.studies.goldfish.analysis import paired
from byrote.studies.goldfish.config import GoldfishConfig
from byrote.studies.goldfish.reading import (
    ORDINARY,
    REPETITIONS,
    WITHOUT,
    greedy_members,
    none_recited,
    scratch_cast,
    seed_means,
    the,
)
from byrote.studies.weighing import SIGNED_SHARE, direction

__all__ = [
    "memfree_overlap",
    "memfree_verbatim",
    "near_duplicates_leak",
    "normalized_helps",
    "not_measured",
]


def near_duplicates_leak(how: str) -> Callable[[Tables, GoldfishConfig], Judgement]:
    """2509.14233 (Apertus): copies that differ a little defeat the mask of the tokens."""

    def judge(tables: Tables, config: GoldfishConfig) -> Judgement:
        arms = scratch_cast(config).near_duplicates().get("tokens", {})
        near, same = _copies(arms, how), _copies(arms, "exact")
        gaps = paired(seed_means(tables, "rouge_l"), "rouge_l", near, same)
        what = f"ROUGE-L with {how} copies less that with exact ones"
        return direction(gaps, 1, what, limits=SIGNED_SHARE, of=REPETITIONS)

    return judge


def normalized_helps(how: str) -> Callable[[Tables, GoldfishConfig], Judgement]:
    """Section 3.1 advises to normalise text before hashing; here it is measured."""

    def judge(tables: Tables, config: GoldfishConfig) -> Judgement:
        arms = scratch_cast(config).near_duplicates()
        text, tokens = (_copies(arms.get(mask, {}), how) for mask in ("text", "tokens"))
        gaps = paired(seed_means(tables, "rouge_l"), "rouge_l", text, tokens)
        what = f"ROUGE-L with {how} copies, mask of the text less mask of the tokens"
        return direction(gaps, -1, what, limits=SIGNED_SHARE, of=REPETITIONS)

    return judge


def memfree_verbatim(tables: Tables, config: GoldfishConfig) -> Judgement:
    """2210.17546, section 4: what MemFree writes is never the suffix, which greedy decoding is."""
    standard = the(scratch_cast(config).standard, ORDINARY)
    found = greedy_members(tables, standard, decoding="memfree")
    if config.scratch.tokens - config.scratch.prefix < config.scratch.ngram:
        raise NotTested("the suffix is shorter than the n-grams that are forbidden")
    return none_recited(found, "documents", greedy_members(tables, standard))


def memfree_overlap(tables: Tables, config: GoldfishConfig) -> Judgement:
    """2210.17546: near copies remain: ROUGE-L under MemFree stays above the control's."""
    cast = scratch_cast(config)
    standard, control = the(cast.standard, ORDINARY), the(cast.control, WITHOUT)
    forbidden = seed_means(tables, "rouge_l", decoding="memfree")
    plain = seed_means(tables, "rouge_l")
    means = pl.concat(
        [forbidden.filter(pl.col("arm") == standard), plain.filter(pl.col("arm") == control)]
    )
    gaps = paired(means, "rouge_l", standard, control)
    what = "ROUGE-L under MemFree less the control's"
    return direction(gaps, 1, what, limits=SIGNED_SHARE, of=REPETITIONS)


def not_measured(why: str) -> Callable[[Tables, Any], Judgement]:
    """A claim whose experiment byrote does not run, and why."""

    def judge(tables: Tables, config: GoldfishConfig) -> Judgement:
        raise NotTested(why)

    return judge


def _copies(arms: dict[str, str], how: str) -> str:
    return the(arms.get(how), f"one of the masks compared with {how} copies")
