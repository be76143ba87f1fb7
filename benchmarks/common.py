"""What the benchmarks share: timing in turns, passages of a real text, the machine's own speed."""

import statistics
import time
from collections.abc import Callable, Mapping

from byrote.runs import hardware, versions


def machine() -> str:
    """The machine and the versions, as Markdown."""
    facts = hardware() | versions()
    return "\n".join(f"- {name}: {value}" for name, value in facts.items()) + "\n"


def in_turns(ways: Mapping[str, Callable[[], object]], turns: int = 5) -> dict[str, list[float]]:
    """Time several ways of the same work in turn, A B A B …, after one round that is not counted.

    Returns:
        Seconds of each way, one for each turn.
    """
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(turns + 1):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            if turn:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def ratio(slow: list[float], fast: list[float]) -> float:
    """Median over turns of slow / fast, pair by pair."""
    return statistics.median(a / b for a, b in zip(slow, fast, strict=True))


def matmul_flops(seconds: float = 0.5) -> float:
    """The machine's float32 matrix-product rate just now, in FLOP per second."""
    import torch

    n = 2048
    a, b = torch.randn(n, n), torch.randn(n, n)
    torch.mm(a, b)
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        torch.mm(a, b)
        count += 1
    return count * 2 * n**3 / (time.perf_counter() - start)


def kjv_passages(tokenizer, count: int, prefix_len: int = 50, suffix_len: int = 50) -> list:
    """The first windows of the King James Version."""
    from itertools import islice

    from byrote.texts import cut, open_source

    records = open_source("corpus:kjv").records()
    windows = cut(records, tokenizer, prefix_len=prefix_len, suffix_len=suffix_len)
    return list(islice(windows, count))


def table(title: str, rows: list[tuple[str, str]], remark: str = "") -> None:
    """Print one result as a Markdown section."""
    print(f"## {title}\n")
    print("| what | measured |\n|---|---|")
    for name, value in rows:
        print(f"| {name} | {value} |")
    if remark:
        print(f"\n{remark}")
    print()
