"""The real models. Converted once into the user's own cache, so a second run is quick."""

from __future__ import annotations

import time

import pytest
import torch

from byrote.errors import ByroteError
from byrote.models import BUNDLED, cache_dir, convert, diagnose, hash_weights, load

pytestmark = pytest.mark.slow

FACTS = {
    # name: (layers, neurons per layer, vocabulary, parameters, bos, licence)
    "smollm2-135m": (30, 1536, 49152, 134_515_008, None, "Apache-2.0"),
    "gemma3-270m": (18, 2048, 262144, 268_098_176, 2, "Gemma Terms of Use"),
}
# What a language model cannot fail to continue.
START, NEXT = "The quick brown fox jumps over the lazy", " dog"


@pytest.fixture(scope="module", params=sorted(BUNDLED))
def loaded(request):
    return load(f"bundled:{request.param}", device="cpu")


def test_it_is_the_model_that_it_should_be(loaded):
    layers, width, vocab, parameters, bos, licence = FACTS[loaded.source.removeprefix("bundled:")]
    assert loaded.neurons.widths == (width,) * layers
    assert (loaded.vocab_size, loaded.parameters) == (vocab, parameters)
    assert (loaded.bos_id, loaded.licence) == (bos, licence)
    assert loaded.dtype == torch.float32


def test_it_speaks_english(loaded):
    ids = loaded.tokenizer(START, return_tensors="pt").input_ids
    with torch.no_grad():
        best = int(loaded.model(ids).logits[0, -1].argmax())
    assert loaded.tokenizer.decode([best]) == NEXT


def test_the_cached_hash_is_the_hash_of_the_weights(loaded):
    assert loaded.weights_hash == hash_weights(loaded.model)


def test_nothing_is_wrong_with_it(loaded):
    found = diagnose(loaded)
    assert found.findings == ()
    assert found.letters == "abcdefghijklmnopqrstuvwxyz"


def test_the_second_load_converts_nothing_and_is_quick(loaded, monkeypatch):
    """Measured at 2.6 s; the bound is loose because other tests may share the machine."""

    def refuse(*_args, **_kwargs):
        raise AssertionError("converted again")

    monkeypatch.setattr(convert, "_convert", refuse)
    cached = convert.cached_bundled(BUNDLED[loaded.source.removeprefix("bundled:")])
    assert cached.quick_tokenizer
    before = time.process_time()
    load(loaded.source)
    assert time.process_time() - before < 10


def test_a_changed_download_is_not_read(tmp_path, monkeypatch):
    """The real file, but for one bit of its last part."""
    monkeypatch.setenv("BYROTE_CACHE", str(tmp_path / "cache"))
    model = BUNDLED["smollm2-135m"]
    (path,) = convert.bundled_files(model)
    changed = tmp_path / path.name
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    changed.write_bytes(content)
    monkeypatch.setattr(convert, "bundled_files", lambda _: [changed])
    with pytest.raises(ByroteError, match=model.sha256):
        load("bundled:smollm2-135m")
    assert not list((cache_dir() / "models").iterdir())
