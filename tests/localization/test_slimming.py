"""The formulas of Slimming."""

from __future__ import annotations

import pytest
import torch

from byrote.errors import InputError
from byrote.localization.selection import select
from byrote.localization.slimming import Slimming
from tests.recall.passages import random_passages


def test_gates_are_clipped_and_the_penalty_is_not():
    raw = torch.tensor([[[-0.5, 0.25], [1.5, 1.0]]])
    assert Slimming().gates(raw, None).tolist() == [[[0, 0.25], [1, 1]]]
    assert Slimming().scores(raw).tolist() == [[[0, 0.25], [1, 1]]]
    assert Slimming().size(raw).tolist() == [pytest.approx(3.25 / 4)]


def test_a_run_starts_from_the_whole_model():
    assert Slimming().gates(torch.tensor(Slimming().first()), None) == 1
    erasing = Slimming(aim="erase")
    assert 1 - erasing.gates(torch.tensor(erasing.first()), None) == 1
    assert Slimming(init=0.5).first() == 0.5


def test_one_run_never_moves_a_factor_further_than_its_steps(random_model):
    method = Slimming(lr=0.01, epochs=7)
    scores = method.score(random_model("gpt2"), random_passages(1, 256))
    # Adam's first steps are a little longer than lr where the gradient keeps its sign.
    assert scores.min() >= 1 - 0.01 * 7 * 1.01


def test_masks_that_tie_at_the_cut_are_told(random_model):
    """With a penalty that rules everything every factor falls alike."""
    scores = Slimming(penalty=1e9, epochs=3).score(random_model("gpt2"), random_passages(1, 256))
    assert len(scores.unique()) < 20
    assert select(scores[0], 0.1).tied > 0


@pytest.mark.parametrize("init", [-0.1, 1.1])
def test_a_start_outside_of_the_gate_is_refused(init):
    with pytest.raises(InputError, match=f"init={init}"):
        Slimming(init=init)
