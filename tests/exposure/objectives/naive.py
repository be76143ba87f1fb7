"""Random batches, and loops over every target."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from byrote.exposure import IGNORED, Batch

VOCAB = 11


def random_batch(seed: int, asked: float = 0.7) -> tuple[torch.Tensor, Batch]:
    """Logits in float64 with a gradient, and a batch; some positions are not asked for."""
    generator = np.random.default_rng(seed)
    rows, positions = generator.integers(1, 4), generator.integers(1, 9)
    ids = torch.from_numpy(generator.integers(0, VOCAB, (rows, positions + 1)))
    labels = ids[:, 1:].clone()
    labels[torch.from_numpy(generator.random((rows, positions)) > asked)] = IGNORED
    scale = generator.choice([0.1, 1.0, 10.0])
    logits = torch.from_numpy(generator.normal(size=(rows, positions, VOCAB)) * scale)
    batch = Batch(ids[:, :-1], labels, np.arange(rows), step=int(generator.integers(0, 5)))
    return logits.requires_grad_(), batch


def targets(logits: torch.Tensor, batch: Batch):
    """Each target's probabilities and token, one after the other."""
    for row in range(len(batch.labels)):
        for position in range(batch.labels.shape[1]):
            label = int(batch.labels[row, position])
            if label != IGNORED:
                yield logits[row, position].softmax(0), label


def check(found: tuple, numerator: torch.Tensor, denominator: float, logits: torch.Tensor) -> None:
    """Same sums, and the same gradient of their quotient."""
    total, weight = found
    assert float(total.detach()) == _close(float(numerator.detach()))
    assert weight == _close(float(denominator))
    if not weight:
        assert float(total.detach()) == 0.0
        return
    (ours,) = torch.autograd.grad(total / weight, logits, retain_graph=True)
    (theirs,) = torch.autograd.grad(numerator / denominator, logits)
    torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-9)


def _close(value: float):
    return pytest.approx(value, rel=1e-6, abs=1e-9)
