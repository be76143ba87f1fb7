from __future__ import annotations

import errno
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from byrote.errors import ByroteError, InputError
from byrote.exposure import DivergedError, ExposureConfig, Observer, Recorder, StopRule, expose
from byrote.exposure import checkpoints as module
from byrote.exposure.checkpoints import CHECKPOINT, read_checkpoint, write_checkpoint
from tests.exposure.plain import same_weights, weights

EPOCHS = 5


class Killer(Observer):
    """Ends the process, as it were, after a step."""

    def __init__(self, step):
        self.step = step

    def on_step(self, view):
        if view.step == self.step:
            raise KeyboardInterrupt


def hits(view):
    return {"hit": (view.logits.argmax(-1) == view.labels).numpy(), "loss": np.array([view.loss])}


def config(**values):
    options = {"epochs": EPOCHS, "lr": 1e-2, "shuffle": True, "schedule": "linear", **values}
    return ExposureConfig(checkpoint_every=options.pop("checkpoint_every", 1), **options)


def shown(loaded, sequences, folder, settings, *others):
    recorder = Recorder(hits)
    result = expose(loaded, sequences, settings, observers=[recorder, *others], checkpoints=folder)
    return result, recorder.arrays(), weights(loaded.model)


def assert_same(one, other):
    result, rows, state = one
    expected, expected_rows, expected_state = other
    assert same_weights(state, expected_state)
    assert rows.keys() == expected_rows.keys()
    assert all(np.array_equal(rows[key], expected_rows[key]) for key in rows)
    assert np.array_equal(result.losses, expected.losses)
    assert np.array_equal(result.step_losses, expected.step_losses)
    assert (result.epochs, result.steps, result.reason) == (
        expected.epochs,
        expected.steps,
        expected.reason,
    )


@pytest.mark.parametrize("family", ["llama", "gpt2"])
@pytest.mark.parametrize("every", [1, 2])
def test_killed_at_any_step_it_ends_to_the_bit_as_if_never_killed(
    fresh, strings, tmp_path, family, every
):
    settings = config(dropout="model", checkpoint_every=every)
    whole = shown(fresh(family), strings(2), tmp_path / "whole", settings, Observer())
    resumed_at = set()
    for step in range(1, 2 * EPOCHS + 1):
        folder = tmp_path / str(step)
        with pytest.raises(KeyboardInterrupt):
            shown(fresh(family), strings(2), folder, settings, Killer(step))
        again = shown(fresh(family), strings(2), folder, settings, Observer())
        assert_same(again, whole)
        resumed_at.add(again[0].resumed_at)
    assert resumed_at == {None, *range(every, EPOCHS, every)}


def test_a_partly_trained_model_is_continued_too(fresh, strings, tmp_path):
    settings = config(trainable="attention")
    whole = shown(fresh(), strings(1), tmp_path / "whole", settings, Observer())
    with pytest.raises(KeyboardInterrupt):
        shown(fresh(), strings(1), tmp_path / "killed", settings, Killer(3))
    assert_same(shown(fresh(), strings(1), tmp_path / "killed", settings, Observer()), whole)
    names = [n for n in load_file(tmp_path / "killed" / CHECKPOINT) if n.startswith("weights/")]
    assert names
    assert all("self_attn" in name for name in names)


def test_a_finished_exposure_is_not_done_again(fresh, strings, tmp_path):
    settings = config(stop_when=StopRule(2.0, 2), epochs=100)
    whole = shown(fresh(), strings(1), tmp_path, settings)
    loaded, passes = fresh(), []
    loaded.model.register_forward_hook(lambda *_: passes.append(1))
    again = shown(loaded, strings(1), tmp_path, settings)
    assert_same(again, whole)
    assert (passes, again[0].reason) == ([], "stop_when")


def test_a_carried_optimiser_is_in_the_checkpoint(fresh, strings, tmp_path):
    def second(loaded, first, *others):
        return expose(
            loaded,
            strings(1, seed=1),
            config(),
            observers=others,
            checkpoints=tmp_path,
            optimizer=first.optimizer,
        )

    whole, killed = fresh(), fresh()
    first = expose(whole, strings(1), ExposureConfig(epochs=2, lr=1e-2))
    plain = ExposureConfig(epochs=EPOCHS, lr=1e-2, shuffle=True, schedule="linear")
    expose(whole, strings(1, seed=1), plain, optimizer=first.optimizer)
    other = expose(killed, strings(1), ExposureConfig(epochs=2, lr=1e-2))
    with pytest.raises(KeyboardInterrupt):
        second(killed, other, Killer(3))
    anew = fresh()
    again = expose(anew, strings(1), ExposureConfig(epochs=2, lr=1e-2))
    second(anew, again, Observer())
    assert same_weights(weights(anew.model), weights(whole.model))


@pytest.mark.parametrize(
    ("values", "count", "match"),
    [({"lr": 2e-2}, 1, "lr differ"), ({}, 2, "sequences differ"), ({"epochs": 9}, 1, "epochs")],
)
def test_a_checkpoint_of_another_exposure_is_refused(
    fresh, strings, tmp_path, values, count, match
):
    shown(fresh(), strings(1), tmp_path, config())
    with pytest.raises(InputError, match=match):
        shown(fresh(), strings(count), tmp_path, config(**values))


def test_checkpoints_may_be_written_more_or_less_often_after_a_resume(fresh, strings, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        shown(fresh(), strings(1), tmp_path, config(), Killer(3))
    again = shown(fresh(), strings(1), tmp_path, config(checkpoint_every=3), Observer())
    assert again[0].resumed_at == 2


def test_a_damaged_checkpoint_is_refused_by_name(fresh, strings, tmp_path):
    shown(fresh(), strings(1), tmp_path, config())
    path = tmp_path / CHECKPOINT
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"checkpoint\.safetensors.*damaged.*Remove"):
        shown(fresh(), strings(1), tmp_path, config())


def fill_up(monkeypatch, after: int):
    """Let the disk be full after so many tensors of a checkpoint."""
    original, written = module._write, []

    def write(file, tensor):
        if len(written) == after:
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(1)
        original(file, tensor)

    monkeypatch.setattr(module, "_write", write)


def test_a_disk_that_fills_up_leaves_the_checkpoint_before_intact(
    fresh, strings, tmp_path, monkeypatch
):
    whole = shown(fresh(), strings(1), tmp_path / "whole", config(), Observer())
    folder = tmp_path / "full"
    with pytest.raises(KeyboardInterrupt):
        shown(fresh(), strings(1), folder, config(), Killer(3))
    before = (folder / CHECKPOINT).read_bytes()
    with monkeypatch.context() as patch:
        fill_up(patch, after=4)
        with pytest.raises(ByroteError, match=r"full.*MiB.*is kept.*Free some space") as caught:
            shown(fresh(), strings(1), folder, config(), Observer())
    assert str(folder) in str(caught.value)
    assert [path.name for path in folder.iterdir()] == [CHECKPOINT]
    assert (folder / CHECKPOINT).read_bytes() == before
    assert_same(shown(fresh(), strings(1), folder, config(), Observer()), whole)


def test_too_little_room_is_seen_before_writing(fresh, strings, tmp_path, monkeypatch):
    usage = module.shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(ByroteError, match=r"needs [\d.]+ MiB.*0\.0 MiB are free"):
        shown(fresh(), strings(1), tmp_path / "new", config())
    assert list((tmp_path / "new").iterdir()) == []


def test_another_error_while_writing_is_not_called_a_full_disk(
    fresh, strings, tmp_path, monkeypatch
):
    def write(_file, _tensor):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(module, "_write", write)
    with pytest.raises(OSError, match="Input/output"):
        shown(fresh(), strings(1), tmp_path, config())


@pytest.mark.parametrize("poison", [float("nan"), float("inf"), 3e38])
def test_the_checkpoint_kept_at_divergence_is_one_that_still_gave_a_finite_loss(
    fresh, strings, tmp_path, poison
):
    """Weights of 3e38 are finite, and the loss that they give is not."""

    class Poison(Observer):
        def on_step(self, view):
            if view.step == 4:
                for parameter in view.model.parameters():
                    parameter.copy_(torch.randn_like(parameter) * poison)

    with pytest.raises(DivergedError, match=r"step 5.*checkpoint of epoch 3.*is kept") as caught:
        shown(fresh(), strings(1), tmp_path, config(), Poison())
    assert caught.value.step == 5
    state, tensors = read_checkpoint(tmp_path) or (None, {})
    assert state is not None
    assert state["epoch"] == 3
    assert all(bool(tensor.isfinite().all()) for tensor in tensors.values())


def test_a_checkpoint_is_a_safetensors_file_with_the_models_own_names(fresh, strings, tmp_path):
    loaded = fresh()
    shown(loaded, strings(1), tmp_path, config())
    tensors = load_file(tmp_path / CHECKPOINT)
    for name, parameter in loaded.model.named_parameters():
        assert torch.equal(tensors[f"weights/{name}"], parameter)
        assert tensors[f"optimizer/exp_avg/{name}"].shape == parameter.shape


def test_states_come_back_as_they_were(tmp_path: Path):
    state = {
        "int": np.int64(3),
        "nan": float("nan"),
        "none": None,
        "nested": [{"text": "ü", "array": np.arange(6, dtype=np.int32).reshape(2, 3)}],
        "bools": np.array([True, False]),
        "empty": np.zeros((0, 4)),
        "scalar": np.array(2.5),
    }
    tensor = torch.randn(3, 5)[:, ::2]
    write_checkpoint(tmp_path, state, {"half": tensor.bfloat16(), "strided": tensor})
    back, tensors = read_checkpoint(tmp_path) or ({}, {})
    assert json.dumps([back["int"], back["none"]]) == "[3, null]"
    assert np.isnan(back["nan"])
    assert back["nested"][0]["text"] == "ü"
    for value, expected in [
        (back["nested"][0]["array"], state["nested"][0]["array"]),
        (back["bools"], state["bools"]),
        (back["empty"], state["empty"]),
        (back["scalar"], state["scalar"]),
    ]:
        assert value.dtype == expected.dtype
        assert value.shape == expected.shape
        assert np.array_equal(value, expected)
    assert torch.equal(tensors["strided"], tensor)
    assert torch.equal(tensors["half"], tensor.bfloat16())


def test_there_may_be_none(tmp_path):
    assert read_checkpoint(tmp_path / "nowhere") is None
