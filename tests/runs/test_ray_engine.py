"""The engine on Ray: the same tables, by way of a stand-in for Ray's few calls, and of Ray."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from byrote.runs import Results, Work, run_works
from byrote.runs.ray_engine import run_on_ray


def stand_in(lost=(), gpus=0):
    """The part of Ray's interface that is used; tasks run when they are waited for."""

    def remote(**options):
        assert (options["num_cpus"], options["num_gpus"]) == (1, min(gpus, 1))

        def wrap(function):
            return SimpleNamespace(remote=lambda *args: (function, args))

        return wrap

    def get(reference):
        function, args = reference
        if args[0].id in lost:
            raise ConnectionError("the node is gone")
        return function(*args)

    return SimpleNamespace(
        is_initialized=lambda: True,
        cluster_resources=lambda: {"CPU": 8.0} | ({"GPU": float(gpus)} if gpus else {}),
        remote=remote,
        wait=lambda references, num_returns: (references[-1:], references[:-1]),
        get=get,
        cancel=lambda reference, force: None,
    )


@pytest.fixture
def works():
    tasks = ["numbers", "numbers", "raises", "numbers"]
    return [Work(f"c{i}", f"tests.runs.tasks:{t}", {"list": []}, i) for i, t in enumerate(tasks)]


def on_ray(ray, works, folder, monkeypatch):
    monkeypatch.setattr("byrote.runs.engines._import_ray", lambda: ray)
    return run_works(works, folder, engine="ray", workers=2)


def hashable(ray):
    """References that can be keys, as Ray's can."""
    inner, made = ray.remote, []

    def remote(**options):
        def wrap(function):
            task = inner(**options)(function)

            def start(*args):
                made.append(task.remote(*args))
                return len(made) - 1

            return SimpleNamespace(remote=start)

        return wrap

    get = ray.get
    ray.remote, ray.get = remote, lambda reference: get(made[reference])
    return ray


def test_the_tables_are_those_of_the_other_engines(works, tmp_path, monkeypatch):
    good = [work for work in works if not work.task.endswith("raises")]
    assert on_ray(hashable(stand_in()), good, tmp_path / "ray", monkeypatch) == []
    assert run_works(good, tmp_path / "inline", engine="inline") == []
    one, other = (Results(tmp_path / name).join(good) for name in ("ray", "inline"))
    assert one["numbers"].equals(other["numbers"])
    assert not list((tmp_path / "ray" / "scratch").glob("*"))


@pytest.mark.parametrize("gpus", [0, 4])
def test_a_cell_asks_for_a_gpu_where_the_cluster_has_some(works, gpus, tmp_path, monkeypatch):
    """`stand_in` looks at what is asked for."""
    assert on_ray(hashable(stand_in(gpus=gpus)), works[:1], tmp_path, monkeypatch) == []


def test_without_a_number_of_workers_ray_is_given_all_cells(works, tmp_path, monkeypatch):
    ray, most = hashable(stand_in()), []
    wait = ray.wait

    def counting(references, num_returns):
        most.append(len(references))
        return wait(references, num_returns)

    ray.wait = counting
    monkeypatch.setattr("byrote.runs.engines._import_ray", lambda: ray)
    run_works(works, tmp_path, engine="ray")
    assert max(most) == len(works)


def test_a_lost_node_and_a_cell_that_raises_are_named(works, tmp_path, monkeypatch):
    failures = on_ray(hashable(stand_in(lost=("c1",))), works, tmp_path, monkeypatch)
    assert [(f.cell, f.message) for f in failures] == [
        ("c1", "ConnectionError: the node is gone"),
        ("c2", "ValueError: no luck"),
    ]
    assert all(Results(tmp_path).read(works[i]) for i in (0, 3))


def test_what_runs_is_cancelled_when_the_driver_stops(works, tmp_path):
    cancelled = []
    ray = hashable(stand_in())
    ray.cancel = lambda reference, force: cancelled.append(reference)

    def interrupt(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_on_ray(ray, works, Results(tmp_path), 2, 1, interrupt)
    assert len(cancelled) == 1


def test_real_ray_gives_the_same(works, tmp_path):
    ray = pytest.importorskip("ray")
    good = [work for work in works if not work.task.endswith("raises")]
    try:
        assert run_works(good, tmp_path / "ray", engine="ray", workers=2) == []
    finally:
        ray.shutdown()
    assert run_works(good, tmp_path / "inline", engine="inline") == []
    one, other = (Results(tmp_path / name).join(good) for name in ("ray", "inline"))
    assert one["numbers"].equals(other["numbers"])
    assert one["told"]["omp"].to_list() == ["1"] * 3
