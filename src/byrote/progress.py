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
from typing import Any, TypeVar

__all__ = ["hushed", "say", "show", "task", "time_left", "track", "weighted"]

T = TypeVar("T")

_PLAIN_EVERY_SECONDS = 10.0
_shown = False
# Prints above the bar that is being drawn, if one is.
_above: Callable[[str], None] | None = None


def show(on: bool = True) -> None:
    """Turn progress on or off for this process."""
    global _shown
    _shown = on


def say(text: str) -> None:
    """Tell something while work goes on, in a line of its own, if progress is shown."""
    if not text:
        return
    if _shown and _above is not None:
        _above(text)
    elif _shown:
        print(text, file=sys.stderr, flush=True)  # noqa: T201


@contextmanager
def _above_the_bar(console: Any) -> Iterator[None]:
    """Let `say` print through the console that draws a bar, or the two would mix."""
    global _above
    before = _above
    _above = lambda text: console.print(text, markup=False, highlight=False, soft_wrap=True)  # noqa: E731
    try:
        yield
    finally:
        _above = before


@contextmanager
def hushed() -> Iterator[None]:
    """Show nothing more while the block runs; for parts of a task that is shown as a whole."""
    global _shown
    before, _shown = _shown, False
    try:
        yield
    finally:
        _shown = before


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
def weighted(
    description: str, count: int, total: float
) -> Iterator[Callable[[int, float, float], None]]:
    """Show one task of parts that take unequal time, with the time left by their weights.

    Args:
        description: What is being done, in a few words.
        count: How many parts there are, those included that were done before.
        total: The summed weight of those that are still to be done.

    Yields:
        A function of the parts done, the weight done since the start, and the seconds since the
        start, all in total and not since the last call.
    """
    if not _shown:
        yield lambda *_: None
        return
    if not sys.stderr.isatty():
        last = -_PLAIN_EVERY_SECONDS

        def say(parts: int, weight: float, seconds: float) -> None:
            nonlocal last
            if seconds - last >= _PLAIN_EVERY_SECONDS or parts == count:
                last = seconds
                text = f"{description}: {parts:,} of {count:,}{time_left(weight, total, seconds)}"
                print(f"{text} ({seconds:.0f} s)", file=sys.stderr, flush=True)  # noqa: T201

        yield say
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[parts]}"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}"),
    )
    with (
        Progress(*columns, console=Console(stderr=True)) as progress,
        _above_the_bar(progress.console),
    ):
        handle = progress.add_task(description, total=total, parts=f"0/{count}", left="")

        def draw(parts: int, weight: float, seconds: float) -> None:
            left = time_left(weight, total, seconds).removeprefix(", ")
            progress.update(handle, completed=weight, parts=f"{parts}/{count}", left=left)

        yield draw


def time_left(done: float, total: float, seconds: float) -> str:
    """The time left in words, from the pace so far; nothing where there is none to judge by.

    Args:
        done: Weight done.
        total: Weight of everything.
        seconds: Time that `done` took.
    """
    if done <= 0.0 or seconds < 1.0 or done >= total:
        return ""
    left = seconds * (total - done) / done
    if left < 90:
        return f", about {max(1, round(left))} s left"
    if left < 5400:
        return f", about {left / 60:.0f} min left"
    return f", about {left / 3600:.1f} h left"


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
    with (
        Progress(*columns, console=Console(stderr=True)) as progress,
        _above_the_bar(progress.console),
    ):
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
