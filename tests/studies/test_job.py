"""Running a study: the same tables however often it was killed and whoever ran its cells."""

from __future__ import annotations

import json
import random
import signal
import time
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from byrote import progress
from byrote.errors import ByroteError, InputError
from byrote.runs import Run
from byrote.studies import (
    CellsFailedError,
    judge_again,
    judged,
    load_config,
    override,
    plan_cells,
    resume_study,
    run_study,
    to_json,
    write_study_report,
)
from tests.studies.conftest import start_byrote
from tests.studies.fake import DiceConfig

SMALL = DiceConfig()


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A finished run; tests must leave it as it was."""
    from byrote.studies.registry import STUDIES
    from tests.studies.fake import STUDY

    STUDIES["dice"] = "tests.studies.fake:STUDY"
    folder = tmp_path_factory.mktemp("study") / "run"
    yield run_study(STUDY, SMALL, out=folder, preset="smoke", engine="inline")
    del STUDIES["dice"]


def tables(folder, without=("cells",)):
    found = {path.stem: pl.read_parquet(path) for path in (folder / "tables").glob("*.parquet")}
    return {name: table for name, table in found.items() if name not in without}


def same(folder, other, without=("cells",)):
    one, two = tables(folder, without), tables(other, without)
    assert one.keys() == two.keys()
    assert [name for name in one if not one[name].equals(two[name])] == []
    return True


def test_a_run_ends_with_tables_claims_and_report(done):
    info = done.info
    assert (info["kind"], info["status"], info["preset"]) == ("dice", "done", "smoke")
    assert info["config"] == to_json(SMALL)
    assert info["cells"] == {"total": 6, "done": 6, "cost": 48.0}
    assert info["tables"] == {
        "cells": ["throws", "surroundings", "cells"],
        "derived": ["means", "claims"],
    }
    assert info["notes"] == ["3 strings of each source"]
    assert info["study"]["paper"] == "On <dice>"
    found = tables(done.folder, ())
    assert set(found) == {"throws", "surroundings", "cells", "means", "claims"}
    assert found["throws"]["cell"].unique(maintain_order=True).to_list() == [
        cell.id for cell in plan_cells_of(SMALL)
    ]
    assert found["claims"]["verdict"].to_list() == ["holds", "fails", "not tested"]
    assert (done.folder / "report.html").stat().st_size > 5_000
    assert not (done.folder / "cells").exists()
    assert not (done.folder / "scratch").exists()


def plan_cells_of(config):
    from tests.studies.fake import STUDY

    return plan_cells(STUDY, config)


def test_the_tables_do_not_depend_on_the_workers(dice, done, tmp_path):
    for workers in (1, 3):
        run_study(dice, SMALL, out=tmp_path / str(workers), workers=workers)
        assert same(done.folder, tmp_path / str(workers))


def test_another_seed_gives_other_numbers(dice, done, tmp_path):
    run_study(dice, replace(SMALL, seed=1), out=tmp_path / "r", engine="inline")
    one, two = tables(done.folder)["throws"], tables(tmp_path / "r")["throws"]
    assert not one["side"].equals(two["side"])


def test_a_run_killed_ten_times_equals_one_never_killed(done, tmp_path):
    folder = tmp_path / "killed"
    # Cells that take 3 s on two workers; the ten sessions get at most 0.3 s each of them.
    words = ["study", "dice", "--quiet", "--out", folder, "--set", "throwing.pause=0.05"]
    generator = random.Random(5)
    log = folder / "logs" / "worker-0.txt"
    seconds = [0.0]
    for _ in range(10):
        log.unlink(missing_ok=True)
        process = start_byrote(*words)
        while not log.exists():
            assert process.poll() is None, process.communicate()
            time.sleep(0.01)
        time.sleep(generator.uniform(0.0, 0.3))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        info = json.loads((folder / "run.json").read_text())
        assert info["status"] == "running"
        seconds.append(info["seconds"])
    process = start_byrote("resume", folder)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert seconds == sorted(seconds)
    assert same(done.folder, folder)
    assert not list(folder.rglob(".*.tmp"))


def test_a_run_that_ends_while_it_sums_up_is_finished_later(dice, done, tmp_path, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    for i, where in enumerate(
        ("studies.job.judge_all", "studies.job._draw", "report.write_run_page")
    ):
        folder = tmp_path / str(i)
        with monkeypatch.context() as patched:
            patched.setattr(f"byrote.{where}", stop)
            with pytest.raises(KeyboardInterrupt):
                run_study(dice, SMALL, out=folder, engine="inline")
        resume_study(folder)
        assert same(done.folder, folder)
        assert (folder / "report.html").exists()
        assert not (folder / "cells").exists()


@pytest.mark.parametrize(
    ("trouble", "message"),
    [
        ("raise@die-1", "die-1: ZeroDivisionError: the die has no sides"),
        ("input@coin-0", "coin-0: sides = 0: a die has at least 1"),
        ("kill@die-2", "die-2: its worker process was ended by SIGKILL"),
        ("exit@die-0", "die-0: its worker process ended with exit code 7"),
    ],
)
def test_a_failing_cell_fails_the_run_by_name_and_keeps_the_others(
    dice, trouble, message, tmp_path
):
    with pytest.raises(ByroteError) as caught:
        run_study(dice, replace(SMALL, trouble=trouble), out=tmp_path / "r")
    assert "1 of 6 cells failed" in str(caught.value)
    assert message in str(caught.value)
    assert "byrote resume" in str(caught.value)
    info = Run.open(tmp_path / "r").info
    assert info["status"] == "failed"
    assert info["failures"][0]["cell"] == trouble.partition("@")[2]
    assert info["cells"]["done"] == 5
    assert len(list((tmp_path / "r" / "cells").iterdir())) == 5


def test_what_is_finished_is_joined_and_judged_although_a_cell_failed(dice, done, tmp_path):
    folder = tmp_path / "r"
    with pytest.raises(CellsFailedError) as caught:
        run_study(dice, replace(SMALL, trouble="raise@die-1"), out=folder)
    assert caught.value.run.folder == folder
    run = Run.open(folder)
    assert judged(run)
    assert not run.done
    whole, part = tables(done.folder), tables(folder)
    assert part.keys() == whole.keys()
    assert part["throws"].equals(whole["throws"].filter(pl.col("cell") != "die-1"))
    # Two strings are left, of three that the claim needs.
    assert part["claims"]["verdict"].to_list() == ["not tested", "fails", "not tested"]
    note = "1 of 6 cells failed (die-1): the verdicts are from the others alone."
    assert run.info["notes"][0] == note
    assert note in (folder / "report.html").read_text()
    for again in (judge_again, write_study_report):
        again(folder)
        assert Run.open(folder).info["status"] == "failed"
    assert Run.open(folder).info["notes"][0] == note


def troubled(dice, gate, *ids):
    """The study with some cells that fail unless there is a gate."""
    config = replace(SMALL, trouble=f"raise-unless@{gate}")
    whole = {cell.id: cell for cell in dice.cells(SMALL)}
    bad = {cell.id: cell for cell in dice.cells(config) if cell.id in ids}
    return replace(dice, cells=lambda _: list((whole | bad).values())), config


def test_a_judge_that_cannot_bear_what_is_left_does_not_hide_the_failure(dice, done, tmp_path):
    gate = tmp_path / "gate"
    study, config = troubled(dice, gate, "die-0", "die-1", "die-2")
    with pytest.raises(CellsFailedError) as caught:
        run_study(study, config, out=tmp_path / "r", engine="inline")
    assert "3 of 6 cells failed: die-0: RuntimeError" in str(caught.value)
    assert "are kept and could not be judged alone (KeyError: 'die')" in str(caught.value)
    info = Run.open(tmp_path / "r").info
    assert (info["status"], len(info["failures"])) == ("failed", 3)
    assert not judged(Run.open(tmp_path / "r"))
    gate.touch()
    assert run_study(study, config, out=tmp_path / "r", engine="inline").done
    assert same(done.folder, tmp_path / "r", ("cells",))


def test_a_run_mended_by_resume_forgets_what_was_judged_without_it(dice, done, tmp_path):
    gate = tmp_path / "gate"
    study, config = troubled(dice, gate, "die-1")
    with pytest.raises(CellsFailedError, match=r"1 of 6 .* are kept and have been judged"):
        run_study(study, config, out=tmp_path / "r", engine="inline")
    before = (tmp_path / "r" / "report.html").read_text()
    gate.touch()
    run = run_study(study, config, out=tmp_path / "r", engine="inline")
    assert (run.info["status"], run.info["failures"]) == ("done", [])
    assert run.info["notes"] == ["3 strings of each source"]
    assert same(done.folder, tmp_path / "r", ("cells",))
    assert (tmp_path / "r" / "report.html").read_text() != before


def test_a_failure_is_told_at_once(dice, tmp_path, capsys):
    """Not only at the end, which may be hours away."""
    progress.show()
    try:
        with pytest.raises(CellsFailedError):
            run_study(dice, replace(SMALL, trouble="raise@die-1"), out=tmp_path, engine="inline")
    finally:
        progress.show(False)
    lines = capsys.readouterr().err.splitlines()
    told = lines.index("failed: die-1: ZeroDivisionError: the die has no sides")
    # die-0, die-1, die-2 and then the coins, whose cells are shorter.
    ended = [i for i, line in enumerate(lines) if line.startswith("Running cells: 6 of 6")]
    assert told < min(ended)


def test_resume_tries_again_what_failed_and_only_that(dice, done, tmp_path):
    gate = tmp_path / "gate"
    config = replace(SMALL, trouble=f"raise-unless@{gate}")
    with pytest.raises(ByroteError, match="6 of 6 cells failed"):
        run_study(dice, config, out=tmp_path / "r", engine="inline")
    gate.touch()
    run = resume_study(tmp_path / "r", engine="processes", workers=2)
    assert (run.info["status"], run.info["failures"]) == ("done", [])
    assert same(done.folder, tmp_path / "r", ("cells", "claims"))


def test_time_is_summed_over_sessions(dice, tmp_path):
    gate = tmp_path / "gate"
    config = override(
        SMALL, {"throwing.pause": 0.02, "strings": 1, "trouble": f"raise-unless@{gate}"}
    )
    with pytest.raises(ByroteError):
        run_study(dice, config, out=tmp_path / "r", engine="inline")
    Run.open(tmp_path / "r").update(seconds=100.0)
    gate.touch()
    run = resume_study(tmp_path / "r", engine="inline")
    assert 100.8 < run.info["seconds"] < 110
    # Two cells of 20 throws at 0.02 s each.
    assert 0.8 <= run.info["cell_seconds"] < 5
    assert run.info["cell_seconds"] == pytest.approx(
        pl.read_parquet(run.table("cells"))["seconds"].sum(), abs=0.06
    )


def test_a_done_run_is_not_run_again(dice, done, monkeypatch):
    monkeypatch.setattr("byrote.studies.job.run_works", lambda *_, **__: pytest.fail("ran"))
    assert run_study(dice, SMALL, out=done.folder).info == done.info
    assert resume_study(done.folder).done


def test_another_config_does_not_touch_a_run(dice, done):
    with pytest.raises(InputError, match="holds a run of another config"):
        run_study(dice, replace(SMALL, seed=3), out=done.folder)


def test_a_run_keeps_to_its_threads(dice, done):
    with pytest.raises(InputError, match="begun with --threads 1"):
        run_study(dice, SMALL, out=done.folder, threads=2)


def test_a_bad_config_leaves_no_folder(dice, tmp_path):
    with pytest.raises(InputError, match="strings = 0"):
        run_study(dice, replace(SMALL, strings=0), out=tmp_path / "r")
    with pytest.raises(InputError, match="takes a DiceConfig, not a dict"):
        run_study(dice, {}, out=tmp_path / "r")
    assert list(tmp_path.iterdir()) == []


def test_the_default_folder_has_the_date_and_the_study(dice, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    one = run_study(dice, SMALL, engine="inline").folder
    two = run_study(dice, SMALL, engine="inline").folder
    assert one.parent == Path("byrote-runs")
    assert one.name.endswith("-dice")
    assert two.name == f"{one.name}-2"


def test_claims_can_be_judged_again_without_a_cell(dice, tmp_path, monkeypatch):
    run = run_study(dice, SMALL, out=tmp_path / "r", engine="inline")
    better = replace(
        dice,
        analyse=lambda tables, config: {"loaded_dice": tables["throws"].head(1)},
        claims=dice.claims[2:],
        notes=lambda tables, config: ["analysed better"],
    )
    monkeypatch.setattr("byrote.studies.job.get_study", lambda _: better)
    monkeypatch.setattr("byrote.studies.job.run_works", lambda *_, **__: pytest.fail("ran"))
    judge_again(run.folder)
    assert pl.read_parquet(run.table("claims"))["verdict"].to_list() == ["holds"]
    assert not run.table("means").exists()
    assert Run.open(run.folder).info["notes"] == ["analysed better"]
    assert "analysed better" in (run.folder / "report.html").read_text()


def test_a_derived_table_must_not_hide_a_measured_one(dice, tmp_path):
    bad = replace(dice, analyse=lambda tables, config: {"throws": tables["throws"]})
    with pytest.raises(ValueError, match="derives a table 'throws' that is there already"):
        run_study(bad, SMALL, out=tmp_path / "r", engine="inline")


@pytest.mark.parametrize("act", [write_study_report, judge_again])
def test_an_unfinished_run_has_no_report(dice, act, tmp_path):
    with pytest.raises(CellsFailedError, match="6 of 6 cells failed"):
        run_study(dice, replace(SMALL, trouble="raise-unless@gone"), out=tmp_path / "r")
    assert not judged(Run.open(tmp_path / "r"))
    with pytest.raises(InputError, match="is not finished"):
        act(tmp_path / "r")


def test_a_run_of_no_known_study_is_refused(tmp_path):
    Run.start(tmp_path / "r", "alchemy", {})
    with pytest.raises(InputError, match="kind 'alchemy', which is no study"):
        resume_study(tmp_path / "r")


def test_a_full_disk_is_told_and_what_was_done_is_kept(dice, done, tmp_path, monkeypatch):
    import errno

    from byrote.runs import results

    write, count = results.write_parquet, 0

    def full(path, frame):
        nonlocal count
        count += 1
        if count > 4:
            raise ByroteError(f"cannot write {path}: the disk is full") from OSError(errno.ENOSPC)
        write(path, frame)

    with monkeypatch.context() as patched:
        patched.setattr(results, "write_parquet", full)
        with pytest.raises(ByroteError, match=r"4 of 6 cells failed.*the disk is full"):
            run_study(dice, SMALL, out=tmp_path / "r", engine="inline")
    resume_study(tmp_path / "r")
    assert same(done.folder, tmp_path / "r")


def test_a_config_file_and_its_run_agree(dice, tmp_path):
    path = tmp_path / "a.toml"
    path.write_text("strings = 1\n[throwing]\nthrows = 3\n")
    run = run_study(dice, load_config(path, SMALL), out=tmp_path / "r", engine="inline")
    assert len(pl.read_parquet(run.table("throws"))) == 2 * 3


def test_what_the_models_tell_is_asked_once_and_before_there_is_a_folder(dice, done, tmp_path):
    def unfit(config):
        raise InputError("the die does not fit the cup")

    with pytest.raises(InputError, match="does not fit the cup"):
        run_study(replace(dice, fit=unfit), SMALL, out=tmp_path / "r", engine="inline")
    assert list(tmp_path.iterdir()) == []
    # A finished run has shown that it fits.
    assert run_study(replace(dice, fit=unfit), SMALL, out=done.folder).done


def test_the_memory_that_cells_need_is_said_before_they_run(dice, tmp_path, capsys):
    progress.show()
    try:
        run_study(replace(dice, fit=lambda _: {"die-0": 1e6}), SMALL, out=tmp_path, engine="inline")
    finally:
        progress.show(False)
    said = capsys.readouterr().err
    assert said.index("memory: the largest cell needs at least 0.0 GB") < said.index("Running")
