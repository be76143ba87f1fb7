"""The sections of the report and their tables, on made-up tables."""

from __future__ import annotations

import json
from dataclasses import replace

import polars as pl
import pytest

from byrote.report import ChartBlock, TableBlock
from byrote.report.study import StudyData
from byrote.studies.goldfish.analysis import analyse
from byrote.studies.goldfish.config import ExtremeConfig
from byrote.studies.goldfish.objectives import objective_rows
from byrote.studies.goldfish.presets import LAPTOP, SMOKE
from byrote.studies.goldfish.report_tables import (
    divergence_table,
    loss_table,
    membership_table,
    objectives_table,
)
from byrote.studies.goldfish.sections import facts, sections
from tests.studies.goldfish.made_up import CLAIMS, study_data
from tests.studies.goldfish.tiny import run, tiny

_ANCHORS = [
    "extreme", "extraction", "divergence", "loss", "membership", "beams", "strategies", "copies",
    "objectives",
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


def _lines(block):
    assert isinstance(block, TableBlock)
    assert all(len(row) == len(block.header) for row in block.rows)
    return {row[0].text: row for row in block.rows}


def test_every_experiment_has_its_section_in_order(found):
    assert [section.id for section in found] == _ANCHORS


def test_a_section_says_what_to_look_for_and_what_was_published(found):
    for section in found:
        words = " ".join(section.blocks[0].paragraphs)  # type: ignore[union-attr]
        assert "Look " in words
        assert "Published" in words


def test_an_experiment_that_was_not_run_has_no_section(smoke):
    assert [section.id for section in sections(smoke, SMOKE)] == [
        "extraction", "divergence", "loss", "membership", "beams", "objectives",
    ]  # fmt: skip
    alone = replace(LAPTOP, scratch=replace(LAPTOP.scratch, arms=()))
    assert [section.id for section in sections(study_data(alone), alone)] == ["extreme"]


def test_without_any_table_there_is_no_section(smoke):
    bare = StudyData(smoke.folder, smoke.run, {}, smoke.claims)
    assert sections(bare, SMOKE) == []
    assert [value for value, *_ in facts(bare, SMOKE)] == ["1", "0", "1"]


def test_facts_count_what_was_trained(laptop):
    tiles = {label: value for value, label, _ in facts(laptop, LAPTOP)}
    assert tiles["models trained from scratch"] == str(3 * len(LAPTOP.scratch.arms))
    assert tiles["models fine-tuned"] == str(3 * len(LAPTOP.extreme.arms) + 1)


def test_the_table_of_objectives_has_each_of_them(laptop):
    lines = _lines(objectives_table(laptop, LAPTOP))
    assert list(lines) == [
        "control", "standard", "goldfish, k = 4", "MiLe", "focal loss", "self-contrastive",
        "patch-level", "DP-SGD", "standard, MemFree decoding",
    ]  # fmt: skip
    assert lines["DP-SGD"][0].small == "ε = 7.5 at δ = 1e-06"
    assert lines["standard"][0].small == ""
    memfree, standard = lines["standard, MemFree decoding"], lines["standard"]
    assert memfree[1].text == "0.0 %"
    # It is the same model.
    assert [cell.text for cell in memfree[4:]] == [cell.text for cell in standard[4:]]


def test_the_numbers_of_an_objective_are_those_of_its_documents(laptop):
    (row,) = [row for row in objective_rows(laptop, LAPTOP) if row.label == "MiLe"]
    documents = laptop.tables["documents"].filter((pl.col("arm") == "mile") & pl.col("member"))
    assert row.estimates["exact"][0] == pytest.approx(documents["exact"].mean())
    assert row.estimates["edit_similarity"][0] == pytest.approx(documents["edit_similarity"].mean())
    trained = laptop.tables["trainings"].filter(pl.col("arm") == "mile")
    assert row.loss is not None
    assert row.loss[0] == pytest.approx(trained["validation_loss"].mean())


def test_an_arm_without_privacy_has_no_epsilon(laptop):
    tables = {**laptop.tables, "trainings": laptop.tables["trainings"].drop("epsilon")}
    data = StudyData(laptop.folder, laptop.run, tables, laptop.claims)
    assert {row.epsilon for row in objective_rows(data, LAPTOP)} == {None}


def test_the_delta_of_a_run_that_did_not_write_it_down_is_the_objectives(laptop):
    tables = {**laptop.tables, "trainings": laptop.tables["trainings"].drop("delta")}
    data = StudyData(laptop.folder, laptop.run, tables, laptop.claims)
    (row,) = [row for row in objective_rows(data, LAPTOP) if row.label == "DP-SGD"]
    assert (row.epsilon, row.delta) == (7.5, 1e-5)


def test_intervals_do_not_vanish_where_all_members_are_found(laptop):
    table = laptop.tables["membership"].with_columns(
        value=pl.lit(1.0), low=pl.lit(float("nan")), high=pl.lit(float("nan"))
    )
    data = StudyData(laptop.folder, laptop.run, {"membership": table}, laptop.claims)
    cells = _lines(membership_table(data, LAPTOP, "loss"))["k = 3"]
    assert (cells[1].text, cells[1].small) == ("1.000", "all told apart")
    # Wilson's interval of 72 members of 72.
    assert (cells[2].text, cells[2].small) == ("100.0 %", "95–100")


def test_the_papers_rate_has_a_column_where_it_was_measured(laptop):
    table = laptop.tables["membership"]
    more = table.filter(measure="tpr_at_0.01").with_columns(measure=pl.lit("tpr_at_0.001"))
    tables = {"membership": pl.concat([table, more])}
    data = StudyData(laptop.folder, laptop.run, tables, laptop.claims)
    block = membership_table(data, LAPTOP, "loss")
    assert block is not None
    assert block.header[1:5] == ["AUC", "found at 0.1 %", "found at 1 %", "found at 5 %"]
    assert _lines(block)["k = 3"][2].text == _lines(block)["k = 3"][3].text


def test_divergences_stand_beside_those_published(laptop):
    lines = _lines(divergence_table(laptop, LAPTOP))
    assert [cell.text for cell in lines["k = 3"][4:]] == ["2,000 of 2,000", "77.6 %"]
    assert lines["static, k = 32"][5].text == "73.7 %"
    # The paper has no copies that differ, and h = 13.
    assert lines["k = 4, edited copies"][5].text == "–"
    assert lines["k = 4, h = 1"][5].text == "–"
    assert not any(label.startswith("random") for label in lines)


def test_losses_are_set_beside_those_of_standard_training(laptop):
    lines = _lines(loss_table(laptop, LAPTOP))
    assert lines["standard"][4].text == "–"
    assert lines["k = 4"][2].small == "25.0 % dropped"
    assert lines["k = 4"][4].text.startswith("+")


@pytest.mark.parametrize(
    ("attack", "paper"), [("loss", ["0.9947", "3.45 %"]), ("zlib", ["0.9963", "69.50 %"])]
)
def test_membership_stands_beside_that_published(laptop, attack, paper):
    lines = _lines(membership_table(laptop, LAPTOP, attack))
    assert [cell.text for cell in lines["k = 3"][4:]] == paper
    assert lines["random, k = 4"][4].text == "–"


def test_too_few_documents_for_a_rate_leave_it_out(laptop):
    few = laptop.tables["membership"].filter(pl.col("measure") != "tpr_at_0.01")
    data = StudyData(laptop.folder, laptop.run, {"membership": few}, laptop.claims)
    lines = _lines(membership_table(data, LAPTOP, "loss"))
    assert lines["k = 3"][2].text == "–"
    assert lines["k = 3"][3].text != "–"


def test_a_run_of_one_arm_is_shown():
    config = replace(
        SMOKE, extreme=ExtremeConfig(), scratch=replace(SMOKE.scratch, arms=("hash-4",))
    )
    found = sections(study_data(config), config)
    assert [section.id for section in found][:2] == ["extraction", "divergence"]


def test_what_was_measured_is_shown_as_what_was_made_up_is(tmp_path, corpus):
    config = tiny(corpus, scratch__arms="standard,hash-4", scratch__validate_every=1)
    tables = run(config, tmp_path)
    data = StudyData(tmp_path, {}, {**tables, **analyse(tables, config)}, CLAIMS)
    found = sections(data, config)
    assert [section.id for section in found] == [
        "extraction", "divergence", "loss", "membership", "beams", "objectives",
    ]  # fmt: skip
    for section in found:
        for block in section.blocks:
            for figure in block.figures if isinstance(block, ChartBlock) else ():
                json.dumps(figure.chart.to_dict(), allow_nan=False)
