"""What a config splits into, and a run of it from the engine to the verdicts."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest

from byrote.studies import run_study
from byrote.studies.cells import seeded
from byrote.studies.config import override
from byrote.studies.goldfish import STUDY
from byrote.studies.goldfish.presets import PRESETS, SMOKE
from byrote.studies.job import plan_cells
from tests.studies.goldfish.tiny import ARMS, timeless, tiny, tuning, works

ALONE = replace(STUDY, sections=None, facts=None)


def test_the_ids_of_cells_stay_as_they_are(corpus, folder):
    config = replace(
        tiny(corpus, seeds=2, scratch__arms=("control", "hash-4")),
        extreme=tuning(corpus, folder, extreme__long_arms=("hash-3",)).extreme,
    )
    assert [cell.id for cell in plan_cells(STUDY, config)] == [
        "extreme.standard.s0",
        "extreme.standard.s1",
        "extreme-long.hash-3.s0",
        "scratch.control.s0",
        "scratch.control.s1",
        "scratch.hash-4.s0",
        "scratch.hash-4.s1",
    ]


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_can_be_run(name, monkeypatch):
    monkeypatch.setattr(
        "byrote.studies.goldfish.world.corpus_texts", lambda _: pytest.fail("read a corpus")
    )
    config = PRESETS[name]
    STUDY.check(config)
    cells = plan_cells(STUDY, config)
    assert len({cell.id.lower() for cell in cells}) == len(cells)
    assert seeded(cells, config.seed) == seeded(plan_cells(STUDY, config), config.seed)
    # Every arm that is defined is tried somewhere.
    assert {cell.params["name"] for cell in cells} <= set(config.arms)
    assert config.seeds >= 3


def test_a_repetition_is_the_same_for_every_arm_and_setting(corpus):
    found = works(tiny(corpus, seeds=3, scratch__arms=tuple(ARMS)))
    seeds = {}
    for work in found:
        seeds.setdefault(work.params["repetition"], set()).add(work.params["repetition_seed"])
    assert [len(each) for each in seeds.values()] == [1, 1, 1]
    assert len(set.union(*seeds.values())) == 3


def test_another_seed_is_another_repetition(corpus):
    one, two = (works(tiny(corpus, seed=seed))[0].params["repetition_seed"] for seed in (0, 1))
    assert one != two


def test_longer_trainings_cost_more(corpus):
    cost = {
        name: works(tiny(corpus, **changes))[0].cost
        for name, changes in {
            "plain": {},
            "more": {"scratch__arms": ("more",)},
            "long": {"scratch__repeats": 4000},
        }.items()
    }
    assert cost["plain"] < cost["more"] < cost["long"]


@pytest.fixture(scope="module")
def small(corpus):
    return tiny(
        corpus,
        seeds=2,
        scratch__arms=("control", "standard", "hash-3"),
        scratch__background=8,
        scratch__repeats=2,
    )


@pytest.fixture(scope="module")
def whole(small, tmp_path_factory):
    return run_study(ALONE, small, out=tmp_path_factory.mktemp("run") / "whole", engine="inline")


def tables_of(run):
    found = {path.stem: pl.read_parquet(path) for path in (run.folder / "tables").glob("*.parquet")}
    del found["cells"]
    return {name: timeless(table) for name, table in found.items()}


def assert_same(run, other):
    one, two = tables_of(run), tables_of(other)
    assert {"trainings", "documents", "extraction", "losses", "claims"} <= one.keys() == two.keys()
    assert [name for name in one if not one[name].equals(two[name])] == []


def test_a_run_has_all_tables_and_a_verdict_on_every_claim(whole):
    tables = tables_of(whole)
    assert len(tables["claims"]) == len(STUDY.claims)
    # Two repetitions are too few for a verdict.
    assert set(tables["claims"]["verdict"]) == {"not tested"}
    assert "2 repetitions are too few" in " ".join(tables["claims"]["why"])
    assert tables["documents"]["cell"].n_unique() == 6


def test_a_run_that_is_interrupted_goes_on_to_the_same_tables(whole, small, tmp_path, monkeypatch):
    from byrote.studies.goldfish import scratch

    train, calls = scratch.train, []

    def interrupted(*args, **kwargs):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return train(*args, **kwargs)

    monkeypatch.setattr(scratch, "train", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_study(ALONE, small, out=tmp_path / "run", engine="inline")
    calls[:] = [1] * 10
    assert_same(whole, run_study(ALONE, small, out=tmp_path / "run", engine="inline"))
    # Three were done before.
    assert len(calls) == 10 + 3


@pytest.mark.slow
def test_workers_change_no_table(whole, small, tmp_path):
    run = run_study(ALONE, small, out=tmp_path / "run", engine="processes", workers=2)
    assert_same(whole, run)


def test_smoke_is_small(corpus):
    config = override(SMOKE, {"scratch.corpus": corpus})
    assert len(plan_cells(STUDY, config)) == 9
