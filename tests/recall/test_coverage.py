from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from byrote.errors import InputError
from byrote.recall.coverage import covered_spans, greedy_coverage, probability_coverage

windows = st.lists(
    st.tuples(
        st.integers(0, 80),
        st.integers(0, 10),
        st.integers(0, 15),
        st.floats(-10, 0) | st.just(-math.inf),
        st.booleans(),
    ),
    max_size=25,
)
THRESHOLDS = (0.01, 0.5, 1.0)


def tokens_of(rows: list[tuple[int, int, int, float, bool]]) -> set[int]:
    return {t for o, a, b, _, _ in rows for t in range(o + a, o + a + b)}


@given(windows)
def test_coverage_counts_each_token_once(rows: list[tuple[int, int, int, float, bool]]) -> None:
    offset, prefix, suffix, logprob, hit = map(list, zip(*rows, strict=True)) if rows else [[]] * 5
    result = probability_coverage(offset, prefix, suffix, logprob, THRESHOLDS)
    for coverage, threshold in zip(result, THRESHOLDS, strict=True):
        inside = [row for row in rows if row[3] >= math.log(threshold)]
        assert coverage.threshold == threshold
        assert coverage.tokens == len(tokens_of(rows))
        assert coverage.covered == len(tokens_of(inside))
    greedy = greedy_coverage(offset, prefix, suffix, hit)
    assert greedy.threshold is None
    assert greedy.covered == len(tokens_of([row for row in rows if row[4]]))


@given(windows)
def test_covered_spans_are_disjoint_sorted_and_the_union(
    rows: list[tuple[int, int, int, float, bool]],
) -> None:
    spans = covered_spans([o + a for o, a, *_ in rows], [o + a + b for o, a, b, *_ in rows])
    assert {t for start, end in spans for t in range(start, end)} == tokens_of(rows)
    assert all(a[1] < b[0] for a, b in itertools.pairwise(spans))
    assert all(start < end for start, end in spans)


def test_touching_windows_join() -> None:
    assert covered_spans([5, 0, 20], [10, 5, 21]) == [(0, 10), (20, 21)]


def test_one_length_serves_all_windows() -> None:
    (half,) = probability_coverage([0, 10, 20], 50, 50, [-0.1, -9.0, -0.2], [0.5])
    assert (half.tokens, half.covered) == (70, 70)
    assert half.share == 1.0


def test_no_window_has_no_share() -> None:
    (none,) = probability_coverage([], [], [], [], [0.5])
    assert (none.tokens, none.covered) == (0, 0)
    assert math.isnan(none.share)


@pytest.mark.parametrize("threshold", [0.0, -0.5, 1.5])
def test_a_threshold_that_is_no_probability_is_refused(threshold: float) -> None:
    with pytest.raises(InputError, match="threshold"):
        probability_coverage([0], 1, 1, [-1.0], [threshold])
