"""Verdicts go by the interval over strings and by bounds, and the worst group decides."""

import math

import pytest

from byrote.studies.claims import Judgement, NotTested
from byrote.studies.weighing import Span, direction, each, untested, within, worst


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ([1.0, 1.1, 1.2], "holds"),
        ([3.0, 3.1, 3.2], "fails"),
        ([1.5, 1.9, 2.3], "not tested"),  # the mean is below the bound, the interval crosses it
    ],
)
def test_a_size_is_judged_by_its_interval(values, verdict):
    found = within(values, "factor", most=2.0)
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
    assert within(values, "rank correlation", least=-0.2, most=0.2).verdict == verdict


@pytest.mark.parametrize(
    ("values", "sign", "verdict"),
    [
        ([1.0, 1.1, 1.2], 1, "holds"),
        ([1.0, 1.1, 1.2], -1, "fails"),
        ([-1.0, 0.5, 1.0], 1, "not tested"),
        ([-2.0, -2.0, -2.0], -1, "holds"),
        ([0.0, 0.0, 0.0], 1, "not tested"),
        ([0.0, 0.0, 0.0], -1, "not tested"),
    ],
)
def test_a_direction_is_judged_by_its_interval(values, sign, verdict):
    assert direction(values, sign, "difference", "epochs").verdict == verdict


@pytest.mark.parametrize("values", [[1.0, 1.0], [1.0, 1.0, math.nan], [1.0, 1.0, None], []])
def test_fewer_than_three_strings_give_no_verdict(values):
    with pytest.raises(NotTested, match="too few"):
        within(values, "factor", most=2.0)
    with pytest.raises(NotTested, match="strings are too few"):
        direction(values, 1, "difference")
    with pytest.raises(NotTested, match="chains are too few"):
        direction(values, 1, "difference", of="chains")


def spans(*bounds):
    return [Span(low, high) for low, high in bounds]


MORE = spans((31, math.inf), (31, math.inf), (31.5, math.inf))
LESS = spans((-math.inf, -3), (-math.inf, -3), (-math.inf, -3.5))
OPEN = spans((-math.inf, math.inf), (1, 1), (1, 1))


@pytest.mark.parametrize(
    ("values", "sign", "verdict"),
    [
        (MORE, 1, "holds"),
        (MORE, -1, "fails"),
        (LESS, 1, "fails"),
        (LESS, -1, "holds"),
        (OPEN, 1, "not tested"),
        (OPEN, -1, "not tested"),
    ],
)
def test_a_direction_goes_by_the_bound_that_speaks_against_it(values, sign, verdict):
    assert direction(values, sign, "difference").verdict == verdict


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        (spans((1.2, math.inf), (1.2, math.inf), (1.2, 1.2)), "not tested"),
        (spans((1.7, math.inf), (1.7, math.inf), (1.75, 1.75)), "fails"),
        (spans((0.0, 1.2), (0.0, 1.3), (0.0, 1.1)), "holds"),
    ],
)
def test_what_may_be_larger_does_not_stay_below_a_bound(values, verdict):
    found = within(values, "factor", most=1.5, limits=(0.0, math.inf))
    assert found.verdict == verdict
    assert "of them known by a bound only" in found.text
    assert all(n is None or math.isfinite(n) for n in (found.value, found.low, found.high))


def test_differences_and_ratios_of_bounds():
    late, early = Span(61, math.inf), Span(20, 20)
    assert late - early == Span(41, math.inf)
    assert early - late == Span(-math.inf, -41)
    assert late - late == Span(-math.inf, math.inf)
    assert late.over(early) == Span(3.05, math.inf)
    assert early.over(late) == Span(0.0, 20 / 61)
    assert early.over(Span(0, 0)) == Span(20, 20)


def test_an_interval_keeps_to_the_limits_of_its_measure():
    found = within([0.0, 0.03, 0.06], "accuracy", most=0.5, limits=(0.0, 1.0))
    assert found.low == 0.0
    assert "0.03 (0.00 to 0.10), 3 strings" in found.text


def test_what_does_not_vary_has_no_interval():
    found = direction([-1.0, -1.0, -1.0], -1, "rank correlation", limits=(-1.0, 1.0))
    assert found.text == "rank correlation: −1.00 in all 3 strings"


@pytest.mark.parametrize("values", [[-1e-9, 0.0, 1e-9], [0.001, -0.001, -0.001]])
def test_zero_has_no_sign(values):
    assert "−0.00" not in within(values, "difference", most=1.0).text


def test_a_mean_names_its_unit_and_what_it_is_over():
    found = direction([1.0, 2.0, 3.0], 1, "rise", "nats", of="chains")
    assert found.text == "rise: 2.00 (−0.48 to 4.48) nats, 3 chains"
    assert "these chains cannot tell" in found.why


GOOD, BETTER = (within([x, x, x], "factor", most=2.0) for x in (1.9, 1.0))
UNCLEAR = within([1.5, 1.9, 2.3], "factor", most=2.0)
BAD = within([3.0, 3.0, 3.1], "factor", most=2.0)


@pytest.mark.parametrize(
    ("judged", "decides"),
    [
        ({"a": BETTER, "b": GOOD}, "b"),
        ({"a": BETTER, "b": UNCLEAR, "c": GOOD}, "b"),
        ({"a": UNCLEAR, "b": BAD, "c": GOOD}, "b"),
        ({"a": GOOD, "b": Judgement("not tested", why="too few")}, "b"),
    ],
)
def test_the_worst_decides(judged, decides):
    found = worst(list(judged.items()), "models")
    assert found.verdict == judged[decides].verdict
    assert found.value == judged[decides].value
    assert found.why == judged[decides].why
    assert found.text.startswith(decides)
    assert f"the worst of {len(judged)} models" in found.text


def test_a_group_that_cannot_be_judged_keeps_the_others_from_holding():
    found = each([("many", [1.0] * 3), ("few", [1.0])], lambda v: within(v, "factor", most=2.0))
    assert found.verdict == "not tested"
    assert found.text.startswith("few")
    assert "one alone is too few: a verdict needs at least 3 strings" in found.why


def test_nothing_is_no_group():
    with pytest.raises(NotTested, match="nothing of the kind"):
        worst([])


def test_numbers_stay_where_nothing_follows_from_them():
    found = untested(GOOD, "because")
    assert (found.verdict, found.value, found.why) == ("not tested", GOOD.value, "because")
