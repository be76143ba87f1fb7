from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from byrote.errors import InputError
from byrote.recall import intervals
from byrote.recall.intervals import (
    bootstrap,
    bootstrap_mean,
    bootstrap_means,
    bootstrap_median,
    clopper_pearson,
    effective_size,
    rate,
    wilson,
)

floats = st.floats(-1e3, 1e3).filter(lambda x: x == 0 or abs(x) > 1e-6)


@pytest.mark.parametrize(("ours", "theirs"), [(wilson, "wilson"), (clopper_pearson, "exact")])
@settings(max_examples=60, deadline=None)
@given(data=st.data(), n=st.integers(1, 500), confidence=st.sampled_from([0.8, 0.95, 0.99]))
def test_rate_intervals_equal_scipy(ours, theirs, data, n: int, confidence: float) -> None:
    k = data.draw(st.integers(0, n))
    expected = stats.binomtest(k, n).proportion_ci(confidence, method=theirs)
    assert ours(k, n, confidence) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_rate_intervals_at_the_ends() -> None:
    for interval in (wilson, clopper_pearson):
        assert interval(0, 0) == (0.0, 1.0)
        assert interval(0, 7)[0] == 0.0
        assert interval(7, 7)[1] == 1.0
        assert interval(0, 7)[1] == pytest.approx(1 - interval(7, 7)[0])


def test_rate_of_nothing_one_and_all() -> None:
    none = rate([])
    assert math.isnan(none.value)
    assert (none.low, none.high, none.n) == (0.0, 1.0, 0)
    one = rate([True])
    assert (one.value, one.high, one.n, one.method) == (1.0, 1.0, 1, "wilson")
    every = rate([True] * 30, clusters=["a"] * 15 + ["b"] * 15)
    assert (every.low, every.high) == wilson(30, 30)


def test_rate_names_the_methods_it_knows() -> None:
    with pytest.raises(InputError, match="clopper-pearson"):
        rate([True], method="wald")


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95.0])
def test_a_confidence_that_is_no_probability_is_refused(confidence: float) -> None:
    with pytest.raises(InputError, match="confidence"):
        wilson(1, 2, confidence)
    with pytest.raises(InputError, match="confidence"):
        bootstrap_mean([1.0, 2.0], confidence=confidence)


@pytest.mark.parametrize("method", ["wilson", "clopper-pearson"])
@pytest.mark.parametrize("p", [0.02, 0.3, 0.5])
def test_rate_intervals_cover_the_truth_as_often_as_they_say(method: str, p: float) -> None:
    n = 80
    inside = []
    for k in range(n + 1):
        low, high = (wilson if method == "wilson" else clopper_pearson)(k, n)
        inside.append(low <= p <= high)
    coverage = float(stats.binom.pmf(np.arange(n + 1), n, p) @ inside)
    assert 0.92 <= coverage <= 0.999


def clustered(rng: np.random.Generator, documents: int, windows: int):
    """Windows of a document share its rate, which is drawn for each document."""
    rates = rng.beta(0.5, 1.0, size=documents)
    y = rng.random((documents, windows)) < rates[:, None]
    return y.ravel(), np.repeat(np.arange(documents), windows)


def test_clustered_rates_are_covered_and_naive_ones_are_not() -> None:
    rng = np.random.default_rng(0)
    truth, trials = 1 / 3, 300
    aware = naive = 0
    for _ in range(trials):
        y, clusters = clustered(rng, 25, 20)
        estimate = rate(y, clusters=clusters)
        aware += estimate.low <= truth <= estimate.high
        low, high = wilson(int(y.sum()), len(y))
        naive += low <= truth <= high
    assert 0.90 <= aware / trials <= 0.99
    assert naive / trials < 0.65


def test_effective_size_of_copies_is_the_number_of_documents() -> None:
    first = np.arange(200) % 3 == 0
    copies = np.repeat(first, 10)
    size = effective_size(copies, np.repeat(np.arange(200), 10))
    assert size == pytest.approx(200, rel=0.05)


@given(st.lists(st.booleans(), min_size=1, max_size=40), st.data())
def test_effective_size_never_exceeds_the_observations(y: list[bool], data) -> None:
    labels = data.draw(st.lists(st.integers(0, 5), min_size=len(y), max_size=len(y)))
    assert 0 < effective_size(y, labels) <= len(y)
    assert effective_size(y, range(len(y))) == len(y)
    assert effective_size(y, None) == len(y)


@settings(max_examples=50, deadline=None)
@given(st.lists(floats, min_size=5, max_size=40).filter(lambda x: np.ptp(x) > 0.1))
def test_bootstrap_mean_equals_the_naive_bootstrap(values: list[float]) -> None:
    x = np.array(values)
    estimate = bootstrap_mean(x, seed=3, resamples=200)
    rng = np.random.default_rng(3)
    draws = [x[row].mean() for row in rng.integers(len(x), size=(200, len(x)))]
    low, high = np.quantile(draws, [0.025, 0.975])
    assert estimate.value == pytest.approx(x.mean(), abs=1e-9)
    assert (estimate.low, estimate.high) == pytest.approx((low, high), abs=1e-8)
    assert (estimate.n, estimate.method) == (len(x), "bootstrap")


def test_a_median_draws_documents_whole() -> None:
    rng = np.random.default_rng(0)
    x, clusters = rng.integers(9, size=45).astype(float), rng.integers(7, size=45)
    draws, codes = [], np.unique(clusters)
    for row in np.random.default_rng(6).integers(len(codes), size=(200, len(codes))):
        draws.append(np.median(np.concatenate([x[clusters == codes[c]] for c in row])))
    estimate = bootstrap_median(x, clusters=clusters, seed=6, resamples=200)
    assert (estimate.low, estimate.high) == pytest.approx(tuple(np.quantile(draws, [0.025, 0.975])))
    assert (estimate.value, estimate.n) == (np.median(x), 45)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(-5, 5).map(float), min_size=5, max_size=30).filter(np.ptp))
def test_bootstrap_median_equals_the_naive_bootstrap(values: list[float]) -> None:
    x = np.array(values)
    estimate = bootstrap_median(x, seed=4, resamples=200)
    rng = np.random.default_rng(4)
    draws = [np.median(x[row]) for row in rng.integers(len(x), size=(200, len(x)))]
    low, high = np.quantile(draws, [0.025, 0.975])
    assert estimate.value == np.median(x)
    assert (estimate.low, estimate.high) == pytest.approx((low, high), abs=1e-12)


def test_bootstrap_mean_agrees_with_scipy() -> None:
    x = np.random.default_rng(1).exponential(size=150)
    expected = stats.bootstrap(
        (x,), np.mean, method="percentile", n_resamples=9999, rng=np.random.default_rng(0)
    ).confidence_interval
    got = bootstrap_mean(x, resamples=9999)
    assert (got.low, got.high) == pytest.approx((expected.low, expected.high), abs=0.01)


def test_clusters_are_drawn_whole() -> None:
    x, clusters = np.arange(10.0), np.array(["a"] * 6 + list("bcde"))
    seen: set[tuple[float, ...]] = set()

    def watch(weights: np.ndarray) -> np.ndarray:
        seen.update(map(tuple, weights))
        return weights @ x / weights.sum(axis=1)

    bootstrap(watch, 10, clusters=clusters, resamples=100)
    assert all(len(set(weights[:6])) == 1 for weights in seen)
    assert all(weights[0] + sum(weights[6:]) == 5 for weights in seen - {(1.0,) * 10})


def test_means_of_whole_documents_equal_the_general_bootstrap() -> None:
    rng = np.random.default_rng(0)
    x, clusters = rng.normal(size=60), rng.integers(9, size=60)
    general = bootstrap(lambda w: w @ x / w.sum(axis=1), 60, clusters=clusters, seed=2)
    fast = bootstrap_mean(x, clusters=clusters, seed=2)
    assert (fast.value, fast.low, fast.high) == pytest.approx(
        (general.value, general.low, general.high)
    )
    assert fast.n == 60


def test_strata_keep_their_size() -> None:
    strata = np.array([True] * 5 + [False] * 6)

    def check(weights: np.ndarray) -> np.ndarray:
        assert (weights[:, :5].sum(axis=1) == 5).all()
        assert (weights[:, 5:].sum(axis=1) == 6).all()
        return weights[:, 0]

    assert bootstrap(check, 11, strata=strata, resamples=50).high > 1


def test_a_single_document_falls_back_to_its_windows() -> None:
    x = np.arange(20.0)
    assert bootstrap_mean(x, clusters=["only"] * 20) == bootstrap_mean(x)


def test_clustered_means_are_covered() -> None:
    rng = np.random.default_rng(2)
    inside, trials = 0, 200
    for trial in range(trials):
        y, clusters = clustered(rng, 40, 10)
        estimate = bootstrap_mean(y, clusters=clusters, seed=trial, resamples=300)
        inside += estimate.low <= 1 / 3 <= estimate.high
    assert 0.88 <= inside / trials <= 0.99


def test_bootstrap_is_deterministic_and_does_not_depend_on_memory() -> None:
    x = np.random.default_rng(0).normal(size=50)
    first = bootstrap_mean(x, seed=7)
    assert first == bootstrap_mean(x, seed=7)
    assert first != bootstrap_mean(x, seed=8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(intervals, "_WEIGHTS_AT_ONCE", 333)
        # Sums in matrix products of other shapes may differ in the last bit.
        again = bootstrap_mean(x, seed=7)
    assert (again.low, again.high) == pytest.approx((first.low, first.high), abs=1e-12)


def test_columns_share_resamples_and_equal_single_ones() -> None:
    x = np.random.default_rng(0).normal(size=(30, 2))
    both = bootstrap_means(x, seed=5)
    for estimate, column in zip(both, x.T, strict=True):
        single = bootstrap_mean(column, seed=5)
        assert (estimate.low, estimate.high) == pytest.approx((single.low, single.high))


def test_degenerate_samples() -> None:
    none, one = bootstrap_mean([]), bootstrap_mean([2.5])
    assert math.isnan(none.value)
    assert (none.n, none.method) == (0, "none")
    assert (one.value, one.n, one.method) == (2.5, 1, "none")
    assert math.isnan(one.low)
    assert math.isnan(bootstrap_median([]).value)
    endless = bootstrap_mean([1.0, math.inf])
    assert (endless.value, endless.method) == (math.inf, "none")


def test_an_interval_without_width_is_none() -> None:
    for same in (bootstrap_mean([0.5] * 8), bootstrap_median([0.5] * 8)):
        assert (same.value, same.method) == (0.5, "none")
        assert math.isnan(same.low)
    alike = bootstrap_mean([0.0, 1.0] * 8, clusters=np.repeat(np.arange(8), 2))
    assert (alike.value, alike.method) == (0.5, "none")


def test_a_median_that_no_resample_moves_is_an_interval() -> None:
    estimate = bootstrap_median([3.0] * 99 + [5.0])
    assert (estimate.low, estimate.high, estimate.method) == (3.0, 3.0, "bootstrap")


def test_few_documents_have_no_interval() -> None:
    x = np.arange(40.0)
    assert bootstrap_mean(x, clusters=np.arange(40) % 4).method == "none"
    assert bootstrap_mean(x, clusters=np.arange(40) % 5).method == "bootstrap"
    assert bootstrap_median(x, clusters=np.arange(40) % 4).method == "none"
    apart = bootstrap(lambda w: w @ x, 40, strata=np.arange(40) < 4)
    assert (apart.method, apart.n) == ("none", 40)


def test_labels_of_another_length_are_refused() -> None:
    with pytest.raises(InputError, match="2 cluster labels for 3"):
        bootstrap_mean([1.0, 2.0, 3.0], clusters=["a", "b"])


@given(st.lists(st.tuples(floats, st.integers(0, 6)), min_size=5, max_size=20))
def test_the_interval_lies_within_the_cluster_means(rows: list[tuple[float, int]]) -> None:
    x, clusters = np.array([r[0] for r in rows]), np.array([r[1] for r in rows])
    assume(len(set(clusters.tolist())) >= 5)
    means = [x[clusters == c].mean() for c in set(clusters.tolist())]
    estimate = bootstrap_mean(x, clusters=clusters, resamples=50)
    assume(estimate.method == "bootstrap")
    assert min(means) - 1e-9 <= estimate.low <= estimate.high <= max(means) + 1e-9
