"""Shared fixtures: tiny random models by family, and a tiny byte-level tokenizer."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache

import pytest

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


@pytest.fixture(scope="session")
def random_model() -> Callable[..., object]:
    """`random_model("gpt2", hidden_size=32, …)`: a tiny loaded model, the same one each time.

    Tests must leave it as it was.
    """
    from byrote.models import load

    @cache
    def build(family: str, **options: object) -> object:
        query = "&".join(f"{key}={value}" for key, value in options.items())
        return load(f"random:{family}?{query}" if query else f"random:{family}")

    return build


@pytest.fixture(scope="session")
def byte_tokenizer():
    """A fast tokenizer with one token per byte (ids 0–255), and neither BOS nor merges."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    vocab = {letter: byte for byte, letter in bytes_to_unicode().items()}
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer)


pytest_plugins = ["tests.parrot"]
