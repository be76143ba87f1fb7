"""Paired tests against scipy's own and against the numbers one can do by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from byrote.errors import InputError
from byrote.localization.paired import PAIRED, paired_tests


@pytest.mark.parametrize("alternative", ["greater", "less", "two-sided"])
def test_equals_scipys_paired_test(alternative):
    rng = np.random.default_rng(0)
    values = {name: rng.normal(shift, 1.0, 30) for name, shift in [("ig", 0), ("a", 0.7), ("b", 0)]}
    found = paired_tests(values, "ig", alternative=alternative)
    assert found.schema == PAIRED
    assert found["method"].to_list() == ["a", "b"]
    for row in found.iter_rows(named=True):
        own, base = values[row["method"]], values["ig"]
        expected = stats.ttest_rel(own, base, alternative=alternative)
        assert row["t"] == pytest.approx(expected.statistic)
        assert row["p"] == pytest.approx(expected.pvalue)
        assert row["difference"] == pytest.approx((own - base).mean())
        assert row["standard_error"] == pytest.approx(stats.sem(own - base))
        assert row["threshold"] == 0.025
        assert row["significant"] == (expected.pvalue < 0.025)
        assert row["n"] == 30


def test_by_hand():
    row = paired_tests({"a": [1.0, 2.0, 4.0], "b": [0.0, 0.0, 1.0]}, "b").row(0, named=True)
    assert row["difference"] == 2.0
    assert row["standard_error"] == pytest.approx(1 / math.sqrt(3))
    assert row["t"] == pytest.approx(2 * math.sqrt(3))
    # Student's t with two degrees of freedom: P(T > t) = 1/2 - t / (2 √(2 + t²)).
    t = row["t"]
    assert row["p"] == pytest.approx(0.5 - t / (2 * math.sqrt(2 + t * t)))


def test_the_family_sets_the_threshold():
    values = {"ig": [0.0, 0.1, 0.2, 0.0], "slim": [1.0, 1.3, 1.1, 1.6], "hc": [2.0, 2.5, 2.1, 2.2]}
    own = paired_tests(values, "ig")
    assert own["threshold"].to_list() == [0.025] * 2
    assert own["significant"].to_list() == [True, True]
    many = paired_tests(values, "ig", family=1000)
    assert many["threshold"].to_list() == [0.05 / 1000] * 2
    assert many["p"].to_list() == own["p"].to_list()
    assert not many["significant"].any()


@given(
    st.lists(st.tuples(*[st.floats(-1e3, 1e3)] * 2), min_size=2, max_size=20),
)
def test_tails_add_up_and_swap_with_the_methods(pairs):
    a, b = (np.array(column) for column in zip(*pairs, strict=True))
    ps = {
        (base, tail): paired_tests({"a": a, "b": b}, base, alternative=tail)["p"][0]
        for base in "ab"
        for tail in ("greater", "less", "two-sided")
    }
    if ps["b", "greater"] is None:
        assert set(ps.values()) == {None}
        return
    assert ps["b", "greater"] + ps["b", "less"] == pytest.approx(1.0)
    assert ps["b", "greater"] == pytest.approx(ps["a", "less"])
    both = 2 * min(ps["b", "greater"], ps["b", "less"])
    assert ps["b", "two-sided"] == pytest.approx(both, rel=1e-6, abs=1e-12)


@pytest.mark.parametrize(
    ("a", "b", "difference"),
    [([1.0], [0.0], 1.0), ([1.3, 2.3, 3.3], [1.0, 2.0, 3.0], 0.3), ([1.0, 2.0], [1.0, 2.0], 0.0)],
)
def test_without_a_spread_there_is_no_t(a, b, difference):
    row = paired_tests({"a": a, "b": b}, "b").row(0, named=True)
    assert row["difference"] == pytest.approx(difference)
    assert row["t"] is None
    assert row["p"] is None
    assert row["significant"] is False


def test_no_passages_give_no_numbers():
    row = paired_tests({"a": [], "b": []}, "b").row(0, named=True)
    assert (row["n"], row["difference"], row["t"]) == (0, None, None)


def test_a_baseline_alone_is_tested_against_nothing():
    assert paired_tests({"a": [1.0, 2.0]}, "a").is_empty()


@pytest.mark.parametrize(
    ("values", "options", "match"),
    [
        ({"a": [1.0], "b": [1.0]}, {"baseline": "ig"}, "baseline='ig'.*a, b"),
        ({"a": [1.0, 2.0], "b": [1.0]}, {"baseline": "b"}, "'a' has 2 values and 'b' has 1"),
        ({"a": [1.0, np.nan], "b": [1.0, 2.0]}, {"baseline": "b"}, "'a' are not one finite"),
        ({"a": [[1.0]], "b": [1.0]}, {"baseline": "b"}, "'a' are not one finite"),
        ({"a": [1.0], "b": [1.0]}, {"baseline": "b", "alternative": "more"}, "alternative='more'"),
        ({"a": [1.0], "b": [1.0]}, {"baseline": "b", "alpha": 2.0}, "alpha=2.0"),
        (
            {"a": [1.0], "b": [1.0], "c": [1.0]},
            {"baseline": "b", "family": 1},
            "family=1 must be a whole number of at least 2",
        ),
    ],
)
def test_bad_input_is_refused(values, options, match):
    with pytest.raises(InputError, match=match):
        paired_tests(values, **options)
