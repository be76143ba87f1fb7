"""Batches side by side: the same results in the same order, and nothing left behind."""

import threading

import pytest
import torch

from byrote.models import load
from byrote.recall.lanes import in_lanes, lanes_for


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("lanes", [1, 2, 3])
def test_results_keep_the_order_of_items(lanes, two_threads):
    first = threading.Event()

    def work(item):
        # With several lanes the first item ends after the second.
        if item == 0 and lanes > 1:
            assert first.wait(timeout=30)
        if item == 1:
            first.set()
        return item, torch.get_num_threads()

    done = list(in_lanes(work, range(9), lanes))
    assert [item for item, _ in done] == list(range(9))
    assert {threads for _, threads in done} == ({2} if lanes == 1 else {1})
    assert torch.get_num_threads() == 2


def test_an_error_in_a_lane_reaches_the_caller(two_threads):
    def work(item):
        if item == 3:
            raise ValueError("third")
        return item

    seen = []
    with pytest.raises(ValueError, match="third"):
        seen.extend(in_lanes(work, range(20), 2))
    assert torch.get_num_threads() == 2


def test_items_are_taken_as_they_are_needed(two_threads):
    taken = []

    def items():
        for item in range(100):
            taken.append(item)
            yield item

    results = in_lanes(lambda item: item, items(), 2)
    assert next(results) == 0
    assert len(taken) < 6
    results.close()
    assert torch.get_num_threads() == 2


def test_a_model_with_hooks_runs_one_batch_at_a_time(two_threads):
    loaded = load("random:llama?hidden_size=32&num_hidden_layers=2")
    neurons = loaded.neurons
    with neurons.scale(loaded.model, torch.ones(neurons.layers, neurons.width)):
        assert lanes_for(loaded.model) == 1
    assert lanes_for(loaded.model) == 2
