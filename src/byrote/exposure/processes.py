"""One exposure in several processes: each takes a share of the sequences of every step."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

__all__ = ["Processes", "join_processes"]


@dataclass(frozen=True, slots=True)
class Processes:
    """Where this process stands among those that work together.

    Attributes:
        rank: From 0, the main one.
        count: How many there are.
    """

    rank: int = 0
    count: int = 1

    @property
    def main(self) -> bool:
        """Whether this is the one that writes."""
        return self.rank == 0

    def share(self, indices: np.ndarray) -> np.ndarray:
        """This process's part of a step's sequences; the parts differ by one at most."""
        return np.array_split(indices, self.count)[self.rank]

    def sum(self, values: Sequence[float], device: torch.device) -> list[float]:
        """Add up numbers over the processes."""
        if self.count == 1:
            return list(values)
        # MPS has no float64, but no process group either.
        tensor = torch.tensor(values, dtype=torch.float64, device=device)
        dist.all_reduce(tensor)
        return tensor.tolist()

    def sum_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Add up gradients in place; one that no process has stays None."""
        if self.count == 1:
            return
        has = torch.tensor([float(p.grad is not None) for p in parameters])
        has = has.to(parameters[0].device)
        dist.all_reduce(has, op=dist.ReduceOp.MAX)
        waiting = []
        for parameter, somewhere in zip(parameters, has.tolist(), strict=True):
            if somewhere:
                if parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)
                waiting.append(dist.all_reduce(parameter.grad, async_op=True))
        for work in waiting:
            if work is not None:
                work.wait()

    def same(self, tensors: Sequence[Tensor]) -> None:
        """Give every process the main one's tensors, in place."""
        if self.count > 1:
            for tensor in tensors:
                dist.broadcast(tensor, src=0)

    def gather(self, value: Any) -> list[Any]:
        """Give the main process everyone's value, in order of rank; the others their own."""
        if self.count == 1:
            return [value]
        values: list[Any] | None = [None] * self.count if self.main else None
        dist.gather_object(value, values)
        return values if values is not None else [value]

    def wait(self) -> None:
        """Go on when all have come here."""
        if self.count > 1:
            dist.barrier()


def join_processes(device: torch.device | str = "cpu") -> Processes:
    """Join the processes that `accelerate launch` or `torchrun` started; else be the only one.

    Args:
        device: Where the model is: decides between gloo and NCCL.
    """
    if not dist.is_available():
        return Processes()
    if not dist.is_initialized():
        if int(os.environ.get("WORLD_SIZE", "1")) < 2:
            return Processes()
        from accelerate import PartialState

        PartialState(cpu=torch.device(device).type == "cpu")
    return Processes(dist.get_rank(), dist.get_world_size())
