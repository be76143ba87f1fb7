"""Claims: a verdict is holds, fails or not tested, and never a guess."""

from __future__ import annotations

import polars as pl
import pytest

from byrote.studies import (
    Claim,
    Judgement,
    NotTested,
    Tables,
    at_least,
    claims_markdown,
    decide,
    judge_all,
)
from byrote.studies.claims import CLAIM_SCHEMA

TABLES = {"full": pl.DataFrame({"a": [1.0, 2.0]}), "empty": pl.DataFrame(schema={"a": pl.Float64})}


def claim(judge, name="c", provenance="T"):
    return Claim(name, "It is so", "§1", "not published", provenance, "the mean", judge)


def judged(judge, tables=TABLES, config=None):
    return judge_all([claim(judge)], tables, config).row(0, named=True)


def test_a_predicate_decides_and_its_numbers_are_kept():
    def judge(tables, config):
        mean = tables["full"]["a"].mean()
        return decide(mean > config, "1.5", "above", value=mean, low=1.0, high=2.0, n=2)

    row = judged(judge, config=1.0)
    assert (row["verdict"], row["value"], row["low"], row["high"], row["n"]) == (
        "holds",
        1.5,
        1.0,
        2.0,
        2,
    )
    assert judged(judge, config=2.0)["verdict"] == "fails"


@pytest.mark.parametrize(
    ("judge", "why"),
    [
        (lambda t, c: decide(len(t["absent"]) > 0, "", ""), "this run has no table `absent`"),
        (lambda t, c: decide(len(t["empty"]) > 0, "", ""), "`empty` of this run has no rows"),
        (lambda t, c: at_least(2, 3, "strings"), "2 strings are too few for a verdict"),
    ],
)
def test_what_cannot_be_decided_is_not_tested_and_says_why(judge, why):
    row = judged(judge)
    assert row["verdict"] == "not tested"
    assert why in row["why"]
    assert row["value"] is None


def test_a_judge_may_say_itself_that_it_cannot_decide():
    row = judged(lambda t, c: Judgement("not tested", why="the model never learned"))
    assert (row["verdict"], row["why"]) == ("not tested", "the model never learned")


def test_enough_is_enough():
    at_least(3, 3, "strings")


def test_a_column_that_is_not_there_is_a_defect_not_a_verdict():
    with pytest.raises(ValueError, match="claim c asks for a column"):
        judged(lambda t, c: decide(t["full"].select("b").item() > 0, "", ""))


def test_other_defects_of_a_judge_are_not_hidden():
    with pytest.raises(ZeroDivisionError):
        judged(lambda t, c: decide(1 / 0 > 0, "", ""))


def test_no_claims_are_a_table_without_rows():
    assert judge_all([], TABLES, None).schema == pl.Schema(CLAIM_SCHEMA)


def test_claims_have_names_of_their_own():
    with pytest.raises(ValueError, match="two claims have the id 'c'"):
        judge_all([claim(lambda t, c: None)] * 2, TABLES, None)


@pytest.mark.parametrize("provenance", ["T", "R,S", "T, P", "beyond"])
def test_provenance_is_one_of_the_known(provenance):
    assert claim(lambda t, c: None, provenance=provenance).provenance == provenance


@pytest.mark.parametrize("provenance", ["", "X", "T,X"])
def test_provenance_that_is_not_known_is_refused(provenance):
    with pytest.raises(ValueError, match="provenance"):
        claim(lambda t, c: None, provenance=provenance)


def test_tables_can_be_looked_for_without_ending_the_judge():
    tables = Tables(TABLES)
    assert "absent" not in tables
    assert tables.get("absent") is None
    with pytest.raises(NotTested):
        tables["empty"]


def test_markdown_keeps_one_line_a_claim_and_escapes():
    rows = judge_all([claim(lambda t, c: decide(True, "a|b <i>\nc", "why."))], TABLES, None)
    lines = claims_markdown(rows).splitlines()
    assert len(lines) == 3
    assert "a\\|b &lt;i> c. why" in lines[2]
    assert lines[2].endswith("| **holds** |")
