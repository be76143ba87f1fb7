"""The engine on a Ray cluster: cells run wherever there is room, their tables come back here."""

from __future__ import annotations

import io
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from byrote.runs.results import Results
from byrote.runs.tasks import CellContext, Work, call
from byrote.runs.worker import told

__all__ = ["remote_cell", "run_on_ray"]


def run_on_ray(
    ray: Any,
    works: Sequence[Work],
    results: Results,
    workers: int,
    threads: int,
    ended: Callable[[Work, dict[str, Any]], None],
) -> None:
    """Run the cells as Ray tasks, at most `workers` at a time.

    Ray is started on this machine unless the program, or RAY_ADDRESS, has named a cluster. A node
    of a cluster need not see the run folder: tables travel as Parquet, and scratch that is not in
    sight is a temporary folder, so that a cell killed there begins anew.

    Args:
        ray: The module.
        works: The cells, the costliest first.
        results: Where tables are kept, on this machine.
        workers: Cells handed over at a time; Ray runs as many of them as it has room for.
        threads: Threads (and Ray CPUs) of each cell.
        ended: Takes each cell's `done` or `failed` message.
    """
    if not ray.is_initialized():
        ray.init(log_to_driver=False, include_dashboard=False)
    variables = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
    # A cell asks for a GPU where there is one, and Ray shows it that one alone.
    gpus = 1 if ray.cluster_resources().get("GPU", 0) >= 1 else 0
    remote = ray.remote(
        num_cpus=threads,
        num_gpus=gpus,
        max_retries=0,
        runtime_env={"env_vars": variables},
    )(remote_cell)
    waiting = list(reversed(works))
    running: dict[Any, Work] = {}
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                work = waiting.pop()
                running[remote.remote(work, str(results.scratch.resolve()), threads)] = work
            ready, _ = ray.wait(list(running), num_returns=1)
            work = running.pop(ready[0])
            began = time.monotonic()
            try:
                message = ray.get(ready[0])
                if message["event"] == "done":
                    results.write(
                        work,
                        _unpacked(message["tables"]),
                        seconds=message["seconds"],
                        threads=threads,
                    )
            # A lost node, an object store that is full: the other cells go on.
            except Exception as error:  # noqa: BLE001
                message = {
                    "event": "failed",
                    "message": told(error),
                    "traceback": traceback.format_exc(),
                    "seconds": time.monotonic() - began,
                }
            ended(work, message)
    finally:
        for reference in running:
            ray.cancel(reference, force=True)


def remote_cell(work: Work, scratch: str, threads: int) -> dict[str, Any]:
    """Run one cell where Ray has put it.

    Args:
        work: The cell.
        scratch: The run's scratch folder, used where this machine sees it.
        threads: Threads that it may compute with.

    Returns:
        A `done` message with its tables as Parquet, or a `failed` one.
    """
    began = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="byrote-") as temporary:
            shared = Path(scratch)
            folder = (shared if shared.parent.exists() else Path(temporary)) / work.id
            folder.mkdir(parents=True, exist_ok=True)
            context = CellContext(work.id, work.seed, folder, threads, lambda _: None)
            tables = call(work.task, work.params, context)
    # A cell is anyone's code; whatever it raises, the other cells go on, and the run says so.
    except Exception as error:  # noqa: BLE001
        return {
            "event": "failed",
            "message": told(error),
            "traceback": traceback.format_exc(),
            "seconds": time.monotonic() - began,
        }
    packed = {}
    for name, frame in tables.items():
        buffer = io.BytesIO()
        frame.write_parquet(buffer, compression="zstd")
        packed[name] = buffer.getvalue()
    return {"event": "done", "seconds": time.monotonic() - began, "tables": packed}


def _unpacked(tables: dict[str, bytes]) -> dict[str, Any]:
    import polars as pl

    return {name: pl.read_parquet(io.BytesIO(data)) for name, data in tables.items()}
