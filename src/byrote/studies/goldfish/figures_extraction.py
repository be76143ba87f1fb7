"""Charts of what models trained from scratch recite: by k, greedily and with beams (E2, E8)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np
import polars as pl

from byrote.report.figures import Figure
from byrote.report.palette import LIGHT
from byrote.report.plotting import layered, plain, styled
from byrote.report.study import StudyData
from byrote.studies.charts import estimates_chart
from byrote.studies.goldfish.charts import estimates, seed_values
from byrote.studies.goldfish.config import GoldfishConfig
from byrote.studies.goldfish.placing import (
    MEASURES,
    add,
    measure_axis,
    placed,
    scratch_cast,
    steps,
    subtitle,
    there,
)
from byrote.studies.looks import Look, table

__all__ = ["beam_figures", "distribution_figures", "rate_figures"]

_BINS = 20
_SHOWN = Look("repeated documents", "chart-texts")
_NEVER = Look("documents never shown", "chart-muted", "square", (2, 2))
_DECODINGS = {
    "greedy": Look("greedy", "chart-texts"),
    "beams": Look("beams", "chart-step-5", "triangle-down"),
}
_WHERE = "one token in k is dropped; control: documents left out"


def distribution_figures(data: StudyData, config: GoldfishConfig) -> list[Figure]:
    """E2: how ROUGE-L is distributed over documents, an arm a row (the paper's Figure 2)."""
    documents = table(data, "documents")
    if documents is None:
        return []
    cast = scratch_cast(config)
    places = steps(cast)
    rows = documents.filter(pl.col("arm").is_in(list(places)) & (pl.col("decoding") == "greedy"))
    arms = [name for name in places if name in set(rows["arm"])]
    if not arms:
        return []
    bars, lines, means = _histograms(rows, arms)
    chart = _ridges(bars, lines, means, [cast.label(name) for name in arms])
    members = rows.filter(pl.col("member"))
    n = int(members.group_by("arm").len()["len"].max() or 0)  # type: ignore[arg-type]
    seeds = members["seed"].n_unique()
    dressed = styled(
        chart,
        "How much of each document is written",
        f"filled: {n} repeated documents in {seeds} repetitions; outlined: never shown",
        height=46 * len(arms) + 10,
    )
    words = "distribution of ROUGE-L over documents for each arm"
    return [Figure("extraction-distribution", "extraction", dressed, words)]


def _histograms(
    rows: pl.DataFrame, arms: Sequence[str]
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Bars of repeated documents, outlines of those never shown, and means, a row an arm."""
    edges = np.linspace(0, 1, _BINS + 1)
    shares: dict[tuple[str, bool], np.ndarray] = {}
    for (arm, member), group in rows.group_by("arm", "member"):
        counts = np.histogram(group["rouge_l"].to_numpy(), edges)[0]
        shares[str(arm), bool(member)] = counts / len(group)
    top = max(float(found.max()) for found in shares.values())
    bars, lines, means = [], [], []
    for place, arm in enumerate(arms):
        base = float(place + 1)
        if (found := shares.get((arm, True))) is not None:
            bars += [
                {"arm": arm, "x": a, "x2": b, "y": base - 0.9 * share / top, "y2": base, "share": s}
                for a, b, share, s in zip(edges[:-1], edges[1:], found, found, strict=True)
                if share > 0
            ]
        if (found := shares.get((arm, False))) is not None:
            heights = [*found, 0.0]
            lines += [
                {"arm": arm, "x": x, "y": base - 0.9 * share / top}
                for x, share in zip(edges, heights, strict=True)
            ]
        here = rows.filter((pl.col("arm") == arm) & pl.col("member"))
        if not here.is_empty():
            mean = float(here["rouge_l"].mean())  # type: ignore[arg-type]
            means.append({"arm": arm, "x": mean, "y": base - 0.95, "y2": base})
    return pl.DataFrame(bars), pl.DataFrame(lines), pl.DataFrame(means)


def _ridges(
    bars: pl.DataFrame, lines: pl.DataFrame, means: pl.DataFrame, labels: Sequence[str]
) -> alt.LayerChart:
    count = len(labels)
    x = alt.X(
        "x:Q",
        title="ROUGE-L with the suffix (line: mean)",
        scale=alt.Scale(domain=[0, 1], nice=False),
        axis=alt.Axis(format=".1f", tickCount=6),
    )
    words = ", ".join(f"'{label}'" for label in labels)
    y = alt.Y(
        "y:Q",
        title=None,
        scale=alt.Scale(domain=[count, 0], nice=False),
        axis=alt.Axis(
            values=[i + 1 for i in range(count)],
            labelExpr=f"[{words}][datum.value - 1]",
            labelOffset=-16,
            ticks=False,
            domain=False,
        ),
    )
    layers: list[Any] = []
    if not bars.is_empty():
        layers.append(
            alt.Chart(plain(bars))
            .mark_rect(color=LIGHT["chart-texts"], opacity=0.75, aria=False)
            .encode(
                x=x,
                x2="x2:Q",
                y=y,
                y2="y2:Q",
                tooltip=[
                    alt.Tooltip("arm:N", title="arm"),
                    alt.Tooltip("x:Q", title="ROUGE-L from", format=".2f"),
                    alt.Tooltip("x2:Q", title="to", format=".2f"),
                    alt.Tooltip("share:Q", title="documents", format=".1%"),
                ],
            )
        )
    ink = LIGHT["chart-ink"]
    if not lines.is_empty():
        layers.append(
            alt.Chart(plain(lines))
            .mark_line(interpolate="step-after", color=ink, strokeWidth=1.2, aria=False)
            .encode(x=x, y=y, detail="arm:N")
        )
    if not means.is_empty():
        layers.append(
            alt.Chart(plain(means))
            .mark_rule(color=LIGHT["chart-control-1"], strokeWidth=2, aria=False)
            .encode(x=x, y=y, y2="y2:Q")
        )
    return layered(*layers)


def rate_figures(data: StudyData, config: GoldfishConfig) -> list[Figure]:
    """E2: share recited and ROUGE-L by k, beside documents that were never shown."""
    places = steps(scratch_cast(config))
    figures = []
    for measure, (_, title) in MEASURES.items():
        marks, seeds = [], []
        for member, look in ((True, _SHOWN), (False, _NEVER)):
            rows = estimates(data, measure, list(places), member=member)
            marks.append(placed(rows, places, look.name))
            found = seed_values(data, measure, list(places), member=member)
            seeds.append(placed(found, places, look.name))
        chart = estimates_chart(
            pl.concat(marks),
            [_SHOWN, _NEVER],
            there(places, marks),
            measure_axis(measure),
            x_title=_WHERE,
            title=f"{title} by k",
            subtitle=subtitle(marks[0]),
            seeds=pl.concat(seeds),
            share=measure == "exact",
        )
        add(figures, f"extraction-{measure.replace('_', '-')}", chart, f"{title} by k")
    return figures


def beam_figures(data: StudyData, config: GoldfishConfig) -> list[Figure]:
    """E8: what a search with beams gets that greedy decoding does not."""
    places = steps(scratch_cast(config))
    figures: list[Figure] = []
    if estimates(data, "exact", list(places), decoding="beams").is_empty():
        return []
    names = {"greedy": "greedy", "beams": f"{config.scratch.beams} beams"}
    looks = {how: Look(names[how], look.colour, look.shape) for how, look in _DECODINGS.items()}
    for measure, (_, title) in MEASURES.items():
        marks, seeds = [], []
        for how, look in looks.items():
            rows = estimates(data, measure, list(places), decoding=how)
            marks.append(placed(rows, places, look.name))
            found = seed_values(data, measure, list(places), decoding=how)
            seeds.append(placed(found, places, look.name))
        chart = estimates_chart(
            pl.concat(marks),
            list(looks.values()),
            there(places, marks),
            measure_axis(measure),
            x_title=_WHERE,
            title=f"{title}, greedy and with {config.scratch.beams} beams",
            subtitle=subtitle(marks[0]),
            seeds=pl.concat(seeds),
            share=measure == "exact",
        )
        words = f"{title} by k under greedy decoding and beam search"
        add(figures, f"beams-{measure.replace('_', '-')}", chart, words, "beams")
    return figures
