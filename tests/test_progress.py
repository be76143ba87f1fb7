"""Progress: silent by default, for short work too; a line for long work without a terminal."""

import time

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
