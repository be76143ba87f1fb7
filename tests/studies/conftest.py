"""The fake study as the only one, and its command line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from byrote.studies.registry import STUDIES

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(autouse=True)
def dice(monkeypatch):
    """The study of dice, registered."""
    from tests.studies.fake import STUDY

    monkeypatch.setitem(STUDIES, "dice", "tests.studies.fake:STUDY")
    return STUDY


def start_byrote(*words, **options):
    """Start `byrote` with the fake study as the only one."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.studies.fake", *map(str, words)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )
