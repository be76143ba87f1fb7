"""From what cells measured to what is shown and judged.

A repetition (seed) has its own documents, order and weights, so it is what intervals are over; arms
are compared within a repetition.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from byrote.errors import InputError
from byrote.recall.intervals import Estimate, rate, t_mean, wilson
from byrote.recall.membership import auc, tpr_at_fpr
from byrote.studies.goldfish.arms import Cast
from byrote.studies.goldfish.config import GoldfishConfig

__all__ = ["FPRS", "analyse", "by_seed", "paired"]

FPRS = (0.001, 0.01, 0.05)
"""False-positive rates at which the membership attacks are judged."""

_ESTIMATE: dict[str, Any] = {
    "value": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "seeds": pl.Int32,
    "n": pl.Int32,
}


def analyse(tables: Mapping[str, pl.DataFrame], config: GoldfishConfig) -> dict[str, pl.DataFrame]:
    """Make the derived tables that the cells' tables allow."""
    derived: dict[str, pl.DataFrame] = {}
    if "documents" in tables:
        derived["extraction"] = _extraction(tables["documents"])
        derived["divergence"] = _divergence(tables["documents"], config)
    if "scores" in tables:
        derived["membership"] = _membership(tables["scores"])
    if {"trainings", "validation"} <= tables.keys():
        derived["losses"] = _losses(tables["trainings"], config)
    if "extreme" in tables:
        derived["extreme_epochs"] = _extreme(tables["extreme"])
    if "extreme_texts" in tables:
        derived["extreme_overlap"] = _overlap(tables["extreme_texts"])
    return derived


def paired(table: pl.DataFrame, measure: str, arm: str, other: str) -> list[float]:
    """Differences of an arm to another, one for each repetition that has both.

    Args:
        table: With `arm`, `seed` and the measure, one row for each arm and repetition.
        measure: Which column.
        arm: The one.
        other: What is taken off.
    """
    wide = {
        name: dict(table.filter(pl.col("arm") == name).select("seed", measure).iter_rows())
        for name in (arm, other)
    }
    both = sorted(wide[arm].keys() & wide[other].keys())
    pairs = [(wide[arm][seed], wide[other][seed]) for seed in both]
    return [a - b for a, b in pairs if a is not None and b is not None]


def _extraction(documents: pl.DataFrame) -> pl.DataFrame:
    """Rates and means of every arm and way of decoding, for documents shown and never shown."""
    rows = []
    keys = ("arm", "decoding", "member")
    for key, group in documents.group_by(*keys, maintain_order=True):
        named = dict(zip(keys, key, strict=True))
        exact = rate(group["exact"].to_numpy(), clusters=group["seed"].to_numpy())
        rows.append({**named, "measure": "exact", **_row(exact, group)})
        for measure in ("rouge_l", "edit_similarity"):
            rows.append({**named, "measure": measure, **_row(_over_seeds(group, measure), group)})
    schema = {"arm": pl.String, "decoding": pl.String, "member": pl.Boolean, "measure": pl.String}
    return pl.DataFrame(rows, schema={**schema, **_ESTIMATE})


def _divergence(documents: pl.DataFrame, config: GoldfishConfig) -> pl.DataFrame:
    """Table 1 and Figure 4 of the paper: where the first divergence lies."""
    greedy = documents.filter(
        pl.col("member") & (pl.col("decoding") == "greedy") & pl.col("dropped_share").is_not_null()
    )
    rows = []
    for (name,), group in greedy.group_by("arm", maintain_order=True):
        arm = config.arms[str(name)]
        diverged = group.filter(pl.col("first_divergence").is_not_null())
        seeds = diverged["seed"].to_numpy()
        found = rate(diverged["at_dropped"].to_numpy(), clusters=seeds)
        rows.append(
            {
                "arm": name,
                "strategy": "normalized" if arm.normalize else arm.strategy,
                "k": arm.k,
                "copies": arm.copies,
                "documents": len(group),
                "diverged": len(diverged),
                "dropped_share": float(group["dropped_share"].mean()),  # type: ignore[arg-type]
                **_row(found, diverged),
            }
        )
    schema = {
        "arm": pl.String,
        "strategy": pl.String,
        "k": pl.Int32,
        "copies": pl.String,
        "documents": pl.Int32,
        "diverged": pl.Int32,
        "dropped_share": pl.Float64,
    }
    return pl.DataFrame(rows, schema={**schema, **_ESTIMATE})


def _membership(scores: pl.DataFrame) -> pl.DataFrame:
    """How well attacks tell documents that were shown: one row for each seed, attack and measure.

    The value of a repetition has the bootstrap interval over its documents. At its floor or ceiling
    all resamples agree, and there is none: a share then has Wilson's, over the members.
    """
    rows = []
    for (arm, seed, attack), group in scores.group_by("arm", "seed", "attack", maintain_order=True):
        values, member = group["score"].to_numpy(), group["member"].to_numpy()
        found: list[tuple[str, Estimate]] = [("auc", auc(values, member))]
        for fpr in FPRS:
            try:
                found.append((f"tpr_at_{fpr:g}", tpr_at_fpr(values, member, fpr)))
            except InputError:
                # Too few documents were held out to show such a rate.
                continue
        members = int(member.sum())
        for measure, estimate in found:
            low, high = estimate.low, estimate.high
            if measure != "auc" and math.isnan(low):
                low, high = wilson(round(estimate.value * members), members)
            rows.append(
                {
                    "arm": arm,
                    "seed": seed,
                    "attack": attack,
                    "measure": measure,
                    "value": estimate.value,
                    "low": low,
                    "high": high,
                    "n": len(group),
                }
            )
    return pl.DataFrame(
        rows,
        schema={
            "arm": pl.String,
            "seed": pl.Int32,
            "attack": pl.String,
            "measure": pl.String,
            "value": pl.Float64,
            "low": pl.Float64,
            "high": pl.Float64,
            "n": pl.Int32,
        },
    )


def _losses(trainings: pl.DataFrame, config: GoldfishConfig) -> pl.DataFrame:
    """The validation loss at the end, and its difference to standard training, over repetitions."""
    standard = Cast.of(config, config.scratch.arms).standard or ""
    rows = []
    for (name,), group in trainings.group_by("arm", maintain_order=True):
        ends = t_mean(group["validation_loss"].to_numpy())
        gap = t_mean(paired(trainings, "validation_loss", str(name), standard))
        rows.append(
            {
                "arm": name,
                "tokens_shown": int(group["tokens_shown"].mean()),  # type: ignore[arg-type]
                "tokens_learned": int(group["tokens_learned"].mean()),  # type: ignore[arg-type]
                **_row(ends, group),
                "gap": gap.value,
                "gap_low": gap.low,
                "gap_high": gap.high,
            }
        )
    schema = {"arm": pl.String, "tokens_shown": pl.Int64, "tokens_learned": pl.Int64}
    more = dict.fromkeys(("gap", "gap_low", "gap_high"), pl.Float64)
    return pl.DataFrame(rows, schema={**schema, **_ESTIMATE, **more})


def _extreme(extreme: pl.DataFrame) -> pl.DataFrame:
    """Of every arm and epoch: the share recited, and the losses of learned and dropped tokens."""
    rows = []
    for (arm, long, epoch), group in extreme.group_by("arm", "long", "epoch", maintain_order=True):
        exact = rate(group["exact"].to_numpy(), clusters=group["seed"].to_numpy())
        rows.append(
            {
                "arm": arm,
                "long": long,
                "epoch": epoch,
                **_row(exact, group),
                "accuracy": group["accuracy"].mean(),
                "loss_learned": group["loss_learned"].mean(),
                "loss_dropped": group["loss_dropped"].mean(),
            }
        )
    schema = {"arm": pl.String, "long": pl.Boolean, "epoch": pl.Int32}
    more = dict.fromkeys(("accuracy", "loss_learned", "loss_dropped"), pl.Float64)
    return pl.DataFrame(rows, schema={**schema, **_ESTIMATE, **more})


def _overlap(texts: pl.DataFrame) -> pl.DataFrame:
    """ROUGE-L of the continuations, of every arm and epoch at which there are some."""
    rows = []
    keys = ("arm", "long", "epoch", "member")
    for key, group in texts.group_by(*keys, maintain_order=True):
        found = _over_seeds(group, "rouge_l")
        rows.append({**dict(zip(keys, key, strict=True)), **_row(found, group)})
    schema = {"arm": pl.String, "long": pl.Boolean, "epoch": pl.Int32, "member": pl.Boolean}
    return pl.DataFrame(rows, schema={**schema, **_ESTIMATE})


def _over_seeds(group: pl.DataFrame, measure: str) -> Estimate:
    return t_mean(by_seed(group, measure))


def by_seed(group: pl.DataFrame, measure: str) -> Sequence[float]:
    """Means of each repetition, in its order."""
    means = group.group_by("seed").agg(pl.col(measure).cast(pl.Float64).mean()).sort("seed")
    return means[measure].to_list()


def _row(found: Estimate, group: pl.DataFrame) -> dict[str, Any]:
    seeds = group["seed"].n_unique()
    return {
        "value": found.value,
        "low": found.low,
        "high": found.high,
        "seeds": seeds,
        "n": len(group),
    }
