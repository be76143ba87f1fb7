"""The derived tables, against their definitions."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from scipy import stats

from byrote.studies.localization.analysis import analyse, changed, paired, values_of
from byrote.studies.localization.presets import LAPTOP
from byrote.studies.localization.published import DELETION, RECALL, RECALL_MODEL
from tests.studies.localization.made_up import cell_tables


@pytest.fixture(scope="module")
def tables():
    return cell_tables(LAPTOP)


@pytest.fixture(scope="module")
def derived(tables):
    return analyse(tables, LAPTOP)


def test_recall_is_a_mean_with_its_standard_error(tables, derived):
    here = (
        (pl.col("method") == "slimming")
        & (pl.col("fraction") == 0.001)
        & (pl.col("scope") == "layer")
        & (pl.col("multiple") == 2)
    )
    values = tables["recalls"].filter(here)["recall"].to_numpy()
    row = derived["recall_means"].filter(here).row(0, named=True)
    assert row["n"] == len(values) == LAPTOP.injection.examples
    assert row["value"] == pytest.approx(values.mean())
    assert row["se"] == pytest.approx(stats.sem(values))
    low, high = stats.t.interval(0.95, len(values) - 1, values.mean(), stats.sem(values))
    assert (row["low"], row["high"]) == pytest.approx((low, high))


def test_one_sentence_has_no_standard_error(tables):
    one = tables["recalls"].filter(pl.col("example") == LAPTOP.injection.dev)
    means = analyse({"recalls": one}, LAPTOP)["recall_means"]
    assert all(math.isnan(value) for value in means["se"])


def test_changes_are_after_less_before(tables, derived):
    here = (
        (pl.col("setting") == "gemma3-270m")
        & (pl.col("method") == "activations")
        & (pl.col("fraction") == 0.005)
    )
    rows = tables["deletions"].filter(here)
    means = {
        row["measure"]: row["value"]
        for row in derived["deletion_means"].filter(here).iter_rows(named=True)
    }
    for name in ("self_accuracy", "neg_distance", "paper_perplexity", "text_nll"):
        wanted = (rows[f"{name}_after"] - rows[f"{name}_before"]).mean()
        assert means[name] == pytest.approx(wanted)
    assert means["specificity"] == pytest.approx(means["neg_accuracy"] - means["self_accuracy"])


def test_pairs_are_of_what_both_have(tables):
    found = changed(tables["deletions"]).filter(
        (pl.col("setting") == "gemma3-270m") & (pl.col("fraction") == 0.005)
    )
    # Zero-Out has fewer targets.
    gaps = paired(found, "self_accuracy", "slimming", "zero-out")
    one, two = (
        values_of(found, name, "target", "self_accuracy") for name in ("slimming", "zero-out")
    )
    assert len(gaps) == len(two) < len(one)
    assert gaps == [one[target] - two[target] for target in two]


def test_a_test_is_scipys(tables, derived):
    here = (pl.col("scope") == "layer") & (pl.col("fraction") == 0.01) & (pl.col("multiple") == 5)
    rows = tables["recalls"].filter(here)
    one, two = (
        rows.filter(pl.col("method") == name).sort("example")["recall"].to_numpy()
        for name in ("hard-concrete", "integrated-gradients")
    )
    wanted = stats.ttest_rel(one, two, alternative="greater")
    row = derived["significance"].filter(
        (pl.col("benchmark") == "inj")
        & (pl.col("part") == "hard-concrete")
        & (pl.col("fraction") == 0.01)
        & (pl.col("at") == 5)
    ).row(0, named=True)  # fmt: skip
    assert row["p"] == pytest.approx(wanted.pvalue, rel=1e-6)
    assert row["difference"] == pytest.approx(np.mean(one - two))
    assert row["significant"] == (row["p"] < row["threshold"])


def test_agreement_is_spearmans(tables, derived):
    row = derived["agreement"].row(0, named=True)
    plain = tables["recalls"].filter(
        (pl.col("scope") == "layer")
        & (pl.col("multiple") == 1)
        & (pl.col("fraction") == row["injected"])
    )
    means = dict(plain.group_by("method").agg(pl.col("recall").mean()).iter_rows())
    own = tables["deletions"].filter(
        (pl.col("setting") == row["setting"])
        & (pl.col("fraction") == row["dropped"])
        & (pl.col("target") == row["target"])
    )
    lost = {
        r["method"]: r["self_accuracy_before"] - r["self_accuracy_after"]
        for r in own.iter_rows(named=True)
    }
    parts = ("hard-concrete", "slimming", "zero-out", "integrated-gradients", "activations",
             "random")  # fmt: skip
    shared = [name for name in parts if name in means and name in lost]
    assert row["methods"] == len(shared)
    wanted = stats.spearmanr([means[n] for n in shared], [lost[n] for n in shared])[0]
    assert row["correlation"] == pytest.approx(wanted)


def test_it_bears_missing_tables(tables):
    assert analyse({}, LAPTOP) == {}
    assert set(analyse({"recalls": tables["recalls"]}, LAPTOP)) == {"recall_means", "significance"}
    assert set(analyse({"deletions": tables["deletions"]}, LAPTOP)) == {
        "deletion_means", "significance",
    }  # fmt: skip


def test_published_numbers_are_those_of_the_paper():
    assert RECALL["GPT2-XL", 0.001, "slimming"] == pytest.approx((0.354, 0.559, 0.695))
    assert RECALL_MODEL["Pythia-2.8B", 0.01, "activations"] == pytest.approx((0.032, 0.051, 0.216))
    assert ("Pythia-6.9B", 0.01, "zero-out") not in RECALL
    assert len(RECALL) == len(RECALL_MODEL) == 2 * (5 * 4 - 1)
    assert DELETION["Pythia-2.8B", 0.005, "zero-out"] == pytest.approx(
        (-0.259, 45.2, -0.025, 5.0, 0.35)
    )
    assert len(DELETION) == 2 * (6 + 6 + 5)
