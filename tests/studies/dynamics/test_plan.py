"""What a config splits into: every exposure once, the same strings for all models."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from byrote.errors import InputError
from byrote.models import load
from byrote.studies.cells import seeded
from byrote.studies.config import override
from byrote.studies.dynamics import STUDY
from byrote.studies.dynamics.config import DynamicsConfig, ModelConfig
from byrote.studies.dynamics.plan import needs, plan
from byrote.studies.dynamics.presets import PRESETS
from byrote.studies.dynamics.setup import make_alphabet
from byrote.studies.job import plan_cells
from tests.studies.dynamics.tiny import MODEL, TINY, run, run_cell, string_of, tiny, works


def ids(config):
    return [cell.id for cell in plan_cells(STUDY, config)]


def test_the_ids_of_cells_stay_as_they_are():
    config = tiny(
        phases__alphabets=(2, 26),
        entropy__models=("tiny",),
        entropy__like=(2,),
        entropy__markov_rates=(0.5,),
        entropy__n=16,
        context__models=("tiny",),
        partial__models=("tiny",),
        partial__parts=("mlp", "layer:0"),
        partial__n=16,
        sequential__models=("tiny",),
        sequential__optimisers=("carried",),
        sequential__text="",
        checkpoints__source="random:llama?vocab_size=257",
        checkpoints__steps=(0, 3),
        strings=1,
    )
    assert ids(config) == [
        "tiny.u2.n16.s0",
        "tiny.u26.n16.s0",
        "tiny.h0.693.26.n16.s0",
        "tiny.m1.629.26.n16.s0",
        "tiny.u26.n16.mlp.s0",
        "tiny.u26.n16.layer-0.s0",
        "sequential.tiny.carried.c0",
        "checkpoints",
    ]


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_can_be_run(name, monkeypatch):
    monkeypatch.setattr(
        "byrote.studies.dynamics.setup.load", lambda *_, **__: pytest.fail("loaded a model")
    )
    config = PRESETS[name]
    cells = plan_cells(STUDY, config)
    assert len({cell.id.lower() for cell in cells}) == len(cells)
    assert len(seeded(cells, config.seed)) == len(cells)
    # Every experiment finds its exposures, and every model that is named is there for something.
    trained = {cell.params.get("training") for cell in cells}
    assert {need.id for _, need in needs(config)} <= trained
    assert {need.model for _, need in needs(config)} | set(config.sequential.models) == set(
        config.models
    )
    assert {experiment for experiment, _ in needs(config)} >= {
        "phases", "entropy", "length", "size", "context", "untrained", "partial",
    }  # fmt: skip


def test_the_cells_of_a_config_are_always_the_same():
    for config in PRESETS.values():
        assert seeded(plan_cells(STUDY, config), 0) == seeded(plan_cells(STUDY, config), 0)


def test_what_several_experiments_need_is_run_once():
    same = {"letters": 4, "n": 16}
    config = tiny(
        entropy__models=("tiny",),
        entropy__letters=4,
        entropy__like=(4,),
        entropy__n=16,
        length__models=("tiny",),
        length__letters=4,
        length__lengths=(16,),
        context__models=("tiny",),
        context__alphabets=(4,),
        partial__models=("tiny",),
        partial__parts=("all",),
        partial__letters=4,
        partial__n=16,
    )
    config = replace(config, size=replace(config.size, ladders={"one": ("tiny",)}, **same))
    assert ids(config) == ["tiny.u4.n16.s0"]
    assert [e for e, _ in needs(config)] == [
        "phases", "entropy", "entropy", "length", "size", "context", "partial",
    ]  # fmt: skip


def test_an_exposure_serves_the_experiment_that_asks_for_most():
    config = tiny(
        partial__models=("tiny",),
        partial__parts=("mlp",),
        partial__letters=4,
        partial__n=16,
        partial__epochs=9,
        context__models=("tiny",),
        context__alphabets=(4,),
    )
    found = {need.id: need for need in plan(config)}
    assert (found["tiny.u4.n16"].epochs, found["tiny.u4.n16"].context) == (9, True)
    assert (found["tiny.u4.n16.mlp"].epochs, found["tiny.u4.n16.mlp"].context) == (9, False)


def test_checkpoints_of_others_are_shown_as_often_as_their_experiment_says():
    config = tiny(checkpoints__models=("tiny",), checkpoints__steps=(0,), checkpoints__epochs=7)
    assert [need.epochs for name, need in needs(config) if name == "checkpoints"] == [7]


def test_all_models_learn_the_same_strings(tmp_path):
    models = {
        "one": ModelConfig(MODEL, lr=1e-2),
        "two": ModelConfig("random:gpt2?hidden_size=32&vocab_size=200", init="random", lr=1e-3),
    }
    config = replace(
        tiny(training__epochs=1, training__heldout=0, strings=2),
        models=models,
        phases=replace(TINY.phases, models=("one", "two"), n=40),
    )
    tables = run(config, tmp_path)
    letters = {}
    for name, model in models.items():
        alphabet = make_alphabet(load(model.source), 4, "auto", config.seed)
        for string in range(2):
            tokens = string_of(tables, model=name, string=string)
            letters[name, string] = [alphabet.ids.index(token) for token in tokens]
    # The vocabularies differ, so the tokens do; the letters do not.
    assert letters["one", 0] == letters["two", 0]
    assert letters["one", 1] == letters["two", 1]
    assert letters["one", 0] != letters["one", 1]
    assert string_of(tables, model="one", string=0).tolist() != (
        string_of(tables, model="two", string=0).tolist()
    )


def test_a_shorter_string_begins_a_longer_one(tmp_path):
    config = tiny(
        training__epochs=1,
        phases__models=(),
        length__models=("tiny",),
        length__letters=4,
        length__lengths=(5, 16, 30),
    )
    tables = run(config, tmp_path)
    short, middle, long = (string_of(tables, n=n).tolist() for n in (5, 16, 30))
    assert middle == long[:16]
    assert short == middle[:5]


def test_another_seed_gives_other_strings(tmp_path):
    found = []
    for seed in (0, 1):
        config = tiny(training__epochs=1, phases__n=40, seed=seed)
        found.append(string_of(run(config, tmp_path / str(seed))).tolist())
    assert found[0] != found[1]


def test_the_order_of_models_and_experiments_changes_no_cell():
    more = {"b": ModelConfig(MODEL, lr=1e-3), "a": ModelConfig(MODEL, lr=1e-2)}
    config = replace(TINY, models=more, phases=replace(TINY.phases, models=("a", "b")))
    other = replace(
        config,
        models=dict(reversed(more.items())),
        phases=replace(config.phases, models=("b", "a")),
        length=replace(config.length, models=("a",), lengths=(16,), letters=4),
    )
    one = {work.id: work for work in works(config)}
    two = {work.id: work for work in works(other)}
    assert one == two


def test_one_exposure_cannot_have_two_lengths_of_a_schedule():
    changes = {
        "partial.models": ("tiny",),
        "partial.parts": ("mlp",),
        "partial.letters": 4,
        "partial.n": 16,
        "partial.epochs": 2,
    }
    config = override(tiny(training__schedule="linear"), changes)
    with pytest.raises(InputError, match=r"partial.epochs: tiny.u4.n16 is shown 2 times"):
        plan_cells(STUDY, config)
    plan_cells(STUDY, override(config, {"training.schedule": "constant"}))


def test_the_first_cell_of_the_paper_runs_on_a_tiny_model(tmp_path):
    paper = PRESETS["paper"]
    source = (
        "random:gpt_neox?hidden_size=16&num_hidden_layers=1&num_attention_heads=2"
        "&vocab_size=128&max_position_embeddings=2048"
    )
    config: DynamicsConfig = override(
        paper,
        {
            "models.pythia-1b.source": source,
            "training.epochs": 2,
            "training.heldout": 1,
            "checkpoints.epochs": 2,
            "context.epochs": (2,),
            "context.k": (1, 5),
            "context.positions": 4,
            "context.shuffle_positions": 2,
            "context.draws": 1,
        },
    )
    work = works(config)[0]
    assert work.id == "pythia-1b.u2.n1024.s0"
    # Everything else is as it was published.
    params, published = work.params, works(paper)[0].params
    assert params["n"] == published["n"] == 1024
    changed = {"epochs": 2, "heldout": 1}
    assert params["exposure"] == {**published["exposure"], **changed}
    assert (params["exposure"]["schedule"], params["exposure"]["precision"]) == ("linear", "bf16")
    tables = run_cell(work, tmp_path)
    row = tables["trainings"].row(0, named=True)
    assert (row["n"], row["letters"], row["lr"]) == (1024, 2, 1e-5)
    assert len(set(row["ids"])) == 2
    assert tables["epochs"]["epoch"].to_list() == [0, 1, 2]
    assert np.isfinite(tables["epochs"]["loss"].to_numpy()).all()
    assert set(tables) == {
        "trainings", "epochs", "positions", "heldout", "context", "ceilings",
    }  # fmt: skip


def test_a_warm_up_as_a_share_depends_on_the_length_too():
    config = tiny(
        training__warmup=0.1,
        partial__models=("tiny",),
        partial__parts=("mlp",),
        partial__letters=4,
        partial__n=16,
        partial__epochs=2,
    )
    with pytest.raises(InputError, match=r"a warm-up of 0.1 of all steps .* a warm-up in steps"):
        plan_cells(STUDY, config)
    plan_cells(STUDY, override(config, {"training.warmup": "3"}))


def test_rates_that_would_share_a_name_are_refused():
    config = tiny(entropy__models=("tiny",), entropy__markov_rates=(0.5, 0.5001))
    with pytest.raises(InputError, match=r"both be tiny.m1.629.26.n1024; .* at least 0.001"):
        plan_cells(STUDY, config)
    plan_cells(STUDY, override(config, {"entropy.markov_rates": (0.5, 0.51)}))
