from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from byrote.errors import InputError
from byrote.recall.extraction import (
    discoverable,
    discoverable_rate,
    discovery_probability,
    draws_needed,
    extractable,
    first_miss,
    longest_run,
    nll,
    perplexity,
    recited_spans,
    token_accuracy,
)
from byrote.recall.scores import Scores

hits = st.lists(st.booleans(), min_size=1, max_size=60).map(lambda x: np.array(x, dtype=bool))
probabilities = st.floats(1e-6, 1 - 1e-6)


def make_scores(hit: np.ndarray, logprob: np.ndarray | None = None) -> Scores:
    n = len(hit)
    zeros = np.zeros(n, dtype=np.float32)
    lp = zeros if logprob is None else logprob.astype(np.float32)
    ids = np.zeros(n, dtype=np.int32)
    return Scores(lp, ids, hit, ids, zeros, zeros, zeros)


@given(hits)
def test_verdicts_of_greedy_decoding_follow_from_hits(hit: np.ndarray) -> None:
    scores = make_scores(hit)
    recited = 0
    for h in hit:
        if not h:
            break
        recited += 1
    assert extractable(scores) is (recited == len(hit))
    assert first_miss(scores) == recited
    assert token_accuracy(scores) == pytest.approx(sum(hit.tolist()) / len(hit))


@given(hits)
def test_longest_run_is_the_longest_stretch_of_hits(hit: np.ndarray) -> None:
    text = "".join("1" if h else "0" for h in hit)
    assert longest_run(hit) == max(len(run) for run in text.split("0"))


@given(hits, st.integers(1, 8))
def test_recited_spans_are_the_maximal_runs(hit: np.ndarray, min_run: int) -> None:
    expected, start = [], None
    for i, h in enumerate([*hit.tolist(), False]):
        if h and start is None:
            start = i
        if not h and start is not None:
            if i - start >= min_run:
                expected.append((start, i))
            start = None
    assert recited_spans(hit, min_run) == expected


def test_recited_spans_refuse_an_empty_run() -> None:
    with pytest.raises(InputError, match="min_run is 0"):
        recited_spans(np.array([True]), 0)


@given(st.lists(st.floats(-50, 0, width=32), min_size=1, max_size=50))
def test_nll_is_the_mean_in_nats_and_perplexity_its_exponential(logprob: list[float]) -> None:
    scores = make_scores(np.zeros(len(logprob), dtype=bool), np.array(logprob))
    mean = math.fsum(logprob) / len(logprob)
    assert nll(scores) == pytest.approx(-mean, rel=1e-12, abs=1e-12)
    assert perplexity(scores) == pytest.approx(math.exp(-mean), rel=1e-9)


def test_perplexity_is_infinite_for_an_impossible_token() -> None:
    assert perplexity(make_scores(np.array([False]), np.array([-np.inf]))) == math.inf
    assert perplexity(make_scores(np.array([False]), np.array([-1e4]))) == math.inf


@given(st.floats(1e-9, 0.999), probabilities)
def test_draws_needed_is_the_formula_where_the_formula_is_stable(p_z: float, p: float) -> None:
    plain = math.log1p(-p) / math.log1p(-p_z)
    assert draws_needed(math.log(p_z), p) == pytest.approx(max(1.0, plain), rel=1e-9)


@given(st.floats(-705, -40), probabilities)
def test_draws_needed_of_tiny_probabilities_follows_the_asymptotic(z: float, p: float) -> None:
    expected = math.exp(math.log(-math.log1p(-p)) - z)
    assert draws_needed(z, p) == pytest.approx(max(1.0, expected), rel=1e-11)


@pytest.mark.parametrize("exponent", [-1, -3, -17, -100, -300])
def test_draws_needed_agrees_with_exact_arithmetic(exponent: int) -> None:
    # log(1 - x) = -(x + x²/2 + ...) summed in fractions; p = 1/2, whose logarithm float64 has.
    x = Fraction(10) ** exponent
    series = sum((x**k / k for k in range(1, 40 if exponent == -1 else 8)), Fraction(0))
    expected = float(Fraction(math.log(2)) / series)
    assert draws_needed(exponent * math.log(10), 0.5) == pytest.approx(expected, rel=1e-12)


def test_draws_needed_at_the_ends() -> None:
    assert draws_needed(-math.inf, 0.5) == math.inf
    assert draws_needed(0.0, 0.5) == 1.0
    assert draws_needed(1e-7, 0.5) == 1.0  # a sum of float32 that rounded above zero
    assert draws_needed(-1e-300, 0.999) == 1.0
    assert draws_needed(-800.0, 0.5) == math.inf
    assert math.isnan(draws_needed(math.nan, 0.5))


def test_draws_needed_takes_arrays() -> None:
    z = np.array([-np.inf, -5.0, 0.0])
    assert draws_needed(z, 0.9).tolist() == [draws_needed(float(x), 0.9) for x in z]


@pytest.mark.parametrize("p", [0.0, 1.0, -0.1, 1.5, math.nan])
def test_draws_needed_refuses_a_p_outside_the_open_interval(p: float) -> None:
    with pytest.raises(InputError, match="p is"):
        draws_needed(-1.0, p)


@given(st.floats(1e-6, 0.9), st.integers(1, 50), probabilities)
def test_discoverable_is_the_definition(p_z: float, n: int, p: float) -> None:
    seen = 1 - (1 - p_z) ** n
    assert discovery_probability(math.log(p_z), n) == pytest.approx(seen, abs=1e-12)
    if abs(seen - p) > 1e-9:
        assert discoverable(math.log(p_z), n, p) is (seen >= p)


def test_discovery_probability_at_the_ends() -> None:
    assert discovery_probability(-math.inf, 1e9) == 0.0
    assert discovery_probability(0.0, 1) == 1.0
    assert discovery_probability(-740.0, 1e300) == pytest.approx(
        math.exp(-740 + 300 * math.log(10))
    )
    assert not discoverable(-math.inf, 1e300, 1e-6)


@given(
    st.lists(st.floats(-30, 0) | st.just(-math.inf), min_size=1, max_size=30),
    st.lists(st.floats(1, 1e6), min_size=1, max_size=8),
    probabilities,
)
def test_discoverable_rate_counts_passages(z: list[float], grid: list[float], p: float) -> None:
    expected = [sum(discoverable(x, n, p) for x in z) / len(z) for n in grid]
    assert discoverable_rate(z, grid, p).tolist() == pytest.approx(expected)


def test_discoverable_rate_of_no_passage_is_nan() -> None:
    assert np.isnan(discoverable_rate([], [1, 10], 0.5)).all()
