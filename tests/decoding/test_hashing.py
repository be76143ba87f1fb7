"""Hashes of windows against the polynomial written out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from byrote.decoding.hashing import (
    MULTIPLIER,
    append_token,
    chunks,
    mix,
    row_states,
    token_values,
    window_states,
)
from byrote.errors import InputError


def polynomial(ids):
    state = 0
    for token in ids:
        value = int(token_values(np.array([token]))[0])
        state = (state * MULTIPLIER + value) % 2**64
    return state


@settings(deadline=None)
@given(st.lists(st.integers(0, 2**31 - 1), max_size=40), st.integers(1, 12))
def test_windows_are_the_polynomial(ids, width):
    states = window_states(token_values(np.array(ids, dtype=np.int64)), width)
    wanted = [polynomial(ids[i : i + width]) for i in range(len(ids) - width + 1)]
    assert states.tolist() == wanted


@settings(deadline=None)
@given(st.lists(st.integers(0, 999), min_size=5, max_size=5), st.integers(0, 999))
def test_the_last_token_is_appended(ids, last):
    state = append_token(row_states(np.array([ids])), token_values(np.array([last])))
    assert state.tolist() == [polynomial([*ids, last])]


def test_a_window_of_one_is_a_copy():
    values = token_values(np.arange(3))
    window_states(values, 1)[0] = 0
    assert values[0] != 0


def test_mix_is_splitmix64():
    """The generator's first outputs from seed 0 and seed 1234567 (published test vectors)."""
    golden = np.uint64(0x9E3779B97F4A7C15)
    assert mix(np.array([golden])).tolist() == [0xE220A8397B1DCDAF]
    assert mix(np.array([1234567], dtype=np.uint64) + golden).tolist() == [6457827717110365317]


@pytest.mark.parametrize("width", [2, 5, 9])
def test_no_two_of_many_structured_windows_collide(width):
    """Orders, repetitions, token 0 and neighbours: what weak hashes confuse."""
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.integers(0, high, (40_000, width)) for high in (2, 4, 50_000)])
    rows = np.unique(rows, axis=0)
    assert len(np.unique(row_states(rows))) == len(rows)


@settings(deadline=None)
@given(st.lists(st.lists(st.integers(0, 9), max_size=8), max_size=8), st.integers(2, 5))
def test_chunks_hold_the_windows_of_each_document(documents, n):
    found = [
        chunk.ids[start : start + n].tolist()
        for chunk in chunks(documents, n)
        for start in chunk.starts
    ]
    assert found == [d[i : i + n] for d in documents for i in range(len(d) - n + 1)]
    assert sum(chunk.documents for chunk in chunks(documents, n)) == len(documents)


@pytest.mark.parametrize("document", [[[1]], [1.5], ["a"], [-1], [2**31]])
def test_what_is_no_token_ids_is_refused(document):
    with pytest.raises(InputError, match="document 1"):
        list(chunks([[1, 2], document], 2))
