from __future__ import annotations

import json

import polars as pl
import pytest
from synthetic import SCRIPT

from byrote.report import load_report_data
from byrote.report.html import embedded_json
from byrote.report.passages import choose, explorer_payload


def test_a_small_run_is_shown_whole(run_of):
    data = load_report_data(run_of("base"))
    chosen, notice = choose(data)
    assert chosen["id"].to_list() == data.passages["id"].to_list()
    assert notice == "All 80 passages and 80 controls of this run are here."


def test_of_a_large_run_all_recitals_and_as_many_controls_are_shown(run_of):
    data = load_report_data(run_of("large"))
    chosen, notice = choose(data)
    recited = data.passages.filter("extractable")
    assert len(chosen) == 1_000
    assert set(recited["id"]) <= set(chosen["id"])
    controls = int(chosen["is_control"].sum())
    rest = chosen.filter(~pl.col("is_control") & ~pl.col("extractable"))
    assert controls > 200
    assert len(rest) > 200
    assert f"{1_000 - controls:,} passages and {controls:,} controls are here" in notice
    assert "1,500 passages and 3,000 controls" in notice
    assert "tables/passages.parquet" in notice


def test_where_all_are_recited_room_is_kept_for_controls(run_of):
    data = load_report_data(run_of("large"))
    all_recited = data.passages.with_columns(extractable=~pl.col("is_control"))
    changed = type(data)(data.folder, data.run, all_recited, data.summary)
    chosen, notice = choose(changed, limit=100)
    assert len(chosen) == 100
    assert chosen["is_control"].sum() >= 10
    assert "60 of 1,500 that are recited in full" in notice


def test_the_choice_spans_the_range_of_probabilities(run_of):
    data = load_report_data(run_of("large"))
    chosen, _ = choose(data)
    texts = data.passages.filter(~pl.col("is_control"))
    some = chosen.filter(~pl.col("is_control"))
    assert some["logprob"].min() == texts["logprob"].min()
    assert some["logprob"].max() == texts["logprob"].max()


def test_the_choice_is_the_same_each_time(run_of):
    data = load_report_data(run_of("large"))
    assert choose(data)[0]["id"].to_list() == choose(data)[0]["id"].to_list()


def test_long_suffixes_lower_the_number_of_passages(run_of):
    data = load_report_data(run_of("base"))
    long = data.passages.with_columns(suffix_len=pl.lit(5_000, pl.Int32))
    chosen, _ = choose(type(data)(data.folder, data.run, long, data.summary))
    assert len(chosen) == 30


def test_tokens_are_those_of_the_table(run_of):
    data = load_report_data(run_of("base"))
    chosen, _ = choose(data)
    passages = explorer_payload(data, chosen)["passages"]
    assert data.tokens is not None
    tokens = data.tokens.collect()
    for passage in passages[::17]:
        own = tokens.filter(pl.col("passage") == passage["id"]).sort("position")
        assert passage["t"] == own["text"].to_list()
        assert passage["l"] == pytest.approx(own["logprob"].to_list(), abs=6e-4)
        assert passage["r"] == own["rank"].to_list()
        assert [a is None for a in passage["a"]] == own["hit"].to_list()
        row = data.passages.filter(pl.col("id") == passage["id"]).row(0, named=True)
        assert passage["run"] == row["longest_run"]
        assert passage["full"] == row["extractable"]
        assert "".join(passage["t"]) == row["suffix_text"]


def test_infinite_numbers_are_left_out(run_of):
    data = load_report_data(run_of("base"))
    impossible = data.passages.filter(pl.col("logprob_sampled").is_infinite())
    assert len(impossible) > 0
    payload = explorer_payload(data, impossible.with_row_index("order"))
    assert all("lps" not in p and "draws" not in p for p in payload["passages"])
    json.dumps(payload, allow_nan=False)


def test_without_tokens_the_suffix_is_plain_text(run_of):
    data = load_report_data(run_of("verdict-only"))
    first = explorer_payload(data, choose(data)[0])["passages"][0]
    assert "t" not in first
    assert first["suffix"] == data.passages["suffix_text"][0]


@pytest.mark.parametrize("text", [SCRIPT, "</SCRIPT>", "<!--", "&amp;", "\u2028\u2029", "“🦜”"])
def test_embedded_json_cannot_leave_its_element(text):
    markup = str(embedded_json({"a": text}))
    assert not set("<>&\u2028\u2029") & set(markup)
    assert json.loads(markup) == {"a": text}


def test_embedded_json_survives_half_a_character():
    assert json.loads(str(embedded_json(["a\ud83e"]))) == ["a?"]
