"""How light `byrote --help` and `import byrote` are."""

import os
import statistics
import subprocess
import sys

from benchmarks.common import table


def cpu_seconds(arguments: list[str]) -> float:
    """CPU time of one process, user and system."""
    before = os.times()
    subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True)
    after = os.times()
    return (
        after.children_user + after.children_system - before.children_user - before.children_system
    )


def main() -> None:
    def median(*arguments: str) -> str:
        return f"**{statistics.median(cpu_seconds(list(arguments)) for _ in range(9)):.3f} s**"

    script = "import sys, byrote; sys.exit('torch' in sys.modules)"
    table(
        "Start-up, CPU time",
        [
            ("`byrote --help` (under 0.3 s)", median("-m", "byrote", "--help")),
            ("`import byrote`, without torch", median("-c", script)),
            ("an empty Python process", median("-c", "pass")),
        ],
    )


if __name__ == "__main__":
    main()
