from __future__ import annotations

import json
import shutil

import polars as pl
import pytest
from synthetic import Shape, write_run

from byrote.errors import InputError
from byrote.report import load_report_data, write_report


@pytest.fixture
def run(tmp_path):
    return write_run(tmp_path / "run", Shape(per_category=2))


def test_optional_tables_that_are_missing_are_none(run):
    for name in ("tokens", "discoverable", "coverage"):
        (run / "tables" / f"{name}.parquet").unlink()
    data = load_report_data(run)
    assert data.tokens is None
    assert data.discoverable is None
    assert data.coverage is None
    assert data.fits is None


def test_an_optional_table_without_rows_is_none(run):
    path = run / "tables" / "coverage.parquet"
    pl.read_parquet(path).clear().write_parquet(path)
    assert load_report_data(run).coverage is None


def test_a_folder_that_is_missing_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="nowhere"):
        write_report(tmp_path / "nowhere")


def test_a_folder_that_is_no_run_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match=r"run\.json"):
        load_report_data(tmp_path)


def test_a_foreign_run_json_is_an_input_error(run):
    (run / "run.json").write_text('{"name": "something else"}')
    with pytest.raises(InputError, match="not a byrote run"):
        load_report_data(run)


def test_another_schema_version_is_an_input_error(run):
    info = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**info, "schema_version": 99}))
    with pytest.raises(InputError, match="schema version 99"):
        load_report_data(run)


def test_an_unfinished_run_is_an_input_error_that_names_the_way_out(run):
    info = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**info, "status": "running"}))
    with pytest.raises(InputError, match="byrote resume"):
        load_report_data(run)
    assert load_report_data(run, require_done=False).passages.height == 16


def test_a_missing_table_is_an_input_error(run):
    (run / "tables" / "summary.parquet").unlink()
    with pytest.raises(InputError, match=r"summary\.parquet"):
        load_report_data(run)


def test_a_table_that_is_no_parquet_is_an_input_error(run):
    (run / "tables" / "passages.parquet").write_text("not Parquet")
    with pytest.raises(InputError, match=r"passages\.parquet cannot be read"):
        load_report_data(run)


def test_a_missing_column_is_named(run):
    path = run / "tables" / "passages.parquet"
    pl.read_parquet(path).drop("suffix_text", "extractable").write_parquet(path)
    with pytest.raises(InputError, match="suffix_text, extractable"):
        load_report_data(run)


def test_the_headline_is_of_the_longest_prefix_of_a_sweep(run_of):
    data = load_report_data(run_of("sweep"))
    assert data.prefix_lens == [25, 50, 100]
    assert data.prefix_len == 100
    assert data.asked["prefix_len"].unique().to_list() == [100]


def test_the_headline_is_of_the_commonest_prefix_where_records_bring_their_own(run):
    path = run / "tables" / "summary.parquet"
    summary = pl.read_parquet(path)
    longer = summary.with_columns(
        pl.lit(77, pl.Int32).alias("prefix_len"), pl.lit(1, pl.Int64).alias("n")
    )
    pl.concat([summary, longer]).write_parquet(path)
    assert load_report_data(run).prefix_len == 50


def test_records_with_prefixes_of_their_own_length_are_one_pool(run):
    path = run / "tables" / "summary.parquet"
    # As the audit writes it: no length for a pool of several, one for a source that has one.
    length = pl.when(pl.col("source") == "all").then(None).otherwise(pl.col("prefix_len"))
    pl.read_parquet(path).with_columns(length.alias("prefix_len")).write_parquet(path)
    data = load_report_data(run)
    assert data.prefix_len is None
    assert data.prefix_lens == []
    assert len(data.asked) == 16
    assert set(data.headline["source"]) == {"all", "corpus:kjv", "corpus:licenses"}
    assert write_report(run).exists()


def test_held_out_controls_stand_beside_every_source(run_of):
    data = load_report_data(run_of("held-out"))
    rows = data.of_source(data.asked, "corpus:kjv")
    groups = rows.group_by("group").len().sort("group").rows()
    assert groups == [("held-out", 80), ("texts", 40)]


def test_a_failed_report_leaves_the_earlier_one(run):
    path = write_report(run)
    before = path.read_bytes()
    shutil.rmtree(run / "tables")
    with pytest.raises(InputError):
        write_report(run)
    assert path.read_bytes() == before
    assert not list(run.glob(".*tmp"))
