"""`byrote locate` and `byrote erase`: what they print, write and refuse."""

import json

import numpy as np
import pytest
import torch

from byrote.cli import main


@pytest.fixture
def noise(tmp_path):
    rng = np.random.default_rng(2)
    path = tmp_path / "noise.txt"
    path.write_text("".join(rng.choice(list("abcdefghij klmnop"), 6000)))
    return path


def ran(capsys, *words):
    assert main([str(word) for word in words]) == 0, capsys.readouterr().err
    return capsys.readouterr().out


LOCATE = ("--prefix-len", 20, "--skip-layers", 1, "--top", 3, "--fraction", 0.05)
ERASE = (
    "--prefix-len",
    20,
    "--localizer",
    "attribution",
    "--retain-floor",
    0,
    "--text-ceiling",
    99,
)


@pytest.fixture
def located(parrot, secrets, noise, tmp_path, capsys):
    folder = tmp_path / "located"
    words = ("locate", parrot, "--text", secrets[0], "--references", noise, *LOCATE)
    return folder, ran(capsys, *words, "--out", folder)


def test_locate_prints_layers_neurons_and_what_depends_on_them(located, secrets):
    folder, said = located
    assert "text 1: 100% of the tokens right" in said
    assert secrets[0][20:].strip() in said
    for words in ("random", "other", "without it", str(folder / "report.html")):
        assert words in said.replace("\n", " ") or words in said
    assert {p.stem for p in (folder / "tables").iterdir()} == {
        "recital",
        "dependence",
        "layers",
        "neurons",
    }
    assert {p.name for p in (folder / "charts").glob("*.svg")} == {
        "dependence-1.svg",
        "layers-1.svg",
    }


def test_a_located_run_is_shown_reported_and_not_resumed(located, capsys):
    folder, said = located
    assert ran(capsys, "show", folder) == said
    document = json.loads(ran(capsys, "show", folder, "--json"))
    assert document["kind"] == "locate"
    assert document["status"] == "done"
    assert [row["layer"] for row in document["layers"]] == [0, 1]
    assert document["dependence"][0]["fraction"] == 0.0
    page = folder / "report.html"
    page.unlink()
    ran(capsys, "report", folder)
    assert "Where" in page.read_text(encoding="utf-8")
    assert main(["resume", str(folder)]) == 2
    assert "run the same again" in capsys.readouterr().err


def test_the_same_question_is_answered_from_the_folder(located, parrot, secrets, noise, capsys):
    folder, said = located
    words = ("locate", parrot, "--text", secrets[0], "--references", noise, *LOCATE)
    assert ran(capsys, *words, "--out", folder) == said
    other = ("locate", parrot, "--text", secrets[1], "--references", noise, *LOCATE)
    assert main([str(word) for word in (*other, "--out", folder)]) == 2
    assert "another config" in capsys.readouterr().err


def test_locate_finds_what_is_recited_in_sources(
    parrot, secrets_file, noise, tmp_path, capsys, monkeypatch
):
    monkeypatch.setenv("BYROTE_CACHE", str(tmp_path / "cache"))
    words = ("locate", parrot, "--texts", secrets_file, noise, "--references", noise, *LOCATE)
    document = json.loads(
        ran(capsys, *words, "--suffix-len", 30, "--limit", 2, "--out", tmp_path / "r", "--json")
    )
    assert len(document["passages"]) == 2
    assert all(row["passage"].startswith("secret-") for row in document["passages"])
    assert len(document["neurons"]) == 6


@pytest.fixture
def erased(parrot, secrets, noise, tmp_path, capsys):
    folder = tmp_path / "edited"
    words = ("erase", parrot, "--text", secrets[0], "--retain", noise, "--general", noise, *ERASE)
    return folder, ran(capsys, *words, "--fraction", 0.3, "--out", folder)


def test_erase_writes_a_model_that_no_longer_recites(erased, parrot, secrets, byte_tokenizer):
    from transformers import AutoModelForCausalLM

    folder, said = erased
    for words in ("to be erased", "to be kept", "general texts", "perplexity", str(folder)):
        assert words in said
    ids = torch.tensor([byte_tokenizer.encode(secrets[0])])
    right = []
    for where in (parrot, folder):
        with torch.no_grad():
            logits = AutoModelForCausalLM.from_pretrained(where)(input_ids=ids).logits
        right.append(float((logits[0, 19:-1].argmax(-1) == ids[0, 20:]).float().mean()))
    assert right[0] == 1.0
    assert f"{100 * right[1]:.1f} %" in said
    assert right[1] < 1.0


def test_without_out_nothing_is_written(parrot, secrets, noise, tmp_path, capsys):
    before = sorted(tmp_path.iterdir())
    words = ("erase", parrot, "--text", secrets[0], "--retain", noise, "--general", noise, *ERASE)
    assert "nothing was written" in ran(capsys, *words)
    document = json.loads(ran(capsys, *words, "--json"))
    assert document["out"] is None
    assert document["steps"][-1]["fraction"] == document["fraction"]
    assert {row["group"] for row in document["summary"]} == {"erased", "retained", "text"}
    assert ran(capsys, *words, "--quiet") == ""
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("command", ["locate", "erase"])
@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "one of the two"),
        (("--text", "a", "--texts", "corpus:kjv"), "one of the two"),
        (("--texts", "gone.txt"), "gone.txt does not exist"),
        (("--texts", "corpus:none"), "corpus:wellknown"),
        (("--text", "abc"), "text 1 has 3 tokens; it takes at least 8"),
        (("--text", "a" * 40, "--prefix-len", "0"), "prefix_len=0"),
        (("--text", "a" * 40, "--prefix-len", "60"), "has 40 tokens; it takes at least 61"),
        (("--text", "the quick brown fox jumps over"), "does not recite 'text 1'"),
        (("--text", "x" * 40, "--localizer", "atribution"), "Did you mean attribution"),
        (("--text", "x" * 40, "--fraction", "2"), "fraction=2.0"),
        (("--text", "x" * 40, "--fraction", "0.0001", "--force"), "selects none"),
        (("--text", "x" * 40, "--skip-layers", "8", "--force"), "no layer 8"),
        (("--text", "x" * 40, "--recited", "1.5"), "recited=1.5"),
        (("--text", "x" * 40, "--device", "toaster"), "toaster"),
    ],
)
def test_bad_input(command, words, message, parrot, noise, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    source = ("--references" if command == "locate" else "--retain", "noise.txt")
    more = ("--general", "noise.txt") if command == "erase" else ()
    before = sorted(tmp_path.iterdir())
    assert main([command, str(parrot), *words, *source, *more]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before


def test_an_existing_folder_is_refused_before_any_work(parrot, tmp_path, capsys):
    (tmp_path / "here").mkdir()
    assert main(["erase", "no-such-model", "--text", "a", "--out", str(tmp_path / "here")]) == 2
    assert "exists; nothing is overwritten" in capsys.readouterr().err
    (tmp_path / "here" / "file").touch()
    words = ["locate", str(parrot), "--text", "a" * 30, "--out", str(tmp_path / "here")]
    assert main(words) == 2
    assert "exists; nothing is overwritten" in capsys.readouterr().err


def test_an_architecture_without_neurons_is_refused(monkeypatch, parrot, noise, capsys):
    from byrote.errors import InputError
    from byrote.models import discovery

    def none(_):
        raise InputError("The neurons of X cannot be found: it has none.")

    monkeypatch.setattr(discovery, "find_neurons", none)
    words = ["locate", str(parrot), "--text", "a" * 30, "--references", str(noise), "--force"]
    assert main(words) == 2
    assert "cannot be found" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["locate", "erase"])
def test_help_has_examples(command, capsys):
    said = ran(capsys, command, "--help")
    assert f"byrote {command} bundled:gemma3-270m" in said
    assert "--localizer" in said
