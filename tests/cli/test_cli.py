"""The command line: exit codes, messages, what goes to which stream."""

import json
import subprocess
import sys

import pytest

from byrote.cli import main

SMALL = ["--prefix-len", "20", "--suffix-len", "30", "--limit", "all"]


def byrote(*words, **options):
    return subprocess.run(
        [sys.executable, "-m", "byrote", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=300,
        **options,
    )


@pytest.fixture(scope="module")
def audited(parrot, secrets, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli")
    path = folder / "secrets.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in secrets))
    result = byrote("audit", parrot, "--texts", path, *SMALL, "--out", folder / "run")
    assert result.returncode == 0, result.stderr
    return folder / "run", result


def test_an_audit_ends_with_a_table_and_the_report(audited):
    folder, result = audited
    assert "recited" in result.stdout
    assert "100.0 %" in result.stdout
    assert "rec." in result.stdout
    assert "control:" in result.stdout
    assert str(folder / "report.html") in result.stdout.replace("\n", "")


def test_show_prints_the_same_table_again(audited):
    folder, _ = audited
    result = byrote("show", folder)
    assert result.returncode == 0
    assert "recited" in result.stdout


def test_json_is_one_document_on_standard_output(audited):
    folder, _ = audited
    result = byrote("show", folder, "--json")
    document = json.loads(result.stdout)
    assert document["status"] == "done"
    rows = [
        r for r in document["summary"] if (r["measure"], r["group"]) == ("extractable", "texts")
    ]
    assert rows[0]["value"] == 1.0
    assert "NaN" not in result.stdout
    assert "Infinity" not in result.stdout


def test_quiet_says_nothing(parrot, audited, tmp_path):
    path = audited[0].parent / "secrets.jsonl"
    words = ("audit", parrot, "--texts", path, *SMALL, "--out", tmp_path / "r", "--quiet")
    result = byrote(*words)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_report_is_drawn_again(audited):
    folder, _ = audited
    page = folder / "report.html"
    page.unlink()
    result = byrote("report", folder)
    assert result.returncode == 0
    assert page.stat().st_size > 10_000


def test_resume_of_a_done_run_shows_it(audited):
    folder, _ = audited
    result = byrote("resume", folder)
    assert result.returncode == 0
    assert "recited" in result.stdout


def test_doctor_speaks_to_people_and_machines():
    people = byrote("doctor", "random:gpt2")
    assert people.returncode == 0
    assert "gpt2" in people.stdout
    machines = byrote("doctor", "random:gpt2", "--json")
    assert json.loads(machines.stdout)["family"] == "gpt2"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nonsense"], "Unknown command"),
        (["audit", "--limt", "3"], "--limit"),
        (["audit", "--limit", "0"], "--limit 0: it must be at least 1"),
        (["audit", "--limit", "many"], "--limit 'many'"),
        (["audit", "--prefix-len", "ten"], "--prefix-len ten: whole numbers only"),
        (["audit", "--prefix-len", "0"], "--prefix-len 0"),
        (["audit", "--suffix-len", "-3"], "--suffix-len"),
        (["audit", "--temperature", "0"], "temperature 0.0"),
        (["audit", "--top-p", "1.5"], "top-p 1.5"),
        (["audit", "--probability", "1"], "--probability 1.0"),
        (["audit", "--generate", "--verdict-only"], "exclude each other"),
        (["audit", "bundled:none"], "bundled:gemma3-270m"),
        (["audit", "random:nofamily"], "nofamily"),
        (["audit", "--texts", "gone.jsonl"], "gone.jsonl"),
        (["audit", "--texts", "corpus:none"], "corpus:kjv"),
        (["audit", "--controls", "controls:none"], "mismatched"),
        (["show", "gone"], "no run folder at gone"),
        (["resume", "gone"], "no run folder at gone"),
        (["report", "gone"], "no run folder at gone"),
    ],
)
def test_bad_input_gets_one_message_and_exit_code_2(words, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert "Traceback" not in captured.err
    assert list(tmp_path.iterdir()) == []


def test_bad_input_is_seen_before_a_model_is_loaded(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("byrote.audit.job.load", lambda *_, **__: pytest.fail("loaded"))
    (tmp_path / "empty.jsonl").write_text("")
    for words in (["--texts", "empty.jsonl"], ["--texts", "gone.txt"], ["--top-k", "-1"]):
        assert main(["audit", "random:gpt2", *words]) == 2
    assert "empty.jsonl" in capsys.readouterr().err


def test_broken_records_are_named_by_file_and_line(parrot, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "broken.jsonl"
    path.write_text('{"text": "' + "a" * 80 + '"}\n{"text": \n')
    assert main(["audit", str(parrot), "--texts", str(path), *SMALL]) == 2
    assert "broken.jsonl" in (said := capsys.readouterr().err)
    assert "line 2" in said or ":2" in said
    assert not list((tmp_path / "byrote-runs").glob("*"))


def test_texts_that_are_all_too_short_say_so(parrot, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "short.jsonl"
    path.write_text('{"id": "a", "text": "too short"}\n')
    assert main(["audit", str(parrot), "--texts", str(path), *SMALL]) == 2
    assert "a (9 tokens)" in capsys.readouterr().err


def test_a_failure_has_no_traceback_unless_asked_for(audited, monkeypatch, capsys):
    folder, _ = audited

    def fail(_):
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr("byrote.report.write_report", fail)
    assert main(["report", str(folder)]) == 1
    assert capsys.readouterr().err.startswith("byrote: ZeroDivisionError: a defect")
    with pytest.raises(ZeroDivisionError):
        main(["report", str(folder), "--debug"])


def test_help_and_version(capsys):
    assert main(["--version"]) == 0
    assert main(["--help"]) == 0
    assert "audit" in capsys.readouterr().out
    for command in ("audit", "doctor", "report", "resume", "show"):
        assert main([command, "--help"]) == 0
        assert "byrote " + command in capsys.readouterr().out
