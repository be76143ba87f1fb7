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

_BEYOND = (
    "contrast-specific", "contrast-erases", "contrast-finds", "retain-spares", "together",
    "weights",
)  # fmt: skip
OTHERS = {
    # A contrast finds less in what is made up.
    "laptop": {"contrast-finds": "fails"},
    # It has nothing at r = 1 %, and deletes with Hard Concrete one by one only.
    "smoke": {
        "inj-activations-last": "not tested", "contrast-finds": "fails", "weights": "not tested",
    },
    "paper": dict.fromkeys(_BEYOND, "not tested"),
}  # fmt: skip
"""What does not hold of made-up tables of a preset."""


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
    assert {claim: verdict for claim, verdict in told.items() if verdict != "holds"} == OTHERS[name]


def test_the_study_has_them():
    assert tuple(STUDY.claims) == CLAIMS
