"""The engine on Ray: the same tables, by way of a stand-in for Ray's few calls, and of Ray."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from byrote.runs import Results, Work, run_works
from byrote.runs.ray_engine import run_on_ray


def stand_in(lost=()):
    """The part of Ray's interface that is used; tasks run when they are waited for."""

    def remote(**options):
        assert options["num_cpus"] == 1

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
