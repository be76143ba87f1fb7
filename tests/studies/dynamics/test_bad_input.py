"""What cannot work is said in one sentence, before the work where that can be known."""

from __future__ import annotations

from dataclasses import replace

import pytest

from byrote.errors import ByroteError, InputError
from byrote.runs import Run
from byrote.studies import run_study
from byrote.studies.dynamics import STUDY
from byrote.studies.dynamics.checks import check
from byrote.studies.dynamics.config import DynamicsConfig, ModelConfig, SizeConfig
from byrote.studies.dynamics.presets import SMOKE
from tests.studies.dynamics.tiny import MODEL, TINY, run_cell, tiny, works


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"phases__alphabets": (27,)},
            r"phases.alphabets: an alphabet has 2 to 26 letters, not 27",
        ),
        ({"length__letters": 1}, "length.letters: an alphabet has 2 to 26 letters, not 1"),
        ({"alphabet": "tokens", "phases__alphabets": (1,)}, "phases.alphabets: an alphabet has 2"),
        ({"entropy__like": (27,)}, "26 letters cannot have the entropy of 27 equally likely"),
        (
            {"entropy__letters": 4, "entropy__like": (7,)},
            "entropy.like: 4 letters cannot have the entropy of 7 equally likely",
        ),
        ({"entropy__markov_rates": (1.5,)}, "entropy.markov_rates: 1.5 is not a share"),
        ({"entropy__markov_rates": (0.0,)}, "entropy.markov_rates: 0.0 is not a share"),
        (
            {"phases__models": ("gpt5",)},
            "phases.models: there is no model 'gpt5'; models are: tiny",
        ),
        ({"context__models": ("x",)}, "context.models: there is no model 'x'"),
        ({"phases__only": {"x": (4,)}}, "phases.models: there is no model 'x'"),
        ({"phases__models": ()}, "no experiment has a model"),
        (
            {"partial__models": ("tiny",), "partial__parts": ("mpl",)},
            "mpl",
        ),
        ({"partial__models": ("tiny",)}, "partial.parts is empty"),
        ({"phases__n": 1}, "phases.n: a string has at least 2 tokens, not 1"),
        ({"strings": 0}, "strings = 0; at least 1"),
        ({"seed": -1}, "seed = -1"),
        ({"training__epochs": 0}, "training.epochs = 0; it must be at least 1"),
        ({"training__stop_loss": 0.0}, r"training.stop_loss = 0.0; no loss is below that"),
        ({"training__stop_loss": -1.0}, r"training.stop_loss = -1.0; no loss is below that"),
        ({"phases__alphabets": ()}, "phases.models is set but phases.alphabets is empty"),
        ({"phases__only": {"tiny": ()}}, "phases.only.tiny is empty"),
        (
            {"length__models": ("tiny",), "length__lengths": ()},
            "length.models is set but length.lengths is empty",
        ),
        (
            {"sequential__models": ("tiny",), "sequential__optimisers": ()},
            "sequential.optimisers is empty",
        ),
        ({"phases__models": ("tiny", "tiny")}, "phases.models = .*: 'tiny' stands there twice"),
        (
            {"context__models": ("tiny",), "context__k": (5, 5)},
            r"context.k = \[5, 5\]: 5 stands there twice; name it once",
        ),
        (
            {"context__models": ("tiny",), "context__conditions": ("truncate", "truncate")},
            "context.conditions = .*: 'truncate' stands there twice",
        ),
        (
            {"sequential__models": ("tiny",), "sequential__optimisers": ("fresh", "fresh")},
            "sequential.optimisers = .*: 'fresh' stands there twice",
        ),
        ({"training__heldout": -1}, "training.heldout = -1"),
        ({"training__warmup": -0.5}, "warmup=-0.5 must be at least 0"),
        ({"models__tiny__lr": 0.0}, "lr=0.0 must be a number above 0"),
        ({"models__tiny__source": "random:lama"}, "no random family 'lama'. Did you mean llama"),
        ({"context__models": ("tiny",), "context__k": (15,)}, r"context.k = \[15\]"),
        ({"context__models": ("tiny",), "context__k": ()}, r"context.k = \[\]"),
        (
            {"context__models": ("tiny",), "context__conditions": ("truncate", "shufle")},
            "context.conditions: 'shufle' is none of intact, truncate",
        ),
        ({"context__models": ("tiny",), "context__draws": 0}, "context.draws = 0"),
        (
            {"context__models": ("tiny",), "context__epochs": (2, 5)},
            r"context.epochs = \[2, 5\], but training.epochs = 4",
        ),
        ({"sequential__models": ("tiny",), "sequential__strings": 0}, "sequential.strings = 0"),
        ({"sequential__models": ("tiny",), "sequential__text": "corpus:nt"}, "corpus:nt"),
        ({"checkpoints__models": ("tiny",)}, "checkpoints.steps has 0 numbers for 1 models"),
        ({"checkpoints__source": "random:llama?vocab_size=x"}, "vocab_size='x'"),
    ],
)
def test_a_config_that_cannot_work_is_refused(changes, message):
    with pytest.raises(InputError, match=message):
        check(tiny(**changes))


@pytest.mark.parametrize("name", ["", "a b", "-a", "a/b", "x" * 61])
def test_a_model_needs_a_name_that_files_can_have(name):
    config = replace(TINY, models={name: TINY.models["tiny"], "tiny": TINY.models["tiny"]})
    with pytest.raises(InputError, match="is no name; use letters, digits"):
        check(config)


def test_names_of_models_differ_in_more_than_case():
    config = replace(TINY, models={"Tiny": TINY.models["tiny"], "tiny": TINY.models["tiny"]})
    with pytest.raises(InputError, match="'Tiny' and 'tiny' differ in case alone"):
        check(config)


def test_an_unknown_model_of_a_ladder_is_named():
    config = replace(TINY, size=SizeConfig(ladders={"llama": ("tiny", "big")}))
    with pytest.raises(InputError, match=r"size.ladders.llama.models: there is no model 'big'"):
        check(config)


def test_a_config_without_anything_is_refused():
    with pytest.raises(InputError, match="no experiment has a model"):
        check(DynamicsConfig())


def test_a_bad_config_leaves_no_folder(tmp_path):
    with pytest.raises(InputError, match="seed = -1"):
        run_study(STUDY, replace(SMOKE, seed=-1), out=tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def no_training(monkeypatch):
    for module in ("trainings", "sequential"):
        monkeypatch.setattr(
            f"byrote.studies.dynamics.{module}.expose", lambda *_, **__: pytest.fail("trained")
        )


@pytest.mark.usefixtures("no_training")
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"alphabet": "tokens", "phases__alphabets": (301,)},
            "An alphabet of 301 tokens: the vocabulary of 300 leaves 300",
        ),
        (
            {"alphabet": "tokens", "context__models": ("tiny",), "context__alphabets": (160,)},
            "An alphabet of 160 tokens: the vocabulary of 300 leaves 140",
        ),
        ({"alphabet": "letters"}, r'no tokenizer, so it has no letters; .* "tokens"'),
    ],
)
def test_what_only_the_model_tells_is_said_before_training(changes, message, tmp_path):
    # The last cell is the one that cannot work.
    work = works(tiny(**changes))[-1]
    with pytest.raises(InputError, match=message):
        run_cell(work, tmp_path)


@pytest.mark.usefixtures("no_training")
def test_a_model_without_bos_cannot_be_asked_for_one(tmp_path):
    config = replace(TINY, models={"tiny": ModelConfig(MODEL, bos="always")})
    with pytest.raises(InputError, match=r'bos = "always": .* has no BOS token; use auto or never'):
        run_cell(works(config)[0], tmp_path)


@pytest.mark.parametrize(("n", "bos", "longest"), [(129, "", 129), (128, "&bos_token_id=7", 129)])
def test_a_string_longer_than_the_context_is_refused(n, bos, longest, tmp_path):
    config = replace(tiny(phases__n=n), models={"tiny": ModelConfig(MODEL + bos)})
    with pytest.raises(InputError, match=f"has {longest} tokens.*the model's context 128"):
        run_cell(works(config)[0], tmp_path)


def test_a_model_that_diverges_fails_by_name_and_the_others_are_kept(tmp_path):
    models = {"calm": ModelConfig(MODEL, lr=1e-3), "wild": ModelConfig(MODEL, lr=1e30)}
    config = replace(TINY, models=models)
    config = replace(config, phases=replace(config.phases, models=("calm", "wild")))
    with pytest.raises(ByroteError) as caught:
        run_study(STUDY, config, out=tmp_path / "run", engine="inline")
    said = str(caught.value)
    assert "1 of 2 cells failed: wild.u4.n16.s0: The loss is nan at step" in said
    assert "Take a lower learning rate" in said
    assert "are kept and have been judged" in said
    assert "byrote resume" in said
    info = Run.open(tmp_path / "run").info
    assert info["status"] == "failed"
    assert [failure["cell"] for failure in info["failures"]] == ["wild.u4.n16.s0"]
    assert [p.name for p in (tmp_path / "run" / "cells").iterdir()] == ["calm.u4.n16.s0"]


def test_a_model_that_diverges_keeps_its_last_good_checkpoint(tmp_path):
    config = tiny(models__tiny__lr=1e20, training__checkpoint_every=1)
    with pytest.raises(ByroteError, match=r"The checkpoint of epoch 1 in .* is kept"):
        run_cell(works(config)[0], tmp_path)
    assert any(path.is_file() for path in tmp_path.rglob("*"))
