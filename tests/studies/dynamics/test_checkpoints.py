"""The cell that pretrains a model here and exposes copies of its checkpoints."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from byrote.errors import InputError
from byrote.models import load
from byrote.studies.dynamics import checkpoints as cell
from byrote.studies.dynamics.checks import check
from tests.studies.dynamics import naive
from tests.studies.dynamics.tiny import run, run_cell, string_of, tiny, works

SOURCE = (
    "random:llama?hidden_size=32&num_hidden_layers=1&num_attention_heads=2&vocab_size=257"
    "&max_position_embeddings=64"
)
STEPS = (0, 22, 30)


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    text = tmp_path_factory.mktemp("text") / "text.txt"
    text.write_text("It was a bright cold day in April, and the clocks were striking. " * 40)
    return tiny(
        phases__models=(),
        strings=2,
        checkpoints__source=SOURCE,
        checkpoints__steps=STEPS,
        checkpoints__text=str(text),
        checkpoints__batch=4,
        checkpoints__context=24,
        checkpoints__lr=1e-2,
        checkpoints__letters=4,
        checkpoints__n=12,
        checkpoints__epochs=2,
    )


@pytest.fixture(scope="module")
def found(config, tmp_path_factory):
    """The tables, and the weights of each checkpoint."""
    kept = {}
    real = cell._pretrain

    def pretrain(loaded, wanted, seed, context):
        weights, losses = real(loaded, wanted, seed, context)
        kept.update(weights)
        return weights, losses

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cell, "_pretrain", pretrain)
        tables = run(config, tmp_path_factory.mktemp("run"))
    return tables, kept


def test_pretraining_lowers_the_loss_on_bytes(found):
    table = found[0]["pretraining"]
    assert table["step"].to_list() == list(range(30))
    losses = table["loss"].to_numpy()
    assert losses[0] == pytest.approx(np.log(257), abs=0.3)
    assert losses[-5:].mean() < losses[:5].mean() - 1.0


def test_copies_are_taken_at_the_steps_asked_for(found):
    tables, kept = found
    names = tables["trainings"]["training"].unique(maintain_order=True).to_list()
    assert names == ["checkpoint.0", "checkpoint.22", "checkpoint.30"]
    assert list(kept) == list(STEPS)
    assert tables["trainings"]["string"].to_list() == [0, 1] * 3
    # Step 0 is random weights, whatever the rest is.
    init = tables["trainings"].select("training", "init").unique(maintain_order=True).rows()
    assert [i for _, i in init] == ["random", "pretrained", "pretrained"]
    first, later = (kept[step]["lm_head.weight"] for step in (0, 22))
    assert (first != later).float().mean() > 0.9


def test_each_copy_starts_from_its_checkpoint(found):
    tables, kept = found
    loaded = load(SOURCE)
    for step in STEPS:
        loaded.model.load_state_dict(kept[step])
        for string in range(2):
            where = {"training": f"checkpoint.{step}", "string": string}
            ids = string_of(tables, **where)
            assert set(ids) <= set(b"abcd")
            letters = list(b"abcd")
            expected = naive.measures(loaded.model, ids, 256, letters, np.ones(4) / 4)
            first = tables["epochs"].filter(epoch=0, **where).row(0, named=True)
            assert first["loss"] == pytest.approx(expected["loss"], rel=1e-4)
            assert first["mass"] == pytest.approx(expected["mass"], rel=1e-4)
            assert tables["epochs"].filter(**where)["epoch"].to_list() == [0, 1, 2]
    # The strings are the same for every checkpoint.
    for string in range(2):
        same = {
            tuple(string_of(tables, training=f"checkpoint.{step}", string=string)) for step in STEPS
        }
        assert len(same) == 1


def test_a_checkpoint_does_not_depend_on_the_later_ones(config, found, tmp_path):
    fewer = replace(config, checkpoints=replace(config.checkpoints, steps=(22,)), strings=1)
    alone = run(fewer, tmp_path)
    where = {"training": "checkpoint.22", "string": 0}
    assert alone["epochs"].equals(found[0]["epochs"].filter(**where))
    assert alone["pretraining"]["loss"].to_list() == found[0]["pretraining"]["loss"][:22].to_list()


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("letters", 170, "at most 159 letters"),
        ("n", 64, "The longest sequence has 65 tokens .BOS included., the model's context 64"),
        ("source", SOURCE.replace("257", "256"), "bytes and BOS need vocab_size=257"),
    ],
)
def test_what_cannot_be_learned_is_said_before_pretraining(
    field, value, message, config, tmp_path, monkeypatch
):
    monkeypatch.setattr(cell, "_pretrain", lambda *_: pytest.fail("pretrained"))
    changed = replace(
        config, alphabet="tokens", checkpoints=replace(config.checkpoints, **{field: value})
    )
    with pytest.raises(InputError, match=message):
        run_cell(works(changed)[0], tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": ()}, r"checkpoints.steps = \[\]; give rising steps"),
        ({"steps": (5, 5)}, "give rising steps"),
        ({"batch": 0}, "checkpoints.batch = 0; at least 1"),
        ({"exposure_lr": 0.0}, "checkpoints.exposure_lr = 0.0"),
        ({"lr": float("nan")}, "checkpoints.lr = nan"),
        ({"models": ("tiny",), "steps": (0,)}, "models and a source; give one of the two"),
    ],
)
def test_a_config_of_checkpoints_that_cannot_work_is_refused(changes, message, config):
    with pytest.raises(InputError, match=message):
        check(replace(config, checkpoints=replace(config.checkpoints, **changes)))


def test_a_text_shorter_than_a_window_is_refused(config, tmp_path):
    text = tmp_path / "short.txt"
    text.write_text("too short")
    changed = replace(config, checkpoints=replace(config.checkpoints, text=str(text)))
    with pytest.raises(InputError, match="has only 9 bytes"):
        run_cell(works(changed)[0], tmp_path / "cell")
