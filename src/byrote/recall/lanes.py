"""Several batches side by side on a CPU.

Two threads that share one batch wait for each other after every operation, and elementwise passes
over small tensors gain little from a second thread. Two threads with a batch each do not wait.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch
from torch import nn

__all__ = ["in_lanes", "lanes_for"]

Item = TypeVar("Item")
Result = TypeVar("Result")

# Each lane holds the activations of a batch of its own.
_MOST_LANES = 4


def lanes_for(model: nn.Module) -> int:
    """How many batches to run side by side.

    Args:
        model: One with hooks runs one batch at a time, since a hook may keep what it saw between
            two modules and would mix up batches. So does one on an accelerator.
    """
    hooked = any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    on_cpu = all(parameter.device.type == "cpu" for parameter in model.parameters())
    return 1 if hooked or not on_cpu else min(torch.get_num_threads(), _MOST_LANES)


def in_lanes(work: Callable[[Item], Result], items: Iterable[Item], lanes: int) -> Iterator[Result]:
    """Apply a function to items, several at a time; the results have their order.

    Args:
        work: Called in another thread if there is more than one lane; must not change shared state.
        items: What it is applied to; taken as they are needed.
        lanes: How many at a time; torch's threads are shared out among them.
    """
    if lanes < 2:
        yield from map(work, items)
        return
    threads = torch.get_num_threads()
    share = max(1, threads // lanes)
    pending: deque[Future[Result]] = deque()
    # The number of threads is a thread's own, but for libraries that keep one for all.
    with ThreadPoolExecutor(lanes, initializer=lambda: torch.set_num_threads(share)) as pool:
        try:
            for item in items:
                pending.append(pool.submit(work, item))
                # One more than there are lanes, so that none waits while a result is looked at.
                if len(pending) > lanes:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()
            torch.set_num_threads(threads)
