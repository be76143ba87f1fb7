"""Each claim holds, fails, and is not tested where the tables cannot tell."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import polars as pl
import pytest

from byrote.studies.claims import Tables, judge_all
from byrote.studies.localization.analysis import analyse
from byrote.studies.localization.claims import CLAIMS
from byrote.studies.localization.config import Group
from byrote.studies.localization.presets import LAPTOP
from tests.studies.localization.made_up import cell_tables

BY_ID = {claim.id: claim for claim in CLAIMS}
RECALLS = {
    "inj-pruning-first", "inj-activations-last", "inj-above-random", "inj-smaller-r",
    "inj-significance", "contrast-finds",
}  # fmt: skip
DELETIONS = {
    "del-pruning-most", "del-pruning-hurts", "del-negatives", "del-larger-fraction", "del-random",
    "del-text", "del-significance", "contrast-specific", "contrast-erases", "retain-spares",
}  # fmt: skip
TABLES = {
    **dict.fromkeys(RECALLS, "recalls"),
    **dict.fromkeys(DELETIONS, "deletions"),
    "agreement": "recalls",
    "one-layer": "one_layer",
    "layer-one": "one_layer",
    "same-kind": "confusion",
    "together": "together",
    "weights": "together",
}


@pytest.fixture(scope="module")
def tables():
    return cell_tables(LAPTOP)


def verdict(claim: str, cells: dict[str, pl.DataFrame], config: Any = LAPTOP) -> tuple[str, str]:
    whole = {**cells, **analyse(cells, config)}
    row = judge_all([BY_ID[claim]], Tables(whole), config).row(0, named=True)
    return row["verdict"], f"{row['text']} {row['why']}"


def of(*names: str) -> pl.Expr:
    return pl.col("method").is_in(names)


def changed(tables: dict[str, pl.DataFrame], name: str, **columns: pl.Expr) -> dict[str, Any]:
    return {**tables, name: tables[name].with_columns(**columns)}


def swapped(table: pl.DataFrame, one: str, other: str) -> pl.DataFrame:
    """Two methods with each other's numbers."""
    names = {one: other, other: one}
    return table.with_columns(pl.col("method").replace(names))


FAILING = {
    "inj-pruning-first": ("recalls", ("hard-concrete", "activations")),
    "inj-activations-last": ("recalls", ("activations", "integrated-gradients")),
    "inj-significance": ("recalls", ("slimming", "integrated-gradients")),
    "del-pruning-most": ("deletions", ("slimming", "activations")),
    "del-pruning-hurts": ("deletions", ("hard-concrete", "integrated-gradients")),
    "del-random": ("deletions", ("random", "activations")),
    "del-significance": ("deletions", ("hard-concrete", "integrated-gradients")),
    "contrast-specific": ("deletions", ("activations", "activations-ratio")),
    "retain-spares": ("deletions", ("hard-concrete", "hard-concrete-retain")),
    "weights": ("together", ("hard-concrete", "balanced-subnet")),
}


@pytest.mark.parametrize("claim", FAILING)
def test_with_two_methods_swapped_it_fails(tables, claim):
    name, (one, other) = FAILING[claim]
    assert verdict(claim, tables)[0] == "holds"
    assert verdict(claim, {**tables, name: swapped(tables[name], one, other)})[0] == "fails"


@pytest.mark.parametrize("claim", sorted(TABLES))
def test_without_its_table_it_is_not_tested(tables, claim):
    rest = {name: table for name, table in tables.items() if name != TABLES[claim]}
    assert verdict(claim, rest)[0] == "not tested"
    empty = {**tables, TABLES[claim]: tables[TABLES[claim]].clear()}
    assert verdict(claim, empty)[0] == "not tested"


@pytest.mark.parametrize("claim", sorted({*RECALLS, *DELETIONS}))
def test_two_sentences_or_passages_are_too_few(tables, claim):
    name = TABLES[claim]
    unit = "example" if name == "recalls" else "target"
    few = tables[name][unit].unique(maintain_order=True)[:2].to_list()
    some = {**tables, name: tables[name].filter(pl.col(unit).is_in(few))}
    found, why = verdict(claim, some)
    assert found == "not tested", why


def test_a_method_below_chance_fails(tables):
    low = pl.when(of("activations")).then(pl.lit(0.0)).otherwise("recall")
    found, why = verdict("inj-above-random", changed(tables, "recalls", recall=low))
    assert found == "fails"
    assert "Activations" in why


def test_more_found_at_the_larger_share_fails(tables):
    more = pl.when(pl.col("fraction") == 0.01).then(pl.col("recall") * 1.5).otherwise("recall")
    assert verdict("inj-smaller-r", changed(tables, "recalls", recall=more))[0] == "fails"
    one = {**tables, "recalls": tables["recalls"].filter(pl.col("fraction") == 0.01)}
    assert verdict("inj-smaller-r", one)[0] == "not tested"


def test_negatives_that_gain_fail(tables):
    gain = changed(tables, "deletions", neg_accuracy_after=pl.lit(1.05))
    assert verdict("del-negatives", gain)[0] == "fails"


def test_a_larger_share_that_erases_less_fails(tables):
    less = pl.when(pl.col("fraction") == 0.005).then(0.99).otherwise("self_accuracy_after")
    assert (
        verdict("del-larger-fraction", changed(tables, "deletions", self_accuracy_after=less))[0]
        == "fails"
    )


def test_text_that_suffers_fails(tables):
    worse = changed(tables, "deletions", text_nll_after=pl.col("text_nll_before") + 0.5)
    found, why = verdict("del-text", worse)
    assert found == "fails"
    assert "1.41" in why


def test_a_contrast_that_erases_little_fails(tables):
    little = pl.when(of("activations-ratio")).then(0.95).otherwise("self_accuracy_after")
    spoilt = changed(tables, "deletions", self_accuracy_after=little)
    assert verdict("contrast-erases", spoilt)[0] == "fails"


def test_a_contrast_that_finds_more_holds(tables):
    more = pl.when(of("activations-ratio", "attribution-difference")).then(0.9).otherwise("recall")
    assert verdict("contrast-finds", changed(tables, "recalls", recall=more))[0] == "holds"


def test_contrasts_with_negatives_decide_nothing(tables):
    spoilt = pl.when(of("activations-ratio-negatives")).then(0.0).otherwise("neg_accuracy_after")
    found = changed(tables, "deletions", neg_accuracy_after=spoilt)
    assert verdict("contrast-specific", found)[0] == "holds"


def test_rankings_that_are_turned_round_disagree(tables):
    turned = changed(tables, "recalls", recall=1 - pl.col("recall"))
    assert verdict("agreement", turned)[0] == "fails"


def test_three_methods_have_no_ranking(tables):
    three = tables["recalls"].filter(of("hard-concrete", "slimming", "random"))
    assert verdict("agreement", {**tables, "recalls": three})[0] == "not tested"


def test_a_layer_that_erases_more_than_all_fails(tables):
    more = pl.when(pl.col("layer") == 3).then(1.0).otherwise("self_lost")
    found, why = verdict("one-layer", changed(tables, "one_layer", self_lost=more))
    assert found == "fails"
    assert "layer 3" in why


def test_layer_1_is_an_exception(tables):
    more = pl.when(pl.col("layer") == 1).then(1.0).otherwise("self_lost")
    assert verdict("one-layer", changed(tables, "one_layer", self_lost=more))[0] == "holds"
    less = pl.when(pl.col("layer") == 1).then(0.0).otherwise("neg_lost")
    assert verdict("layer-one", changed(tables, "one_layer", neg_lost=less))[0] == "fails"


def test_kinds_that_hurt_others_more_fail(tables):
    turned = changed(tables, "confusion", accuracy_after=2 - pl.col("accuracy_after"))
    assert verdict("same-kind", turned)[0] == "fails"
    alike = changed(tables, "passages", category=pl.lit("poem"))
    assert verdict("same-kind", alike)[0] == "not tested"
    unknown = changed(tables, "passages", category=pl.lit(None, dtype=pl.String))
    assert verdict("same-kind", unknown)[0] == "not tested"


def test_others_that_lose_as_much_fail(tables):
    turned = changed(tables, "together", erased=~pl.col("erased"))
    assert verdict("together", turned)[0] == "fails"


def test_a_test_without_significance_is_not_decided(tables):
    """One-tailed and for a family of tests it is harder than the interval."""
    close = pl.when(of("slimming")).then(pl.col("recall") * 0.001 + 0.3).otherwise("recall")
    noisy = pl.when(of("integrated-gradients")).then(
        0.29 + 0.05 * (pl.col("example") % 3 - 1)
    ).otherwise(close)  # fmt: skip
    found, why = verdict("inj-significance", changed(tables, "recalls", recall=noisy))
    assert found == "not tested"
    assert "too few to tell" in why


def test_the_family_is_as_large_as_the_run_has_tests(tables):
    found = analyse(tables, LAPTOP)["significance"]
    inj = found.filter((pl.col("benchmark") == "inj") & (pl.col("part") == "slimming"))
    assert len(inj) == 2 * 3
    assert set(inj["threshold"]) == {0.05 / 6}
    deleted = found.filter((pl.col("benchmark") == "del") & (pl.col("part") == "slimming"))
    assert set(deleted["threshold"]) == {0.05 / (2 * len(LAPTOP.deletion.settings))}


def test_one_bad_setting_decides(tables):
    spoilt = pl.when(of("slimming") & (pl.col("setting") == "gemma3-270m")).then(1.0)
    found = changed(
        tables, "deletions", self_accuracy_after=spoilt.otherwise("self_accuracy_after")
    )
    verdict_of_all, why = verdict("del-pruning-most", found)
    assert verdict_of_all == "fails"
    assert "gemma3-270m" in why


def test_a_run_of_injections_alone_is_judged(tables):
    config = replace(LAPTOP, deletion=replace(LAPTOP.deletion, groups={}, settings={}))
    cells = cell_tables(config)
    assert verdict("inj-pruning-first", cells, config)[0] == "holds"
    assert verdict("del-pruning-most", cells, config)[0] == "not tested"


def test_methods_are_known_by_their_fields_and_not_by_their_names(tables):
    names = {"hard-concrete": "random", "random": "hard-concrete"}
    methods = {names.get(name, name): method for name, method in LAPTOP.methods.items()}
    groups = {
        name: Group(tuple(names.get(each, each) for each in group.methods), group.most)
        for name, group in LAPTOP.injection.groups.items()
    }
    config = replace(LAPTOP, methods=methods, injection=replace(LAPTOP.injection, groups=groups))
    turned = {
        **tables,
        "recalls": tables["recalls"].with_columns(pl.col("method").replace(names)),
        "deletions": tables["deletions"].with_columns(pl.col("method").replace(names)),
    }
    assert verdict("inj-pruning-first", turned, config)[0] == "holds"
    assert verdict("inj-pruning-first", turned)[0] == "fails"
