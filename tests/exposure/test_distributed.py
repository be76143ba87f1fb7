from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from tests.exposure.distributed import run


def spawn(folder, **values):
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node=2", "-m", "tests.exposure.distributed"]
    done = subprocess.run(
        [*command, str(folder), json.dumps(values)],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert (folder / "count-1").read_text() == "2"
    return [dict(np.load(folder / f"result-{rank}.npz")) for rank in (0, 1)]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    return run(tmp_path_factory.mktemp("alone"), seed=0)


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    folder = tmp_path_factory.mktemp("together")
    return folder, spawn(folder, checkpoint_every=1)


def test_two_processes_learn_what_one_does(alone, together):
    main, other = together[1]
    np.testing.assert_array_equal(main["weights"], other["weights"])
    np.testing.assert_allclose(main["weights"], alone["weights"], rtol=1e-3, atol=1e-5)
    for name in ("losses", "step_losses"):
        np.testing.assert_allclose(main[name], alone[name], rtol=1e-5)


def test_the_main_process_has_everyones_observations(alone, together):
    main, _ = together[1]
    np.testing.assert_array_equal(main["row_epoch"], alone["row_epoch"])
    np.testing.assert_array_equal(main["row_sequence"], alone["row_sequence"])
    np.testing.assert_allclose(main["row_loss"], alone["row_loss"], rtol=1e-4)


def test_only_the_main_process_sees_steps_and_its_stop_holds_for_all(alone, together):
    main, other = together[1]
    assert (int(main["steps"]), int(other["steps"]), int(alone["steps"])) == (6, 0, 6)
    assert len(main["losses"]) == len(other["losses"]) == 4


def test_one_process_continues_what_two_began(alone, together):
    """The checkpoint of two processes holds the observations of both."""
    folder, (main, _) = together
    continued = run(folder, seed=0, checkpoint_every=1)
    np.testing.assert_array_equal(continued["weights"], main["weights"])
    np.testing.assert_allclose(continued["row_loss"], alone["row_loss"], rtol=1e-4)


def test_the_masks_of_dropout_are_the_same_in_two_processes(tmp_path):
    """The processes' batches differ from the lone one's in size, in width and in what they hold."""
    options = {"dropout": "model", "batch_size": 5, "accumulation": 1, "epochs": 2}
    lone = run(tmp_path / "lone", seed=0, **options)
    main, _ = spawn(tmp_path / "together", **options)
    np.testing.assert_allclose(main["weights"], lone["weights"], rtol=1e-3, atol=1e-5)
    without = run(tmp_path / "without", seed=0, **{**options, "dropout": "off"})
    assert np.abs(lone["weights"] - without["weights"]).max() > 1e-3
