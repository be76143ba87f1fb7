"""`byrote study`, `byrote claims`, and what the other commands do with a run of a study."""

from __future__ import annotations

import json
import os
import re
import signal
import time

import pytest

from byrote.cli import main
from byrote.runs import Run
from byrote.studies.registry import STUDIES
from tests.studies.conftest import start_byrote


@pytest.fixture(autouse=True)
def dice(monkeypatch):
    monkeypatch.setitem(STUDIES, "dice", "tests.studies.fake:STUDY")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli") / "run"
    process = start_byrote("study", "dice", "--set", "throwing.throws=5", "--out", folder)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return folder, out, err


def test_a_study_ends_with_its_claims_and_the_report(run):
    folder, out, err = run
    assert re.search(r"✓ holds +Dice show more eyes +2\.0", out)
    assert "✗ fails" in out
    assert "– not tested" in out
    assert "3 claims: 1 holds, 1 fails, 1 not tested" in out
    assert "6 <b>sides</b>" in out
    assert f"{folder}/report.html" in out
    assert "3 strings of each source" in out
    assert "printed by a task" not in out + err


@pytest.mark.parametrize("command", ["claims", "show", "resume"])
def test_the_claims_are_printed_again(command, run, capsys):
    assert main([command, str(run[0])]) == 0
    out = capsys.readouterr().out
    assert "3 claims: 1 holds, 1 fails, 1 not tested" in out


def test_no_line_is_wider_than_a_terminal(run):
    table = run[1].split("\nnote")[0].splitlines()
    assert max(map(len, table)) <= 80


@pytest.mark.parametrize("command", ["claims", "show"])
def test_json_is_one_document(command, run, capsys):
    assert main([command, str(run[0]), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["kind"] == "dice"
    assert [claim["verdict"] for claim in document["claims"]] == ["holds", "fails", "not tested"]
    assert document["claims"][1]["value"] == 6.0


def test_quiet_prints_nothing(run, capsys):
    assert main(["claims", str(run[0]), "--quiet"]) == 0
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_claims_as_markdown(run, capsys):
    assert main(["claims", str(run[0]), "--markdown"]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[1] == "|---|---|---|---|"
    assert "| **fails** |" in out


def test_claims_can_be_judged_again(run, capsys):
    (run[0] / "tables" / "claims.parquet").unlink()
    assert main(["claims", str(run[0]), "--judge-again"]) == 0
    assert "1 holds" in capsys.readouterr().out


def test_report_is_drawn_again(run, capsys):
    page = run[0] / "report.html"
    page.unlink()
    assert main(["report", str(run[0])]) == 0
    assert "Dice and coins" in page.read_text()


def test_without_a_name_the_studies_are_listed(monkeypatch, capsys):
    monkeypatch.setattr("byrote.cli.study_output.STUDIES", {"dice": STUDIES["dice"]})
    assert main(["study"]) == 0
    assert "smoke, one" in capsys.readouterr().out
    assert main(["study", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["presets"] == ["smoke", "one"]


def test_listing_cells_runs_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["study", "dice", "--list-cells", "--workers", "2", "--preset", "one"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"coin-0 +4\.0\ndie-0 +12\.0\n", out)
    # Two at a time, but no plan is shorter than its longest cell.
    assert "2 cells, about 16 core-seconds; with 2 at a time about 12 s" in out
    assert main(["study", "dice", "--list-cells", "--json", "--workers", "3"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["cost"] == sum(cell["cost"] for cell in document["cells"]) == 48.0
    assert document["seconds"] == 16.0
    assert list(tmp_path.iterdir()) == []


def test_fields_are_listed_as_set_reads_them(capsys):
    assert main(["study", "dice", "--list-fields", "--set", "ks=3,4", "label=x"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "ks = 3,4" in lines
    assert "throwing.limit = none" in lines
    words = [line.replace(" = ", "=") for line in lines]
    assert main(["study", "dice", "--list-fields", "--set", *words]) == 0
    assert capsys.readouterr().out.splitlines() == lines


def test_a_file_differs_from_the_preset_and_set_from_both(tmp_path, capsys):
    path = tmp_path / "mine.yaml"
    path.write_text("strings: 5\nthrowing: {throws: 6}\n")
    words = ["study", "dice", "--preset", "one", "--config", str(path), "--list-fields"]
    assert main([*words, "--set", "throwing.throws=7"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "strings = 5" in lines
    assert "throwing.throws = 7" in lines


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["study", "dise"], "there is no study 'dise'; did you mean dice?"),
        (["study", "dice", "--preset", "smok"], "did you mean smoke?"),
        (["study", "dice", "--set", "strings"], "--set 'strings': give FIELD=VALUE"),
        (["study", "dice", "--set", "strngs=3"], "did you mean strings"),
        (["study", "dice", "--set", "strings=x"], "strings = 'x': it must be a whole number"),
        (["study", "dice", "--set", "strings=0"], "strings = 0: it must be at least 1"),
        (["study", "dice", "--config", "gone.toml"], "no config file at gone.toml"),
        (["study", "dice", "--workers", "0"], "--workers 0: it must be at least 1"),
        (["study", "dice", "--threads", "0"], "--threads 0: it must be at least 1"),
        (["study", "dice", "--engine", "cloud"], "engine"),
        (["study", "dice", "--engine", "inline", "--workers", "3"], "--workers 3: the engine"),
        (["study", "dice", "--list-fields", "--list-cells", "--json"], "one document at a time"),
        (["study", "dice", "--list-cells", "--set", "strings=0"], "strings = 0"),
        (["claims", "gone"], "no run folder at gone"),
    ],
)
def test_bad_input_gets_one_message_and_exit_code_2(words, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_claims_of_an_audit_are_refused(tmp_path, capsys):
    Run.start(tmp_path / "r", "audit", {})
    assert main(["claims", str(tmp_path / "r")]) == 2
    assert "kind 'audit', which is no study" in capsys.readouterr().err


def test_options_of_the_other_kind_are_refused(run, tmp_path, capsys):
    assert main(["resume", str(run[0]), "--batch-size", "3"]) == 2
    assert "--batch-size is for audits" in capsys.readouterr().err
    Run.start(tmp_path / "r", "audit", {})
    assert main(["resume", str(tmp_path / "r"), "--workers", "3"]) == 2
    assert "are for studies" in capsys.readouterr().err


def test_a_failed_cell_is_named_and_exit_code_1(tmp_path, capsys):
    folder = str(tmp_path / "r")
    words = ["study", "dice", "--quiet", "--set", "trouble=raise@die-1", "--out", folder]
    assert main([*words, "--engine", "inline"]) == 1
    err = capsys.readouterr().err
    assert "1 of 6 cells failed: die-1: ZeroDivisionError" in err
    assert f"byrote resume {folder}" in err
    for command in ("show", "claims", "report"):
        assert main([command, folder]) == 0
    assert "1 of 6 cells failed" in capsys.readouterr().out


def test_the_claims_of_what_is_finished_are_printed_although_cells_failed(tmp_path, capsys):
    words = ["--set", "trouble=raise@die-1", "--out", str(tmp_path / "r"), "--engine", "inline"]
    assert main(["study", "dice", *words]) == 1
    captured = capsys.readouterr()
    assert "3 claims: 0 holds, 1 fails, 2 not tested" in captured.out
    assert "1 of 6 cells failed" in captured.out
    assert "failed: die-1: ZeroDivisionError" in captured.err
    assert main(["resume", str(tmp_path / "r"), "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["status"] == "failed"
    assert len(document["claims"]) == 3


def test_without_a_finished_cell_there_is_nothing_to_show(tmp_path, capsys):
    folder = str(tmp_path / "r")
    words = ["--quiet", "--set", "trouble=raise-unless@gone", "--engine", "inline"]
    assert main(["study", "dice", *words, "--out", folder]) == 1
    capsys.readouterr()
    for command in ("show", "claims", "report"):
        assert main([command, folder]) == 2
        assert "is not finished" in capsys.readouterr().err


def test_ctrl_c_stops_and_resume_goes_on(tmp_path):
    folder = tmp_path / "r"
    words = ["study", "dice", "--set", "throwing.pause=0.05", "--out", folder]
    process = start_byrote(*words, start_new_session=True)
    while not list(folder.glob("scratch/*/thrown")):
        assert process.poll() is None
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "stopped; what was finished is kept" in err
    assert "Traceback" not in err
    assert main(["resume", str(folder), "--quiet", "--engine", "inline"]) == 0


def test_help_shows_examples_and_loads_nothing_heavy(capsys):
    for command in ("study", "claims"):
        assert main([command, "--help"]) == 0
        out = capsys.readouterr().out
        assert f"byrote {command}" in out
        assert "Example" in out
