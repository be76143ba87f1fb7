"""The charts of an audit: one function each, from the run's tables to an Altair chart.

All of them are one view (layers, no facets), so that the page can fit each to its own width;
what would be facets are several charts. Each returns None where the run has nothing to draw.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import altair as alt
import polars as pl

from byrote.report.data import TEXTS, ReportData
from byrote.report.numbers import group_label, is_share
from byrote.report.palette import LIGHT
from byrote.report.plotting import (
    DASHES,
    MEASURE_TITLES,
    at_headline,
    group_encoding,
    layered,
    legend,
    passage_numbers,
    plain,
    renamed,
    share_axis,
    styled,
)

__all__ = ["coverage_chart", "discoverable_chart", "headline_chart"]

_MAX_ROWS = 24
_MAX_DOCUMENTS = 25


def headline_chart(data: ReportData, measure: str) -> alt.LayerChart | None:
    """One measure of every group (source and category), with its interval, beside its controls.

    Args:
        data: The run.
        measure: A measure of the summary, such as "extractable".
    """
    # A category over all sources is left out: it stands below each of them. So is the only
    # category of a source: it is that source once more.
    rows = data.headline.filter(
        (pl.col("measure") == measure)
        & pl.col("value").is_finite()
        & ((pl.col("source") != "all") | (pl.col("category") == "all"))
    )
    categories = pl.col("category").filter(pl.col("category") != "all").n_unique()
    rows = rows.filter((pl.col("category") == "all") | (categories.over("source") > 1))
    if rows.is_empty():
        return None
    rows = rows.with_columns(
        name=pl.struct("source", "category").map_elements(
            lambda r: _row_name(r["source"], r["category"]), return_dtype=pl.String
        ),
        label=pl.col("group").map_elements(group_label, return_dtype=pl.String),
    )
    texts = rows.filter(pl.col("group") == TEXTS)
    order = texts.sort(
        [pl.col("source") != "all", "source", pl.col("category") != "all", "category"]
    )["name"].to_list()[:_MAX_ROWS]
    # With one source and no categories the pool is that source once more.
    if len(data.sources) == 1 and order[:1] == ["all texts"]:
        only = data.sources[0]
        rows = rows.filter(pl.col("name") != only).with_columns(
            pl.col("name").replace("all texts", only)
        )
        order = list(dict.fromkeys(only if name == "all texts" else name for name in order))
    # Held-out controls have a source of their own and no texts there: they stand beside the pool.
    rows = rows.filter(pl.col("name").is_in(order))
    # A category stands below its source, whose name need not be said again.
    short = "indexof(datum.value, ' · ') < 0 ? datum.value : '· ' + split(datum.value, ' · ')[1]"
    share = is_share(measure)
    top = max(rows["high"].fill_null(0).max() or 0, rows["value"].max() or 0)  # type: ignore[type-var]
    top = min(1.0, max(0.05, 1.05 * float(top))) if share else 1.08 * float(top) or 1.0  # type: ignore[arg-type]
    x = alt.X(
        "value:Q",
        title=MEASURE_TITLES.get(measure, measure),
        scale=alt.Scale(domain=[0, top], nice=False),
        axis=alt.Axis(format=".1~%" if share else "~s", tickCount=5),
    )
    form = ".1%" if share else ".2f"
    base = alt.Chart(plain(rows)).encode(
        y=alt.Y(
            "name:N",
            sort=order,
            title=None,
            axis=alt.Axis(grid=True, ticks=False, labelPadding=8, labelExpr=short),
        ),
        yOffset=alt.YOffset("label:N", sort=[group_label(g) for g in data.groups]),
        color=alt.Color(
            "label:N",
            scale=group_encoding(data.groups, "color")["scale"],
            legend=legend(symbolType=alt.Undefined, symbolSize=85),
        ),
    )
    rule = base.mark_rule(strokeWidth=2, opacity=0.65, aria=False).encode(
        x=renamed(x, "low:Q"), x2="high:Q"
    )
    point = base.mark_point(filled=True, size=85, opacity=1, aria=False).encode(
        x=x,
        shape=group_encoding(data.groups, "shape"),
        tooltip=[
            alt.Tooltip("name:N", title="group"),
            alt.Tooltip("label:N", title="of"),
            alt.Tooltip("value:Q", title=MEASURE_TITLES.get(measure, measure), format=form),
            alt.Tooltip("low:Q", title="interval from", format=form),
            alt.Tooltip("high:Q", title="to", format=form),
            alt.Tooltip("n:Q", title="passages", format=","),
        ],
    )
    height = max(70, len(order) * (14 + 14 * len(data.groups)))
    return styled(
        layered(rule, point),
        _sentence(MEASURE_TITLES.get(measure, measure)),
        height=height,
    )


def discoverable_chart(data: ReportData, source: str | None = None) -> alt.LayerChart | None:
    """The share of passages that n draws yield with probability p (Hayes et al., 2410.19482)."""
    if data.discoverable is None:
        return None
    rows = at_headline(data, data.discoverable).filter(pl.col("category") == "all")
    rows = data.of_source(rows, source).sort("group", "p", "n")
    if rows.is_empty() or rows["rate"].max() == 0:
        return None
    chances = sorted(rows["p"].unique().to_list())
    chance_names = [f"p = {p:g}" for p in chances]
    rows = rows.with_columns(
        label=pl.col("group").map_elements(group_label, return_dtype=pl.String),
        chance=pl.col("p").replace_strict(chances, chance_names, return_dtype=pl.String),
        value=pl.col("rate"),
    )
    middle = chances[len(chances) // 2]
    shown = rows.filter(pl.col("p") == middle)["high"].max() or 0
    top = min(1.0, max(0.05, 1.05 * float(max(shown, rows["rate"].max() or 0))))  # type: ignore[arg-type,type-var]
    x = alt.X(
        "n:Q",
        title="draws from the model, n (logarithmic)",
        scale=alt.Scale(type="log"),
        axis=alt.Axis(format="~s", tickCount=6, grid=False),
    )
    y = share_axis("share of passages extracted", top=top)
    dash = alt.StrokeDash(
        "chance:N",
        sort=chance_names,
        scale=alt.Scale(
            domain=chance_names, range=[DASHES[i % len(DASHES)] for i in range(len(chances))]
        ),
        legend=legend(
            "once or more often with probability", columns=4, orient="bottom", titleLimit=320
        ),
    )
    frame = plain(rows)
    base = alt.Chart(frame).encode(
        x=x, color=group_encoding(data.groups, "color"), detail="chance:N"
    )
    band = (
        alt.Chart(plain(rows.filter(pl.col("p") == middle)))
        .mark_area(opacity=0.14, aria=False, clip=True)
        .encode(
            x=x,
            y=renamed(y, "low:Q"),
            y2="high:Q",
            color=group_encoding(data.groups, "color"),
        )
    )
    # The dash tells p here, so that controls are told from texts by a thinner line.
    names = [group_label(group) for group in data.groups]
    width = alt.StrokeWidth(
        "label:N",
        sort=names,
        scale=alt.Scale(domain=names, range=[2.6] + [1.3] * len(data.controls)),
        legend=legend(symbolStrokeWidth=alt.Undefined),
    )
    line = base.mark_line(aria=False).encode(y=y, strokeDash=dash, strokeWidth=width)
    point = base.mark_point(filled=True, opacity=0, size=60, aria=False).encode(
        y=y,
        tooltip=[
            alt.Tooltip("label:N", title="of"),
            alt.Tooltip("n:Q", title="draws", format=",.0f"),
            alt.Tooltip("chance:N", title="probability"),
            alt.Tooltip("value:Q", title="extracted", format=".2%"),
            alt.Tooltip("low:Q", title="interval from", format=".2%"),
            alt.Tooltip("high:Q", title="to", format=".2%"),
            alt.Tooltip("passages:Q", title="passages", format=","),
        ],
    )
    return styled(
        layered(band, line, point),
        f"{data.source_name(source)}: extractable by sampling",
        f"{passage_numbers(data, source)}; {data.level} intervals for p = {middle:g}",
    )


def coverage_chart(data: ReportData) -> alt.LayerChart | None:
    """The share of each document that recited spans cover (Cooper et al., 2505.12546, section 3).

    The documents with the largest coverage, at each threshold of probability.
    """
    if data.coverage is None:
        return None
    rows = at_headline(data, data.coverage).filter(pl.col("coverage").is_finite())
    name = pl.col("record").cast(pl.String)
    if len(data.sources) > 1:
        name = pl.col("source") + " · " + name
    rows = rows.with_columns(name=name)
    documents = rows["name"].n_unique()
    rows = rows.filter((pl.col("coverage") > 0).any().over("name"))
    if rows.is_empty():
        return None
    # Greedy extraction has no threshold of its own: it comes last, as the strictest.
    rows = rows.with_columns(pl.col("threshold").fill_null(math.inf).fill_nan(math.inf))
    thresholds = sorted(rows["threshold"].unique().to_list())
    order = (
        rows.group_by("name")
        .agg(pl.col("coverage").mean())
        .sort(["coverage", "name"], descending=[True, False])["name"]
        .to_list()
    )
    shown = order[:_MAX_DOCUMENTS]
    names = ["greedy" if math.isinf(t) else f"{t:g}" for t in thresholds]
    rows = rows.filter(pl.col("name").is_in(shown)).with_columns(
        at=pl.col("threshold").replace_strict(thresholds, names, return_dtype=pl.String)
    )
    steps = _spread(5, len(names))
    colour = alt.Color(
        "at:N",
        sort=names,
        scale=alt.Scale(domain=names, range=[LIGHT[f"chart-step-{1 + i}"] for i in steps]),
        legend=legend("span probability at least", columns=6, symbolType="circle", symbolSize=85),
    )
    base = alt.Chart(plain(rows)).encode(
        y=alt.Y(
            "name:N",
            sort=shown,
            title=None,
            axis=alt.Axis(
                grid=True, ticks=False, labelOverlap=False, labelPadding=8, labelLimit=260
            ),
        )
    )
    x = alt.X(
        "coverage:Q",
        title="share of the document's tokens that are covered",
        scale=alt.Scale(
            domain=[0, min(1.0, 1.05 * float(rows["coverage"].max() or 0) or 0.05)],  # type: ignore[arg-type]
            nice=False,
        ),
        axis=alt.Axis(format=".1~%", tickCount=5),
    )
    rule = base.mark_rule(color=LIGHT["chart-grid"], strokeWidth=3, aria=False).encode(
        x=renamed(x, "min(coverage):Q"),
        x2="max(coverage):Q",
    )
    point = base.mark_point(filled=True, size=85, opacity=1, aria=False).encode(
        x=x,
        color=colour,
        tooltip=[
            alt.Tooltip("name:N", title="document"),
            alt.Tooltip("at:N", title="span probability at least"),
            alt.Tooltip("coverage:Q", title="covered", format=".2%"),
            alt.Tooltip("covered:Q", title="tokens covered", format=","),
            alt.Tooltip("tokens:Q", title="tokens asked", format=","),
        ],
    )
    subtitle = f"{len(shown)} of {documents} documents; "
    subtitle += "the others have none" if len(shown) == len(order) else "those covered most"
    if len(shown) == documents:
        subtitle = f"all {documents} documents"
    return styled(
        layered(rule, point),
        "Coverage of documents",
        subtitle,
        height=max(60, 20 * len(shown)),
    )


def _row_name(source: str, category: str) -> str:
    if source == "all":
        return "all texts" if category == "all" else f"all · {category}"
    return source if category == "all" else f"{source} · {category}"


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]


def _spread(available: int, wanted: int) -> Sequence[int]:
    """Evenly spread places in an ordered palette; the strongest last."""
    if wanted == 1:
        return [available - 2]
    return [round(i * (available - 1) / (wanted - 1)) for i in range(wanted)]
