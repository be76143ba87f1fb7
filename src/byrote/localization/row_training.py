"""Train something small beside a frozen model, for several examples in one batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor

from byrote.models.modes import keep_modes

__all__ = ["RowAdam", "draws_noise", "seeded"]


class RowAdam:
    """torch's Adam (betas .9 and .999, eps 1e-8), for tensors with one row an example.

    It works element by element, so that the rows learn as if each were alone, and some may leave.
    """

    def __init__(self, like: Sequence[Tensor], rate: float) -> None:
        """Start with no moments.

        Args:
            like: What is trained, `[rows, …]` each.
            rate: The learning rate.
        """
        self.rate, self.count = rate, 0
        self._means = [torch.zeros_like(values, requires_grad=False) for values in like]
        self._squares = [torch.zeros_like(values, requires_grad=False) for values in like]

    def keep(self, rows: Sequence[int]) -> None:
        """Forget the moments of all rows but some."""
        for moments in (self._means, self._squares):
            for index, values in enumerate(moments):
                moments[index] = values[torch.tensor(rows, device=values.device)]

    @torch.no_grad()
    def step(self, trained: Sequence[Tensor], gradients: Sequence[Tensor]) -> None:
        """Take one step, in place."""
        self.count += 1
        slow, fast = 1 - 0.9**self.count, 1 - 0.999**self.count
        every = zip(trained, gradients, self._means, self._squares, strict=True)
        for values, gradient, mean, square in every:
            mean.lerp_(gradient, 0.1)
            square.mul_(0.999).addcmul_(gradient, gradient, value=0.001)
            spread = (square.sqrt() / fast**0.5).add_(1e-8)
            values.addcdiv_(mean, spread, value=-self.rate / slow)


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Within the block, draw from a seed; the global random state is the same before and after."""
    cuda = [device] if device.type == "cuda" else []
    with ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng(devices=cuda))
        # Not torch.manual_seed: that would reseed accelerators that are not forked here.
        torch.default_generator.manual_seed(seed)
        if cuda:
            stack.enter_context(torch.cuda.device(device))
            torch.cuda.manual_seed(seed)
        yield


def draws_noise(model: Any) -> bool:
    """Whether a model's output depends on chance when it trains. Tried out, not presumed."""
    rows = int(model.get_input_embeddings().weight.shape[0])
    ids = (torch.arange(1, 17, device=model.device) * 7 % rows).unsqueeze(0)
    outputs = []
    with keep_modes(model), torch.no_grad():
        model.train()
        for seed in (0, 1):
            with seeded(seed, model.device):
                outputs.append(model(input_ids=ids, use_cache=False).logits)
    return not torch.equal(*outputs)
