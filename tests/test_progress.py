"""Progress: silent by default, for short work too; a line for long work without a terminal."""

import io
import time

import pytest

from byrote import progress


def test_a_library_is_silent_until_it_is_told_to_speak(capsys):
    with progress.task("Counting", 2) as advance:
        advance(2)
    assert list(progress.track([1, 2], "Counting")) == [1, 2]
    assert capsys.readouterr().err == ""


def test_long_work_is_announced_and_short_work_is_not(capsys):
    progress.show(True)
    try:
        with progress.task("Short", 1) as advance:
            advance(1)
        with progress.task("Long"):
            time.sleep(1.3)
    finally:
        progress.show(False)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "Long …"
    assert lines[1].startswith("Long: done (1.")
    assert len(lines) == 2


@pytest.mark.parametrize(
    ("done", "total", "seconds", "text"),
    [
        (0.0, 10.0, 50.0, ""),
        (5.0, 10.0, 0.5, ""),
        (10.0, 10.0, 50.0, ""),
        (5.0, 10.0, 50.0, ", about 50 s left"),
        (1.0, 10.0, 60.0, ", about 9 min left"),
        (1.0, 100.0, 600.0, ", about 16.5 h left"),
    ],
)
def test_the_time_left_follows_the_weight_done(done, total, seconds, text):
    assert progress.time_left(done, total, seconds) == text


def test_parts_of_unequal_weight_are_told_in_plain_lines(capsys):
    progress.show()
    try:
        with progress.weighted("Running cells", 3, 30.0) as tell:
            tell(0, 0.0, 0.0)
            tell(1, 10.0, 5.0)
            tell(1, 15.0, 15.0)
            tell(3, 30.0, 16.0)
    finally:
        progress.show(False)
    assert capsys.readouterr().err.splitlines() == [
        "Running cells: 0 of 3 (0 s)",
        "Running cells: 1 of 3, about 15 s left (15 s)",
        "Running cells: 3 of 3 (16 s)",
    ]


def test_weighted_parts_are_silent_until_asked_for(capsys):
    with progress.weighted("Running cells", 3, 30.0) as tell:
        tell(3, 30.0, 16.0)
    assert capsys.readouterr().err == ""


def test_on_a_terminal_the_bar_counts_parts_and_tells_the_time_left(monkeypatch):
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr("sys.stderr", terminal)
    progress.show()
    try:
        with progress.weighted("Running cells", 3, 30.0) as tell:
            tell(2, 20.0, 100.0)
    finally:
        progress.show(False)
    assert "2/3" in terminal.getvalue()
    assert "about 50 s left" in terminal.getvalue()


def test_parts_of_a_shown_task_can_be_hushed(capsys):
    progress.show()
    try:
        with progress.hushed(), progress.weighted("Inner", 1, 1.0) as tell:
            tell(1, 1.0, 1.0)
        with progress.weighted("Outer", 1, 1.0) as tell:
            tell(1, 1.0, 1.0)
    finally:
        progress.show(False)
    assert capsys.readouterr().err.splitlines() == ["Outer: 1 of 1 (1 s)"]
