"""A run of the study that is killed ends with the tables of one that is not."""

from __future__ import annotations

import json
import multiprocessing
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

from tests.studies.dynamics import killed

ROOT = Path(__file__).parents[3]
PATIENCE = 300.0


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of a run that was left alone; tests must leave it as it is."""
    return killed.run(tmp_path_factory.mktemp("whole") / "run").folder


def tables(folder):
    """All tables of a run, without what tells the time."""
    found = {path.stem: pl.read_parquet(path) for path in (folder / "tables").glob("*.parquet")}
    del found["cells"]
    return {name: table.drop("seconds", strict=False) for name, table in found.items()}


def assert_same(folder, other):
    one, two = tables(folder), tables(other)
    assert {"trainings", "epochs", "context", "sequential", "phases", "claims"} <= one.keys()
    assert one.keys() == two.keys()
    assert [name for name in one if not one[name].equals(two[name])] == []


@pytest.fixture(scope="module")
def forked():
    """Processes that have loaded torch already: they are killed at work, not while they import."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        [
            "transformers.models.llama.modeling_llama",
            "byrote.studies.job",
            "byrote.studies.dynamics",
            "byrote.studies.dynamics.trainings",
            "byrote.studies.dynamics.sequential",
        ]
    )
    return context


def done(folder):
    return len(list((folder / "cells").glob("*/cell.json")))


def checkpoints(folder):
    return {
        (path, path.stat().st_mtime_ns)
        for path in (folder / "scratch").rglob("*")
        if path.is_file()
    }


def wait_for(condition, process):
    """Until the condition holds or the run has ended."""
    until = time.monotonic() + PATIENCE
    while not condition() and process.exitcode is None:
        assert time.monotonic() < until, "the run does not go on"
        time.sleep(0.002)


def test_a_run_killed_ten_times_equals_one_left_alone(whole, forked, tmp_path):
    folder = tmp_path / "killed"
    generator = random.Random(7)
    progress, ended = [], 0
    for _ in range(10):
        # At its very beginning, after a cell, or after a checkpoint in the middle of a cell.
        kind = generator.choice(("begun", "cell", "checkpoint", "checkpoint"))
        cells, seen = done(folder), checkpoints(folder)
        process = forked.Process(target=killed.run_alone, args=(str(folder),))
        process.start()
        try:
            if kind == "begun":
                wait_for((folder / "run.json").exists, process)
            elif kind == "cell":
                wait_for(lambda before=cells: done(folder) > before, process)
            else:
                wait_for(lambda before=seen: not checkpoints(folder) <= before, process)
            time.sleep(generator.uniform(0.0, 0.05))
        finally:
            process.kill()
            process.join()
        ended += process.exitcode != -signal.SIGKILL
        progress.append(done(folder))
    # Otherwise it was over before it was killed, and this tested nothing.
    assert ended == 0
    assert progress == sorted(progress)
    assert 0 < progress[-1] < 10
    assert json.loads((folder / "run.json").read_text())["status"] == "running"
    killed.run(folder)
    assert_same(whole, folder)
    assert not (folder / "scratch").exists()
    assert not list(folder.rglob(".*.tmp"))


@pytest.mark.slow
def test_workers_change_no_table_and_neither_do_kills(whole, tmp_path):
    """The same through worker processes, one and two, which import torch anew each time."""
    folders = {}
    for workers, kills in ((1, 0), (2, 2)):
        folder = folders[workers] = tmp_path / str(workers)
        script = (
            "import sys\nfrom pathlib import Path\nfrom tests.studies.dynamics import killed\n"
            "if __name__ == '__main__':\n"
            "    killed.run(Path(sys.argv[1]), 'processes', int(sys.argv[2]))\n"
        )
        words = [sys.executable, "-c", script, str(folder), str(workers)]
        for kill in range(kills):
            process = subprocess.Popen(words, cwd=ROOT)
            until = time.monotonic() + PATIENCE
            while done(folder) < 2 * (kill + 1) and process.poll() is None:
                assert time.monotonic() < until
                time.sleep(0.01)
            process.kill()
            process.wait()
            assert process.returncode == -signal.SIGKILL
        subprocess.run(words, cwd=ROOT, check=True, timeout=2 * PATIENCE)
    assert_same(folders[1], folders[2])
    assert_same(whole, folders[2])
