"""The tables of the study's report."""

from __future__ import annotations

import math

import polars as pl

from byrote.report.page import Cell, TableBlock
from byrote.report.study import StudyData
from byrote.studies.goldfish.analysis import FPRS
from byrote.studies.goldfish.charts import attack_means
from byrote.studies.goldfish.config import GoldfishConfig
from byrote.studies.goldfish.figures_costs import ATTACKS, PUBLISHED_MEMBERSHIP
from byrote.studies.goldfish.figures_masks import PUBLISHED_DIVERGENCE
from byrote.studies.goldfish.objectives import Triple, membership_rows, objective_rows
from byrote.studies.goldfish.placing import scratch_cast, steps
from byrote.studies.looks import table

__all__ = ["divergence_table", "loss_table", "membership_table", "objectives_table"]


def divergence_table(data: StudyData, config: GoldfishConfig) -> TableBlock | None:
    """E3 beside the paper's Table 1: an arm a row."""
    found = table(data, "divergence")
    if found is None:
        return None
    cast = scratch_cast(config)
    lines = []
    for row in found.filter(pl.col("arm").is_in(list(cast.arms))).iter_rows(named=True):
        paper = PUBLISHED_DIVERGENCE.get(row["strategy"], {}).get(row["k"])
        plain = row["copies"] == "exact" and row["arm"] == cast.ladder(row["strategy"]).get(
            row["k"]
        )
        lines.append(
            [
                Cell(cast.label(row["arm"]), heading=True),
                Cell(f"{row['diverged']} of {row['documents']}", number=True),
                _share((row["value"], row["low"], row["high"])),
                _share((row["dropped_share"], math.nan, math.nan)),
                Cell(f"{paper[0]:,} of 2,000" if paper and plain else "–", number=True),
                Cell(f"{100 * paper[1]:.1f} %" if paper and plain else "–", number=True),
            ]
        )
    header = [
        "arm", "diverged", "on a dropped token", "tokens dropped", "paper: diverged",
        "paper: on a dropped token",
    ]  # fmt: skip
    caption = "First divergences on dropped tokens, beside the paper's Table 1"
    return TableBlock(caption, header, lines) if lines else None


def loss_table(data: StudyData, config: GoldfishConfig) -> TableBlock | None:
    """E5: tokens, and the validation loss at the end, of every arm."""
    found = table(data, "losses")
    if found is None:
        return None
    cast = scratch_cast(config)
    lines = []
    for row in found.filter(pl.col("arm").is_in(list(cast.arms))).iter_rows(named=True):
        dropped = 1 - row["tokens_learned"] / row["tokens_shown"]
        gap = (row["gap"], row["gap_low"], row["gap_high"])
        lines.append(
            [
                Cell(cast.label(row["arm"]), heading=True),
                Cell(f"{row['tokens_shown']:,}", number=True),
                Cell(
                    f"{row['tokens_learned']:,}",
                    f"{100 * dropped:.1f} % dropped" if dropped else "",
                    number=True,
                ),
                _number((row["value"], row["low"], row["high"]), 3),
                Cell("–", number=True) if row["arm"] == cast.standard else _number(gap, 3, True),
            ]
        )
    header = ["arm", "tokens shown", "tokens learned", "validation loss", "less standard's"]
    caption = "Validation loss at the end, nats per token: mean over repetitions, 95 % t-interval"
    return TableBlock(caption, header, lines, collapsed=True) if lines else None


def membership_table(data: StudyData, config: GoldfishConfig, attack: str) -> TableBlock | None:
    """E7 beside the paper's Table 2: an arm a row, for one attack."""
    cast = scratch_cast(config)
    places = steps(cast)
    means = {}
    for measure in ("auc", *(f"tpr_at_{fpr:g}" for fpr in FPRS)):
        rows = membership_rows(data, measure, attack)
        rows = rows.filter(pl.col("arm").is_in(list(cast.arms)))
        # A tenth of a per cent takes a thousand documents.
        if rows.is_empty() and measure == f"tpr_at_{FPRS[0]:g}":
            continue
        found = attack_means(rows, ("arm",), measure, config.scratch.documents)
        means[measure] = {row["arm"]: row for row in found.iter_rows(named=True)}
    lines = []
    column = 2 * list(ATTACKS).index(attack)
    for name in cast.arms:
        if name not in means["auc"]:
            continue
        paper = PUBLISHED_MEMBERSHIP.get(places.get(name, ""))
        cells = [Cell(cast.label(name), heading=True)]
        for measure, rows in means.items():
            row = rows.get(name)
            ends = None if row is None else (row["value"], row["low"], row["high"])
            cells.append(_area(ends) if measure == "auc" else _share(ends))
        cells.append(Cell(f"{paper[column]:.4f}" if paper else "–", number=True))
        cells.append(Cell(f"{100 * paper[column + 1]:.2f} %" if paper else "–", number=True))
        lines.append(cells)
    if not lines:
        return None
    found = [f"found at {100 * float(m.split('_')[-1]):g} %" for m in means if m != "auc"]
    header = ["arm", "AUC", *found, "paper: AUC", "paper: found at 0.1 %"]
    caption = (
        f"Attack by {ATTACKS[attack].name}: mean over repetitions; 95 % intervals, of the AUC t's "
        "over repetitions, of rates Wilson's over the members of all repetitions"
    )
    return TableBlock(caption, header, lines, collapsed=True)


def objectives_table(data: StudyData, config: GoldfishConfig) -> TableBlock | None:
    """All ways of training, and of decoding, in one table."""
    rows = objective_rows(data, config)
    if not rows:
        return None
    lines = []
    for row in rows:
        privacy = ""
        if row.epsilon is not None:
            at = "" if row.delta is None else f" at δ = {row.delta:g}"
            privacy = f"ε = {row.epsilon:.3g}{at}"
        lines.append(
            [
                Cell(row.label, privacy, heading=True),
                _share(row.estimates.get("exact")),
                _number(row.estimates.get("rouge_l"), 2),
                _number(row.estimates.get("edit_similarity"), 2),
                _number(row.loss, 3),
                _area(row.auc),
            ]
        )
    header = [
        "training", "recited in full", "ROUGE-L", "edit similarity", "validation loss",
        "AUC of zlib",
    ]  # fmt: skip
    caption = "All objectives, on repeated documents: mean and 95 % interval"
    return TableBlock(caption, header, lines)


def _area(ends: Triple | None) -> Cell:
    """An AUC; where it is 1 throughout, that stands in place of an interval."""
    if ends is not None and ends[0] == 1 and math.isnan(ends[1]):
        return Cell("1.000", "all told apart", number=True)
    return _number(ends, 3)


def _number(ends: Triple | None, digits: int, signed: bool = False) -> Cell:
    """A number with its interval in small print."""
    if ends is None or not math.isfinite(ends[0]):
        return Cell("–", number=True)
    value, low, high = (f"{end:{'+' if signed else ''}.{digits}f}" for end in ends)
    sure = math.isfinite(ends[1]) and math.isfinite(ends[2])
    small = f"{low} to {high}" if sure else ""
    return Cell(value.replace("-", "−"), small.replace("-", "−"), number=True)


def _share(ends: Triple | None) -> Cell:
    """A share in per cent with its interval in small print."""
    if ends is None or not math.isfinite(ends[0]):
        return Cell("–", number=True)
    value, low, high = (100 * end for end in ends)
    sure = math.isfinite(low) and math.isfinite(high)
    small = f"{max(low, 0):.0f}–{min(high, 100):.0f}" if sure else ""
    return Cell(f"{value:.1f} %", small, number=True)
