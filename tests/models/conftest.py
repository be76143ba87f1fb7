"""A tiny GGUF file, written with the gguf package, and a cache of its own for each test."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    """An empty model cache."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("BYROTE_CACHE", str(folder))
    return folder


@pytest.fixture
def gguf_file(tmp_path) -> Path:
    """A random llama of two layers; context 64; one token for each byte, and one for "ab"."""
    return write_gguf(tmp_path / "tiny.gguf")


def write_gguf(path: Path, architecture: str = "llama", licence: str | None = "mit") -> Path:
    import gguf
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    hidden, inner, heads, vocab, layers = 64, 96, 4, 257, 2
    writer = gguf.GGUFWriter(path, architecture)
    if licence:
        writer.add_license(licence)
    writer.add_block_count(layers)
    writer.add_context_length(64)
    writer.add_embedding_length(hidden)
    writer.add_feed_forward_length(inner)
    writer.add_head_count(heads)
    writer.add_head_count_kv(heads)
    writer.add_rope_dimension_count(hidden // heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(vocab)
    writer.add_tokenizer_model("gpt2")
    letters = bytes_to_unicode()
    writer.add_token_list([letters[byte] for byte in range(256)] + ["ab"])
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    generator = np.random.default_rng(0)

    def tensor(name: str, *shape: int) -> None:
        values = generator.standard_normal(shape, dtype=np.float32) * np.float32(0.1)
        writer.add_tensor(name, values + np.float32(len(shape) == 1))

    tensor("token_embd.weight", vocab, hidden)
    tensor("output_norm.weight", hidden)
    for layer in range(layers):
        at = f"blk.{layer}."
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            tensor(f"{at}{name}.weight", hidden, hidden)
        tensor(f"{at}ffn_gate.weight", inner, hidden)
        tensor(f"{at}ffn_up.weight", inner, hidden)
        tensor(f"{at}ffn_down.weight", hidden, inner)
        tensor(f"{at}attn_norm.weight", hidden)
        tensor(f"{at}ffn_norm.weight", hidden)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
