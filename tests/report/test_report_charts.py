from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from dataclasses import replace

import polars as pl
import pytest

from byrote.report import audit_figures, audit_page, chart_png, load_report_data, save_charts
from byrote.report.charts import coverage_chart, discoverable_chart, headline_chart
from byrote.report.curves import longest_run_chart, suffix_probability_chart
from byrote.report.palette import LIGHT, themed_spec, themed_svg
from byrote.report.sweeps import count_chart, prefix_length_chart


def _rows(chart):
    return [row for rows in chart.to_dict()["datasets"].values() for row in rows if row]


def _names(data):
    return {figure.name for figure in audit_figures(data)}


def test_a_run_without_a_sweep_gets_the_charts_it_has_data_for(run_of):
    families = {f.family for f in audit_figures(load_report_data(run_of("base")))}
    assert families == {
        "headline",
        "longest-run",
        "token-accuracy",
        "suffix-probability",
        "discoverable",
        "coverage",
    }


def test_a_sweep_gets_the_charts_of_its_sweeps(run_of):
    families = {f.family for f in audit_figures(load_report_data(run_of("sweep")))}
    assert {"prefix-length", "count"} <= families


def test_a_run_of_verdicts_only_gets_the_headline_only(run_of):
    data = load_report_data(run_of("verdict-only"))
    assert _names(data) == {"headline-extractable"}


def test_the_headline_chart_holds_the_numbers_of_the_summary(run_of):
    data = load_report_data(run_of("base"))
    rows = _rows(headline_chart(data, "extractable"))
    pool = next(r for r in rows if r["name"] == "all texts" and r["group"] == "texts")
    truth = data.summary.filter(
        (pl.col("source") == "all") & (pl.col("group") == "texts") & (pl.col("category") == "all")
    ).filter(pl.col("measure") == "extractable")
    assert pool["value"] == pytest.approx(truth["value"][0])
    assert pool["low"] == pytest.approx(truth["low"][0])
    assert pool["n"] == truth["n"][0] == 80
    assert {r["name"] for r in rows} >= {"corpus:kjv", "corpus:kjv · famous", "corpus:licenses"}


def test_held_out_controls_are_in_the_headline_chart(run_of):
    rows = _rows(headline_chart(load_report_data(run_of("held-out")), "extractable"))
    assert {r["group"] for r in rows} == {"texts", "held-out"}


def test_the_curve_of_stretches_is_the_share_with_at_least_that_many(run_of):
    data = load_report_data(run_of("base"))
    texts = data.passages.filter(~pl.col("is_control") & (pl.col("source") == "corpus:kjv"))
    rows = [r for r in _rows(longest_run_chart(data, "corpus:kjv")) if r["label"] == "texts"]
    assert rows[0]["x"] == 0
    assert rows[0]["value"] == 1
    for row in rows:
        share = (texts["longest_run"] >= row["x"]).mean()
        assert row["value"] == pytest.approx(share)
        assert row["low"] <= share <= row["high"]
        assert row["passages"] == 40


def test_curves_keep_few_points_of_many_passages(run_of):
    chart = suffix_probability_chart(load_report_data(run_of("large")))
    assert chart is not None
    assert len(_rows(chart)) <= 3 * 160


def test_the_chart_of_draws_has_every_probability_and_group(run_of):
    rows = _rows(discoverable_chart(load_report_data(run_of("base")), "corpus:licenses"))
    assert {r["p"] for r in rows} == {0.1, 0.5, 0.9}
    assert {r["group"] for r in rows} == {"texts", "mismatched"}


def test_the_sweep_names_its_fit(run_of):
    chart = prefix_length_chart(load_report_data(run_of("sweep")), "token_accuracy", "corpus:kjv")
    assert "per tenfold, R² 0.87" in chart.to_dict()["title"]["subtitle"]
    assert {25, 50, 100} == {r["x"] for r in _rows(chart) if "label" in r}


def test_a_fit_through_equal_points_has_no_r2(run_of):
    data = load_report_data(run_of("sweep"))
    flat = replace(data, fits=data.fits.with_columns(r2=pl.lit(None, pl.Float64)))
    subtitle = prefix_length_chart(flat, "token_accuracy").to_dict()["title"]["subtitle"]
    assert subtitle.endswith("per tenfold")


@pytest.mark.parametrize("make", [prefix_length_chart, count_chart, longest_run_chart])
def test_bands_say_their_confidence(run_of, make):
    data = load_report_data(run_of("sweep"))
    other = replace(data, run=data.run | {"config": data.run["config"] | {"confidence": 0.8}})
    assert "bands: 80 % intervals" in make(other).to_dict()["title"]["subtitle"]


@pytest.mark.parametrize(
    ("make", "table"), [(longest_run_chart, "survival"), (count_chart, "counts")]
)
def test_bands_are_the_intervals_of_the_run(run_of, make, table):
    data = load_report_data(run_of("sweep"))
    known = getattr(data, table).filter(pl.col("source") == "all")
    known = {(row["low"], row["high"]) for row in known.iter_rows(named=True)}
    drawn = {(row["low"], row["high"]) for row in _rows(make(data)) if "low" in row}
    assert len(drawn) > 3
    assert drawn <= known


def test_the_only_category_of_a_source_is_not_drawn_beside_it(run_of):
    data = load_report_data(run_of("base"))
    one = data.summary.filter(
        (pl.col("source") != "corpus:kjv") | pl.col("category").is_in(["all", "famous"])
    )
    names = {r["name"] for r in _rows(headline_chart(replace(data, summary=one), "extractable"))}
    assert "corpus:kjv" in names
    assert "corpus:kjv · famous" not in names
    assert "corpus:licenses · MIT" in names


def test_the_fitted_line_is_linear_in_the_logarithm_to_base_ten(run_of):
    data = load_report_data(run_of("sweep"))
    rows = _rows(prefix_length_chart(data, "token_accuracy", "corpus:kjv"))
    line = {r["x"]: r["value"] for r in rows if "label" not in r}
    fit = data.fits.filter(
        (pl.col("against") == "prefix_len")
        & (pl.col("source") == "corpus:kjv")
        & (pl.col("measure") == "token_accuracy")
    )
    assert line[100.0] == pytest.approx(fit["intercept"][0] + 2 * fit["slope"][0])


def test_counts_are_the_mean_of_their_passages(run_of):
    data = load_report_data(run_of("sweep"))
    rows = [r for r in _rows(count_chart(data)) if r.get("label") == "texts"]
    texts = data.passages.filter(~pl.col("is_control"))
    for row in rows:
        own = texts.filter(pl.col("count") == row["x"])
        assert row["n"] == len(own)
        assert row["value"] == pytest.approx(own["extractable"].mean())


def test_coverage_shows_each_threshold_and_greedy_extraction(run_of, tmp_path):
    data = load_report_data(run_of("base"))
    greedy = data.coverage.filter(pl.col("threshold") == 0.5).with_columns(
        threshold=pl.lit(None, pl.Float64)
    )
    frame = pl.concat([data.coverage, greedy])
    changed = type(data)(data.folder, data.run, data.passages, data.summary, coverage=frame)
    rows = _rows(coverage_chart(changed))
    assert {r["at"] for r in rows} == {"0.001", "0.01", "0.1", "0.5", "greedy"}
    assert len({r["name"] for r in rows}) == 25


def test_charts_are_saved_as_svg_and_as_json(run_of, tmp_path):
    data = load_report_data(run_of("base"))
    (tmp_path / "old-chart.svg").write_text("an earlier report's")
    paths = save_charts(data, tmp_path)
    assert {p.stem for p in paths} == _names(data)
    for path in paths:
        assert ET.parse(path).getroot().tag == "{http://www.w3.org/2000/svg}svg"
        spec = json.loads(path.with_suffix(".json").read_text())
        assert spec["$schema"].startswith("https://vega.github.io/schema/vega-lite/v6")
    assert not (tmp_path / "old-chart.svg").exists()


def test_a_chart_becomes_a_png(run_of):
    png = chart_png(headline_chart(load_report_data(run_of("base")), "extractable"), scale=1)
    assert png.startswith(b"\x89PNG")


def test_themed_pictures_use_css_variables_and_ids_of_their_own():
    blue = LIGHT["chart-texts"].upper()
    svg = f'<svg><clipPath id="clip1"/><g clip-path="url(#clip1)"><path fill="{blue}"/></g></svg>'
    themed = themed_svg(svg, "a")
    assert 'fill="var(--chart-texts)"' in themed
    assert 'id="a-clip1"' in themed
    assert "url(#a-clip1)" in themed


def test_themed_specifications_leave_data_alone():
    blue = LIGHT["chart-texts"]
    spec = {"datasets": {"d": [{"x": blue}]}, "mark": {"color": blue}}
    assert themed_spec(spec) == {
        "datasets": {"d": [{"x": blue}]},
        "mark": {"color": "var(--chart-texts)"},
    }


def test_where_nothing_is_extracted_or_covered_there_is_no_empty_chart(run_of):
    data = load_report_data(run_of("base"))
    none = type(data)(
        data.folder,
        data.run,
        data.passages,
        data.summary,
        discoverable=data.discoverable.with_columns(rate=pl.lit(0.0)),
        coverage=data.coverage.with_columns(coverage=pl.lit(0.0)),
    )
    assert discoverable_chart(none) is None
    assert coverage_chart(none) is None
    page = audit_page(none)
    words = {s.id: s.blocks[0] for s in page.sections}
    assert "nothing to draw" in words["draws"].paragraphs[0]
    assert "nothing to draw" in words["coverage"].paragraphs[0]


def test_rows_of_the_headline_charts_are_in_the_same_order(run_of):
    data = load_report_data(run_of("base"))
    orders = [
        headline_chart(data, measure).to_dict()["layer"][1]["encoding"]["y"]["sort"]
        for measure in ("extractable", "token_accuracy", "longest_run")
    ]
    assert orders[0] == orders[1] == orders[2]
    assert orders[0][:2] == ["all texts", "corpus:kjv"]


def test_one_passage_is_one(run_of):
    subtitle = longest_run_chart(load_report_data(run_of("one"))).to_dict()["title"]["subtitle"]
    assert subtitle.startswith("1 passage, 1 control;")
