"""Synthetic runs, their reports, and a headless browser to open them in."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from headless import Browser, find_chromium
from synthetic import Shape, write_run

from byrote.report import write_report

SHAPES = {
    "base": Shape(),
    "no-controls": Shape(controls=()),
    "one": Shape(one=True),
    "zero": Shape(zero_recited=True),
    "sweep": Shape(prefix_lens=(25, 50, 100), counts=True, per_category=8),
    "held-out": Shape(controls=("held-out",), held_out=True),
    "verdict-only": Shape(verdict_only=True),
    "large": Shape(per_category=375, controls=("mismatched", "shuffled"), coverage=False),
}
KINDS = [name for name in SHAPES if name not in ("base", "large")]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`kind`: every kind of run but the plain one."""
    if "kind" in metafunc.fixturenames:
        metafunc.parametrize("kind", KINDS)


@pytest.fixture(scope="session")
def run_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """`run_of("base")`: the folder of a synthetic run, written once; do not change it."""

    @cache
    def write(name: str) -> Path:
        return write_run(tmp_path_factory.mktemp("runs") / name, SHAPES[name])

    return write


@pytest.fixture(scope="session")
def report_of(run_of: Callable[[str], Path]) -> Callable[[str], Path]:
    """`report_of("base")`: the path of the run's report, written once."""
    return cache(lambda name: write_report(run_of(name)))


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One headless browser for all tests."""
    binary = find_chromium()
    if binary is None:
        if os.environ.get("CI"):
            pytest.fail("Chromium is missing; CI has to install it (Debian's package: chromium)")
        pytest.skip("Chromium is not installed; `apt install chromium` runs the browser tests")
    browser = Browser(binary, tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.fixture
def browser(chromium: Browser) -> Browser:
    """The browser with its usual window."""
    chromium.emulate()
    return chromium
