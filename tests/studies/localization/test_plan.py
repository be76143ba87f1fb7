"""What a config splits into, and a run of it from the engine to the verdicts."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest

from byrote.studies import run_study
from byrote.studies.cells import seeded
from byrote.studies.config import from_json, to_json
from byrote.studies.job import plan_cells
from byrote.studies.localization import STUDY
from byrote.studies.localization.config import Group
from byrote.studies.localization.plan import model_names
from byrote.studies.localization.presets import PAPER, PRESETS
from tests.studies.localization.tiny import MODEL, run_cell, timeless, tiny, works

ALONE = replace(STUDY, sections=None, facts=None)


def test_the_ids_of_cells_stay_as_they_are(corpus):
    config = tiny(corpus, injection__groups={"a": Group(("random",)), "b": Group(("activations",))})
    assert [cell.id for cell in plan_cells(STUDY, config)] == [
        "inj.gpt2.r0.2.a",
        "inj.gpt2.r0.2.b",
        "inj.gpt2.r0.1.a",
        "inj.gpt2.r0.1.b",
        "del.exposed.quick",
    ]


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_can_be_run(name):
    config = PRESETS[name]
    STUDY.check(config)
    cells = plan_cells(STUDY, config)
    assert len({cell.id.lower() for cell in cells}) == len(cells)
    assert seeded(cells, config.seed) == seeded(plan_cells(STUDY, config), config.seed)
    assert from_json(STUDY.config_type, to_json(config)) == config


def test_one_group_tells_what_all_have(corpus):
    groups = {
        "few": Group(("random",), most=1),
        "all": Group(("activations",)),
        "more": Group(("attribution",)),
    }
    found = works(tiny(corpus, injection__groups=groups, deletion__groups=groups))
    told = [work.id for work in found if work.params["tell"]]
    # Of INJ the group that has all sentences.
    assert told == ["inj.gpt2.r0.2.all", "inj.gpt2.r0.1.all", "del.exposed.few"]


def test_dearer_methods_cost_more(corpus):
    def cost(**changes):
        return [work.cost for work in works(tiny(corpus, **changes))]

    plain = cost()
    dear = {"dear": Group(("zero-out",))}
    assert cost(injection__groups=dear)[0] > plain[0]
    assert cost(deletion__groups=dear)[-1] > plain[-1]
    assert cost(injection__examples=40)[0] > plain[0]


def test_what_is_tuned_elsewhere_reaches_its_cell(corpus):
    config = tiny(
        corpus,
        injection__groups={"one": Group(("hard-concrete",))},
        injection__tuned={
            "hard-concrete": {"lr": 0.1, "beta": 0.5},
            f"hard-concrete@{MODEL}@0.1": {"lr": 0.2},
        },
        deletion__groups={"one": Group(("hard-concrete", "random"))},
        deletion__tuned={"hard-concrete@exposed": {"penalty": 3.0}},
    )
    tuned = [work.params["tuned"] for work in works(config)]
    assert tuned == [
        {"hard-concrete": {"lr": 0.1, "beta": 0.5}},
        {"hard-concrete": {"lr": 0.2, "beta": 0.5}},
        {"hard-concrete": {"penalty": 3.0}, "random": None},
    ]


def test_models_of_one_name_are_told_apart():
    found = model_names(["org/m", "other/M", "bundled:m", "random:gpt2?seed=1"])
    assert list(found.values()) == ["m", "M-2", "m-3", "gpt2"]


def test_the_paper_has_its_models_and_options():
    cells = {cell.id: cell for cell in plan_cells(STUDY, PAPER)}
    large = cells["inj.pythia-6.9b-deduped.r0.001.hard-concrete"].params
    assert large["model"] == "EleutherAI/pythia-6.9b-deduped"
    assert large["rate"] == 0.05
    assert large["tuned"]["hard-concrete"]["penalty"] == 2000
    assert large["tuned"]["hard-concrete"]["lr"] == 5e-3
    small = cells["inj.gpt2.r0.01.hard-concrete"].params["tuned"]["hard-concrete"]
    smaller = cells["inj.gpt2.r0.001.hard-concrete"].params["tuned"]["hard-concrete"]
    assert (small["penalty"], smaller["penalty"]) == (100, 1000)
    # Slimming's for r = 0.1 % were not published.
    assert cells["inj.gpt2.r0.001.slimming"].params["tuned"]["slimming"]["penalty"] == 15000
    dropped = cells["del.pythia-2.8b.hard-concrete"].params
    assert dropped["tuned"]["hard-concrete"]["epochs"] == 700
    assert dropped["tuned"]["hard-concrete"]["noisy_skipped"] is True
    assert dropped["setting"]["passages"] == 500


def test_the_first_cell_of_the_paper_runs_on_a_tiny_model(corpus, tmp_path):
    inj = PAPER.injection
    tuned = {
        key.replace("@gpt2@", f"@{MODEL}@"): {**options, "epochs": 2}
        for key, options in inj.tuned.items()
    }
    inj = replace(inj, models=(MODEL,), examples=2, dev=2, steps=2, tuned=tuned)
    config = replace(PAPER, injection=inj, vocab=300, vocab_text=corpus)
    first = works(config)[0]
    assert first.id == "inj.gpt2.r0.01.hard-concrete"
    assert first.params["tuned"]["hard-concrete"]["beta"] == 0.67
    tables = run_cell(first, tmp_path / "cell")
    assert tables["recalls"]["example"].unique().to_list() == [2, 3]
    assert tables["injections"]["neurons"].to_list() == [1, 1]
    assert tables["tuning"].is_empty()


@pytest.fixture(scope="module")
def small(corpus):
    return tiny(
        corpus,
        injection__examples=2,
        injection__fractions=(0.2,),
        injection__rates=(0.05,),
        injection__groups={"a": Group(("activations",)), "b": Group(("random",))},
    )


@pytest.fixture(scope="module")
def finished(small, tmp_path_factory):
    return run_study(ALONE, small, out=tmp_path_factory.mktemp("run") / "whole", engine="inline")


def tables_of(run):
    found = {path.stem: pl.read_parquet(path) for path in (run.folder / "tables").glob("*.parquet")}
    del found["cells"]
    return {name: timeless(table) for name, table in found.items()}


def test_a_run_has_all_tables_and_a_verdict_on_every_claim(finished):
    tables = tables_of(finished)
    assert len(tables["claims"]) == len(STUDY.claims)
    assert {"recalls", "deletions", "recall_means", "deletion_means"} <= tables.keys()
    # Two sentences are too few.
    told = dict(tables["claims"].select("id", "why").iter_rows())
    assert "2 sentences are too few" in told["inj-above-random"]


def test_a_run_that_is_interrupted_goes_on_to_the_same_tables(
    finished, small, tmp_path, monkeypatch
):
    from byrote.studies.localization import deletion

    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(deletion, "texts_of", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run_study(ALONE, small, out=tmp_path / "run", engine="inline")
    again = tables_of(run_study(ALONE, small, out=tmp_path / "run", engine="inline"))
    whole = tables_of(finished)
    assert again.keys() == whole.keys()
    assert [name for name in whole if not whole[name].equals(again[name])] == []


@pytest.mark.slow
def test_workers_change_no_table(finished, small, tmp_path):
    run = run_study(ALONE, small, out=tmp_path / "run", engine="processes", workers=2)
    one, two = tables_of(finished), tables_of(run)
    assert [name for name in one if not one[name].equals(two[name])] == []
