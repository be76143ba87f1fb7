"""The audit as a whole, on a model that surely recites and on texts that it surely cannot know."""

import json
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from byrote.audit import AuditConfig, resume_audit, run_audit
from byrote.errors import ByroteError, InputError

TABLES = (
    "passages",
    "tokens",
    "summary",
    "discoverable",
    "survival",
    "counts",
    "coverage",
    "fits",
)
LENGTHS = {"prefix_len": (20,), "suffix_len": 30}


def config_for(parrot, path, **changes):
    return AuditConfig(model=str(parrot), texts=(str(path),), limit=None, **(LENGTHS | changes))


def summary_of(run, measure, group="texts"):
    rows = pl.read_parquet(run.table("summary")).filter(
        (pl.col("measure") == measure)
        & (pl.col("group") == group)
        & (pl.col("source") == "all")
        & (pl.col("category") == "all")
    )
    assert len(rows) == 1
    return rows.row(0, named=True)


def tables_of(run):
    return {name: pl.read_parquet(run.table(name)) for name in TABLES}


@pytest.fixture(scope="module")
def done(parrot, secrets, tmp_path_factory):
    folder = tmp_path_factory.mktemp("audit")
    path = folder / "secrets.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in secrets))
    return run_audit(config_for(parrot, path, generate=True), out=folder / "run")


def test_the_positive_control_is_found(done):
    row = summary_of(done, "extractable")
    assert row["n"] == 10
    assert row["value"] == 1.0
    assert row["low"] > 0.7
    assert summary_of(done, "discoverable")["value"] == 1.0
    assert summary_of(done, "rouge_l_tokens")["value"] == 1.0


def test_its_controls_are_not(done):
    for measure in ("extractable", "discoverable"):
        row = summary_of(done, measure, "mismatched")
        assert row["n"] == 10
        assert row["value"] == 0.0
    assert summary_of(done, "token_accuracy", "mismatched")["value"] < 0.7


def test_texts_it_has_never_seen_are_not_found(parrot, tmp_path):
    rng = np.random.default_rng(99)
    path = tmp_path / "fresh.txt"
    path.write_text("".join(rng.choice(list("abcdefghij klmnop"), 3000)))
    run = run_audit(config_for(parrot, path), out=tmp_path / "run")
    assert summary_of(run, "extractable")["value"] == 0.0
    assert summary_of(run, "token_accuracy")["value"] < 0.2


def test_the_run_describes_itself(done):
    info = json.loads((done.folder / "run.json").read_text())
    assert info["status"] == "done"
    assert info["data"]["passages"] == 10
    assert info["data"]["controls"] == 10
    assert len(info["model"]["weights_hash"]) >= 12
    assert info["versions"]["torch"]
    assert info["end"] >= info["start"]
    assert (done.folder / "report.html").stat().st_size > 10_000
    assert list((done.folder / "charts").glob("*.svg"))
    assert not (done.folder / "parts").exists()


def test_tokens_join_to_the_suffix(done):
    passages = pl.read_parquet(done.table("passages"))
    tokens = pl.read_parquet(done.table("tokens"))
    joined = tokens.group_by("passage", maintain_order=True).agg(pl.col("text").str.join(""))
    both = passages.join(joined, left_on="id", right_on="passage")
    assert len(both) == 20
    assert (both["text"] == both["suffix_text"]).all()
    assert len(tokens) == 20 * 30


def test_batch_size_changes_no_table(done, tmp_path):
    config = AuditConfig.from_json(done.info["config"])
    other = run_audit(config, out=tmp_path / "run", batch_size=3)
    wanted, found = tables_of(done), tables_of(other)
    for name in TABLES:
        assert_frame_equal(found[name], wanted[name], check_exact=False, rel_tol=1e-3, abs_tol=1e-4)
    for column in ("extractable", "longest_run", "first_miss", "generated_text"):
        assert found["passages"][column].equals(wanted["passages"][column])


def test_the_same_command_again_does_nothing_twice(done):
    before = (done.folder / "report.html").stat().st_mtime_ns
    again = run_audit(AuditConfig.from_json(done.info["config"]), out=done.folder)
    assert again.done
    assert (done.folder / "report.html").stat().st_mtime_ns == before


def test_another_question_does_not_overwrite_a_run(done):
    config = AuditConfig.from_json(done.info["config"] | {"seed": 5})
    with pytest.raises(InputError, match="seed is 0, asked for 5"):
        run_audit(config, out=done.folder)


def test_verdict_only_agrees_with_the_full_audit(done, tmp_path):
    config = AuditConfig.from_json(done.info["config"] | {"generate": False, "verdict_only": True})
    run = run_audit(config, out=tmp_path / "run")
    found = pl.read_parquet(run.table("passages"))
    wanted = pl.read_parquet(done.table("passages"))
    assert found["extractable"].equals(wanted["extractable"])
    assert found["first_miss"].equals(wanted["first_miss"])
    assert summary_of(run, "extractable")["value"] == 1.0
    assert (run.folder / "report.html").exists()


def test_a_sweep_asks_the_same_suffixes(parrot, secrets_file, tmp_path):
    run = run_audit(config_for(parrot, secrets_file, prefix_len=(5, 20)), out=tmp_path / "run")
    passages = pl.read_parquet(run.table("passages")).filter(~pl.col("is_control"))
    short = passages.filter(pl.col("prefix_len") == 5)["suffix_text"]
    long = passages.filter(pl.col("prefix_len") == 20)["suffix_text"]
    assert short.equals(long)
    assert len(short) == 10
    fits = pl.read_parquet(run.table("fits"))
    assert set(fits["against"]) == {"prefix_len"}


def test_records_with_their_own_boundary_and_labels(parrot, secrets, tmp_path):
    path = tmp_path / "pairs.jsonl"
    rows = [
        {
            "id": str(i),
            "prefix": t[: 20 + i],
            "suffix": t[20 + i : 60],
            "count": 1 + i % 2,
            "member": True,
        }
        for i, t in enumerate(secrets)
    ]
    rows += [
        {
            "id": f"new-{i}",
            "prefix": t[::-1][:30],
            "suffix": t[::-1][30:],
            "count": 1,
            "member": False,
        }
        for i, t in enumerate(secrets)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = AuditConfig(model=str(parrot), texts=(str(path),), limit=None)
    run = run_audit(config, out=tmp_path / "run")
    passages = pl.read_parquet(run.table("passages")).filter(~pl.col("is_control"))
    assert passages.filter(pl.col("member"))["extractable"].all()
    assert not passages.filter(~pl.col("member"))["extractable"].any()
    summary = pl.read_parquet(run.table("summary"))
    auc = summary.filter((pl.col("measure") == "auc_loss") & (pl.col("source") == "all"))
    assert auc["value"].to_list()[0] == 1.0
    # Eleven prefix lengths, one headline.
    assert summary_of(run, "extractable")["n"] == 20
    assert "count" in set(pl.read_parquet(run.table("fits"))["against"])


def test_a_held_out_source_is_a_control(parrot, secrets_file, tmp_path):
    other = tmp_path / "held-out.txt"
    other.write_text("the quick brown fox jumps over the lazy dog " * 20)
    config = config_for(parrot, secrets_file, controls=(str(other),))
    run = run_audit(config, out=tmp_path / "run")
    assert summary_of(run, "extractable", "held-out")["value"] == 0.0
    assert summary_of(run, "extractable")["value"] == 1.0


@pytest.mark.parametrize("options", [{}, {"generate": True}, {"verdict_only": True}])
def test_ids_need_no_tokenizer(tmp_path, options):
    path = tmp_path / "ids.jsonl"
    rng = np.random.default_rng(0)
    rows = [{"input_ids": rng.integers(0, 256, 40).tolist(), "prefix_len": 25} for _ in range(6)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = AuditConfig(model="random:gpt2", texts=(str(path),), **options)
    run = run_audit(config, out=tmp_path / "run")
    shown = pl.read_parquet(run.table("passages")).filter(~pl.col("is_control"))
    wanted = {"".join(f"⟨{i}⟩" for i in row["input_ids"][25:]) for row in rows}
    assert set(shown["suffix_text"]) == wanted
    assert (run.folder / "report.html").exists()


# What a run has written last when it is killed, in the order in which it writes.
STAGES = (
    "run.json",
    "plan.parquet",
    "parts/000000",
    "parts/000002",
    "tables/passages.parquet",
    "tables/summary.parquet",
)


def test_a_run_killed_at_every_stage_ends_the_same(parrot, tmp_path, secrets):
    """SIGKILL as soon as each stage is there, against a run that was never killed."""
    path = tmp_path / "texts.jsonl"
    lines = [
        json.dumps({"text": secrets[i % 10][i % 7 :] + secrets[(i + 1) % 10]}) for i in range(240)
    ]
    path.write_text("\n".join(lines))
    config = config_for(parrot, path)
    wanted = tables_of(run_audit(config, out=tmp_path / "calm"))
    folder = tmp_path / "killed"
    script = (
        "import sys, json; from pathlib import Path; from byrote.audit import *\n"
        "config = AuditConfig.from_json(json.loads(sys.argv[1]))\n"
        "run_audit(config, out=Path(sys.argv[2]))"
    )
    command = [sys.executable, "-c", script, json.dumps(config.to_json()), str(folder)]
    kept: dict[Path, int] = {}
    seconds = 0.0
    for stage in STAGES:
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        while not (folder / stage).exists() and process.poll() is None:
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert (folder / stage).exists()
        info = json.loads((folder / "run.json").read_text())
        assert info["status"] == "running"
        assert info["seconds"] >= seconds
        seconds = info["seconds"]
        assert {p: p.stat().st_mtime_ns for p in kept} == kept
        kept |= {p: p.stat().st_mtime_ns for p in (folder / "parts").glob("*/*.parquet")}
    assert len({p.parent for p in kept}) > 3
    assert seconds > 0
    run = resume_audit(folder)
    assert run.done
    assert run.info["seconds"] > seconds
    found = tables_of(run)
    for name in TABLES:
        assert found[name].equals(wanted[name]), name
    assert not (folder / "parts").exists()


@pytest.mark.parametrize(
    ("error", "status"),
    [(ByroteError("the disk is\nfull"), "failed"), (KeyboardInterrupt("stopped"), "interrupted")],
)
def test_a_run_says_how_it_ended(parrot, secrets_file, tmp_path, monkeypatch, error, status):
    def stop(*_):
        raise error

    config = config_for(parrot, secrets_file)
    monkeypatch.setattr("byrote.audit.job.part_tables", stop)
    with pytest.raises(type(error)):
        run_audit(config, out=tmp_path / "run")
    info = json.loads((tmp_path / "run" / "run.json").read_text())
    assert (info["status"], info["error"]) == (status, " ".join(str(error).split()))
    monkeypatch.undo()
    info = resume_audit(tmp_path / "run").info
    assert (info["status"], info["error"]) == ("done", None)


def test_progress_goes_on_while_text_is_written(parrot, secrets_file, tmp_path, monkeypatch):
    steps = []

    @contextmanager
    def watched(name, *_, **__):
        yield lambda count=1: steps.append((name, count))

    monkeypatch.setattr("byrote.audit.job.task", watched)
    run_audit(config_for(parrot, secrets_file, generate=True), out=tmp_path / "run")
    scored = [count for name, count in steps if name == "Scoring passages"]
    assert sum(scored) == 20
    assert len(scored) > 1


def test_resume_refuses_changed_weights(parrot, secrets_file, tmp_path, monkeypatch):
    config = config_for(parrot, secrets_file)

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("byrote.audit.job.part_tables", stop)
    with pytest.raises(KeyboardInterrupt):
        run_audit(config, out=tmp_path / "run")
    monkeypatch.undo()
    path = tmp_path / "run" / "run.json"
    info = json.loads(path.read_text())
    info["model"]["weights_hash"] = "0" * 64
    path.write_text(json.dumps(info))
    with pytest.raises(InputError, match="begun with weights 000000000000"):
        resume_audit(tmp_path / "run")
