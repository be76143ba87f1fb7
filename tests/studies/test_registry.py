"""The registry: studies by name, loaded when they are asked for."""

from __future__ import annotations

import subprocess
import sys

import pytest

from byrote.errors import InputError
from byrote.studies import get_study


def test_a_study_is_found_by_its_name(dice):
    assert get_study("dice") is dice


@pytest.mark.parametrize(("name", "hint"), [("dise", "did you mean dice"), ("x", "known are: ")])
def test_another_name_is_refused_with_a_hint(name, hint):
    with pytest.raises(InputError, match=hint):
        get_study(name)


def test_the_frame_is_light():
    script = (
        "import sys, byrote.studies, byrote.studies.registry, byrote.cli.studies, byrote.cli.runs\n"
        "print(sorted({'torch', 'transformers', 'polars', 'altair', 'scipy'} & sys.modules.keys()))"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
