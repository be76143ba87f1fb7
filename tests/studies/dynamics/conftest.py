"""Tokenizers and weights on disk, as the study finds them."""

from __future__ import annotations

import pytest
import torch


@pytest.fixture(scope="session")
def lettered(tmp_path_factory) -> str:
    """Source of a tiny random model whose byte-level tokenizer merges `ab` and has a BOS."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    vocab = {letter: byte for byte, letter in bytes_to_unicode().items()} | {"ab": 256, "<s>": 257}
    backend = Tokenizer(models.BPE(vocab=vocab, merges=[("a", "b")]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<s>")
    assert tokenizer("ab")["input_ids"] == [256]
    folder = tmp_path_factory.mktemp("tokenizer")
    tokenizer.save_pretrained(folder)
    return (
        "random:llama?hidden_size=32&num_hidden_layers=2&num_attention_heads=2"
        f"&max_position_embeddings=128&tokenizer={folder}"
    )


@pytest.fixture(scope="session")
def weights_on_disk(tmp_path_factory, lettered) -> str:
    """A folder with a model, which counts as pretrained."""
    from byrote.models import load

    loaded = load(lettered)
    folder = tmp_path_factory.mktemp("model")
    with torch.no_grad():
        for parameter in loaded.model.parameters():
            parameter.mul_(1.5)
    loaded.model.save_pretrained(folder)
    loaded.tokenizer.save_pretrained(folder)
    return str(folder)
