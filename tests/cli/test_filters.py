"""`byrote filter`: from texts to a file, and what is said of it."""

import json
import string

import numpy as np
import pytest

from byrote.cli import main


@pytest.fixture(scope="module")
def model(tmp_path_factory, byte_tokenizer, random_model):
    """A folder of a tiny model with a tokenizer of bytes."""
    folder = tmp_path_factory.mktemp("model")
    random_model("gpt2", vocab_size=256).model.save_pretrained(folder)
    byte_tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def texts(tmp_path):
    rng = np.random.default_rng(3)
    letters = np.array(list(string.ascii_letters))
    path = tmp_path / "texts.jsonl"
    lines = [json.dumps({"text": "".join(rng.choice(letters, 300))}) for _ in range(5)]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def built(texts, model, tmp_path, capsys):
    path = tmp_path / "f.filter"
    words = ["filter", "build", texts, "--tokenizer", model, "--n", 6, "--out", path]
    assert main([*map(str, words), "--json"]) == 0
    return path, json.loads(capsys.readouterr().out)


def test_build_says_what_it_made(built, texts, model):
    path, said = built
    assert path.stat().st_size >= said["bytes"]
    assert (said["kind"], said["n"], said["n-grams"]) == ("bloom", 6, 5 * 295)
    assert (said["documents"], said["tokens"]) == (5, 1500)
    assert 0 < said["false positives"] <= 0.001
    assert said["sources"] == [str(texts)]
    assert said["tokenizer"] == str(model)
    assert said["notes"] == []


def test_info_says_the_same(built, capsys):
    path, said = built
    assert main(["filter", "info", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == said
    assert main(["filter", "info", str(path)]) == 0
    assert "1,475" in capsys.readouterr().out


def test_test_finds_the_texts_and_nothing_else(built, texts, tmp_path, capsys):
    path, _ = built
    other = tmp_path / "other.txt"
    other.write_text("0123456789 " * 40)
    words = ["filter", "test", path, texts, other, "--lookups", 20_000, "--json"]
    assert main(list(map(str, words))) == 0
    random, own, changed, strange = json.loads(capsys.readouterr().out)["measured"]
    assert (random["n"], own["value"], strange["value"]) == (20_000, 1.0, 0.0)
    assert random["value"] < 0.001
    assert (changed["n"], own["n"]) == (1475, 1475)
    assert changed["value"] < 0.02
    assert main(["filter", "test", str(path), str(texts)]) == 0
    assert "found: 1 [" in capsys.readouterr().out


def test_exact_and_streamed(texts, model, tmp_path, capsys):
    words = ["filter", "build", str(texts), "--tokenizer", str(model), "--n", "6", "--out"]
    assert main([*words, str(tmp_path / "e"), "--exact", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["kind"], said["false positives"]) == ("exact", 0.0)
    assert main([*words, str(tmp_path / "s"), "--capacity", "100"]) == 0
    assert "build it again with --capacity" in capsys.readouterr().out


def test_quiet_says_nothing(texts, model, tmp_path, capsys):
    words = ["filter", "build", texts, "--tokenizer", model, "--out", tmp_path / "q", "--quiet"]
    assert main(list(map(str, words))) == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["build", "--out", "x"], "texts"),
        (["build", "gone.txt", "--out", "x"], "gone.txt does not exist"),
        (["build", "t.txt", "--out", "x", "--n", "1"], "n is 1"),
        (["build", "t.txt", "--out", "x", "--fpr", "0"], "rate is 0.0"),
        (["build", "t.txt", "--out", "x", "--capacity", "0"], "capacity is 0"),
        (["build", "t.txt", "--out", "x", "--exact", "--capacity", "9"], "exclude each other"),
        (["build", "t.txt", "--out", "x", "--capacity", f"{10**15}"], "a smaller capacity or a"),
        (["build", "t.txt", "--out", "."], "is a folder"),
        (["build", "t.txt", "--out", "x", "--n", "900"], "none of 1 records"),
        (["info", "gone"], "no filter at gone"),
        (["info", "t.txt"], "no filter of n-grams"),
        (["test", "t.txt"], "no filter of n-grams"),
        (["test", "t.txt", "--seed", "-1"], "--seed -1: it must be 0 or more"),
        (["nonsense"], "Unknown command"),
    ],
)
def test_bad_input(words, message, model, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.txt").write_text("a text of some length\n")
    options = ["--tokenizer", str(model)] if words[0] == "build" else []
    assert main(["filter", *words, *options]) == 2
    said = capsys.readouterr().err
    assert message.casefold() in said.casefold()
    assert said.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["t.txt"]


def test_a_filter_of_another_tokenizer_is_refused(built, texts, capsys):
    path, _ = built
    words = ["filter", "test", path, texts, "--tokenizer", "bundled:smollm2-135m"]
    if main(["doctor", "bundled:smollm2-135m", "--quiet"]) != 0:
        pytest.skip("needs the bundled tokenizer")
    assert main(list(map(str, words))) == 2
    assert "another tokenizer" in capsys.readouterr().err


def test_help(capsys):
    assert main(["filter", "--help"]) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in ("build", "info", "test", "byrote filter build corpus:kjv"))
    for name in ("build", "info", "test"):
        assert main(["filter", name, "--help"]) == 0
        assert f"byrote filter {name}" in capsys.readouterr().out
