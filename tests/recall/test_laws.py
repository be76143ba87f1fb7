from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from byrote.recall.laws import log_linear_fit

rows = st.lists(
    st.tuples(st.sampled_from([1, 2, 5, 50, 100, 450, 1000]), st.floats(0, 1)),
    min_size=2,
    max_size=60,
)


@settings(deadline=None)
@given(rows)
def test_the_line_is_the_weighted_least_squares_of_group_means(
    data: list[tuple[int, float]],
) -> None:
    groups: dict[int, list[float]] = {}
    for x, y in data:
        groups.setdefault(x, []).append(y)
    fit = log_linear_fit([x for x, _ in data], [y for _, y in data], resamples=20)
    if len(groups) < 2:
        assert fit is None
        return
    assert fit is not None
    xs = np.log10(sorted(groups))
    means = np.array([np.mean(groups[x]) for x in sorted(groups)])
    sizes = np.array([len(groups[x]) for x in sorted(groups)])
    slope, intercept = np.polyfit(xs, means, 1, w=np.sqrt(sizes))
    assert (fit.slope, fit.intercept) == pytest.approx((slope, intercept), abs=1e-9)
    assert (fit.n_points, fit.n) == (len(groups), len(data))
    total = sizes @ (means - sizes @ means / sizes.sum()) ** 2
    assume(total > 1e-6)
    explained = 1 - sizes @ (means - slope * xs - intercept) ** 2 / total
    assert fit.r2 == pytest.approx(explained, abs=1e-6)
    assert -1e-9 <= fit.r2 <= 1 + 1e-9


def test_a_law_is_recovered_and_its_interval_covers_it() -> None:
    rng = np.random.default_rng(0)
    x = np.tile([50, 100, 200, 400], 200)
    inside = 0
    for seed in range(60):
        y = rng.random(len(x)) < 0.1 + 0.25 * np.log10(x / 50)
        fit = log_linear_fit(x, y, seed=seed, resamples=300)
        assert fit is not None
        inside += fit.low <= 0.25 <= fit.high
    assert 51 <= inside <= 60


def test_a_line_fits_itself() -> None:
    x = np.array([1, 10, 100, 1000])
    fit = log_linear_fit(x, 0.2 + 0.1 * np.log10(x))
    assert fit is not None
    assert (fit.slope, fit.intercept, fit.r2) == pytest.approx((0.1, 0.2, 1.0))
    assert fit.predict([10, 1e4]).tolist() == pytest.approx([0.3, 0.6])


def test_equal_rates_have_no_r2_and_no_slope() -> None:
    fit = log_linear_fit([50, 50, 100, 100], [True, False, True, False], resamples=200)
    assert fit is not None
    assert fit.slope == pytest.approx(0.0)
    assert math.isnan(fit.r2)


@pytest.mark.parametrize("x", [[], [50, 50], [0, 50], [-3, 7], [math.nan, 7]])
def test_fewer_than_two_usable_x_have_no_law(x: list[float]) -> None:
    assert log_linear_fit(x, [1.0] * len(x)) is None


def test_records_asked_at_every_length_stay_together() -> None:
    rng = np.random.default_rng(0)
    level = rng.random(40)
    x = np.tile([50, 500], 40)
    y = np.repeat(level, 2) + np.tile([0.0, 0.1], 40) + rng.normal(scale=0.01, size=80)
    clusters = np.repeat(np.arange(40), 2)
    paired = log_linear_fit(x, y, clusters=clusters)
    loose = log_linear_fit(x, y)
    assert paired is not None
    assert loose is not None
    assert paired.high - paired.low < (loose.high - loose.low) / 5
    assert paired == log_linear_fit(x, y, clusters=clusters)


def test_the_interval_of_the_slope_draws_records_whole() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.choice([50, 100, 200], size=60), rng.random(60)
    clusters = rng.integers(8, size=60)
    codes = np.unique(clusters)
    slopes = []
    for drawn in np.random.default_rng(9).integers(len(codes), size=(100, len(codes))):
        rows = np.concatenate([np.flatnonzero(clusters == codes[c]) for c in drawn])
        slopes.append(np.polyfit(np.log10(x[rows]), y[rows], 1)[0])
    fit = log_linear_fit(x, y, clusters=clusters, seed=9, resamples=100)
    assert fit is not None
    assert (fit.low, fit.high) == pytest.approx(tuple(np.quantile(slopes, [0.025, 0.975])))


def test_resamples_of_a_single_x_are_left_out() -> None:
    fit = log_linear_fit([50] * 4 + [100], [0.0, 0.0, 0.0, 0.5, 1.0], resamples=500)
    assert fit is not None
    # A third of the resamples lack the one at 100; of the rest every slope is one of these.
    steepest = 1 / np.log10(2)
    assert steepest / 2 <= fit.low < fit.high <= steepest + 1e-9


def test_a_law_of_few_passages_has_no_interval() -> None:
    fit = log_linear_fit([50, 100], [0.0, 1.0], resamples=100)
    assert fit is not None
    assert math.isnan(fit.low)
