"""Loading a bundled model the second time, integrity check and tokenizer included."""

import statistics
import time

from benchmarks.common import table
from byrote.models import load

TURNS = 3


def main() -> None:
    rows = []
    for name in ("bundled:smollm2-135m", "bundled:gemma3-270m"):
        load(name)  # converts it if this is the first use
        seconds = []
        for _ in range(TURNS):
            start = time.perf_counter()
            loaded = load(name)
            assert len(loaded.weights_hash) == 64
            seconds.append(time.perf_counter() - start)
        rows.append((name, f"{statistics.median(seconds):.2f} s"))
    table("Second load of a bundled model (at most 3 s)", rows)


if __name__ == "__main__":
    main()
