from __future__ import annotations

import pytest
import torch
from transformers import get_scheduler

from byrote.exposure import SCHEDULES, learning_rate, warmup_steps


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("warmup", [0, 0.05, 0.31, 7])
def test_rates_are_those_of_transformers(schedule, warmup):
    total = 41
    name = "constant_with_warmup" if schedule == "constant" else schedule
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=3e-4)
    theirs = get_scheduler(name, optimizer, warmup_steps(warmup, total), total)
    for index in range(total):
        ours = learning_rate(3e-4, schedule, index, total, warmup)
        assert ours == pytest.approx(theirs.get_last_lr()[0], rel=1e-12, abs=1e-18)
        optimizer.step()
        theirs.step()


@pytest.mark.parametrize(("warmup", "steps"), [(0.05, 5), (0.051, 6), (0, 0), (1, 1), (30, 30)])
def test_warm_up_below_one_is_a_share(warmup, steps):
    assert warmup_steps(warmup, 100) == steps
