"""Verdicts go by the interval over strings, whatever the mean alone would say."""

import math

import pytest

from byrote.studies.claims import NotTested
from byrote.studies.dynamics.reading import direction, within


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ([1.0, 1.1, 1.2], "holds"),
        ([3.0, 3.1, 3.2], "fails"),
        ([1.5, 1.9, 2.3], "not tested"),  # the mean is below the bound, the interval crosses it
    ],
)
def test_a_size_is_judged_by_its_interval(values, verdict):
    found = within(values, "factor", "", most=2.0)
    assert found.verdict == verdict
    assert found.value == pytest.approx(sum(values) / 3)
    assert found.low < found.value < found.high


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ([-0.01, 0.0, 0.01], "holds"),
        ([0.5, 0.51, 0.52], "fails"),
        ([-0.52, -0.51, -0.5], "fails"),
        ([-0.9, 0.0, 0.9], "not tested"),
        ([0.1, 0.19, 0.28], "not tested"),
    ],
)
def test_two_bounds_are_both_kept(values, verdict):
    assert within(values, "rank correlation", "", least=-0.2, most=0.2).verdict == verdict


@pytest.mark.parametrize(
    ("values", "sign", "verdict"),
    [
        ([1.0, 1.1, 1.2], 1, "holds"),
        ([1.0, 1.1, 1.2], -1, "fails"),
        ([-1.0, 0.5, 1.0], 1, "not tested"),
        ([-2.0, -2.0, -2.0], -1, "holds"),
    ],
)
def test_a_direction_is_judged_by_its_interval(values, sign, verdict):
    assert direction(values, sign, "difference", "epochs", "holds").verdict == verdict


@pytest.mark.parametrize("values", [[1.0, 1.0], [1.0, 1.0, math.nan], []])
def test_fewer_than_three_strings_give_no_verdict(values):
    with pytest.raises(NotTested, match="too few"):
        within(values, "factor", "", most=2.0)
    with pytest.raises(NotTested, match="too few"):
        direction(values, 1, "difference", "", "holds")
