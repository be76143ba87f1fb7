"""Tasks for the engines' tests."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import polars as pl


def numbers(params, context):
    """A few seeded numbers, and what the cell was told."""
    generator = random.Random(context.seed)
    context.progress(0.5)
    print("noise on stdout")  # noqa: T201
    os.write(1, b"more noise\n")
    time.sleep(params.get("pause", 0.0))
    return {
        "numbers": pl.DataFrame({"number": [generator.random() for _ in range(3)]}),
        "told": pl.DataFrame(
            {
                "threads": [context.threads],
                "omp": [os.environ.get("OMP_NUM_THREADS")],
                "list": [params["list"]],
                "scratch": [str(context.folder)],
                "exists": [context.folder.is_dir()],
            }
        ),
    }


def uneven(params, context):
    """Columns that differ from cell to cell."""
    if params["i"] == 0:
        return {"uneven": pl.DataFrame({"a": [None], "b": [1]})}
    return {"uneven": pl.DataFrame({"a": [0.5], "c": ["x"]})}


def wrong(params, context):
    return [1, 2]


def raises(params, context):
    raise ValueError("no\nluck")


def dies(params, context):
    os.kill(os.getpid(), signal.SIGKILL)


def leaves(params, context):
    os.write(2, b"goodbye\n")
    os._exit(3)


def imports_torch_threads(params, context):
    import torch

    return {"threads": pl.DataFrame({"torch": [torch.get_num_threads()]})}


def once(params, context):
    """Fails on the first attempt, which leaves a checkpoint for the second."""
    checkpoint = context.folder / "checkpoint"
    if not checkpoint.exists():
        checkpoint.write_text("half")
        raise RuntimeError("first attempt")
    return {"found": pl.DataFrame({"text": [checkpoint.read_text()]})}


def sleeps(params, context):
    """Says that it has begun, and never ends."""
    (Path(params["folder"]) / f"{os.getpid()}.pid").touch()
    while True:
        sum(i * i for i in range(10_000))


def sees(params, context):
    """Which GPUs the cell may use; the pause keeps its worker from taking the next cell too."""
    time.sleep(params["pause"])
    return {"seen": pl.DataFrame({"visible": [os.environ.get("CUDA_VISIBLE_DEVICES")]})}


def speaks(params, context):
    """Shows progress of its own."""
    from byrote import progress

    with progress.weighted("Within a cell", 1, 1.0) as tell:
        tell(1, 1.0, 1.0)
    return {}
