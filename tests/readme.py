"""Run the README's commands as a reader would: every ```bash and ```python block, in order.

`.ci/run` calls it after `make test` and `make demo`. Blocks with another label (```console,
```text) are not run.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
BIN = ROOT / ".venv" / "bin"

# Exact lines that .ci/run has run just before.
ALREADY_RUN = frozenset({"make demo", "make test"})

_BLOCK = re.compile(r"^```(bash|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(text: str) -> list[tuple[str, str]]:
    """The (language, code) blocks that are to be run, without the lines that need not be."""
    found = []
    for language, code in _BLOCK.findall(text):
        if language == "bash":
            code = "".join(line for line in code.splitlines(keepends=True) if not _skipped(line))
        if code.strip():
            found.append((language, code))
    return found


def main() -> int:
    """Run all blocks; stop at the first that fails and return its exit code."""
    environment = os.environ | {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    found = blocks((ROOT / "README.md").read_text(encoding="utf-8"))
    for number, (language, code) in enumerate(found, start=1):
        _say(f"--- README.md, block {number} of {len(found)} ({language})\n{code}---")
        command = ["bash", "-euo", "pipefail", "-c"] if language == "bash" else ["python", "-c"]
        began = time.monotonic()
        result = subprocess.run([*command, code], cwd=ROOT, env=environment, check=False)
        if result.returncode:
            _say(f"README.md, block {number}: exit code {result.returncode}")
            return 1
        _say(f"--- done in {time.monotonic() - began:.0f} s")
    if not found:
        _say("README.md holds no block to run")
        return 1
    return 0


def _skipped(line: str) -> bool:
    words = line.strip()
    return words in ALREADY_RUN or words.startswith("git clone ")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
