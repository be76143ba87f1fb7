from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from byrote.errors import InputError
from byrote.recall.extraction import draws_needed
from byrote.recall.measures import (
    generation_columns,
    passage_row,
    summary_measures,
    token_frame,
    verdict_row,
)
from byrote.recall.membership import attacks
from byrote.recall.schemas import (
    COLUMNS,
    GENERATION_SCHEMA,
    PASSAGE_SCHEMA,
    SCHEMAS,
    TOKEN_SCHEMA,
)
from byrote.recall.scores import Scores
from byrote.texts.passages import Passage


def make_passage(suffix: int = 4, **options) -> Passage:
    ids = np.arange(3 + suffix, dtype=np.int32)
    return Passage("r@7", "books", "r", 7, ids, prefix_len=3, **options)


def make_scores(hit: list[bool], logprob: list[float], sampled: list[float]) -> Scores:
    n = len(hit)
    return Scores(
        logprob=np.array(logprob, dtype=np.float32),
        rank=np.array([0 if h else 3 for h in hit], dtype=np.int32),
        hit=np.array(hit),
        argmax=np.arange(n, dtype=np.int32),
        entropy=np.full(n, 0.5, dtype=np.float32),
        logprob_var=np.full(n, 2.0, dtype=np.float32),
        logprob_sampled=np.array(sampled, dtype=np.float32),
    )


tokens = st.lists(
    st.tuples(
        st.booleans(), st.floats(-30, 0, width=32), st.floats(-30, 0, width=32) | st.just(-math.inf)
    ),
    min_size=1,
    max_size=30,
)


@given(tokens)
def test_a_row_holds_every_column_of_the_schema(rows: list[tuple[bool, float, float]]) -> None:
    hit, logprob, sampled = map(list, zip(*rows, strict=True))
    passage = make_passage(len(hit), category="old", count=9, member=True)
    scores = make_scores(hit, logprob, sampled)
    row = passage_row(passage, scores, prefix_text="in the", suffix_text="beginning", p=0.5)
    assert list(row) == list(PASSAGE_SCHEMA)
    frame = pl.DataFrame([row], schema=PASSAGE_SCHEMA)
    assert frame.row(0, named=True) == pytest.approx(row, nan_ok=True)
    assert row["logprob"] == pytest.approx(math.fsum(logprob), abs=1e-9)
    assert row["logprob_sampled"] == pytest.approx(sum(sampled), abs=1e-9)
    assert row["nll"] == pytest.approx(-math.fsum(logprob) / len(hit), abs=1e-9)
    assert row["n_needed"] == draws_needed(row["logprob_sampled"], 0.5)
    assert row["extractable"] is all(hit)
    assert row["first_miss"] == [*hit, False].index(False)
    assert row["entropy"] == 0.5
    assert (row["source"], row["offset"], row["count"], row["is_control"]) == ("books", 7, 9, False)


def test_every_membership_attack_has_its_column() -> None:
    scores = make_scores([True, False], [-0.5, -2.0], [-0.5, -2.0])
    row = passage_row(make_passage(2), scores, prefix_text="a", suffix_text="b c", p=0.5)
    assert {f"mia_{name}" for name in attacks()} == {c for c in PASSAGE_SCHEMA if "mia_" in c}
    for name, function in attacks().items():
        assert row[f"mia_{name}"] == function(scores, "b c")


def test_a_control_says_what_it_is() -> None:
    passage = make_passage(1, control="mismatched", control_of="r@7")
    row = passage_row(
        passage, make_scores([True], [0.0], [0.0]), prefix_text="", suffix_text="", p=0.5
    )
    assert (row["is_control"], row["control"], row["control_of"]) == (True, "mismatched", "r@7")


def test_a_probability_of_one_is_refused() -> None:
    with pytest.raises(InputError, match="p is 1"):
        passage_row(
            make_passage(1),
            make_scores([True], [0.0], [0.0]),
            prefix_text="",
            suffix_text="",
            p=1.0,
        )


@pytest.mark.parametrize(("miss", "recited"), [(0, False), (3, False), (4, True)])
def test_a_verdict_leaves_the_rest_unknown(miss: int, recited: bool) -> None:
    row = verdict_row(make_passage(4), miss, prefix_text="p", suffix_text="s")
    assert list(row) == list(PASSAGE_SCHEMA)
    assert (row["first_miss"], row["extractable"], row["suffix_text"]) == (miss, recited, "s")
    assert row["nll"] is None
    assert row["logprob_sampled"] is None


def test_generation_columns_of_the_text_itself_are_one() -> None:
    ids = np.array([1, 2, 3, 4, 5], dtype=np.int32)
    text = "in the beginning God created"
    row = generation_columns(text, ids, text, ids.tolist())
    assert list(row) == list(GENERATION_SCHEMA)
    assert row.pop("generated_text") == text
    assert list(row.values()) == pytest.approx([1.0] * 6)
    assert generation_columns(text, ids, "", [])["rouge_l"] == 0.0


def test_token_rows_follow_the_suffix() -> None:
    passage = make_passage(3)
    scores = make_scores([True, False, True], [-0.1, -2.0, -0.3], [0.0, -math.inf, 0.0])
    frame = token_frame(passage, scores, pieces=["a", " b", " c"], argmax_pieces=["a", " x", " c"])
    assert frame.schema == TOKEN_SCHEMA
    assert frame["position"].to_list() == [0, 1, 2]
    assert frame["token"].to_list() == passage.suffix_ids.tolist()
    assert frame["hit"].to_list() == [True, False, True]
    assert frame["logprob_sampled"].to_list() == [0.0, -math.inf, 0.0]
    assert "".join(frame["text"]) == "a b c"


def test_every_column_is_described() -> None:
    assert set(COLUMNS) == {f"{table}.{name}" for table, s in SCHEMAS.items() for name in s}
    assert all(text.endswith(".") for text in COLUMNS.values())


def test_measures_are_named_once_and_keep_unknown_passages_apart() -> None:
    measures = summary_measures(n=1000, p=0.5)
    assert len({m.name for m in measures}) == len(measures)
    frame = pl.DataFrame(
        {
            "longest_run": [20, 19, None],
            "logprob_sampled": [-1.0, -math.inf, None],
            "suffix_len": [50, 50, 50],
        },
    )
    values = {m.name: m.of(frame) for m in measures}
    np.testing.assert_array_equal(values["run_ge_20"], [1.0, 0.0, np.nan])
    np.testing.assert_array_equal(values["discoverable"], [1.0, 0.0, np.nan])
    np.testing.assert_array_equal(values["longest_run_median"], [20.0, 19.0, np.nan])
    assert np.isnan(values["rouge_l"]).all()
