"""Recall against prefix length and against the count in training, with the fitted lines."""

from __future__ import annotations

import math

import altair as alt
import polars as pl

from byrote.report.data import TEXTS, ReportData
from byrote.report.numbers import format_value, group_label, is_share, wilson
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
    rows = data.of_source(data.passages, source).filter(pl.col("count") > 0)
    if rows["count"].n_unique() < 2 or measure not in rows.columns:
        return None
    binned = rows["count"].n_unique() > 12
    x = (2.0 ** pl.col("count").log(2).floor()).cast(pl.Int64) if binned else pl.col("count")
    value = pl.col(measure).cast(pl.Float64)
    grouped = (
        rows.group_by("group", x.alias("x"))
        .agg(value=value.mean(), spread=value.std(), n=pl.len().cast(pl.Int64))
        .sort("group", "x")
    )
    bounds = [
        wilson(v * n, n) if measure == "extractable" else _mean_bounds(v, s, n, is_share(measure))
        for v, s, n in grouped.select("value", "spread", "n").iter_rows()
    ]
    grouped = grouped.with_columns(
        low=pl.Series([b[0] for b in bounds], dtype=pl.Float64),
        high=pl.Series([b[1] for b in bounds], dtype=pl.Float64),
    )
    title = "times in the training data" + (" (bins of powers of two)" if binned else "")
    return _sweep_chart(data, grouped, measure, "count", title, source)


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
    subtitle = "bands: 95 % intervals"
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
        subtitle = (
            f"dotted: fit to the texts, {by}{' points' if share else ''} per tenfold, R² {r2:.2f}"
        )
    return styled(chart, f"{data.source_name(source)}: {title}", subtitle, height=HEIGHT)


def _fit(
    data: ReportData, against: str, measure: str, source: str | None
) -> tuple[float, float, float] | None:
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
    return float(slope), float(intercept), float(r2 if r2 is not None else float("nan"))


def _mean_bounds(value: float, spread: float | None, n: int, share: bool) -> tuple[float, float]:
    half = 1.96 * (spread or 0.0) / math.sqrt(n)
    low, high = max(0.0, value - half), value + half
    return low, min(1.0, high) if share else high
