"""Engines: run the cells of a study in this process, in several, or on a cluster.

Whichever runs them, a cell sees the same params, seed and number of threads, its tables are kept
whole or not at all, and the tables of the run are joined in the order of the cells. So the result
does not depend on the engine, on the number of workers, or on how often the run was killed.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from byrote.errors import ByroteError, InputError
from byrote.progress import hushed
from byrote.runs.devices import Gpu, gpus
from byrote.runs.provenance import cores
from byrote.runs.results import Results
from byrote.runs.tasks import Failure, Work
from byrote.runs.worker import perform

__all__ = ["ENGINES", "check_engine", "default_workers", "run_works", "workers_of"]

Done = Callable[[Work, float], None]
Advance = Callable[[Work, float], None]
Fail = Callable[[Failure], None]

# What the usual numerical libraries read when they are imported.
_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "RAYON_NUM_THREADS",
    "POLARS_MAX_THREADS",
)
_BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from byrote.runs.worker import main; main()"
)
_GRACE_SECONDS = 5.0


def default_workers(threads: int) -> int:
    """One worker for each GPU; without one, as many as the cores have room for.

    Args:
        threads: Threads of each worker.
    """
    return len(gpus()) or max(1, (cores() or 1) // threads)


def workers_of(engine: str, workers: int | None, threads: int) -> int | None:
    """How many cells an engine runs at a time; None where its cluster decides.

    Args:
        engine: Its name.
        workers: What was asked for, if anything.
        threads: Threads of each worker.
    """
    if engine == "inline":
        return 1
    if engine == "ray":
        return workers
    return workers or default_workers(threads)


def check_engine(engine: str, workers: int | None, threads: int) -> None:
    """Check what can be checked before any work.

    Raises:
        InputError: There is no such engine, it is not installed, a number is not positive, or
            several workers are asked of an engine that has one.
    """
    if engine not in ENGINES:
        raise InputError(f"--engine {engine!r}: it is one of {', '.join(ENGINES)}")
    if workers is not None and workers < 1:
        raise InputError(f"--workers {workers}: it must be at least 1")
    if engine == "inline" and workers is not None and workers > 1:
        raise InputError(
            f"--workers {workers}: the engine inline runs one cell at a time, in this process; "
            "leave it out, or take --engine processes"
        )
    if threads < 1:
        raise InputError(f"--threads {threads}: it must be at least 1")
    if engine == "ray":
        _import_ray()


def run_works(
    works: Sequence[Work],
    folder: Path,
    *,
    engine: str = "processes",
    workers: int | None = None,
    threads: int = 1,
    on_done: Done | None = None,
    on_progress: Advance | None = None,
    on_failed: Fail | None = None,
) -> list[Failure]:
    """Run all cells that are not finished yet, the costliest first.

    Args:
        works: The cells of the run.
        folder: The run folder; results go to `cells/`, scratch to `scratch/`, logs to `logs/`.
        engine: `processes`, `inline` (one after the other in this process) or `ray`.
        workers: Cells at a time; None takes the number of GPUs, or cores // threads where there
            is none. `inline` has one; a Ray cluster runs as many as it has room for. Each worker
            process sees one GPU alone.
        threads: Threads of each worker.
        on_done: Called in this process with each cell that has ended, however it ended, and the
            seconds that it took.
        on_progress: Called in this process with a running cell and its finished fraction.
        on_failed: Called in this process with each cell that did not end well, at once.

    Returns:
        The cells that did not end well, in the order of `works`.

    Raises:
        InputError: The engine cannot be used.
    """
    check_engine(engine, workers, threads)
    results = Results(folder)
    todo = sorted((w for w in works if results.read(w) is None), key=lambda w: -w.cost)
    if not todo:
        return []
    job = _Job(
        results,
        folder / "logs",
        min(workers_of(engine, workers, threads) or len(todo), len(todo)),
        threads,
        on_done or (lambda *_: None),
        on_progress or (lambda *_: None),
        on_failed or (lambda _: None),
    )
    ENGINES[engine](todo, job)
    order = {work.id: i for i, work in enumerate(works)}
    return sorted(job.failures, key=lambda failure: order[failure.cell])


@dataclass
class _Job:
    """What the engines share."""

    results: Results
    logs: Path
    workers: int
    threads: int
    on_done: Done
    on_progress: Advance
    on_failed: Fail
    failures: list[Failure] = field(default_factory=list)

    def ended(self, work: Work, message: dict[str, Any]) -> None:
        """Take a `done` or `failed` message."""
        if message["event"] == "failed":
            failure = Failure(work.id, message["message"], message["traceback"])
            self.failures.append(failure)
            self.logs.mkdir(parents=True, exist_ok=True)
            text = f"{failure.message}\n\n{failure.traceback}"
            (self.logs / f"{work.id}.txt").write_text(text, encoding="utf-8")
            self.on_failed(failure)
        else:
            (self.logs / f"{work.id}.txt").unlink(missing_ok=True)
        self.on_done(work, message["seconds"])


def _run_inline(works: Sequence[Work], job: _Job) -> None:
    with _threads_of_this_process(job.threads):
        for work in works:

            def say(message: dict[str, Any], work: Work = work) -> None:
                job.on_progress(work, message["fraction"])

            with hushed():
                message = perform(work, job.results, job.threads, say)
            job.ended(work, message)


@contextmanager
def _threads_of_this_process(threads: int) -> Iterator[None]:
    """Set the threads as a worker would have them, for the while."""
    before = {name: os.environ.get(name) for name in _THREAD_VARIABLES}
    os.environ |= dict.fromkeys(_THREAD_VARIABLES, str(threads))
    # Once imported, torch no longer reads the environment; it is not imported for this.
    torch = sys.modules.get("torch")
    torch_before = None if torch is None else torch.get_num_threads()
    if torch is not None:
        torch.set_num_threads(threads)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        if torch is not None and torch_before is not None:
            torch.set_num_threads(torch_before)


class _Worker:
    """A worker process as its parent sees it."""

    def __init__(
        self, number: int, gpu: Gpu | None, job: _Job, inbox: queue.SimpleQueue[Any]
    ) -> None:
        self.work: Work | None = None
        self.gpu = gpu
        job.logs.mkdir(parents=True, exist_ok=True)
        self.log = job.logs / f"worker-{number}.txt"
        environment = os.environ | dict.fromkeys(_THREAD_VARIABLES, str(job.threads))
        if gpu is not None:
            environment |= gpu.environment
        environment.setdefault("TOKENIZERS_PARALLELISM", "false")
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _BOOT, json.dumps(sys.path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment,
            )
        threading.Thread(target=self._listen, args=(inbox,), daemon=True).start()
        self._send({"folder": str(job.results.folder.parent.resolve()), "threads": job.threads})

    def start(self, work: Work) -> None:
        """Hand over a cell."""
        self.work = work
        self._send(asdict(work))

    def dismiss(self) -> None:
        """Close the pipe, at whose end the process leaves whatever it is doing."""
        stdin: IO[bytes] | None = self.process.stdin
        try:
            if stdin is not None:
                stdin.close()
        except BrokenPipeError:
            pass

    def wait(self) -> None:
        """Wait for the end of a dismissed process, which is killed if it does not come."""
        try:
            self.process.wait(timeout=_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def obituary(self) -> dict[str, Any]:
        """Why the process ended while it had a cell, as a `failed` message."""
        code = self.process.wait()
        tail = self.log.read_text(encoding="utf-8", errors="replace")[-4000:]
        if code < 0:
            try:
                name = signal.Signals(-code).name
            except ValueError:
                name = f"signal {-code}"
            why = f"its worker process was ended by {name}"
            if name == "SIGKILL":
                why += " (out of memory? fewer --workers need less)"
        else:
            last = tail.strip().splitlines()[-1:] or [""]
            why = f"its worker process ended with exit code {code} {last[0]}".rstrip()
        return {"event": "failed", "message": why, "traceback": tail, "seconds": 0.0}

    def _send(self, message: dict[str, Any]) -> None:
        # A worker that is dead already is noticed by the end of its output.
        try:
            if self.process.stdin is not None:
                self.process.stdin.write(json.dumps(message).encode() + b"\n")
                self.process.stdin.flush()
        except BrokenPipeError:
            pass

    def _listen(self, inbox: queue.SimpleQueue[Any]) -> None:
        if self.process.stdout is not None:
            for line in self.process.stdout:
                inbox.put((self, json.loads(line)))
        inbox.put((self, {"event": "gone"}))


def _run_processes(works: Sequence[Work], job: _Job) -> None:
    if not sys.executable:
        raise ByroteError("this Python cannot start another one; use --engine inline")
    waiting = list(reversed(works))
    inbox: queue.SimpleQueue[tuple[_Worker, dict[str, Any]]] = queue.SimpleQueue()
    workers: list[_Worker] = []

    def hire(gpu: Gpu | None) -> None:
        worker = _Worker(len(workers), gpu, job, inbox)
        workers.append(worker)
        worker.start(waiting.pop())

    try:
        devices = gpus() or (None,)
        for number in range(job.workers):
            hire(devices[number % len(devices)])
        while any(worker.work for worker in workers):
            worker, message = inbox.get()
            work = worker.work
            if work is None:
                continue
            if message["event"] == "progress":
                job.on_progress(work, message["fraction"])
                continue
            worker.work = None
            if message["event"] == "gone":
                job.ended(work, worker.obituary())
                if waiting:
                    hire(worker.gpu)
                continue
            job.ended(work, message)
            if waiting:
                worker.start(waiting.pop())
    finally:
        for worker in workers:
            worker.dismiss()
        for worker in workers:
            worker.wait()


def _import_ray() -> Any:
    try:
        import ray  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise InputError(
            "--engine ray needs Ray: pip install 'byrote[ray]'; --engine processes needs nothing"
        ) from error
    return ray


def _run_ray(works: Sequence[Work], job: _Job) -> None:
    from byrote.runs.ray_engine import run_on_ray

    run_on_ray(_import_ray(), works, job.results, job.workers, job.threads, job.ended)


ENGINES: dict[str, Callable[[Sequence[Work], _Job], None]] = {
    "processes": _run_processes,
    "inline": _run_inline,
    "ray": _run_ray,
}
"""Name -> what runs the cells."""
