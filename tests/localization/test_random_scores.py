"""Random scores depend on the seed and the passage, and on nothing else."""

from __future__ import annotations

import pytest
import torch

from byrote.errors import InputError
from byrote.localization.random_scores import RandomScores
from tests.recall.passages import random_passages


def test_a_passage_has_its_own_scores_whoever_stands_beside_it(random_model):
    loaded, passages = random_model("gpt2"), random_passages(4, 256)
    together = RandomScores(3).score(loaded, passages)
    assert torch.equal(together.flip(0), RandomScores(3).score(loaded, passages[::-1]))
    assert torch.equal(together[1:2], RandomScores(3).score(loaded, passages[1:2]))


def test_seeds_and_passages_differ(random_model):
    loaded, passages = random_model("gpt2"), random_passages(2, 256)
    one, other = RandomScores().score(loaded, passages), RandomScores(1).score(loaded, passages)
    assert not torch.equal(one[0], one[1])
    assert not torch.equal(one[0], other[0])


def test_scores_are_uniform(random_model):
    scores = RandomScores().score(random_model("gpt2"), random_passages(8, 256)).flatten()
    assert scores.shape == (8 * 2 * 256,)
    assert 0 <= scores.min() < 0.01
    assert 0.99 < scores.max() < 1
    assert scores.mean() == pytest.approx(0.5, abs=0.03)


def test_the_global_state_is_neither_read_nor_moved(random_model):
    loaded, passages = random_model("gpt2"), random_passages(1, 256)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = RandomScores().score(loaded, passages)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert torch.equal(RandomScores().score(loaded, passages), first)


def test_progress_runs_to_the_end(random_model):
    heard = []
    RandomScores().score(random_model("gpt2"), random_passages(1, 256), heard.append)
    assert heard == [1.0]


def test_a_negative_seed_is_refused():
    with pytest.raises(InputError, match="seed=-1"):
        RandomScores(-1)
