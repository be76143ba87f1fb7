"""The remarks say what a run departs from, and only what it has."""

from __future__ import annotations

from dataclasses import replace

import pytest

from byrote.studies.config import override
from byrote.studies.goldfish.config import ExtremeConfig
from byrote.studies.goldfish.notes import notes
from byrote.studies.goldfish.presets import LAPTOP, PAPER, SMOKE
from tests.studies.goldfish.made_up import cell_tables


@pytest.fixture(scope="module")
def laptop():
    return cell_tables(LAPTOP)


def _one(found, words):
    (note,) = [note for note in found if words in note]
    return note


def test_the_share_of_repeated_text_is_told(laptop):
    scratch = LAPTOP.scratch
    share = scratch.documents * scratch.repeats
    share = 100 * share / (share + scratch.background)
    assert f"are {share:.0f} % of all text here and 1 % in the paper" in _one(
        notes(laptop, LAPTOP), "repeated documents are"
    )


def test_with_the_papers_share_nothing_is_said_of_it(laptop):
    share = override(PAPER, {"scratch.background": 9_672_000})
    assert not [n for n in notes(laptop, share) if "repeated documents are" in n]


def test_sizes_are_those_of_the_run(laptop):
    assert "250,000 parameters" in _one(notes(laptop, LAPTOP), "from scratch")


def test_the_lowest_rate_of_false_alarms_is_told(laptop):
    note = _one(notes(laptop, LAPTOP), "Membership")
    assert "24 documents against 100" in note
    assert "below 1.0 %" in note


@pytest.mark.parametrize(
    ("arm", "words"),
    [
        ("random-4", "Random masks"),
        ("static-4", "Static masks"),
        ("self-contrastive", "Self-contrastive"),
        ("patch-level", "Patch-level"),
        ("hash-4-edited", "Edited copies have one other token in 63"),
        ("mile", "Each objective"),
        ("dp-sgd", "DP-SGD"),
        ("standard", "MemFree"),
    ],
)
def test_what_concerns_an_arm_is_said_where_the_run_has_it(laptop, arm, words):
    assert [note for note in notes(laptop, LAPTOP) if note.startswith(words)]
    rest = tuple(
        name
        for name in LAPTOP.scratch.arms
        if name != arm and LAPTOP.arms[name].strategy != LAPTOP.arms[arm].strategy
    )
    others = replace(LAPTOP, scratch=replace(LAPTOP.scratch, arms=rest or ("control",)))
    if LAPTOP.arms[arm].strategy == "hash":
        others = replace(LAPTOP, scratch=replace(LAPTOP.scratch, arms=("control",)))
    assert not [note for note in notes(laptop, others) if note.startswith(words)]


def test_a_setting_that_was_not_run_has_no_remark(laptop):
    tables = cell_tables(SMOKE)
    assert not [note for note in notes(tables, SMOKE) if note.startswith("E1")]
    assert [note for note in notes(laptop, LAPTOP) if note.startswith("E1")]
    alone = replace(LAPTOP, scratch=replace(LAPTOP.scratch, arms=()))
    assert not [note for note in notes(cell_tables(alone), alone) if "from scratch" in note]


def test_random_first_weights_are_told(laptop):
    config = replace(LAPTOP, extreme=replace(LAPTOP.extreme, init="random"))
    assert "random weights" in _one(notes(laptop, config), "E1 fine-tunes")


@pytest.mark.parametrize(("seeds", "said"), [(1, True), (2, True), (3, False)])
def test_too_few_repetitions_are_told(laptop, seeds, said):
    found = notes(laptop, replace(LAPTOP, seeds=seeds))
    assert any("no verdict" in note for note in found) is said


def test_what_is_left_out_is_told():
    found = notes({}, replace(SMOKE, extreme=ExtremeConfig()))
    assert all(word in _one(found, "Left out") for word in ("BERTScore", "Mauve", "benchmarks"))
