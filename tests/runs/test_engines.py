"""Engines: the same tables whoever runs the cells; a cell that fails harms no other."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

from byrote import progress
from byrote.errors import InputError
from byrote.runs import Results, Work, check_engine, run_works
from byrote.runs.tasks import CellContext, call

ROOT = Path(__file__).parent.parent.parent


def work(name, task="numbers", cost=1.0, **params):
    params.setdefault("list", [1, 2])
    return Work(name, f"tests.runs.tasks:{task}", params, seed=hash_free(name), cost=cost)


def hash_free(name):
    return sum(name.encode())


WORKS = [work(f"cell-{i}", cost=i + 1.0) for i in range(5)]


def tables(works, folder, **options):
    assert run_works(works, folder, **options) == []
    return Results(folder).join(works)


def test_the_tables_do_not_depend_on_engine_and_workers(tmp_path):
    one = tables(WORKS, tmp_path / "inline", engine="inline")["numbers"]
    assert one["cell"].to_list() == [f"cell-{i}" for i in range(5) for _ in range(3)]
    assert one["number"].n_unique() == 15
    for workers in (1, 2, 3):
        many = tables(WORKS, tmp_path / f"w{workers}", workers=workers)["numbers"]
        assert many.equals(one)


def test_the_order_of_rows_is_that_of_the_cells_not_of_their_end(tmp_path):
    works = [work("slow", pause=0.5), work("quick")]
    ended = []
    run_works(works, tmp_path, workers=2, on_done=lambda w, _: ended.append(w.id))
    assert ended == ["quick", "slow"]
    assert Results(tmp_path).join(works)["cells"]["cell"].to_list() == ["slow", "quick"]


def test_the_costliest_cells_start_first(tmp_path):
    ended = []
    run_works(WORKS, tmp_path, engine="inline", on_done=lambda w, _: ended.append(w.id))
    assert ended == ["cell-4", "cell-3", "cell-2", "cell-1", "cell-0"]


@pytest.mark.parametrize("engine", ["inline", "processes"])
def test_a_cell_is_told_its_surroundings(engine, tmp_path):
    told = tables([work("a")], tmp_path, engine=engine, threads=2)["told"].row(0, named=True)
    assert told == {
        "cell": "a",
        "threads": 2,
        "omp": "2",
        "list": [1, 2],
        "scratch": str(tmp_path / "scratch" / "a"),
        "exists": True,
    }
    assert not (tmp_path / "scratch" / "a").exists()


@pytest.mark.parametrize("engine", ["inline", "processes"])
def test_torch_computes_with_the_threads_asked_for(engine, tmp_path):
    import torch

    before = torch.get_num_threads()
    for threads in (1, 2):
        works = [work("a", "imports_torch_threads")]
        found = tables(works, tmp_path / str(threads), engine=engine, threads=threads)
        assert found["threads"]["torch"].to_list() == [threads]
    assert torch.get_num_threads() == before


def test_inline_leaves_the_environment_as_it_was(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    tables([work("a")], tmp_path, engine="inline", threads=2)
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert "MKL_NUM_THREADS" not in os.environ


def test_progress_reaches_the_caller(tmp_path):
    said = []
    run_works(WORKS[:1], tmp_path, on_progress=lambda w, f: said.append((w.id, f)))
    assert said == [("cell-0", 0.5)]


@pytest.mark.parametrize("engine", ["inline", "processes"])
def test_cells_show_no_progress_of_their_own(engine, tmp_path, capfd):
    progress.show()
    try:
        tables([work("a", "speaks")], tmp_path, engine=engine)
    finally:
        progress.show(False)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("engine", ["inline", "processes"])
def test_a_cell_that_raises_lets_the_others_go_on(engine, tmp_path):
    works = [work("bad", "raises", cost=9.0), *WORKS]
    workers = 1 if engine == "inline" else 2
    failures = run_works(works, tmp_path, engine=engine, workers=workers)
    assert [(f.cell, f.message) for f in failures] == [("bad", "ValueError: no luck")]
    assert "tests/runs/tasks.py" in (tmp_path / "logs" / "bad.txt").read_text()
    assert all(Results(tmp_path).read(w) for w in WORKS)
    assert Results(tmp_path).read(works[0]) is None


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ("dies", "ended by SIGKILL (out of memory?"),
        ("leaves", "exit code 3 goodbye"),
        ("wrong", "must return a dict of polars tables"),
        ("absent", "has no attribute 'absent'"),
    ],
)
def test_a_worker_that_ends_is_replaced_and_named(task, message, tmp_path):
    works = [work("bad", task, cost=9.0), work("worse", task, cost=8.0), *WORKS]
    failures = run_works(works, tmp_path, workers=1)
    assert [f.cell for f in failures] == ["bad", "worse"]
    assert message in failures[0].message
    assert all(Results(tmp_path).read(w) for w in WORKS)


def test_what_failed_is_tried_again_with_its_checkpoint(tmp_path):
    works = [work("a", "once")]
    assert [f.message for f in run_works(works, tmp_path)] == ["RuntimeError: first attempt"]
    assert tables(works, tmp_path)["found"]["text"].to_list() == ["half"]
    assert not (tmp_path / "logs" / "a.txt").exists()


def test_what_is_done_is_not_done_again(tmp_path):
    tables(WORKS, tmp_path, engine="inline")
    ended = []
    run_works(WORKS, tmp_path, on_done=lambda w, _: ended.append(w.id))
    assert ended == []


def test_a_cell_of_other_params_is_another_cell(tmp_path):
    tables([work("a")], tmp_path, engine="inline")
    changed = work("a", list=[3])
    assert Results(tmp_path).read(changed) is None
    assert tables([changed], tmp_path, engine="inline")["told"]["list"].to_list() == [[3]]


def test_tables_with_other_columns_are_joined_with_nulls(tmp_path):
    works = [work("x", "uneven", i=0), work("y", "uneven", i=1)]
    joined = tables(works, tmp_path, engine="inline")["uneven"]
    assert joined.to_dict(as_series=False) == {
        "cell": ["x", "y"],
        "a": [None, 0.5],
        "b": [1, None],
        "c": [None, "x"],
    }


def test_half_a_cell_is_no_cell(tmp_path, monkeypatch):
    frame = pl.DataFrame({"a": [1]})

    def fail(*_):
        raise OSError("out of order")

    monkeypatch.setattr("byrote.runs.results.write_json", fail)
    with pytest.raises(OSError, match="out of order"):
        Results(tmp_path).write(WORKS[0], {"t": frame}, seconds=1.0, threads=1)
    assert list((tmp_path / "cells").iterdir()) == []


def test_a_parent_that_is_killed_leaves_no_worker_behind(tmp_path):
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from byrote.runs import Work, run_works\n"
        "folder = sys.argv[1]\n"
        "works = [Work(f'c{i}', 'tests.runs.tasks:sleeps', {'folder': folder}, i) "
        "for i in range(2)]\n"
        "run_works(works, Path(folder) / 'run', workers=2)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], cwd=ROOT)
    try:
        wait_for(lambda: len(list(tmp_path.glob("*.pid"))) == 2)
        pids = [int(path.stem) for path in tmp_path.glob("*.pid")]
        assert all(alive(pid) for pid in pids)
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    wait_for(lambda: not any(alive(pid) for pid in pids))


def test_ctrl_c_ends_everything(tmp_path):
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from byrote.runs import Work, run_works\n"
        "folder = sys.argv[1]\n"
        "works = [Work('c', 'tests.runs.tasks:sleeps', {'folder': folder}, 0)]\n"
        "try:\n"
        "    run_works(works, Path(folder) / 'run')\n"
        "except KeyboardInterrupt:\n"
        "    sys.exit(130)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], cwd=ROOT, start_new_session=True
    )
    try:
        wait_for(lambda: list(tmp_path.glob("*.pid")))
        pid = int(next(tmp_path.glob("*.pid")).stem)
        os.killpg(parent.pid, signal.SIGINT)
        assert parent.wait(timeout=10) == 130
    finally:
        parent.kill()
    assert not alive(pid)
    assert "Traceback" not in (tmp_path / "run" / "logs" / "worker-0.txt").read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("cloud", 1, 1), "--engine 'cloud': it is one of processes, inline, ray"),
        (("inline", 0, 1), "--workers 0"),
        (("inline", 1, 0), "--threads 0"),
    ],
)
def test_bad_options_are_refused(words, message):
    with pytest.raises(InputError, match=message):
        check_engine(*words)


@pytest.mark.skipif(importlib.util.find_spec("ray") is not None, reason="Ray is installed")
def test_ray_that_is_not_installed_says_how(tmp_path):
    with pytest.raises(InputError, match=r"pip install 'byrote\[ray\]'"):
        run_works(WORKS, tmp_path, engine="ray")
    assert list(tmp_path.iterdir()) == []


def test_a_task_must_give_tables(tmp_path):
    context = CellContext("a", 0, tmp_path, 1, lambda _: None)
    with pytest.raises(TypeError, match="dict of polars tables"):
        call("tests.runs.tasks:wrong", {}, context)


def wait_for(condition, seconds=20.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)


def alive(pid):
    """Whether a process runs; one that has ended and waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
