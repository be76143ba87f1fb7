"""The charts, tables and sections of the report, on made-up tables."""

from __future__ import annotations

import json
from dataclasses import replace

import polars as pl
import pytest

from byrote.report import ChartBlock, TableBlock, chart_svg
from byrote.report.study import StudyData
from byrote.studies.localization.analysis import analyse
from byrote.studies.localization.config import Group
from byrote.studies.localization.presets import LAPTOP, PAPER, SMOKE
from byrote.studies.localization.report_tables import (
    deletion_tables,
    passages_table,
    recall_tables,
    timing_table,
    together_table,
)
from byrote.studies.localization.sections import facts, sections
from tests.studies.localization.made_up import CLAIMS, study_data

_ANCHORS = ["injection", "deletion", "specificity", "confusion", "layers", "together"]


@pytest.fixture(scope="module")
def laptop():
    return study_data(LAPTOP)


@pytest.fixture(scope="module")
def found(laptop):
    """The sections of the laptop preset; building many charts takes seconds."""
    return sections(laptop, LAPTOP)


@pytest.fixture(scope="module")
def figures(found):
    charts = [
        figure
        for section in found
        for block in section.blocks
        if isinstance(block, ChartBlock)
        for figure in block.figures
    ]
    assert len({figure.name for figure in charts}) == len(charts)
    return {figure.name: figure for figure in charts}


def _rows(figure):
    return [row for rows in figure.chart.to_dict()["datasets"].values() for row in rows]


def _lines(block):
    assert isinstance(block, TableBlock)
    assert all(len(row) == len(block.header) for row in block.rows)
    return {row[0].text: row for row in block.rows}


def test_every_experiment_has_its_section_in_order(found):
    assert [section.id for section in found] == _ANCHORS


def test_a_section_says_what_to_look_for_and_what_was_published(found):
    for section in found:
        words = " ".join(section.blocks[0].paragraphs)
        assert "Look " in words
        assert "Published" in words


def test_every_experiment_has_its_charts(figures):
    kinds = {"-".join(name.split("-")[:2]) for name in figures}
    assert {
        "injection-recall", "injection-scope", "deletion-gemma3", "specificity-curve",
        "one-layer", "layers-gemma3", "confusion-gemma3", "overlap-gemma3", "together-gemma3",
    } <= kinds  # fmt: skip


@pytest.mark.parametrize("kind", ["injection-recall", "deletion-", "confusion-", "one-layer"])
def test_a_chart_can_be_drawn(figures, kind):
    name = next(name for name in figures if name.startswith(kind))
    json.dumps(figures[name].chart.to_dict(), allow_nan=False)
    assert chart_svg(figures[name].chart).startswith("<svg")


@pytest.mark.parametrize(
    "table",
    ["recalls", "deletions", "curves", "one_layer", "layers", "confusion", "overlaps", "together"],
)
def test_without_one_table_the_rest_is_shown(laptop, table):
    for empty in (True, False):
        tables = {**laptop.tables, table: laptop.tables[table].clear()}
        if not empty:
            del tables[table]
        tables |= analyse(tables, LAPTOP) if table not in ("recalls", "deletions") else {}
        data = StudyData(laptop.folder, laptop.run, tables, laptop.claims)
        assert sections(data, LAPTOP)


def test_without_any_table_there_is_no_section(laptop):
    bare = StudyData(laptop.folder, laptop.run, {}, laptop.claims)
    assert sections(bare, LAPTOP) == []
    assert [value for value, *_ in facts(bare, LAPTOP)] == ["1", "0", "1"]


def test_facts_count_sentences_and_passages(laptop):
    tiles = {label: (value, more) for value, label, more in facts(laptop, LAPTOP)}
    count = LAPTOP.injection.examples
    # The first of each fraction was not written.
    assert tiles["sentences injected"] == (f"{2 * count - 2}", f"of {2 * count}, 1 model")
    passages = sum(setting.passages for setting in LAPTOP.deletion.settings.values())
    assert tiles["recited passages, deleted one by one"] == (f"{passages}", "2 settings")


def test_what_is_lost_is_drawn_above_zero(laptop, figures):
    name = next(n for n in figures if n.startswith("deletion-gemma3") and n.endswith("0005"))
    lost = {(row["at"], row["series"]): row["value"] for row in _rows(figures[name]) if "at" in row}
    means = laptop.tables["deletion_means"].filter(
        (pl.col("setting") == "gemma3-270m")
        & (pl.col("fraction") == 0.005)
        & (pl.col("method") == "slimming")
        & (pl.col("measure") == "self_accuracy")
    )
    assert lost["Slimming", "the target"] == pytest.approx(-means["value"][0])
    assert lost["Slimming", "the target"] > lost["Slimming", "the other passages"] > 0


def test_a_confusion_has_every_pair(figures):
    name = next(n for n in figures if n.startswith("confusion-gemma3"))
    cells = [row for row in _rows(figures[name]) if "lost" in row]
    count = LAPTOP.deletion.settings["gemma3-270m"].passages
    assert len({(row["target"], row["passage"]) for row in cells}) == count**2
    text = json.dumps(figures[name].chart.to_dict(), ensure_ascii=False)
    # Quotes of an id cannot end the expression that names the places.
    assert "of a ’poet’" in text


def test_too_many_passages_have_no_confusion_chart():
    data = study_data(PAPER)
    many = pl.concat(
        [
            data.tables["passages"].with_columns(passage=pl.col("passage") + f"#{i}")
            for i in range(9)
        ]
    )
    shown = sections(StudyData(data.folder, {}, {**data.tables, "passages": many}, CLAIMS), PAPER)
    names = [
        f.name for s in shown for b in s.blocks if isinstance(b, ChartBlock) for f in b.figures
    ]
    assert not [name for name in names if name.startswith("confusion")]


def test_recall_stands_beside_that_published():
    blocks = recall_tables(study_data(PAPER), PAPER)
    # Four models, two fractions, two scopes.
    assert len(blocks) == 16
    first = blocks[0]
    assert "GPT2, r = 1 %" in first.caption
    lines = _lines(first)
    assert lines["Hard Concrete"][-1].text == "49.5/70.2/87.4"
    assert lines["Activations, |mean|"][-1].text == "–"
    whole = next(
        b for b in blocks if "Pythia-6.9B, r = 0.1 %" in b.caption and "whole" in b.caption
    )
    assert _lines(whole)["Slimming"][-1].text == "39.1/52.1/64.3"
    assert _lines(whole)["Zero-Out"][-1].text == "–"


def test_a_model_that_is_not_the_papers_stands_beside_gpt2(laptop):
    (first, *_) = recall_tables(laptop, LAPTOP)
    assert first.header[-1] == "paper, GPT2: k = r/2r/5r (%)"
    assert "smollm2-135m" in first.caption


def test_deletions_stand_beside_those_published():
    blocks = deletion_tables(study_data(PAPER), PAPER)
    large = next(b for b in blocks if "pythia-6.9b, 0.5 %" in b.caption)
    cells = _lines(large)["Hard Concrete"]
    header = dict(zip(large.header, cells, strict=True))
    assert header["target: accuracy"].small == "paper −57.7"
    assert header["others: distance"].small == "paper +32.6"
    assert header["paper's perplexity"].small == "paper +0.52"
    assert "paper" not in header["perplexity"].small
    assert header["target: accuracy"].text.startswith("−9")


def test_times_are_of_a_passage(laptop):
    lines = _lines(timing_table(laptop, LAPTOP, "inj"))
    assert lines["Hard Concrete"][1].text == "5.0 s"
    assert lines["Hard Concrete"][2].text == "1.0 min"
    assert lines["Attribution"][2].text == "–"


def test_several_at_once_are_set_against_the_others(laptop):
    block = together_table(laptop, LAPTOP)
    lines = _lines(block)
    weights = lines["BalancedSubnet (weights)"]
    assert weights[2].text.startswith("−9")
    assert weights[4].text == "+0.100"


def test_passages_are_shown_as_they_are(laptop):
    block = passages_table(laptop, LAPTOP)
    assert block is not None
    assert block.rows[0][2].text == "To be, ▸  or <not>"


def test_a_smaller_run_is_shown():
    config = replace(
        SMOKE,
        deletion=replace(SMOKE.deletion, groups={"one": Group(("random",))}, together=()),
        injection=replace(SMOKE.injection, groups={}),
    )
    shown = sections(study_data(config), config)
    assert [section.id for section in shown] == ["deletion", "confusion"]


def test_what_was_measured_is_shown_as_what_was_made_up_is(measured, whole, tmp_path):
    data = StudyData(tmp_path, {}, {**measured, **analyse(measured, whole)}, CLAIMS)
    shown = sections(data, whole)
    assert [section.id for section in shown] == _ANCHORS
    for section in shown:
        for block in section.blocks:
            for figure in block.figures if isinstance(block, ChartBlock) else ():
                json.dumps(figure.chart.to_dict(), allow_nan=False)
