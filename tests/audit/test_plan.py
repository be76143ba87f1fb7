"""What is found before any weights are read, and what the plan says of the texts."""

import json

import numpy as np
import polars as pl
import pytest

from byrote.audit import AuditConfig, run_audit
from byrote.audit import plan as planning
from byrote.audit.job import _few_records
from byrote.audit.plan import open_sources, write_plan
from byrote.errors import InputError


def write_ids(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def plan_of(tmp_path, texts, lead=(), **options):
    config = AuditConfig(model="random:gpt2", texts=(texts,), **({"limit": None} | options))
    path = tmp_path / "plan.parquet"
    data, notes = write_plan(
        path, config, open_sources(config), None, vocab_size=256, max_len=None, lead=lead
    )
    return data, notes, pl.read_parquet(path)


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([300] * 120, "token id 300"),
        ([1] * 20, "No passage is left"),
        ([1] * 1200, "context has 1024"),
    ],
)
def test_texts_that_do_not_fit_are_refused_without_weights(
    parrot, tmp_path, monkeypatch, ids, message
):
    texts = write_ids(tmp_path / "t.jsonl", [{"input_ids": ids}])
    lengths = {"prefix_len": (1000,)} if len(ids) == 1200 else {}
    monkeypatch.setattr("byrote.audit.job.load", lambda *_, **__: pytest.fail("weights were read"))
    config = AuditConfig(model=str(parrot), texts=(texts,), **lengths)
    with pytest.raises(InputError, match=message):
        run_audit(config, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("changes", "batch_size", "message"),
    [
        ({"seed": -1}, None, "--seed -1"),
        ({}, 0, "--batch-size 0"),
        ({"dtype": "float3"}, None, "dtype 'float3'"),
        ({"controls": ("shuffled", "controls:shuffled")}, None, "shuffled is given twice"),
    ],
)
def test_bad_options_leave_no_folder(tmp_path, changes, batch_size, message):
    texts = write_ids(tmp_path / "t.jsonl", [{"input_ids": [1] * 120}])
    config = AuditConfig(model="random:gpt2", texts=(texts,), **changes)
    with pytest.raises(InputError, match=message):
        run_audit(config, out=tmp_path / "run", batch_size=batch_size)
    assert not (tmp_path / "run").exists()


def test_one_file_under_two_names_is_refused(tmp_path, monkeypatch):
    texts = write_ids(tmp_path / "t.jsonl", [{"input_ids": [1] * 120}])
    monkeypatch.chdir(tmp_path)
    config = AuditConfig(texts=(texts, "./t.jsonl"))
    with pytest.raises(InputError, match=r"\./t\.jsonl is given twice \(as .*t\.jsonl\)"):
        open_sources(config)


def test_a_bos_that_ids_bring_is_not_put_twice(tmp_path):
    rng = np.random.default_rng(0)
    bodies = [rng.integers(10, 256, 60).tolist() for _ in range(4)]
    rows = [{"input_ids": [2, *body], "prefix_len": 31} for body in bodies[:3]]
    rows.append({"input_ids": bodies[3], "prefix_len": 30})
    texts = write_ids(tmp_path / "t.jsonl", rows)
    _, notes, plan = plan_of(tmp_path, texts, lead=(2,), controls=())
    assert plan["input_ids"].to_list() == bodies
    assert set(plan["prefix_len"]) == {30}
    assert any("3 records of ids begin with the BOS token" in note for note in notes)
    _, notes, plan = plan_of(tmp_path, texts, controls=())
    assert plan["input_ids"][0].to_list() == [2, *bodies[0]]
    assert notes == []


def test_controls_from_the_same_record_are_counted(tmp_path):
    ids = np.random.default_rng(0).integers(0, 256, 500).tolist()
    texts = write_ids(tmp_path / "t.jsonl", [{"input_ids": ids}])
    _, notes, _ = plan_of(tmp_path, texts)
    assert any("5 mismatched controls have a suffix from their own record" in n for n in notes)
    halves = [{"input_ids": ids[:250]}, {"input_ids": ids[250:]}]
    _, notes, _ = plan_of(tmp_path, write_ids(tmp_path / "u.jsonl", halves))
    assert notes == []


def test_sources_of_few_records_are_remarked():
    rows = [("few", "a"), ("few", "b"), *(("many", str(i)) for i in range(10))]
    frame = pl.DataFrame(rows, schema=["source", "record"], orient="row")
    texts = frame.with_columns(is_control=pl.lit(False))
    controls = pl.DataFrame({"source": ["held"], "record": ["x"], "is_control": [True]})
    (note,) = _few_records(pl.concat([texts, controls]))
    assert note.startswith("few: its passages come from 2 records;")


def test_the_last_passage_of_a_stream_has_a_control(tmp_path, monkeypatch):
    monkeypatch.setattr(planning, "_BLOCK", 8)
    rng = np.random.default_rng(0)
    rows = [{"input_ids": rng.integers(0, 256, 100).tolist()} for _ in range(17)]
    monkeypatch.setattr(planning, "_LEAST", 2)
    data, notes, _ = plan_of(tmp_path, write_ids(tmp_path / "t.jsonl", rows))
    assert (data["passages"], data["controls"], notes) == (17, 17, [])
