"""The table of claims: complete, sourced, and worded as it is judged."""

from __future__ import annotations

import re

import pytest

from byrote.studies.claims import Tables, claims_markdown, judge_all
from byrote.studies.localization import STUDY
from byrote.studies.localization.analysis import analyse
from byrote.studies.localization.claims import CLAIMS
from byrote.studies.localization.presets import PRESETS
from tests.studies.localization.made_up import cell_tables


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


def test_both_benchmarks_and_what_is_ours_are_there():
    whole = " ".join(claim.section for claim in CLAIMS)
    assert {"INJ", "DEL"} <= set(re.findall(r"[A-Z]{3}", whole))
    assert sum(claim.provenance == "beyond" for claim in CLAIMS) >= 4


@pytest.mark.parametrize("name", PRESETS)
def test_made_up_tables_of_a_preset_are_judged(name):
    config = PRESETS[name]
    tables = cell_tables(config)
    tables |= analyse(tables, config)
    found = judge_all(CLAIMS, Tables(tables), config)
    assert len(found) == len(CLAIMS)
    assert all(found["why"])
    assert claims_markdown(found).count("\n") == len(CLAIMS) + 2
    told = dict(found.select("id", "verdict").iter_rows())
    assert set(told.values()) <= {"holds", "not tested"}, found.filter(
        found["verdict"] == "fails"
    ).to_dicts()
    paper = {
        "inj-pruning-first", "inj-above-random", "inj-smaller-r", "inj-significance",
        "del-pruning-most", "del-pruning-hurts", "del-negatives", "del-larger-fraction",
        "del-random", "del-text", "del-significance", "agreement", "one-layer", "layer-one",
        "same-kind",
    }  # fmt: skip
    assert {claim for claim in paper if told[claim] != "holds"} <= {"inj-smaller-r"} | (
        {"inj-smaller-r"} if name != "smoke" else paper
    )
    beyond = {
        "contrast-specific", "contrast-erases", "retain-spares", "together", "weights",
    }  # fmt: skip
    wanted = "not tested" if name == "paper" else "holds"
    if name == "laptop":
        assert {told[claim] for claim in beyond} == {wanted}
    if name == "paper":
        assert {told[claim] for claim in beyond} == {wanted}


def test_the_study_has_them():
    assert tuple(STUDY.claims) == CLAIMS
