"""Freed activations stay in the process."""

import subprocess
import sys

import pytest

from byrote.models import keep_freed_memory

_COUNT_FAULTS = """
import resource, sys
import torch
from byrote.models import keep_freed_memory
kept = keep_freed_memory() if sys.argv[1] == "keep" else False
def use():
    # Above 32 MiB, up to which glibc may learn by itself to keep blocks.
    [torch.ones(40_000_000 // 4) for _ in range(3)]
for _ in range(3):
    use()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    use()
print(kept, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def _faults(how: str) -> tuple[bool, int]:
    done = subprocess.run(
        [sys.executable, "-c", _COUNT_FAULTS, how], capture_output=True, text=True, check=True
    )
    kept, count = done.stdout.split()
    return kept == "True", int(count)


def test_activations_cost_no_page_faults_once_memory_is_kept():
    kept, with_keeping = _faults("keep")
    if not kept:
        pytest.skip("not glibc")
    _, without = _faults("plain")
    assert with_keeping < without / 10


def test_other_systems_are_left_alone(monkeypatch):
    monkeypatch.setattr("sys.platform", "darwin")
    assert keep_freed_memory() is False
