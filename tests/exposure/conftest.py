"""Tiny models that may be changed, and strings to show them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from byrote.exposure import Sequences
from byrote.models import LoadedModel, load


@pytest.fixture
def fresh() -> Callable[..., LoadedModel]:
    """`fresh("gpt2", …)`: a tiny model of one's own."""

    def build(family: str = "llama", **options: object) -> LoadedModel:
        sizes = {"hidden_size": 32, "num_attention_heads": 2, "vocab_size": 64, **options}
        return load(f"random:{family}?" + "&".join(f"{k}={v}" for k, v in sizes.items()))

    return build


@pytest.fixture
def strings() -> Callable[..., Sequences]:
    """`strings(count, length)`: random sequences behind a BOS; a list gives each its length."""

    def build(count: int = 3, length: int | list[int] = 12, seed: int = 0) -> Sequences:
        lengths = [length] * count if isinstance(length, int) else length
        generator = np.random.default_rng(seed)
        return Sequences.from_ids([generator.integers(1, 27, n) for n in lengths], bos_id=0)

    return build
