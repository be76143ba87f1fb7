"""Cells of DEL: passages, what is dropped, and the experiments beyond the paper's table."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from byrote.errors import InputError
from byrote.studies.localization.config import Group
from byrote.studies.localization.further import layers_to_try
from byrote.studies.localization.models import open_model
from byrote.studies.localization.passages import texts_of
from byrote.texts.passages import Passage
from tests.studies.localization.tiny import EXPOSED, METHODS, MODEL, run_cell, tiny, works


def a_passage(name: str) -> Passage:
    return Passage(name, "s", name, 0, np.arange(6, dtype=np.int32), 2)


def cell(corpus, **changes):
    return works(tiny(corpus, **changes))[-1]


@pytest.fixture(scope="module")
def texts(corpus):
    loaded = open_model(MODEL, {"vocab": 300, "vocab_text": corpus})
    return texts_of(loaded, cell(corpus).params, lambda _: None)


def test_passages_of_the_splits_are_different_ones(texts):
    ids = [passage.id for passage in (*texts.test, *texts.held_out)]
    assert len(set(ids)) == len(ids)
    assert [len(texts.test), len(texts.dev), len(texts.held_out)] == [4, 1, 4]
    assert [len(row) for row in texts.rows] == [12, 12]


def test_what_is_held_out_is_of_other_records_than_the_passages(texts):
    own = {passage.record for passage in (*texts.test, *texts.dev)}
    others = [p for p in texts.held_out if p not in texts.dev]
    assert not own & {passage.record for passage in others}


def test_a_model_that_recites_nothing_is_refused(corpus):
    loaded = open_model(MODEL, {"vocab": 300, "vocab_text": corpus})
    setting = replace(EXPOSED, sources=(corpus,), epochs=1, accuracy=0.9)
    params = cell(corpus, deletion__settings={"exposed": setting}).params
    with pytest.raises(InputError, match="recites"):
        texts_of(loaded, params, lambda _: None)


def test_one_passage_alone_is_refused(corpus, monkeypatch):
    from byrote.studies.localization import passages

    loaded = open_model(MODEL, {"vocab": 300, "vocab_text": corpus})
    collect = passages.collect_memorised

    def few(*args, **options):
        found = collect(*args, **options)
        return replace(found, test=found.test[:1])

    monkeypatch.setattr(passages, "collect_memorised", few)
    with pytest.raises(InputError, match=r"a negative takes 2 .* or more epochs"):
        texts_of(loaded, cell(corpus).params, lambda _: None)


def test_passages_can_be_found_in_a_model_as_it_is(corpus, tmp_path, monkeypatch):
    monkeypatch.setenv("BYROTE_CACHE", str(tmp_path / "cache"))
    loose = replace(
        EXPOSED,
        how="found",
        sources=(corpus,),
        windows=0,
        # Of many tokens some are right by chance.
        suffix=40,
        accuracy=0.0,
        distinct=1,
        distance=999,
    )
    found = run_cell(cell(corpus, deletion__settings={"as-it-is": loose}), tmp_path / "cell")
    assert set(found["passages"]["setting"]) == {"as-it-is"}
    assert len(found["deletions"]) == 4 * 3 * 2


def test_all_groups_measure_the_same_passages(measured):
    found = measured["deletions"]
    test = measured["passages"].filter(pl.col("split") == "test")["passage"].to_list()
    quick = found.filter(pl.col("method") == "random")["target"].unique(maintain_order=True)
    assert quick.to_list() == test
    # A group with fewer targets has the first ones, and all passages as negatives.
    dear = found.filter(pl.col("method") == "zero-out")
    assert dear["target"].unique(maintain_order=True).to_list() == test[:3]
    assert set(dear["negatives"]) == {3}


def test_layer_0_is_left_alone(measured):
    # Of 64 neurons 3 and 12, in 2 of 3 layers.
    found = measured["deletions"].filter(pl.col("scope") == "layer")
    neurons = dict(found.group_by("fraction").agg(pl.col("neurons").unique()).iter_rows())
    assert neurons == {0.05: [6], 0.2: [24]}


def test_the_confusion_has_the_targets_own_numbers_on_its_diagonal(measured):
    keys = ["method", "fraction", "scope", "target"]
    diagonal = measured["confusion"].filter(pl.col("target") == pl.col("passage"))
    both = measured["deletions"].join(diagonal, on=keys)
    assert len(both) == len(measured["deletions"])
    assert both["self_accuracy_after"].equals(both["accuracy_after"], check_names=False)


def test_highest_scores_are_counted_over_all_layers(measured):
    layers = measured["layers"]
    sums = layers.group_by("method", "target").agg(pl.col("share").sum(), pl.col("layer").len())
    assert sums["share"].to_list() == pytest.approx([1.0] * len(sums))
    assert set(sums["layer"]) == {3}


def test_a_curve_agrees_with_the_table_at_a_fraction_that_both_have(measured):
    own = measured["curves"].filter(pl.col("method") == "activations")
    rows = measured["deletions"].filter(pl.col("scope") == "layer")
    both = own.join(rows, on=["method", "fraction", "target"])
    assert len(both) == 4
    lost = both["self_accuracy_before"] - both["self_accuracy_after"]
    assert both["self_lost"].to_list() == pytest.approx(lost.to_list())


def test_one_layer_has_as_many_neurons_as_are_spread(measured):
    found = measured["one_layer"]
    assert found["layer"].unique().sort().to_list() == [None, 1, 2]
    assert set(found["neurons"]) == {12}


def test_several_at_once_are_half_of_the_passages(measured):
    found = measured["together"]
    counts = found.group_by("method").agg(pl.col("erased").sum(), pl.len())
    assert set(counts.select("erased", "len").iter_rows()) == {(2, 4)}
    assert found["method"].unique(maintain_order=True).to_list() == [
        "hard-concrete", "activations-ratio", "weights",
    ]  # fmt: skip
    neurons = found.filter(pl.col("method") == "activations-ratio")["removed"][0]
    # The sets of two passages, of six neurons a layer each, may share some.
    assert 6 / 64 <= neurons <= 12 / 64


def test_weights_have_no_rows_but_those(measured):
    for name in ("deletions", "timings", "layers"):
        assert "weights" not in set(measured[name]["method"])


def test_held_out_texts_decide_and_not_the_negatives(corpus, tmp_path):
    """With other passages beside it, a contrasted method drops the same neurons."""
    groups = {"a": Group(("activations-ratio", "activations-negatives"))}
    found = {
        most: run_cell(
            cell(corpus, deletion__groups={"a": replace(groups["a"], most=most)}),
            tmp_path / str(most),
        )["confusion"]
        for most in (2, 4)
    }
    keys = ["method", "fraction", "target", "passage", "accuracy_after"]

    def own(most, method):
        rows = found[most].filter(pl.col("method") == method)
        targets = found[2]["target"].unique().to_list()
        return rows.filter(pl.col("target").is_in(targets)).select(keys)

    assert own(2, "activations-ratio").equals(own(4, "activations-ratio"))


def test_all_methods_are_deleted_with(measured):
    scored = [name for name in METHODS if name != "weights"]
    assert measured["deletions"]["method"].unique().sort().to_list() == sorted(scored)


@pytest.mark.parametrize(
    ("layers", "skip", "count", "wanted"),
    [
        (4, (0,), 0, [1, 2, 3]),
        (4, (0,), 9, [1, 2, 3]),
        (18, (0,), 5, [1, 5, 9, 13, 17]),
        (4, (), 2, [0, 3]),
        (3, (0,), 1, [1]),
    ],
)
def test_layers_are_spread_evenly_from_the_first(layers, skip, count, wanted):
    assert layers_to_try(layers, skip, count) == wanted
