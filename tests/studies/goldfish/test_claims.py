"""The table of claims: complete, sourced, and worded as it is judged."""

from __future__ import annotations

import re

import pytest

from byrote.studies.claims import Tables, claims_markdown, judge_all
from byrote.studies.config import override
from byrote.studies.goldfish import STUDY
from byrote.studies.goldfish.analysis import analyse
from byrote.studies.goldfish.claims import CLAIMS
from byrote.studies.goldfish.presets import PRESETS
from tests.studies.goldfish.made_up import cell_tables


def test_ids_are_short_and_unique():
    ids = [claim.id for claim in CLAIMS]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-z][a-z-]{2,24}", each) for each in ids)


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_a_claim_says_what_where_and_how(claim):
    for text in (claim.statement, claim.section, claim.published, claim.measured):
        assert text.strip()
        assert not text.endswith(".")
    # A neighbour's claim names the neighbour.
    assert claim.provenance != "N" or re.search(r"\d{4}\.\d{5}", claim.section)


def test_every_experiment_of_the_paper_is_there():
    whole = " ".join(claim.section for claim in CLAIMS)
    assert {f"E{i}" for i in range(1, 10)} <= set(re.findall(r"E\d", whole))


@pytest.mark.parametrize("name", PRESETS)
def test_made_up_tables_of_a_preset_are_judged(name):
    config = override(PRESETS[name], {"scratch.heldout": 20, "extreme.every": 20})
    if name == "paper":
        config = override(config, {"scratch.documents": 20, "extreme.passages": 10})
    tables = cell_tables(config)
    tables |= analyse(tables, config)
    found = judge_all(CLAIMS, Tables(tables), config)
    assert len(found) == len(CLAIMS)
    assert set(found["verdict"]) <= {"holds", "fails", "not tested"}
    assert all(found["why"])
    assert claims_markdown(found).count("\n") == len(CLAIMS) + 2
    told = dict(found.select("id", "verdict").iter_rows())
    assert told["standard-recites"] == "holds"
    assert told["benchmarks"] == told["mauve"] == "not tested"


def test_the_study_has_them():
    assert tuple(STUDY.claims) == CLAIMS
