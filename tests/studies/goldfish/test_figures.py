"""The charts of the study, on made-up tables."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from byrote.report import ChartBlock, chart_svg
from byrote.report.study import StudyData
from byrote.studies.goldfish.arms import Cast
from byrote.studies.goldfish.charts import means_over_seeds, seed_values
from byrote.studies.goldfish.config import Arm, GoldfishConfig, ScratchConfig
from byrote.studies.goldfish.figures_costs import (
    loss_figures,
    membership_figures,
    tradeoff_figures,
)
from byrote.studies.goldfish.figures_extraction import (
    beam_figures,
    distribution_figures,
    rate_figures,
)
from byrote.studies.goldfish.figures_extreme import extreme_figures
from byrote.studies.goldfish.figures_masks import (
    divergence_figures,
    duplicate_figures,
    strategy_figures,
    width_figures,
)
from byrote.studies.goldfish.presets import ARMS, LAPTOP, SMOKE
from byrote.studies.goldfish.sections import sections
from tests.studies.goldfish.made_up import study_data


@pytest.fixture(scope="module")
def laptop():
    return study_data(LAPTOP)


@pytest.fixture(scope="module")
def smoke():
    return study_data(SMOKE)


@pytest.fixture(scope="module")
def figures(laptop):
    """All charts of the laptop preset, by name; building them takes seconds."""
    found = [
        figure
        for section in sections(laptop, LAPTOP)
        for block in section.blocks
        if isinstance(block, ChartBlock)
        for figure in block.figures
    ]
    assert len({figure.name for figure in found}) == len(found)
    return {figure.name: figure for figure in found}


def _without(data, *names, empty=False):
    tables = {k: v for k, v in data.tables.items() if empty or k not in names}
    tables |= {k: v.clear() for k, v in tables.items() if k in names}
    return StudyData(data.folder, data.run, tables, data.claims)


def _rows(figure):
    return [row for rows in figure.chart.to_dict()["datasets"].values() for row in rows]


def _places(figure, series):
    return {row["at"] for row in _rows(figure) if row.get("series") == series}


# ---- what there is ----


def test_every_experiment_has_its_charts(figures):
    assert list(figures) == [
        "extreme-recited", "extreme-rouge", "extreme-accuracy", "extreme-loss",
        "extreme-recited-long", "extreme-rouge-long", "extreme-accuracy-long", "extreme-loss-long",
        "extraction-distribution", "extraction-exact", "extraction-rouge-l",
        "divergence",
        "loss-input-shown", "loss-input-learned", "loss-k-shown", "loss-k-learned",
        "loss-gap",
        "membership-auc", "membership-tpr-at-001", "membership-tpr-at-005",
        "beams-exact", "beams-rouge-l",
        "strategies-exact", "strategies-rouge-l", "width-exact", "width-rouge-l",
        "copies-exact", "copies-rouge-l",
        "objectives-tradeoff",
    ]  # fmt: skip


@pytest.mark.parametrize("empty", [False, True])
@pytest.mark.parametrize(
    ("table", "make"),
    [
        ("extreme_epochs", extreme_figures),
        ("documents", distribution_figures),
        ("extraction", rate_figures),
        ("extraction", beam_figures),
        ("divergence", divergence_figures),
        ("validation", loss_figures),
        ("membership", membership_figures),
        ("extraction", strategy_figures),
        ("extraction", width_figures),
        ("extraction", duplicate_figures),
        ("losses", tradeoff_figures),
    ],
)
def test_without_its_table_an_experiment_has_no_charts(laptop, table, make, empty):
    assert make(_without(laptop, table, empty=empty), LAPTOP) == []


def test_every_figure_says_what_it_shows(figures):
    assert all(len(figure.description) > 8 for figure in figures.values())


def test_titles_and_subtitles_fit_the_chart(figures):
    for figure in figures.values():
        title = figure.chart.title.to_dict()
        assert len(title["text"]) <= 64, title
        assert len(title.get("subtitle", "")) <= 80, title


def test_every_chart_of_the_smoke_preset_is_drawn_without_a_number_json_lacks(smoke):
    found = [
        figure
        for section in sections(smoke, SMOKE)
        for block in section.blocks
        if isinstance(block, ChartBlock)
        for figure in block.figures
    ]
    assert found
    for figure in found:
        json.dumps(figure.chart.to_dict(), allow_nan=False)
        svg = chart_svg(figure.chart)
        assert "NaN" not in svg, figure.name
        assert "Infinity" not in svg, figure.name


def test_one_repetition_is_drawn_without_intervals():
    config = replace(SMOKE, seeds=1)
    data = study_data(config)
    (figure,) = [f for f in rate_figures(data, config) if f.name == "extraction-rouge-l"]
    lows = [row["low"] for row in _rows(figure) if row.get("low") is not None]
    assert lows == []
    json.dumps(figure.chart.to_dict(), allow_nan=False)


# ---- what they say ----


def test_rates_stand_at_control_every_k_and_standard(figures):
    places = {"control", "3", "4", "8", "32", "128", "standard"}
    for series in ("repeated documents", "documents never shown"):
        assert _places(figures["extraction-exact"], series) == places


def test_a_rate_is_that_of_the_documents(laptop, figures):
    documents = laptop.tables["documents"].filter(
        pl.col("member") & (pl.col("decoding") == "greedy") & (pl.col("arm") == "hash-8")
    )
    drawn = [
        row["value"]
        for row in _rows(figures["extraction-exact"])
        if row.get("at") == "8" and row["series"] == "repeated documents" and "n" in row
    ]
    assert drawn == [pytest.approx(documents["exact"].mean())] * len(drawn)
    assert drawn


def test_histograms_hold_every_document(laptop, figures):
    bars = [row for row in _rows(figures["extraction-distribution"]) if "share" in row]
    for arm in ("control", "hash-3", "standard"):
        assert sum(row["share"] for row in bars if row["arm"] == arm) == pytest.approx(1)
    means = {
        row["arm"]: row["x"]
        for row in _rows(figures["extraction-distribution"])
        if "share" not in row and "y2" in row
    }
    members = laptop.tables["documents"].filter(
        pl.col("member") & (pl.col("decoding") == "greedy") & (pl.col("arm") == "hash-3")
    )
    assert means["hash-3"] == pytest.approx(members["rouge_l"].mean())


def test_divergences_stand_beside_the_papers(figures):
    rows = _rows(figures["divergence"])
    paper = {(r["series"], r["at"]): r["value"] for r in rows if "paper" in r.get("series", "")}
    assert paper["hash, paper", "3"] == 0.776
    assert paper["static, paper", "4"] == 0.925
    # Nothing is compared at a k that was not measured here.
    assert {at for _, at in paper} == _places(figures["divergence"], "hash mask")


def test_tokens_learned_are_fewer_than_shown(figures):
    def end(name, column):
        rows = [r for r in _rows(figures[name]) if r.get("series", "").endswith("as many shown")]
        return max(row[column] for row in rows)

    shown = end("loss-input-shown", "tokens_shown")
    assert end("loss-input-learned", "tokens_learned") == pytest.approx(0.75 * shown, rel=0.01)


def test_gaps_are_those_of_the_table_of_losses(laptop, figures):
    gaps = dict(laptop.tables["losses"].select("arm", "gap").iter_rows())
    drawn = {row["at"]: row["value"] for row in _rows(figures["loss-gap"]) if "at" in row}
    assert drawn["3"] == pytest.approx(gaps["hash-3"])
    assert drawn["4, steps"] == pytest.approx(gaps["hash-4-more-steps"])
    assert drawn["4, batch"] == pytest.approx(gaps["hash-4-larger-batch"])


def test_loss_of_dropped_tokens_is_that_of_masks_only(figures):
    rows = _rows(figures["extreme-loss"])
    dropped = {row["series"] for row in rows if row.get("tokens") == "dropped tokens"}
    assert dropped == {"k = 4", "k = 4, h = 4", "k = 32"}


def test_a_chart_of_one_arm_names_it(figures):
    assert figures["extreme-recited-long"].chart.title.to_dict()["text"].endswith(": k = 4")


def test_equal_lines_do_not_hide_each_other(laptop):
    epochs = laptop.tables["extreme_epochs"].with_columns(value=pl.lit(0.0))
    data = StudyData(
        laptop.folder, laptop.run, {**laptop.tables, "extreme_epochs": epochs}, laptop.claims
    )
    (figure,) = [f for f in extreme_figures(data, LAPTOP)[0] if f.name == "extreme-recited"]
    drawn = {row["series"]: row["value"] for row in _rows(figure) if "epoch" in row}
    assert len(drawn) == len(set(drawn.values())) == len(LAPTOP.extreme.arms)
    assert min(drawn.values()) > -0.05


def test_what_is_never_shown_is_a_level(figures):
    levels = [row for row in _rows(figures["extreme-rouge"]) if "text" in row]
    assert [row["text"] for row in levels] == ["never shown"]
    assert 0.1 < levels[0]["value"] < 0.25


def test_membership_is_set_beside_the_papers_area_only(figures):
    assert any("paper" in row.get("series", "") for row in _rows(figures["membership-auc"]))
    # Its rates are at another share of false alarms.
    for name in ("membership-tpr-at-001", "membership-tpr-at-005"):
        assert not any("paper" in row.get("series", "") for row in _rows(figures[name]))


def test_beams_are_named_by_their_number(figures):
    assert _places(figures["beams-exact"], "30 beams") == _places(figures["beams-exact"], "greedy")


def test_strategies_are_compared_at_the_same_k(figures):
    for series in ("hash mask", "static mask", "random mask"):
        assert _places(figures["strategies-rouge-l"], series) == {"4", "8", "32"}
    levels = {row["text"] for row in _rows(figures["strategies-rouge-l"]) if "text" in row}
    assert levels == {"control", "standard"}


def test_every_h_has_its_place(figures):
    assert _places(figures["width-rouge-l"], "hash mask") == {"1", "4", "7", "13", "25"}


def test_copies_are_compared_under_three_treatments(figures):
    for series in ("standard", "mask of the tokens", "mask of the text"):
        assert _places(figures["copies-rouge-l"], series) == {"exact", "edited", "reformatted"}


def test_names_in_the_chart_of_objectives_do_not_cover_each_other(figures):
    rows = [row for row in _rows(figures["objectives-tradeoff"]) if "label_y" in row]
    width = max(row["x"] for row in rows) - min(row["x"] for row in rows)
    for i, one in enumerate(rows):
        for other in rows[:i]:
            beside = abs(one["x"] - other["x"]) < 0.4 * width
            assert not beside or abs(one["label_y"] - other["label_y"]) > 0.045, (one, other)
    assert {"control", "standard", "goldfish, k = 4"} <= {row["text"] for row in rows}


# ---- who is who ----


def test_parts_are_read_from_fields_not_from_names():
    renamed = {f"arm-{i}": arm for i, arm in enumerate(ARMS.values())}
    names = dict(zip(ARMS, renamed, strict=True))
    config = GoldfishConfig(arms=renamed, scratch=ScratchConfig(arms=tuple(renamed)))
    cast = Cast.of(config, config.scratch.arms)
    assert cast.control == names["control"]
    assert cast.standard == names["standard"]
    assert cast.ladder() == {k: names[f"hash-{k}"] for k in (3, 4, 8, 32, 128)}
    assert cast.ladder("random") == {k: names[f"random-{k}"] for k in (4, 8, 32)}
    k, widths = cast.widths()
    assert (k, list(widths)) == (4, [1, 4, 7, 13, 25])
    assert cast.scaled() == {
        "more steps": names["hash-4-more-steps"],
        "larger batch": names["hash-4-larger-batch"],
    }
    copies = cast.near_duplicates()
    assert copies["tokens"]["exact"] == names["hash-4"]
    assert copies["text"]["edited"] == names["normalized-4-edited"]
    assert cast.objectives()[:3] == [names["control"], names["standard"], names["hash-4"]]


def test_no_two_arms_have_one_label():
    arms = {**ARMS, "again": ARMS["mile"], "mild": Arm(objective="mile", options={"gamma": 0.5})}
    config = GoldfishConfig(arms=arms, scratch=ScratchConfig(arms=tuple(arms)))
    cast = Cast.of(config, config.scratch.arms)
    labels = [cast.label(name) for name in arms]
    assert len(set(labels)) == len(labels)


def test_an_arm_has_one_shade_in_all_settings():
    extreme = Cast.of(LAPTOP, LAPTOP.extreme.arms).looks(["hash-32"])
    scratch = Cast.of(LAPTOP, LAPTOP.scratch.arms).looks(["hash-32"])
    assert extreme[0].colour == scratch[0].colour


def test_means_over_repetitions_are_cut_to_shares():
    values = pl.DataFrame({"arm": ["a"] * 3, "value": [0.0, 0.1, 0.8]})
    row = means_over_seeds(values, ("arm",)).row(0, named=True)
    assert row["value"] == pytest.approx(0.3)
    assert (row["low"], row["high"]) == (0.0, 1.0)
    assert means_over_seeds(values, ("arm",), None)["high"][0] > 1
    assert math.isnan(means_over_seeds(values.head(1), ("arm",))["low"][0])


def test_values_of_repetitions_are_means_over_their_documents(laptop):
    found = seed_values(laptop, "rouge_l", ["standard"])
    documents = laptop.tables["documents"].filter(
        pl.col("member") & (pl.col("decoding") == "greedy") & (pl.col("arm") == "standard")
    )
    expected = [documents.filter(pl.col("seed") == s)["rouge_l"].mean() for s in range(3)]
    assert np.allclose(found.sort("seed")["value"], expected)  # type: ignore[arg-type]
