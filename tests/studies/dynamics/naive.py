"""The measures and the training by their definitions, in float64 and one position at a time."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch


def predictions(model: Any, ids: np.ndarray, bos: int | None) -> dict[int, np.ndarray]:
    """The model's distribution of each token of a string that has something before it."""
    whole = ([] if bos is None else [bos]) + ids.tolist()
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([whole])).logits[0].double()
    lead = len(whole) - len(ids)
    found = {}
    for position in range(len(ids)):
        if position + lead > 0:
            row = logits[position + lead - 1].numpy()
            found[position] = np.exp(row - row.max()) / np.exp(row - row.max()).sum()
    return found


def entropy(p: np.ndarray) -> float:
    return -sum(x * math.log(x) for x in p.tolist() if x > 0)


def divergence(p: np.ndarray, q: np.ndarray) -> float:
    total = 0.0
    for a, b in zip(p.tolist(), q.tolist(), strict=True):
        if a > 0:
            total += a * (math.log(a / b) if b > 0 else math.inf)
    return total


def measures(
    model: Any, ids: np.ndarray, bos: int | None, letters: Sequence[int], source: np.ndarray
) -> dict[str, Any]:
    """All columns of the table `epochs`, and loss and hit by position."""
    counts = np.array([(ids == letter).sum() for letter in letters]) / len(ids)
    rows: dict[str, list[float]] = {}
    loss, hit = {}, {}
    for position, p in predictions(model, ids, bos).items():
        on_letters = p[list(letters)]
        q = on_letters / on_letters.sum()
        loss[position] = -math.log(p[ids[position]])
        hit[position] = int(p.argmax()) == ids[position]
        values = {
            "loss": loss[position],
            "accuracy": float(hit[position]),
            "mass": float(on_letters.sum()),
            "entropy": entropy(p),
            "entropy_letters": entropy(q),
            "kl_model_source": divergence(q, source),
            "kl_source_model": divergence(source, on_letters),
            "kl_model_empirical": divergence(q, counts),
            "kl_empirical_model": divergence(counts, on_letters),
        }
        for name, value in values.items():
            rows.setdefault(name, []).append(value)
    means = {name: sum(values) / len(values) for name, values in rows.items()}
    return {**means, "position_loss": loss, "position_hit": hit}


class AdamW:
    """Decoupled weight decay (1711.05101), algorithm 2, with the schedule's factor in `lr`."""

    def __init__(self, parameters: Sequence[torch.Tensor], decay: float = 0.0) -> None:
        self.parameters = list(parameters)
        self.decay = decay
        self.t = 0
        self.m = [torch.zeros_like(p) for p in self.parameters]
        self.v = [torch.zeros_like(p) for p in self.parameters]

    @torch.no_grad()
    def step(self, gradients: Sequence[torch.Tensor], lr: float) -> None:
        self.t += 1
        for p, g, m, v in zip(self.parameters, gradients, self.m, self.v, strict=True):
            p -= lr * self.decay * p
            m.copy_(0.9 * m + 0.1 * g)
            v.copy_(0.999 * v + 0.001 * g * g)
            p -= lr * (m / (1 - 0.9**self.t)) / ((v / (1 - 0.999**self.t)).sqrt() + 1e-8)


def in_float64(model: Any) -> Any:
    return copy.deepcopy(model).double().eval()


def teach(model: Any, ids: np.ndarray, bos: int | None, optimizer: AdamW, lr: float) -> None:
    """One step on one string."""
    whole = torch.tensor([([] if bos is None else [bos]) + ids.tolist()])
    logits = model(input_ids=whole).logits[0, :-1]
    loss = (logits.logsumexp(1) - logits.gather(1, whole[0, 1:, None])[:, 0]).mean()
    optimizer.step(torch.autograd.grad(loss, optimizer.parameters), lr)
