"""Run all benchmarks, each in a process of its own: `python -m benchmarks [NAME …] [--write]`."""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from benchmarks.common import machine

NAMES = (
    "scoring",
    "generation",
    "loading",
    "memory",
    "startup",
    "windows",
    "exposure",
    "filters",
    "goldfish",
    "localization",
    "localization_pruning",
    "localization_injection",
)
RESULTS = Path(__file__).with_name("RESULTS.md")

_HEAD = """\
# What `make bench` printed

Ratios are taken within one run, medians of several turns; absolute times drift with the machine.

"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=NAMES, metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--write", action="store_true", help="keep the output in RESULTS.md")
    options = parser.parse_args()
    text = _HEAD + machine()
    print(text)
    environment = os.environ | {"OMP_NUM_THREADS": "2", "TOKENIZERS_PARALLELISM": "false"}
    for name in options.names:
        done = subprocess.run(
            [sys.executable, "-m", f"benchmarks.{name}"],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            env=environment,
        )
        print(done.stdout, flush=True)
        text += "\n" + done.stdout
    if options.write:
        RESULTS.write_text(text)


if __name__ == "__main__":
    main()
