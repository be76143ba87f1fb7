from __future__ import annotations

import numpy as np
import pytest

from byrote.errors import InputError
from byrote.exposure import ExposureConfig, Observer, Recorder, expose


def losses(view):
    return {"loss": np.full(len(view.indices), view.loss), "label": view.labels.numpy()}


def test_rows_are_ordered_by_epoch_and_sequence_whatever_the_order_shown(fresh, strings):
    recorder = Recorder(losses)
    config = ExposureConfig(epochs=2, shuffle=True, seed=3)
    expose(fresh(), strings(4), config, observers=[recorder])
    rows = recorder.arrays()
    assert rows["epoch"].tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert rows["sequence"].tolist() == [0, 1, 2, 3] * 3


def test_only_some_epochs_may_be_recorded(fresh, strings):
    recorder = Recorder(losses, every=3)
    expose(fresh(), strings(1), ExposureConfig(epochs=7), observers=[recorder])
    assert recorder.arrays()["epoch"].tolist() == [0, 3, 6]


def test_what_lies_behind_the_end_of_a_shorter_sequence_is_marked(fresh, strings):
    def measure(view):
        return {
            "float": view.labels.double().numpy(),
            "int": view.labels.numpy(),
            "bool": np.ones(view.labels.shape, dtype=bool),
        }

    recorder = Recorder(measure)
    expose(fresh(), strings(length=[2, 4]), ExposureConfig(epochs=0), observers=[recorder])
    rows = recorder.arrays()
    assert np.isnan(rows["float"][0, 2:]).all()
    assert rows["int"][0, 2:].tolist() == [-1, -1]
    assert rows["bool"][0].tolist() == [True, True, False, False]
    assert (rows["int"][1] > 0).all()


def test_a_state_makes_an_equal_recorder(fresh, strings):
    recorder, other = Recorder(losses), Recorder(losses)
    expose(fresh(), strings(2), ExposureConfig(epochs=2), observers=[recorder])
    other.load_state_dict(recorder.state_dict())
    mine, theirs = recorder.arrays(), other.arrays()
    assert all(np.array_equal(mine[key], theirs[key]) for key in mine)


def test_the_rows_of_several_processes_are_put_together():
    parts = []
    for sequence in (1, 0):
        recorder = Recorder(losses)
        recorder._add(np.array([0]), np.array([sequence]), {"loss": np.array([float(sequence)])})
        parts.append(recorder)
    parts[0].merge([parts[1].state_dict(), Recorder(losses).state_dict()])
    assert parts[0].arrays()["loss"].tolist() == [0.0, 1.0]


def test_nothing_recorded_is_an_empty_table():
    assert [len(column) for column in Recorder(losses).arrays().values()] == [0, 0]


def test_a_measure_of_the_wrong_length_is_named(fresh, strings):
    recorder = Recorder(lambda view: {"loss": np.zeros(5)})
    with pytest.raises(InputError, match=r"'loss' has 5 rows for 1"):
        expose(fresh(), strings(1), ExposureConfig(epochs=1), observers=[recorder])


def test_an_observer_without_merge_refuses_what_it_would_lose():
    with pytest.raises(InputError, match="merge"):
        Observer().merge([{"rows": 3}])
