"""Memory: said before a run, refused where it cannot be enough."""

from __future__ import annotations

import pytest

from byrote.errors import InputError
from byrote.runs import Gpu
from byrote.studies.room import check_room

NEEDED = {"small": 2e9, "large": 6e9, "middle": 4e9}


@pytest.fixture
def machine(monkeypatch):
    """`machine(memory, *gpus)`, in GB."""

    def build(memory, *devices):
        found = tuple(Gpu(str(i), int(size * 1e9)) for i, size in enumerate(devices))
        monkeypatch.setattr("byrote.studies.room.gpus", lambda: found)
        monkeypatch.setattr("byrote.studies.room.memory_bytes", lambda: memory and memory * 1e9)

    return build


def test_what_is_needed_and_there_is_said(machine):
    machine(16)
    assert check_room(NEEDED, engine="processes", workers=1) == (
        "memory: the largest cell needs at least 6.0 GB; this machine has 16.0 GB"
    )
    two = check_room(NEEDED, engine="processes", workers=2)
    assert "6.0 GB, 2 at a time up to 10.0 GB; this machine has 16.0 GB" in two
    assert "not be enough" not in two


def test_workers_that_may_not_fit_side_by_side_are_warned_of(machine):
    machine(9)
    said = check_room(NEEDED, engine="processes", workers=8)
    assert "3 at a time up to 12.0 GB" in said
    assert said.endswith("That may not be enough: fewer --workers need less")


def test_a_cell_that_cannot_fit_is_refused(machine):
    machine(5)
    with pytest.raises(InputError, match=r"large needs at least 6.0 GB .* this machine has 5.0 GB"):
        check_room(NEEDED, engine="inline", workers=1)


def test_a_gpu_counts_and_not_the_machine(machine):
    machine(64, 24, 5)
    with pytest.raises(InputError, match=r"large needs .* a GPU here has 5.0 GB"):
        check_room(NEEDED, engine="processes", workers=2)
    machine(1, 24, 24)
    # One worker on each: nothing is shared.
    assert "at a time" not in check_room(NEEDED, engine="processes", workers=2)
    assert "2 at a time up to 10.0 GB" in check_room(NEEDED, engine="processes", workers=3)


@pytest.mark.parametrize(("memory", "engine"), [(None, "processes"), (1, "ray")])
def test_what_nobody_knows_is_not_judged(machine, memory, engine):
    machine(memory)
    assert check_room(NEEDED, engine=engine, workers=2) == ""
    assert check_room({}, engine="processes", workers=2) == ""
