"""A corpus, its tokenizer, and a model folder, made once."""

from __future__ import annotations

import pytest

from byrote.studies.vocabulary import learned_tokenizer
from tests.studies.goldfish.tiny import write_corpus


@pytest.fixture(scope="session")
def corpus(tmp_path_factory) -> str:
    return write_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="session")
def tokenizer(corpus):
    return learned_tokenizer(corpus, 300)


@pytest.fixture(scope="session")
def folder(tmp_path_factory, tokenizer) -> str:
    """A tiny model with a tokenizer, saved as others save theirs."""
    from byrote.models import load

    loaded = load(
        f"random:llama?hidden_size=32&num_hidden_layers=2&num_attention_heads=2"
        f"&max_position_embeddings=2048&vocab_size={len(tokenizer)}"
    )
    path = tmp_path_factory.mktemp("model")
    loaded.model.save_pretrained(path)
    tokenizer.save_pretrained(path)
    return str(path)
