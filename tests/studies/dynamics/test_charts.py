"""The charts of the study and the sections that hold them, on made-up tables."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from byrote.report import ChartBlock, TableBlock, chart_svg
from byrote.report.study import StudyData
from byrote.studies.dynamics.charts import held_curves, init_looks, ordered_looks
from byrote.studies.dynamics.charts_times import short_count, time_marks
from byrote.studies.dynamics.config import PhasesConfig
from byrote.studies.dynamics.figures_context import CONDITION_LOOKS, context_figures
from byrote.studies.dynamics.figures_control import control_figures
from byrote.studies.dynamics.figures_phases import (
    order_figures,
    phase_figures,
    raster_cells,
    raster_figures,
)
from byrote.studies.dynamics.figures_sequence import sequence_figures
from byrote.studies.dynamics.figures_times import (
    checkpoint_figures,
    entropy_figures,
    length_figures,
    partial_figures,
    size_figures,
    untrained_figures,
)
from byrote.studies.dynamics.presets import LAPTOP, PAPER, SMOKE
from byrote.studies.dynamics.sections import facts, sections
from tests.studies.dynamics.synthetic import study_data

_ANCHORS = [
    "phases", "entropy", "length", "size", "order", "context", "sequence", "pretraining",
    "control", "partial",
]  # fmt: skip


@pytest.fixture(scope="module")
def laptop():
    return study_data(LAPTOP)


@pytest.fixture(scope="module")
def smoke():
    return study_data(SMOKE)


@pytest.fixture(scope="module")
def found(laptop):
    """The sections of the laptop preset; building many charts takes seconds."""
    return sections(laptop, LAPTOP)


def _figures(found):
    return [f for s in found for b in s.blocks if isinstance(b, ChartBlock) for f in b.figures]


def _rows(chart):
    return [row for rows in chart.to_dict()["datasets"].values() for row in rows]


def _phase_trainings(data):
    return len(data.tables["experiments"].filter(pl.col("experiment") == "phases"))


def _without(data, *names, empty=False):
    tables = {k: v for k, v in data.tables.items() if empty or k not in names}
    tables |= {k: v.clear() for k, v in tables.items() if k in names}
    return StudyData(data.folder, data.run, tables, data.claims)


# ---- the sections ----


def test_every_experiment_has_its_section_in_order(found):
    assert [section.id for section in found] == _ANCHORS


@pytest.mark.parametrize("empty", [False, True])
@pytest.mark.parametrize(
    ("table", "make"),
    [
        ("epochs", phase_figures),
        ("phases", entropy_figures),
        ("experiments", length_figures),
        ("trainings", size_figures),
        ("order", order_figures),
        ("positions", raster_figures),
        ("contexts", context_figures),
        ("sequential", sequence_figures),
        ("epochs", untrained_figures),
        ("heldout", control_figures),
        ("phases", partial_figures),
    ],
)
def test_without_its_table_an_experiment_has_no_charts(smoke, table, make, empty):
    assert make(smoke)
    assert make(_without(smoke, table, empty=empty)) == []


def test_an_experiment_without_tables_has_no_section(smoke):
    gone = ("contexts", "sequential", "heldout")
    found = [section.id for section in sections(_without(smoke, *gone), SMOKE)]
    assert found == [a for a in _ANCHORS if a not in ("context", "sequence", "control")]


def test_without_any_table_there_is_no_section(smoke):
    bare = StudyData(smoke.folder, smoke.run, {}, smoke.claims)
    assert sections(bare, SMOKE) == []
    assert [value for value, *_ in facts(bare, SMOKE)] == ["1", "0", "1"]


def test_the_names_of_figures_are_unique_and_fit_for_files(found):
    names = [figure.name for figure in _figures(found)]
    assert len(names) == len(set(names))
    assert all("/" not in name and " " not in name and ":" not in name for name in names)


def test_every_figure_says_what_it_shows(found):
    assert all(len(f.description) > 15 for f in _figures(found))


def test_every_chart_of_the_smoke_preset_is_drawn_without_a_number_json_lacks(smoke):
    for figure in _figures(sections(smoke, SMOKE)):
        json.dumps(figure.chart.to_dict(), allow_nan=False)
        svg = chart_svg(figure.chart)
        assert "NaN" not in svg, figure.name
        assert "Infinity" not in svg, figure.name


def test_titles_and_subtitles_fit_the_chart(found):
    for figure in _figures(found):
        # The chart as a whole is drawn elsewhere; turning it into a specification takes long.
        title = figure.chart.title.to_dict()
        assert len(title["text"]) <= 64, title
        assert len(title.get("subtitle", "")) <= 80, title


def test_facts_count_what_was_run(laptop):
    tiles = {label: value for value, label, _ in facts(laptop, LAPTOP)}
    trainings = laptop.tables["trainings"]
    assert tiles["kinds of exposure"] == str(trainings["training"].n_unique())
    assert tiles["exposures in all"] == f"{trainings['epochs'].sum():,}"


def test_the_charts_of_the_paper_preset_stay_small():
    config = replace(PAPER, strings=1, training=replace(PAPER.training, heldout=1))
    data = study_data(config)
    groups = [figures for _, figures in phase_figures(data)] + sequence_figures(data)
    figures = [f for group in groups for f in group] + raster_figures(data) + control_figures(data)
    specs = [len(json.dumps(f.chart.to_dict(), separators=(",", ":"))) for f in figures]
    assert max(specs) < 150_000
    assert sum(specs) < 2_000_000


# ---- what the marks say ----


def _strings(*times, last=40, **keys):
    rows = [{"string": i, "t_mem": t, "last_epoch": last, **keys} for i, t in enumerate(times)]
    schema = {"t_mem": pl.Int64, **dict.fromkeys(keys, pl.String)}
    return pl.DataFrame(rows, schema_overrides=schema)


def test_a_median_stands_between_its_strings():
    medians, strings = time_marks(_strings(10, 12, 17, at="x"), ["at"])
    row = medians.row(0, named=True)
    assert (row["epoch"], row["low"], row["high"]) == (12, 10, 17)
    assert (row["strings"], row["censored"], row["reached"]) == (3, 0, True)
    assert strings["epoch"].to_list() == [10, 12, 17]


def test_what_was_not_memorised_stands_at_the_last_epoch_and_is_marked():
    medians, strings = time_marks(_strings(10, None, None, at="x"), ["at"])
    row = medians.row(0, named=True)
    assert (row["epoch"], row["low"], row["high"]) == (40, 10, 40)
    assert (row["censored"], row["reached"], row["text"]) == (2, False, "over 40")
    assert strings["reached"].to_list() == [True, False, False]
    assert strings["epoch"].to_list() == [10, 40, 40]


def test_a_median_is_reached_though_one_string_is_not():
    row = time_marks(_strings(10, 12, None, at="x"), ["at"])[0].row(0, named=True)
    assert (row["epoch"], row["reached"], row["high"], row["censored"]) == (12, True, 40, 1)
    assert row["open"]


def test_a_string_that_ended_early_is_held():
    epochs = pl.DataFrame(
        {
            "training": ["a"] * 5,
            "string": [0, 0, 1, 1, 1],
            "epoch": [0, 1, 0, 1, 2],
            "loss": [4.0, 0.0, 4.0, 2.0, 1.0],
        }
    )
    found = held_curves(epochs, ["loss"])
    assert found["epoch"].to_list() == [0, 1, 2]
    assert found["value"].to_list() == [4.0, 1.0, 0.5]
    assert found["low"].to_list() == [4.0, 0.0, 0.0]
    assert found["high"].to_list() == [4.0, 2.0, 1.0]


def test_curves_leave_out_what_is_not_finite():
    epochs = pl.DataFrame(
        {"training": "a", "string": 0, "epoch": [0, 1, 2], "kl": [math.inf, 1.0, math.nan]}
    )
    assert held_curves(epochs, ["kl"])["epoch"].to_list() == [1]


def test_ordered_conditions_differ_whatever_their_number():
    for count in range(1, 12):
        looks = ordered_looks([str(i) for i in range(count)])
        assert len({(look.colour, look.dash) for look in looks}) == count


def test_untrained_models_never_look_like_pretrained_ones():
    looks = init_looks({"a": "pretrained", "b": "random", "c": "pretrained", "d": "random"})
    assert len({look.colour for look in looks}) == 4
    assert looks[0].colour == "chart-texts"
    assert looks[1].colour == "chart-control-1"


@pytest.mark.parametrize(
    ("number", "words"),
    [(0, "0"), (320, "320"), (999_700, "1 M"), (134_515_008, "135 M"), (65_696, "65.7 k")],
)
def test_numbers_of_parameters_are_short(number, words):
    assert short_count(number) == words


# ---- the experiments ----


def test_the_phases_have_a_chart_for_each_measure_and_a_line_for_each_alphabet(laptop):
    by_model = dict(phase_figures(laptop))
    assert set(by_model) == {"smollm2-135m", "gemma3-270m"}
    assert len(by_model["smollm2-135m"]) == 5
    loss = by_model["smollm2-135m"][0].chart
    assert {r["series"] for r in _rows(loss)} == {f"ℓ = {n}" for n in (2, 4, 7, 13, 26)}
    levels = {r["value"] for r in _rows(loss) if set(r) >= {"letters", "value"}}
    # The made-up strings have .95 of their source's entropy, and that is what a guess can reach.
    assert sorted(levels) == pytest.approx([0.95 * math.log(n) for n in (2, 4, 7, 13, 26)])


def test_the_marks_of_the_phases_are_the_medians(laptop):
    times = laptop.tables["phase_times"]
    wanted = times.filter(
        (pl.col("training") == "smollm2-135m.u26.n128") & (pl.col("which") == "t_mem")
    )["median"][0]
    loss = dict(phase_figures(laptop))["smollm2-135m"][0].chart
    marks = [r for r in _rows(loss) if r.get("mark") == "memorised (median)"]
    assert wanted in [r["epoch"] for r in marks if r["series"] == "ℓ = 26"]


def test_an_alphabet_never_memorised_is_marked_as_such():
    config = replace(LAPTOP, training=replace(LAPTOP.training, epochs=15, stop_loss=None))
    config = replace(config, phases=PhasesConfig(models=("smollm2-135m",), n=128))
    config = replace(config, context=replace(config.context, epochs=(10,)))
    loss = dict(phase_figures(study_data(config)))["smollm2-135m"][0].chart
    marks = {r["series"]: r["mark"] for r in _rows(loss) if "mark" in r and "end" not in r["mark"]}
    assert marks["ℓ = 2"] == "not memorised within its epochs"
    assert "triangle-up" in json.dumps(loss.to_dict())


def test_the_table_of_times_counts_the_censored(laptop, found):
    section = next(s for s in found if s.id == "phases")
    table = next(b for b in section.blocks if isinstance(b, TableBlock))
    assert len(table.rows) == _phase_trainings(laptop)
    assert all(row[-1].text.endswith("of 3") for row in table.rows)
    assert all(len(row) == len(table.header) for row in table.rows)


def test_entropy_joins_every_kind_to_the_full_source(laptop):
    chart = entropy_figures(laptop)[0].chart
    medians = [r for r in _rows(chart) if "text" in r]
    full = [r for r in medians if r["entropy_rate"] == pytest.approx(math.log(26))]
    assert {r["series"] for r in full} == {"uniform, fewer letters", "one letter more likely"}
    assert sum(not r["joined"] for r in full if "joined" in r) >= 1


def test_published_lengths_are_told_apart_from_measured_ones(laptop):
    chart = length_figures(laptop)[0].chart
    logs = [r for r in _rows(chart) if "authors' logs" in r.get("series", "")]
    assert {r["n"] for r in logs} == {16, 32, 64, 128, 256}
    untrained = {r["n"]: r["epoch"] for r in logs if "untrained" in r["series"]}
    assert untrained[256] == 85
    assert not any("strings" in r for r in logs)


def test_a_published_length_never_memorised_is_open():
    config = replace(PAPER, strings=1)
    chart = length_figures(study_data(config))[0].chart
    logs = [r for r in _rows(chart) if "authors' logs" in r.get("series", "")]
    never = [r for r in logs if not r["reached"]]
    assert {r["n"] for r in never} == {512, 1024}
    assert {r["epoch"] for r in never} == {100}


def test_sizes_are_named_on_their_axis(laptop):
    assert "datum.value ==" in json.dumps(size_figures(laptop)[0].chart.to_dict())


def test_untrained_curves_stand_beside_their_pretrained_twin(laptop):
    names = {r["series"] for f in untrained_figures(laptop) for r in _rows(f.chart)}
    assert names == {"smollm2-135m (pretrained)", "smollm2-135m-random (untrained)"}


def test_published_steps_are_drawn_beside_published_checkpoints_only(laptop):
    own = [f for f in checkpoint_figures(laptop) if f.name == "checkpoints-time"]
    assert "authors' logs" not in json.dumps(own[0].chart.to_dict())
    paper = checkpoint_figures(study_data(replace(PAPER, strings=1)))
    assert "authors' logs" in json.dumps(paper[0].chart.to_dict())


def test_parts_are_named_with_what_they_train(laptop):
    rows = _rows(partial_figures(laptop)[0].chart)
    assert {r["at"] for r in rows} >= {"all (1 k)", "mlp (50)"}
    assert any(r.get("reached") is False for r in rows)


def test_the_order_chart_has_an_interval_within_its_bounds(laptop):
    rows = [r for r in _rows(order_figures(laptop)[0].chart) if "low" in r]
    assert rows
    for row in rows:
        for key in ("low", "high"):
            assert row[key] is None or -1 <= row[key] <= 1


def test_a_raster_holds_every_hit_once():
    rng = np.random.default_rng(1)
    hits = rng.random((30, 50)) < 0.4
    positions = pl.DataFrame(
        {
            "epoch": np.repeat(np.arange(30), 50),
            "position": np.tile(np.arange(1, 51), 30),
            "hit": hits.ravel(),
        }
    ).sample(fraction=1.0, shuffle=True, seed=0)
    drawn = np.zeros_like(hits)
    for x, x2, y, y2, share in raster_cells(positions).iter_rows():
        assert share == 1
        drawn[x:x2, y - 1 : y2 - 1] = True
    np.testing.assert_array_equal(drawn, hits)


def test_a_long_raster_is_binned_and_keeps_the_share_of_hits():
    rng = np.random.default_rng(2)
    when = rng.integers(0, 101, 1024)
    hits = np.arange(101)[:, None] >= when[None, :]
    positions = pl.DataFrame(
        {
            "epoch": np.repeat(np.arange(101), 1024),
            "position": np.tile(np.arange(1024), 101),
            "hit": hits.ravel(),
        }
    )
    cells = raster_cells(positions)
    assert len(cells) < 1500
    area = ((cells["x2"] - cells["x"]) * (cells["y2"] - cells["y"]) * cells["s"]).sum()
    assert area / hits.size == pytest.approx(hits.mean(), abs=0.02)


def test_a_raster_without_a_hit_is_drawn():
    data = study_data(SMOKE)
    tables = {**data.tables, "positions": data.tables["positions"].with_columns(hit=pl.lit(False))}
    figures = raster_figures(StudyData(data.folder, data.run, tables, data.claims))
    assert all("<svg" in chart_svg(f.chart) for f in figures)


def test_untrained_rasters_stand_beside_pretrained_ones(laptop):
    names = [figure.name for figure in raster_figures(laptop)]
    assert names == [
        "raster-smollm2-135m.u26.n128",
        "raster-gemma3-270m.u26.n128",
        "raster-smollm2-135m-random.u26.n128",
    ]


def test_the_context_has_a_panel_for_each_alphabet_and_epoch_with_both_references(laptop):
    figures = context_figures(laptop)
    assert len(figures) == 4
    for figure in figures:
        rows = _rows(figure.chart)
        assert {r["series"] for r in rows if "series" in r} == {
            look.name for look in CONDITION_LOOKS.values()
        }
        assert sum(set(r) == {"k", "value"} for r in rows) == len(LAPTOP.context.k)
        assert any(set(r) == {"value", "low", "high"} for r in rows)


def test_conditions_of_one_k_stand_beside_each_other_with_their_intervals(laptop):
    rows = [r for r in _rows(context_figures(laptop)[0].chart) if "at" in r]
    k = LAPTOP.context.k[0]
    places = {r["at"] for r in rows if r["k"] == k}
    assert len(places) == len(CONDITION_LOOKS)
    assert all(k / 1.1 < place < k * 1.1 for place in places)
    assert all(r["low"] <= r["value"] <= r["high"] for r in rows)
    layers = context_figures(laptop)[0].chart.to_dict()["layer"]
    bars = [part for part in layers if part["mark"]["type"] == "rule" and "y2" in part["encoding"]]
    assert [part["encoding"]["y2"]["field"] for part in bars] == ["high"]


def test_the_intervals_of_the_context_are_in_a_table(found):
    section = next(s for s in found if s.id == "context")
    table = next(b for b in section.blocks if isinstance(b, TableBlock))
    assert table.collapsed
    assert {row[2].text for row in table.rows} == {
        *(look.name for look in CONDITION_LOOKS.values()), "whole prefix", "k-gram ceiling",
    }  # fmt: skip


def test_the_sequence_has_a_chart_for_each_optimiser_and_three_more(laptop):
    names = [[figure.name for figure in group] for group in sequence_figures(laptop)]
    assert names == [
        ["sequence-smollm2-135m-fresh", "sequence-smollm2-135m-carried"],
        [
            "sequence-times-smollm2-135m",
            "sequence-retention-smollm2-135m",
            "sequence-text-smollm2-135m",
        ],
    ]


def test_re_learning_is_the_last_stage_by_name(laptop):
    times = sequence_figures(laptop)[1][0].chart
    assert {r["at"] for r in _rows(times) if "at" in r} == {"1", "2", "3", "4", "1 again"}


def test_a_run_without_natural_text_leaves_that_chart_out(laptop):
    groups = sequence_figures(_without(laptop, "sequential_text"))
    assert [f.name.split("-")[1] for f in groups[1]] == ["times", "retention"]


def test_the_control_shows_the_held_out_strings_where_they_were_measured(laptop):
    chart = control_figures(laptop)[0].chart
    rows = [r for r in _rows(chart) if r.get("series", "").startswith("never")]
    measured = {r["epoch"] for r in rows if "epoch" in r}
    assert measured <= set(laptop.tables["heldout"]["epoch"].to_list())
    last = laptop.tables["heldout"].group_by("training").agg(pl.col("epoch").max())
    assert max(measured) in last["epoch"].to_list()
    assert len(control_figures(laptop)) == _phase_trainings(laptop)
