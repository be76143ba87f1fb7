"""Recall against prefix length and against the count in training, with the fitted lines."""

from __future__ import annotations

import math

import altair as alt
import polars as pl

from byrote.report.data import TEXTS, ReportData
from byrote.report.numbers import finite, format_value, group_label, is_share
from byrote.report.palette import LIGHT
from byrote.report.plotting import (
    HEIGHT,
    MEASURE_TITLES,
    curves,
    layered,
    plain,
    share_axis,
    styled,
)

__all__ = ["count_chart", "prefix_length_chart"]


def prefix_length_chart(
    data: ReportData, measure: str = "extractable", source: str | None = None
) -> alt.LayerChart | None:
    """A measure against the prefix length, with its interval and the fit of the texts.

    The fit is that of Carlini et al. (2202.07646, section 4): linear in the logarithm.
    """
    if len(data.prefix_lens) < 2:
        return None
    rows = data.summary.filter((pl.col("measure") == measure) & (pl.col("category") == "all"))
    rows = data.of_source(rows, source).filter(pl.col("value").is_finite())
    if rows.is_empty():
        return None
    rows = rows.sort("group", "prefix_len").rename({"prefix_len": "x"})
    return _sweep_chart(data, rows, measure, "prefix_len", "prefix length (tokens)", source)


def count_chart(
    data: ReportData, measure: str = "extractable", source: str | None = None
) -> alt.LayerChart | None:
    """A measure against how often the text was in training (`count`), with the fit of the texts.

    More than 12 different counts are put into bins of powers of two.
    """
    if data.counts is None:
        return None
    rows = data.of_source(data.counts.filter(pl.col("measure") == measure), source)
    if rows["count"].n_unique() < 2:
        return None
    binned = (rows["count_to"] > rows["count"]).any()
    title = "times in the training data" + (" (bins of powers of two)" if binned else "")
    rows = rows.sort("group", "count").rename({"count": "x"})
    return _sweep_chart(data, rows, measure, "count", title, source)


def _sweep_chart(
    data: ReportData,
    rows: pl.DataFrame,
    measure: str,
    against: str,
    x_title: str,
    source: str | None,
) -> alt.LayerChart:
    rows = rows.with_columns(
        label=pl.col("group").map_elements(group_label, return_dtype=pl.String)
    )
    places = sorted(rows["x"].unique().to_list())
    title = MEASURE_TITLES.get(measure, measure)
    share = is_share(measure)
    top = max(float(rows["high"].fill_null(0).max() or 0), float(rows["value"].max() or 0))  # type: ignore[arg-type]
    x = alt.X(
        "x:Q",
        title=f"{x_title}, logarithmic",
        scale=alt.Scale(type="log", nice=False, domain=[places[0], places[-1]]),
        axis=alt.Axis(values=places, format="d", grid=False),
    )
    if share:
        y = share_axis(title, top=min(1.0, max(0.05, 1.08 * top)))
    else:
        y = alt.Y("value:Q", title=title, scale=alt.Scale(domain=[0, 1.08 * top or 1.0]))
    form = ".1%" if share else ".2f"
    tooltip = [
        alt.Tooltip("label:N", title="of"),
        alt.Tooltip("x:Q", title=x_title, format=","),
        alt.Tooltip("value:Q", title=title, format=form),
        alt.Tooltip("low:Q", title="interval from", format=form),
        alt.Tooltip("high:Q", title="to", format=form),
        alt.Tooltip("n:Q", title="passages", format=","),
    ]
    chart = curves(plain(rows), data.groups, x, y, tooltip, points=True)
    subtitle = f"bands: {data.level} intervals"
    fit = _fit(data, against, measure, source)
    if fit is not None:
        slope, intercept, r2 = fit
        ends = pl.DataFrame(
            {
                "x": [float(v) for v in places],
                "value": [intercept + slope * math.log10(v) for v in places],
            }
        )
        dotted = (
            alt.Chart(ends)
            .mark_line(
                color=LIGHT["chart-muted"], strokeDash=[1, 3], strokeWidth=2, clip=True, aria=False
            )
            .encode(x=x, y=y)
        )
        chart = layered(chart, dotted)
        by = format_value(100 * slope if share else slope, False, signed=True)
        subtitle += f"; dotted: fit to the texts, {by}{' points' if share else ''} per tenfold"
        subtitle += "" if r2 is None else f", R² {r2:.2f}"
    return styled(chart, f"{data.source_name(source)}: {title}", subtitle, height=HEIGHT)


def _fit(
    data: ReportData, against: str, measure: str, source: str | None
) -> tuple[float, float, float | None] | None:
    """Slope, intercept and R² (None where the points do not differ) of the texts' fit."""
    if data.fits is None:
        return None
    rows = data.fits.filter(
        (pl.col("against") == against)
        & (pl.col("measure") == measure)
        & (pl.col("source") == (source or "all"))
        & (pl.col("category") == "all")
    )
    if "group" in rows.columns:
        rows = rows.filter(pl.col("group") == TEXTS)
    if rows.is_empty():
        return None
    slope, intercept, r2 = rows.select("slope", "intercept", "r2").row(0)
    if not all(v is not None and math.isfinite(v) for v in (slope, intercept)):
        return None
    return float(slope), float(intercept), finite(r2)
