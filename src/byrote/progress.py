"""Progress for everything that takes longer than a second.

On a terminal a bar; elsewhere (a log, CI) a plain line now and then, so that a log shows life
without ten thousand carriage returns. Silent until `show(True)`, which the command line calls:
a library must not write to a program's stderr unasked.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

__all__ = ["show", "task", "track"]

T = TypeVar("T")

_PLAIN_EVERY_SECONDS = 10.0
_shown = False


def show(on: bool = True) -> None:
    """Turn progress on or off for this process."""
    global _shown
    _shown = on


@contextmanager
def task(description: str, total: float | None = None) -> Iterator[Callable[[float], None]]:
    """Show one task while the block runs.

    Args:
        description: What is being done, in a few words.
        total: How many units there are; None where nobody knows (a spinner, or elapsed time).

    Yields:
        A function that is called with the number of units just finished.
    """
    if not _shown:
        yield lambda _: None
    elif sys.stderr.isatty():
        with _bar(description, total) as advance:
            yield advance
    else:
        with _lines(description, total) as advance:
            yield advance


def track(items: Iterable[T], description: str, total: float | None = None) -> Iterator[T]:
    """Yield from `items` while showing how many have been taken."""
    if total is None and hasattr(items, "__len__"):
        total = len(items)  # type: ignore[arg-type]
    with task(description, total) as advance:
        for item in items:
            yield item
            advance(1)


@contextmanager
def _bar(description: str, total: float | None) -> Iterator[Callable[[float], None]]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    if total is None:
        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    else:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        handle = progress.add_task(description, total=total)
        yield lambda n: progress.update(handle, advance=n)


@contextmanager
def _lines(description: str, total: float | None) -> Iterator[Callable[[float], None]]:
    start = last = time.monotonic()
    done = 0.0

    def advance(n: float) -> None:
        nonlocal done, last
        done += n
        now = time.monotonic()
        if now - last >= _PLAIN_EVERY_SECONDS:
            last = now
            of = f"{done:,.0f} of {total:,.0f}" if total is not None else f"{done:,.0f}"
            print(f"{description}: {of} ({now - start:.0f} s)", file=sys.stderr, flush=True)  # noqa: T201

    def say(text: str) -> None:
        print(f"{description}{text}", file=sys.stderr, flush=True)  # noqa: T201

    # What takes less than a second needs no line.
    timer = threading.Timer(1.0, say, [" …"])
    timer.daemon = True
    timer.start()
    try:
        yield advance
    finally:
        timer.cancel()
    took = time.monotonic() - start
    if took >= 1.0:
        say(f": done ({took:.1f} s)")
