import json
import subprocess
import sys

import pytest

from byrote.errors import ByroteError, InputError
from byrote.runs import Run, config_hash


def test_a_new_run_says_what_was_asked_and_where(tmp_path):
    run = Run.start(tmp_path / "r", "audit", {"limit": 3}, seed=7)
    info = json.loads((tmp_path / "r" / "run.json").read_text())
    assert info == run.info
    assert info["status"] == "running"
    assert info["seed"] == 7
    assert info["versions"]["byrote"]
    assert info["hardware"]["cores"] >= 1


def test_the_same_config_continues(tmp_path):
    first = Run.start(tmp_path, "audit", {"limit": 3})
    first.update(seconds=5.0)
    assert Run.start(tmp_path, "audit", {"limit": 3}).info["seconds"] == 5.0


def test_another_config_is_refused_and_nothing_changes(tmp_path):
    Run.start(tmp_path, "audit", {"limit": 3})
    before = (tmp_path / "run.json").read_bytes()
    with pytest.raises(InputError, match="limit is 3, asked for 4"):
        Run.start(tmp_path, "audit", {"limit": 4})
    with pytest.raises(InputError, match="kind 'audit'"):
        Run.start(tmp_path, "dynamics", {"limit": 3})
    assert (tmp_path / "run.json").read_bytes() == before


def test_a_folder_with_something_else_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match="not empty"):
        Run.start(tmp_path, "audit", {})
    with pytest.raises(InputError, match="is a file"):
        Run.start(tmp_path / "thesis.tex", "audit", {})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "holds no run.json"),
        ("{", "not a byrote run file"),
        ("{}", "not a byrote run file"),
        ('{"schema_version": 99}', "schema version 99"),
    ],
)
def test_what_is_no_run_is_refused(tmp_path, content, message):
    if content is not None:
        (tmp_path / "run.json").write_text(content)
    with pytest.raises(InputError, match=message):
        Run.open(tmp_path)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(InputError, match=r"no run folder at .*gone"):
        Run.open(tmp_path / "gone")


def test_two_processes_do_not_work_on_one_run(tmp_path):
    run = Run.start(tmp_path, "audit", {})
    script = (
        "import sys; from pathlib import Path; from byrote.runs import Run\n"
        "with Run.open(Path(sys.argv[1])).locked(): print('held', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert other.stdout is not None
    assert other.stdout.readline() == "held\n"
    with pytest.raises(ByroteError, match=f"process {other.pid}"), run.locked():
        pass
    other.kill()
    other.communicate()
    with run.locked():  # the dead process's lock is gone
        assert run.info["status"] == "running"


def test_the_hash_ignores_the_order_of_keys_and_sees_values():
    assert config_hash("audit", {"a": 1, "b": 2}) == config_hash("audit", {"b": 2, "a": 1})
    assert config_hash("audit", {"a": 1}) != config_hash("audit", {"a": 2})
    assert config_hash("audit", {"a": 1}) != config_hash("study", {"a": 1})


def test_litter_of_a_killed_process_is_removed(tmp_path):
    run = Run.start(tmp_path, "audit", {})
    (tmp_path / ".run.json.123.tmp").write_text("half")
    (tmp_path / "parts" / ".000001.tmp").mkdir(parents=True)
    run.clean()
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["parts", "run.json"]


def test_a_note_is_kept_once(tmp_path):
    run = Run.start(tmp_path, "audit", {})
    run.note("three records are too short")
    run.note("three records are too short")
    assert Run.open(tmp_path).info["notes"] == ["three records are too short"]


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"written to .*file/run: Not a directory.* --out"):
        Run.start(tmp_path / "file" / "run", "audit", {})


def test_what_another_process_changed_is_read_before_work(tmp_path):
    run = Run.start(tmp_path, "audit", {})
    Run.open(tmp_path).update(status="done")
    with run.locked():
        assert run.done
