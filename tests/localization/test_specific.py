"""Specificity by hand on small tables, and its curve against single runs."""

from __future__ import annotations

import math

import polars as pl
import pytest
import torch
from polars.testing import assert_frame_equal
from scipy import stats

from byrote.errors import InputError
from byrote.localization.deletion import DELETIONS, delete_and_measure
from byrote.localization.selection import select
from byrote.localization.specific import pooled_specificity, specificity, specificity_curve
from tests.localization.models import known_passages


def table(**columns):
    length = len(next(iter(columns.values())))
    return pl.DataFrame({"target": [f"t{i}" for i in range(length)], **columns})


def harms(measure, own, theirs):
    """A table in which targets and negatives change by so much."""
    return table(
        **{f"self_{measure}_before": [1.0] * len(own)},
        **{f"self_{measure}_after": [1.0 + change for change in own]},
        **{f"neg_{measure}_before": [1.0] * len(own)},
        **{f"neg_{measure}_after": [None if c is None else 1.0 + c for c in theirs]},
    )


def test_harm_is_what_recital_lost():
    found = specificity(harms("accuracy", [-0.6, -0.5], [-0.1, -0.5]))
    assert found["self_harm"].to_list() == pytest.approx([0.6, 0.5])
    assert found["neg_harm"].to_list() == pytest.approx([0.1, 0.5])
    assert found["difference"].to_list() == pytest.approx([0.5, 0.0])
    assert found["ratio"].to_list() == pytest.approx([6.0, 1.0])


@pytest.mark.parametrize(
    ("measure", "sign"), [("accuracy", -1), ("recited", -1), ("distance", 1), ("nll", 1)]
)
def test_of_each_measure_the_right_direction_is_harm(measure, sign):
    found = specificity(harms(measure, [sign * 0.5], [sign * 0.25]), measure)
    assert found.select("self_harm", "neg_harm", "ratio").row(0) == pytest.approx((0.5, 0.25, 2.0))


def test_a_ratio_to_no_harm_is_infinite_or_null():
    found = specificity(harms("nll", [0.5, 0.5, 0.0, -0.5], [0.0, -0.25, 0.0, -0.25]), "nll")
    assert found["ratio"].to_list() == [math.inf, math.inf, None, None]


def test_without_negatives_only_the_own_harm_is_known():
    found = specificity(harms("nll", [0.5], [None]), "nll")
    assert found.select("self_harm", "neg_harm", "difference", "ratio").row(0) == (
        0.5, None, None, None,
    )  # fmt: skip


def test_other_columns_are_kept():
    given = harms("nll", [0.5], [0.1]).with_columns(method=pl.lit("mine"))
    found = specificity(given, "nll")
    assert found.select(given.columns).equals(given)


def test_an_unknown_measure_is_refused():
    with pytest.raises(InputError, match=r"measure='bleu'.*accuracy, distance, nll, recited"):
        specificity(harms("nll", [0.5], [0.1]), "bleu")


def test_pooling_takes_means_and_the_ratio_of_means():
    rows = specificity(harms("nll", [0.5, 0.3, 0.4, 9.0], [0.1, 0.0, 0.2, None]), "nll")
    found = pooled_specificity(rows).row(0, named=True)
    assert found["targets"] == 3
    assert found["self_harm"] == pytest.approx(0.4)
    assert found["neg_harm"] == pytest.approx(0.1)
    assert found["difference"] == pytest.approx(0.3)
    assert found["ratio"] == pytest.approx(4.0)
    differences = [0.4, 0.3, 0.2]
    low, high = stats.t.interval(0.95, 2, loc=0.3, scale=stats.sem(differences))
    assert (found["low"], found["high"]) == pytest.approx((low, high))


def test_groups_are_pooled_apart():
    rows = specificity(harms("nll", [0.5, 0.3, 0.4], [0.1, 0.1, 0.1]), "nll")
    rows = rows.with_columns(method=pl.Series(["b", "a", "b"]), fraction=pl.lit(0.1))
    found = pooled_specificity(rows, by=["method", "fraction"])
    assert found["method"].to_list() == ["b", "a"]
    assert found["fraction"].to_list() == [0.1, 0.1]
    assert found["self_harm"].to_list() == pytest.approx([0.45, 0.3])
    # A single target has no interval.
    assert found["low"].is_null().to_list() == [False, True]


def test_the_curve_is_a_run_for_each_fraction(random_model):
    loaded = random_model("llama")
    targets = known_passages(loaded, 3)
    shape = (3, loaded.neurons.layers, loaded.neurons.width)
    scores = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    fractions, texts, told = [0.05, 0.5], [[1, 2, 3, 4]], []
    curve = specificity_curve(
        loaded, targets, scores, fractions, None, texts, measure="nll", told=told.append
    )
    assert curve["fraction"].to_list() == [0.05] * 3 + [0.5] * 3
    for fraction in fractions:
        selections = [select(row, fraction, skip_layers=[0]) for row in scores]
        alone = delete_and_measure(loaded, targets, selections, random_rows=texts).targets
        part = curve.filter(pl.col("fraction") == fraction)
        assert_frame_equal(part.select(list(DELETIONS)), alone)
        assert_frame_equal(part.drop("fraction"), specificity(alone, "nll"))
    assert told == sorted(told)
    assert told[-1] == 1.0


def test_the_curve_passes_its_options_on(random_model):
    loaded = random_model("gpt2")
    targets = known_passages(loaded, 2)
    scores = torch.rand(2, 2, loaded.neurons.width, generator=torch.Generator().manual_seed(1))
    curve = specificity_curve(
        loaded, targets, scores, [0.25], scope="model", skip_layers=(), strength=0.5
    )
    selections = [select(row, 0.25, scope="model") for row in scores]
    alone = delete_and_measure(loaded, targets, selections, strength=0.5).targets
    assert_frame_equal(curve.drop("fraction"), specificity(alone))


@pytest.mark.parametrize(
    ("shape", "fractions", "match"),
    [
        ((2, 2, 256), [0.1], r"\[2, 2, 256\] for 3 targets"),
        ((2, 256), [0.1], "targets, layers, width"),
        ((3, 2, 256), [], "no fraction"),
        ((3, 2, 256), [0.1, 0.001], "selects none"),
    ],
)
def test_bad_curves_are_refused(random_model, shape, fractions, match):
    loaded = random_model("gpt2")
    with pytest.raises(InputError, match=match):
        specificity_curve(loaded, known_passages(loaded, 3), torch.ones(shape), fractions)
