"""GPUs, by way of a machine that claims to have some."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from byrote.errors import InputError
from byrote.runs import Gpu, Results, Work, default_workers, gpus, run_works, workers_of


def pretend(monkeypatch, count, visible=None, driver="/usr/bin/nvidia-smi"):
    """Let torch see so many GPUs of 24 GB."""
    import torch

    monkeypatch.setattr("byrote.runs.devices.shutil.which", lambda _: driver)
    monkeypatch.setattr("byrote.runs.devices._DRIVERS", ())
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    properties = SimpleNamespace(total_memory=24 * 10**9)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: properties)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)


@pytest.mark.parametrize(
    ("count", "visible", "names"),
    [(0, None, []), (2, None, ["0", "1"]), (2, "5, 3", ["5", "3"]), (1, "GPU-8a", ["GPU-8a"])],
)
def test_gpus_are_called_as_they_were_given_to_us(monkeypatch, count, visible, names):
    pretend(monkeypatch, count, visible)
    assert [gpu.name for gpu in gpus()] == names
    assert all(gpu.memory == 24 * 10**9 for gpu in gpus())


def test_without_a_driver_torch_is_not_asked(monkeypatch):
    pretend(monkeypatch, 4, driver=None)
    monkeypatch.setattr("torch.cuda.is_available", lambda: pytest.fail("asked"))
    assert gpus() == ()


@pytest.fixture
def two(monkeypatch):
    monkeypatch.setattr("byrote.runs.engines.gpus", lambda: (Gpu("3", 10**9), Gpu("7", 10**9)))


def test_there_is_a_worker_for_each_gpu(monkeypatch, two):
    monkeypatch.setattr("byrote.runs.engines.cores", lambda: 64)
    assert default_workers(1) == 2
    assert workers_of("processes", None, 1) == 2
    assert workers_of("processes", 5, 1) == 5
    monkeypatch.setattr("byrote.runs.engines.gpus", lambda: ())
    assert default_workers(4) == 16


def test_one_cell_at_a_time_inline_and_what_there_is_room_for_on_a_cluster(two):
    assert workers_of("inline", None, 1) == 1
    assert workers_of("ray", None, 1) is None
    assert workers_of("ray", 9, 1) == 9


def seen(works, folder):
    return Results(folder).join(works)["seen"]["visible"].to_list()


def test_each_worker_is_told_its_own_gpu(tmp_path, two):
    works = [Work(f"c{i}", "tests.runs.tasks:sees", {"pause": 1.0}, i) for i in range(2)]
    assert run_works(works, tmp_path) == []
    assert sorted(seen(works, tmp_path)) == ["3", "7"]


def test_a_worker_that_takes_the_place_of_a_dead_one_takes_its_gpu(tmp_path, two):
    works = [
        Work("dies", "tests.runs.tasks:dies", {}, 0, cost=9.0),
        Work("after", "tests.runs.tasks:sees", {"pause": 0.0}, 1),
    ]
    assert [failure.cell for failure in run_works(works, tmp_path, workers=1)] == ["dies"]
    assert seen(works[1:], tmp_path) == ["3"]


def test_several_workers_are_refused_where_there_is_one(tmp_path):
    with pytest.raises(InputError, match="--workers 2: the engine inline runs one cell at a time"):
        run_works([], tmp_path, engine="inline", workers=2)
