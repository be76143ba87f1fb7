"""A worker process of the engine: takes cells from its standard input until that closes.

Messages are lines of JSON. When the parent dies, however it dies, the system closes the pipe, and
the worker ends at once, also amid a cell: nothing is left running and nothing half-written is taken
for whole.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from byrote.errors import ByroteError
from byrote.runs.results import Results
from byrote.runs.tasks import CellContext, Work, call

__all__ = ["main", "perform", "told"]

_PROGRESS_EVERY_SECONDS = 0.25

Say = Callable[[dict[str, Any]], None]


def main() -> None:
    """Serve the parent; never returns."""
    # Ctrl-C reaches the whole group of processes; the parent decides what becomes of the workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # What a task prints must not mix with the messages: it goes where stderr goes, to the log.
    channel = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    lock = threading.Lock()

    def say(message: dict[str, Any]) -> None:
        with lock:
            channel.write(json.dumps(message) + "\n")
            channel.flush()

    inbox: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(inbox,), daemon=True).start()
    start = inbox.get()
    results = Results(Path(start["folder"]))
    while True:
        say(perform(Work(**inbox.get()), results, start["threads"], say))


def _listen(inbox: queue.SimpleQueue[dict[str, Any]]) -> None:
    for line in sys.stdin:
        inbox.put(json.loads(line))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def perform(work: Work, results: Results, threads: int, say: Say) -> dict[str, Any]:
    """Run one cell and keep its tables.

    Args:
        work: The cell.
        results: Where its tables are kept.
        threads: Threads that it may compute with.
        say: Takes messages about its progress.

    Returns:
        A message: `done` with the seconds it took, or `failed` with what happened.
    """
    last = 0.0

    def progress(fraction: float) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _PROGRESS_EVERY_SECONDS:
            last = now
            say({"event": "progress", "cell": work.id, "fraction": float(fraction)})

    began = time.monotonic()
    scratch = results.scratch / work.id
    context = CellContext(work.id, work.seed, scratch, threads, progress)
    try:
        scratch.mkdir(parents=True, exist_ok=True)
        tables = call(work.task, work.params, context)
        seconds = time.monotonic() - began
        results.write(work, tables, seconds=seconds, threads=threads)
    # A cell is anyone's code; whatever it raises, the other cells go on, and the run says so.
    except Exception as error:  # noqa: BLE001
        return {
            "event": "failed",
            "cell": work.id,
            "message": told(error),
            "traceback": traceback.format_exc(),
            "seconds": time.monotonic() - began,
        }
    return {"event": "done", "cell": work.id, "seconds": seconds}


def told(error: Exception) -> str:
    """An exception as one line; ours speak for themselves, others need their name."""
    text = " ".join(str(error).split())
    return text if isinstance(error, ByroteError) else f"{type(error).__name__}: {text}"
