"""What models cannot take is said before anything is run, without their weights."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest

from byrote.errors import InputError
from byrote.models import load
from byrote.models.outline import outline
from byrote.studies import run_study
from byrote.studies.dynamics import STUDY
from byrote.studies.dynamics.config import ModelConfig
from byrote.studies.dynamics.fitting import fit
from byrote.studies.job import plan_cells
from tests.studies.dynamics.tiny import MODEL, TINY, tiny


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"length__models": ("tiny",), "length__letters": 4, "length__lengths": (16, 129)},
            r"length: tiny: strings of 129 tokens are longer than the context of .* 128 tokens",
        ),
        (
            {"alphabet": "tokens", "phases__alphabets": (4, 301)},
            "phases: tiny: An alphabet of 301 tokens: the vocabulary of 300 leaves 300",
        ),
        (
            {"alphabet": "tokens", "context__models": ("tiny",), "context__alphabets": (160,)},
            "context: tiny: An alphabet of 160 tokens: the vocabulary of 300 leaves 140",
        ),
        ({"alphabet": "letters"}, r"phases: tiny: .* no tokenizer, so it has no letters"),
        ({"models__tiny__bos": "always"}, r'phases: tiny: bos = "always": .* has no BOS token'),
        (
            {
                "partial__models": ("tiny",),
                "partial__parts": ("mlp:1", "mlp:2"),
                "partial__n": 16,
            },
            r"partial: tiny: .*layer:2.* has 2 layers, 0 to 1",
        ),
        (
            {"partial__models": ("tiny",), "partial__parts": ("bias",), "partial__n": 16},
            "partial: tiny: trainable='bias' selects nothing",
        ),
        (
            {"sequential__models": ("tiny",), "sequential__n": 200},
            "sequential: tiny: strings of 200 tokens",
        ),
        (
            {"checkpoints__source": MODEL, "checkpoints__steps": (0,), "checkpoints__n": 128},
            r"checkpoints: random:llama.*: strings of 129 tokens \(BOS included\)",
        ),
        (
            {"checkpoints__source": MODEL, "checkpoints__steps": (0,), "checkpoints__context": 128},
            r"checkpoints: .* sequences of pretraining of 129 tokens",
        ),
        (
            {"checkpoints__source": "random:llama?vocab_size=256", "checkpoints__steps": (0,)},
            "has 256 tokens; bytes and BOS need vocab_size=257",
        ),
        (
            {
                "alphabet": "tokens",
                "checkpoints__source": MODEL,
                "checkpoints__steps": (0,),
                "checkpoints__letters": 200,
            },
            "bytes from a on are at most 159 letters",
        ),
        ({"models__tiny__source": "no/such/folder"}, "no/such/folder"),
    ],
)
def test_what_a_model_cannot_take_is_told_with_experiment_and_model(changes, message):
    config = tiny(**changes)
    with pytest.raises(InputError, match=message):
        fit(config)


def test_a_bos_counts_towards_the_context():
    begun = replace(tiny(phases__n=128), models={"tiny": ModelConfig(MODEL + "&bos_token_id=7")})
    with pytest.raises(InputError, match=r"strings of 129 tokens \(BOS included\)"):
        fit(begun)
    fit(tiny(phases__n=128))


def test_windows_of_text_must_fit_where_there_is_a_tokenizer(lettered):
    changes = {"sequential__models": ("tiny",), "sequential__n": 16, "sequential__text_tokens": 128}
    fit(tiny(**changes))
    config = replace(tiny(**changes), models={"tiny": ModelConfig(lettered)})
    with pytest.raises(InputError, match=r"sequential: tiny: windows of text of 129 tokens"):
        fit(config)


def test_letters_must_be_ids_that_the_model_takes(lettered, tmp_path, weights_on_disk):
    folder = tmp_path / "short"
    shutil.copytree(weights_on_disk, folder)
    path = folder / "config.json"
    path.write_text(path.read_text().replace('"vocab_size": 258', '"vocab_size": 98'))
    config = replace(TINY, models={"tiny": ModelConfig(str(folder))})
    with pytest.raises(
        InputError, match=r"is token 1.. of the tokenizer, .* takes the ids 0 to 97"
    ):
        fit(config)


def test_weights_are_not_read(weights_on_disk, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(weights_on_disk, folder)
    (folder / "model.safetensors").write_bytes(b"no weights at all")
    needed = fit(replace(TINY, models={"tiny": ModelConfig(str(folder))}))
    parameters = load(weights_on_disk).parameters
    assert needed == {"tiny.u4.n16.s0": 16 * parameters + 12 * 16 * 258}


def test_an_outline_knows_what_the_loaded_model_knows(weights_on_disk):
    loaded, shape = load(weights_on_disk), outline(weights_on_disk)
    skeleton = shape.skeleton()
    assert skeleton is not None
    assert skeleton.device.type == "meta"
    assert sum(p.numel() for p in skeleton.parameters()) == loaded.parameters
    assert (shape.vocab_size, shape.max_len) == (loaded.vocab_size, loaded.max_len)
    assert shape.bos_token == loaded.bos_token == 257
    # The tokenizer has one, and does not put it there by itself.
    assert loaded.bos_id is None


def test_memory_is_told_for_every_cell_and_is_less_where_less_learns():
    config = tiny(
        partial__models=("tiny",),
        partial__parts=("norm",),
        partial__letters=4,
        partial__n=16,
        sequential__models=("tiny",),
        sequential__n=16,
        checkpoints__source=MODEL,
        checkpoints__steps=(0, 2),
        checkpoints__context=100,
    )
    needed = fit(config)
    assert set(needed) == {cell.id for cell in plan_cells(STUDY, config)}
    parameters = load(MODEL).parameters
    norms = 5 * 32
    assert needed["tiny.u4.n16.s0"] == 16 * parameters + 12 * 16 * 300
    assert needed["tiny.u4.n16.norm.s0"] == 4 * parameters + 12 * norms + 12 * 16 * 300
    assert needed["checkpoints"] == (16 + 2 * 4) * parameters + 12 * 16 * 100 * 300


def test_nothing_is_begun_where_one_cell_could_not_work(tmp_path, monkeypatch):
    monkeypatch.setattr("byrote.studies.job.run_works", lambda *_, **__: pytest.fail("ran"))
    config = tiny(length__models=("tiny",), length__lengths=(16, 16384))
    with pytest.raises(InputError, match="strings of 16384 tokens"):
        run_study(STUDY, config, out=tmp_path / "run")
    assert list(tmp_path.iterdir()) == []
