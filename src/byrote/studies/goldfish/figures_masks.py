"""Charts of how the choice of dropped tokens matters: divergence, strategy, h, near-duplicates."""

from __future__ import annotations

import polars as pl

from byrote.report.figures import Figure
from byrote.report.plotting import share_axis
from byrote.report.study import StudyData
from byrote.studies.charts import estimates_chart
from byrote.studies.goldfish.arms import MASKS, STANDARD
from byrote.studies.goldfish.charts import estimates, seed_values
from byrote.studies.goldfish.config import GoldfishConfig
from byrote.studies.goldfish.placing import (
    MEASURES,
    add,
    levels,
    measure_axis,
    placed,
    scratch_cast,
    subtitle,
    there,
)
from byrote.studies.looks import Look, table

__all__ = [
    "PUBLISHED_DIVERGENCE",
    "divergence_figures",
    "duplicate_figures",
    "strategy_figures",
    "width_figures",
]

PUBLISHED_DIVERGENCE = {
    "static": {3: (1999, 0.941), 4: (2000, 0.925), 8: (2000, 0.617), 32: (1983, 0.737),
               128: (1932, 0.511)},
    "hash": {3: (2000, 0.776), 4: (2000, 0.814), 8: (2000, 0.743), 32: (1992, 0.500),
             128: (1937, 0.408)},
}  # fmt: skip
"""2406.10209, Table 1: by strategy and k, how many of 2,000 documents diverge, and the share of
first divergences that lie on a dropped token."""

_COPIES = ("exact", "edited", "reformatted")
_TREATMENTS = {
    "standard": STANDARD,
    "tokens": Look("mask of the tokens", "chart-texts"),
    "text": MASKS["text"],
}


def divergence_figures(data: StudyData, config: GoldfishConfig) -> list[Figure]:
    """E3: share of first divergences on dropped tokens, beside the paper's Table 1."""
    found = table(data, "divergence")
    if found is None:
        return []
    cast = scratch_cast(config)
    marks, published, ticks, looks = [], [], [], []
    ks: set[int] = set()
    for strategy in ("hash", "static", "official"):
        places = {name: f"{k}" for k, name in cast.ladder(strategy).items()}
        rows = placed(found, places, MASKS[strategy].name).filter(pl.col("diverged") > 0)
        if rows.is_empty():
            continue
        looks.append(MASKS[strategy])
        marks.append(rows.with_columns(pl.col("low", "high").clip(0, 1)))
        ks |= set(rows["k"])
        ticks.append(rows.select("at", pl.col("dropped_share").alias("value")))
        if strategy not in PUBLISHED_DIVERGENCE:
            continue
        look = Look(f"{strategy}, paper", "chart-muted", MASKS[strategy].shape)
        looks.append(look)
        published += [
            {"series": look.name, "at": f"{k}", "value": share}
            for k, (_, share) in PUBLISHED_DIVERGENCE[strategy].items()
        ]
    if not marks:
        return []
    chart = estimates_chart(
        pl.concat(marks),
        looks,
        [f"{k}" for k in sorted(ks)],
        share_axis("first divergences on a dropped token", top=1.04),
        x_title="k",
        title="Where what is written first leaves the document",
        subtitle="short lines: share of tokens dropped; bars: 95 % intervals",
        published=pl.DataFrame(
            published, schema={"series": pl.String, "at": pl.String, "value": pl.Float64}
        ),
        ticks=pl.concat(ticks),
    )
    figures: list[Figure] = []
    words = "share of first divergences that lie on a dropped token, by k and strategy"
    add(figures, "divergence", chart, words, "divergence")
    return figures


def strategy_figures(data: StudyData, config: GoldfishConfig) -> list[Figure]:
    """E9: hash, static and random masks at the same k."""
    cast = scratch_cast(config)
    ladders = {name: cast.ladder(name) for name in ("hash", "static", "random", "official")}
    if sum(bool(found) for found in ladders.values()) < 2:
        return []
    others = {k for name, found in ladders.items() if name != "hash" for k in found}
    figures: list[Figure] = []
    for measure, (_, title) in MEASURES.items():
        marks, seeds, looks = [], [], []
        for strategy, found in ladders.items():
            places = {name: f"{k}" for k, name in found.items() if k in others}
            look = MASKS[strategy]
            rows = placed(estimates(data, measure, list(places)), places, look.name)
            if rows.is_empty():
                continue
            looks.append(look)
            marks.append(rows)
            values = seed_values(data, measure, list(places))
            seeds.append(placed(values, places, look.name))
        if not marks:
            continue
        chart = estimates_chart(
            pl.concat(marks),
            looks,
            [f"{k}" for k in sorted(others)],
            measure_axis(measure),
            x_title="k",
            title=f"{title} by the choice of dropped tokens",
            subtitle=subtitle(pl.concat(marks)),
            seeds=pl.concat(seeds),
            levels=levels(data, cast, measure),
            share=measure == "exact",
        )
        words = f"{title} by k and by how dropped tokens are chosen"
        add(figures, f"strategies-{measure.replace('_', '-')}", chart, words, "strategies")
    return figures


def width_figures(data: StudyData, config: GoldfishConfig) -> list[Figure]:
    """E9: the number of tokens that decide, h, at one k."""
    cast = scratch_cast(config)
    k, found = cast.widths()
    if len(found) < 2:
        return []
    places = {name: f"{h}" for h, name in found.items()}
    figures: list[Figure] = []
    for measure, (_, title) in MEASURES.items():
        look = MASKS["hash"]
        marks = placed(estimates(data, measure, list(places)), places, look.name)
        if marks.is_empty():
            continue
        chart = estimates_chart(
            marks,
            [look],
            there(places, [marks]),
            measure_axis(measure),
            x_title="tokens that decide whether the next one is dropped, h",
            title=f"{title} by h, k = {k}",
            subtitle=subtitle(marks),
            seeds=placed(seed_values(data, measure, list(places)), places, look.name),
            levels=levels(data, cast, measure),
            share=measure == "exact",
        )
        add(figures, f"width-{measure.replace('_', '-')}", chart, f"{title} by h", "strategies")
    return figures


def duplicate_figures(data: StudyData, config: GoldfishConfig) -> list[Figure]:
    """Near-duplicates: standard training, mask of the tokens, mask of the text."""
    cast = scratch_cast(config)
    treatments = cast.near_duplicates()
    if not treatments:
        return []
    figures: list[Figure] = []
    for measure, (_, title) in MEASURES.items():
        marks, seeds = [], []
        for treatment, by_copies in treatments.items():
            places = {name: how for how, name in by_copies.items()}
            look = _TREATMENTS[treatment]
            marks.append(placed(estimates(data, measure, list(places)), places, look.name))
            values = seed_values(data, measure, list(places))
            seeds.append(placed(values, places, look.name))
        every = pl.concat(marks)
        if every.is_empty():
            continue
        chart = estimates_chart(
            every,
            list(_TREATMENTS.values()),
            [how for how in _COPIES if how in set(every["at"])],
            measure_axis(measure),
            x_title="how half of the copies differ (exact: none does)",
            title=f"{title} where copies differ",
            subtitle=subtitle(every),
            seeds=pl.concat(seeds),
            levels=levels(data, cast, measure, standard=False),
            share=measure == "exact",
        )
        words = f"{title} by how copies differ and by mask"
        add(figures, f"copies-{measure.replace('_', '-')}", chart, words, "copies")
    return figures
