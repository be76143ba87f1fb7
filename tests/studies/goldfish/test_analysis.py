"""Derived tables against the definitions, on made-up measurements."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from byrote.recall.intervals import wilson
from byrote.studies.config import override
from byrote.studies.goldfish.analysis import analyse, by_seed, paired
from byrote.studies.goldfish.presets import LAPTOP, SMOKE
from byrote.studies.goldfish.schemas import SCHEMAS
from tests.studies.goldfish.made_up import cell_tables

CONFIG = override(
    LAPTOP, {"scratch.documents": 8, "scratch.heldout": 20, "extreme.epochs": 6, "seeds": 3}
)


@pytest.fixture(scope="module")
def tables():
    return cell_tables(CONFIG)


@pytest.fixture(scope="module")
def derived(tables):
    return analyse(tables, CONFIG)


def scores(seeds=3, members=24, others=100, shift=1.0):
    rng = np.random.default_rng(1)
    rows = []
    for seed in range(seeds):
        for number in range(members + others):
            member = number < members
            rows.append(
                {
                    "arm": "standard", "seed": seed, "document": str(number), "member": member,
                    "attack": "loss", "score": rng.normal() + shift * member,
                }
            )  # fmt: skip
    return pl.DataFrame(rows, schema_overrides={"seed": pl.Int32})


def test_tables_have_the_columns_that_are_documented(derived):
    found = {**derived, **analyse({"scores": scores()}, CONFIG)}
    assert set(found) == {
        "extraction", "divergence", "losses", "extreme_epochs", "extreme_overlap", "membership",
    }  # fmt: skip
    for name, table in found.items():
        assert dict(table.schema) == dict(SCHEMAS[name]), name
        assert len(table)


def test_missing_tables_are_borne(tables):
    assert analyse({}, CONFIG) == {}
    for name in tables:
        analyse({name: tables[name]}, CONFIG)
        analyse({name: tables[name].clear()}, CONFIG)
    assert set(analyse({"extreme": tables["extreme"]}, CONFIG)) == {"extreme_epochs"}


def test_rates_and_means_are_those_of_the_documents(tables, derived):
    for row in derived["extraction"].iter_rows(named=True):
        group = tables["documents"].filter(
            arm=row["arm"], decoding=row["decoding"], member=row["member"]
        )
        values = group[row["measure"]].cast(pl.Float64)
        assert row["value"] == pytest.approx(values.mean(), abs=1e-12)
        assert (row["seeds"], row["n"]) == (3, len(group))
        assert row["low"] <= row["value"] <= row["high"]
        if row["measure"] == "exact" and not values.sum():
            assert (row["low"], row["high"]) == wilson(0, len(group))
        if row["measure"] == "rouge_l":
            means = group.group_by("seed").agg(pl.col("rouge_l").mean())["rouge_l"].to_numpy()
            half = stats.t.ppf(0.975, 2) * means.std(ddof=1) / math.sqrt(3)
            assert row["high"] - row["value"] == pytest.approx(half)


def test_the_first_divergences_of_members_under_fixed_masks_are_counted(tables, derived):
    found = {row["arm"]: row for row in derived["divergence"].iter_rows(named=True)}
    assert "standard" not in found
    assert not [arm for arm in found if arm.startswith("random")]
    for arm, row in found.items():
        group = tables["documents"].filter(arm=arm, decoding="greedy", member=True)
        diverged = [r for r in group.iter_rows(named=True) if not r["exact"]]
        assert (row["documents"], row["diverged"], row["n"]) == (24, len(diverged), len(diverged))
        assert row["value"] == pytest.approx(np.mean([r["at_dropped"] for r in diverged]))
        assert row["dropped_share"] == pytest.approx(1 / row["k"])
    assert found["normalized-4"]["strategy"] == "normalized"


def test_where_nothing_diverges_there_is_no_share(tables):
    recited = tables["documents"].with_columns(
        exact=True,
        first_divergence=pl.lit(None, pl.Int32),
        at_dropped=pl.lit(None, pl.Boolean),
    )
    found = analyse({"documents": recited}, CONFIG)["divergence"]
    assert found["diverged"].sum() == 0
    assert found["value"].is_nan().all()


def test_losses_are_compared_within_repetitions(tables, derived):
    losses = tables["trainings"]
    found = {row["arm"]: row for row in derived["losses"].iter_rows(named=True)}
    assert found["standard"]["gap"] == 0
    for arm in ("hash-4", "control"):
        one, two = (losses.filter(arm=a).sort("seed")["validation_loss"] for a in (arm, "standard"))
        assert found[arm]["gap"] == pytest.approx((one - two).mean())
        assert found[arm]["value"] == pytest.approx(one.mean())
        assert found[arm]["gap_low"] < found[arm]["gap"] < found[arm]["gap_high"]


def test_standard_training_is_known_by_its_fields(tables, derived):
    """Under another name it is what others are compared with all the same."""
    names = {name: f"arm-{i}" for i, name in enumerate(CONFIG.arms)}
    config = replace(
        CONFIG,
        arms={names[name]: arm for name, arm in CONFIG.arms.items()},
        scratch=replace(CONFIG.scratch, arms=tuple(names[n] for n in CONFIG.scratch.arms)),
    )
    renamed = tables["trainings"].with_columns(pl.col("arm").replace_strict(names))
    found = analyse({"trainings": renamed, "validation": tables["validation"]}, config)["losses"]
    assert found["gap"].to_list() == derived["losses"]["gap"].to_list()


def test_losses_without_a_standard_have_no_gap(tables):
    rest = {name: tables[name].filter(pl.col("arm") != "standard") for name in tables}
    found = analyse(rest, CONFIG)["losses"]
    assert found["gap"].is_nan().all()
    assert found["value"].is_finite().all()


def test_membership_is_judged_in_each_repetition():
    table = scores()
    found = analyse({"scores": table}, CONFIG)["membership"]
    assert found["measure"].to_list() == ["auc", "tpr_at_0.01", "tpr_at_0.05"] * 3
    for seed in range(3):
        group = table.filter(seed=seed)
        expected = roc_auc_score(group["member"].to_numpy(), group["score"].to_numpy())
        row = found.filter(seed=seed, measure="auc").row(0, named=True)
        assert row["value"] == pytest.approx(expected)
        assert row["low"] < row["value"] < row["high"]
        # One of 100 may be above the threshold.
        others = np.sort(group.filter(~pl.col("member"))["score"].to_numpy())
        known = (group.filter("member")["score"].to_numpy() > others[-2]).mean()
        assert found.filter(seed=seed, measure="tpr_at_0.01")["value"].item() == known


def test_where_all_are_told_apart_a_rate_keeps_its_uncertainty():
    found = analyse({"scores": scores(shift=20.0)}, CONFIG)["membership"]
    assert (found["value"] == 1).all()
    areas, rates = found.filter(measure="auc"), found.filter(pl.col("measure") != "auc")
    assert areas["low"].is_nan().all()
    assert rates["low"].to_list() == [pytest.approx(wilson(24, 24)[0])] * 6
    assert (rates["high"] == 1).all()


def test_the_papers_rate_is_there_where_documents_are_enough():
    table = scores(others=1000, seeds=1, members=30)
    found = analyse({"scores": table}, CONFIG)["membership"]
    assert found["measure"].to_list() == ["auc", "tpr_at_0.001", "tpr_at_0.01", "tpr_at_0.05"]
    others = np.sort(table.filter(~pl.col("member"))["score"].to_numpy())
    known = (table.filter("member")["score"].to_numpy() > others[-2]).mean()
    assert found.filter(measure="tpr_at_0.001")["value"].item() == known


def test_rates_that_so_few_cannot_show_are_left_out():
    found = analyse({"scores": scores(others=40)}, CONFIG)["membership"]
    assert set(found["measure"]) == {"auc", "tpr_at_0.05"}
    found = analyse({"scores": scores(others=10)}, CONFIG)["membership"]
    assert set(found["measure"]) == {"auc"}


def test_epochs_of_the_extreme_setting_are_pooled(tables, derived):
    for row in derived["extreme_epochs"].iter_rows(named=True):
        group = tables["extreme"].filter(arm=row["arm"], long=row["long"], epoch=row["epoch"])
        assert row["value"] == pytest.approx(group["exact"].mean())
        assert row["n"] == len(group)
        assert row["loss_dropped"] == group["loss_dropped"].mean() or row["arm"] != "standard"
    assert derived["extreme_epochs"].filter(arm="standard")["loss_dropped"].null_count() == 7
    for row in derived["extreme_overlap"].iter_rows(named=True):
        keys = ("arm", "long", "epoch", "member")
        group = tables["extreme_texts"].filter(**{key: row[key] for key in keys})
        assert row["value"] == pytest.approx(np.mean(by_seed(group, "rouge_l")))
        if row["long"]:
            # One repetition has no interval.
            assert math.isnan(row["low"])


def test_pairs_are_of_one_repetition():
    table = pl.DataFrame(
        {
            "arm": ["a", "a", "a", "b", "b", "b"],
            "seed": [0, 1, 2, 2, 0, 3],
            "x": [1.0, 2.0, None, 5.0, 0.25, 9.0],
        }
    )
    assert paired(table, "x", "a", "b") == [0.75]
    assert paired(table, "x", "b", "a") == [-0.75]
    assert paired(table, "x", "a", "c") == []


def test_smoke_is_analysed_too():
    found = analyse(cell_tables(SMOKE), SMOKE)
    assert {"extraction", "divergence", "losses"} <= set(found)
    assert found["divergence"]["arm"].to_list() == ["hash-4"]
