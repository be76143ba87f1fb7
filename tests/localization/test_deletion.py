"""The DEL bench against its definition: each target's ablation evaluated alone."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from byrote.errors import InputError
from byrote.localization.deletion import (
    CONFUSION,
    DELETIONS,
    MEASURES,
    DeletionBench,
    changes,
    delete_and_measure,
)
from byrote.localization.effects import Gauge, measure_recital, text_loss
from byrote.localization.selection import Selection
from tests.localization.models import (
    assert_same_state,
    known_passages,
    random_selection,
    scaled_weights,
    state_of,
    with_tokenizer,
)

TEXTS = [[5, 6, 7, 8, 9], [40, 41, 42]]


@pytest.fixture
def loaded(random_model, byte_tokenizer):
    return with_tokenizer(random_model("llama"), byte_tokenizer)


@pytest.fixture
def passages(loaded):
    return known_passages(loaded, 7)


def selections_for(loaded, targets, share=0.4):
    return [random_selection(loaded, share, seed=i) for i in range(len(targets))]


def naive(loaded, targets, selections, others, texts):
    """Both tables, from weights that were changed for one target after the other."""
    rows, confusion = [], []
    for target, selection in zip(targets, selections, strict=True):
        changed = scaled_weights(loaded, selection)
        negatives = [p for p in others if p.id != target.id]
        row = {"target": target.id, "neurons": len(selection), "tied": selection.tied}
        row["negatives"] = len(negatives)
        for when, model in (("before", loaded), ("after", changed)):
            one = measure_recital(model, [target], batch_size=1)
            many = measure_recital(model, negatives, batch_size=1)
            for measure in MEASURES:
                row[f"self_{measure}_{when}"] = float(one[measure][0])
                values = [float(v) for v in many[measure]]
                row[f"neg_{measure}_{when}"] = float(np.mean(values)) if values else None
            nats = text_loss(model, texts)
            row[f"text_nll_{when}"] = nats
            row[f"perplexity_{when}"] = math.exp(nats)
            row[f"paper_perplexity_{when}"] = 2**nats
        rows.append(row)
        asked = others if target.id in {p.id for p in others} else [*others, target]
        before = measure_recital(loaded, asked).rows(named=True)
        after = measure_recital(changed, asked).rows(named=True)
        for one, two in zip(before, after, strict=True):
            pair = {"target": target.id, "passage": one["passage"]}
            pair |= {f"{m}_before": one[m] for m in MEASURES}
            confusion.append(pair | {f"{m}_after": two[m] for m in MEASURES})
    return (
        pl.DataFrame(rows, schema=DELETIONS),
        pl.DataFrame(confusion, schema=CONFUSION),
    )


@pytest.mark.parametrize("given", ["the targets", "some of them and others", "others", "none"])
def test_equals_evaluating_each_target_alone(loaded, passages, given):
    targets = passages[:3]
    others = {
        "the targets": targets,
        "some of them and others": [passages[5], passages[1], passages[4]],
        "others": passages[3:],
        "none": [],
    }[given]
    selections = selections_for(loaded, targets)
    found = delete_and_measure(
        loaded,
        targets,
        selections,
        None if given == "the targets" else others,
        TEXTS,
        batch_size=2,
    )
    table, confusion = naive(loaded, targets, selections, others, TEXTS)
    assert_frame_equal(found.targets, table, abs_tol=2e-5)
    assert_frame_equal(found.confusion, confusion, abs_tol=2e-5)


@pytest.mark.parametrize("family", ["gpt2", "mixtral"])
def test_other_families(random_model, family):
    loaded = random_model(family)
    targets = known_passages(loaded, 3)
    selections = selections_for(loaded, targets)
    found = delete_and_measure(loaded, targets, selections, random_rows=TEXTS)
    for row, selection in zip(found.targets.rows(named=True), selections, strict=True):
        changed = scaled_weights(loaded, selection)
        one = measure_recital(changed, [p for p in targets if p.id == row["target"]])
        assert row["self_nll_after"] == pytest.approx(one["nll"][0], abs=1e-5)
        assert row["text_nll_after"] == pytest.approx(text_loss(changed, TEXTS), abs=1e-5)
        assert row["self_distance_after"] is None


def test_targets_do_not_depend_on_their_order(loaded, passages):
    selections = selections_for(loaded, passages)
    forth = delete_and_measure(loaded, passages, selections).targets
    back = delete_and_measure(loaded, passages[::-1], selections[::-1]).targets
    assert_frame_equal(back.reverse(), forth, abs_tol=1e-5)


def test_how_to_ablate_is_passed_on(random_model):
    loaded = with_tokenizer(random_model("llama"), None, bos_id=3)
    targets = known_passages(loaded, 2)
    selections = selections_for(loaded, targets)
    how = {"strength": 0.25, "spare_lead": True}
    found = delete_and_measure(loaded, targets, selections, random_rows=TEXTS, **how)
    for index, row in enumerate(found.targets.rows(named=True)):
        one = measure_recital(loaded, targets, selections[index], **how)
        assert row["self_nll_after"] == pytest.approx(one["nll"][index], abs=1e-6)
        loss = text_loss(loaded, TEXTS, selections[index], **how)
        assert row["text_nll_after"] == pytest.approx(loss, abs=1e-6)


def test_without_texts_there_is_no_perplexity(loaded, passages):
    found = delete_and_measure(loaded, passages[:2], selections_for(loaded, passages[:2]))
    texts = found.targets.select("^(text_nll|perplexity|paper_perplexity)_.*$")
    assert texts.width == 6
    assert texts.null_count().row(0) == (2,) * 6


def test_the_model_without_ablation_is_measured_once(loaded, passages, monkeypatch):
    asked = counted(monkeypatch)
    bench = DeletionBench(loaded, passages[:3], random_rows=TEXTS)
    first = bench.run(selections_for(loaded, passages[:3]))
    second = bench.run(selections_for(loaded, passages[:3], 0.1))
    assert asked.count(("recital", None)) == asked.count(("text_loss", None)) == 1
    assert len(asked) == 2 + 2 * 6
    fresh = delete_and_measure(
        loaded, passages[:3], selections_for(loaded, passages[:3], 0.1), random_rows=TEXTS
    )
    assert_frame_equal(second.targets, fresh.targets)
    assert not first.targets.equals(second.targets)


def test_equal_selections_are_measured_under_one_ablation(loaded, passages, monkeypatch):
    one, other = selections_for(loaded, passages[:2])
    same = Selection(one.neurons.copy(), tied=3)
    selections = [one, other, same]
    expected = [
        delete_and_measure(loaded, [target], [selection], passages[2:], TEXTS)
        for target, selection in zip(passages[:3], selections, strict=True)
    ]
    asked = counted(monkeypatch)
    found = delete_and_measure(loaded, passages[:3], selections, passages[2:], TEXTS)
    assert len(asked) == 2 + 2 * 2
    for name in ("targets", "confusion"):
        alone = pl.concat([getattr(each, name) for each in expected])
        assert_frame_equal(getattr(found, name), alone, abs_tol=1e-5)
    assert found.targets["tied"].to_list() == [0, 0, 3]


def counted(monkeypatch):
    """The calls of a gauge: which, and under which selection."""
    calls = []
    for name in ("recital", "text_loss"):
        plain = getattr(Gauge, name)

        def noted(self, what, selection=None, *, _name=name, _plain=plain, **how):
            calls.append((_name, None if selection is None else id(selection)))
            return _plain(self, what, selection, **how)

        monkeypatch.setattr(Gauge, name, noted)
    return calls


def test_progress_grows_to_one(loaded, passages):
    told = []
    delete_and_measure(loaded, passages, selections_for(loaded, passages), told=told.append)
    assert told == sorted(told)
    assert told[-1] == 1.0
    assert len(told) == len(passages)


def test_the_model_is_left_as_it_was(loaded, passages):
    before = state_of(loaded.model)
    delete_and_measure(loaded, passages[:2], selections_for(loaded, passages[:2]), None, TEXTS)
    assert_same_state(loaded.model, before)


def test_changes_are_after_minus_before():
    table = pl.DataFrame(
        {
            "target": ["a", "b"],
            "fraction": [0.1, 0.2],
            "self_accuracy_before": [1.0, 0.9],
            "self_accuracy_after": [0.4, 0.9],
            "neg_distance_before": [1.0, None],
            "neg_distance_after": [3.5, None],
        }
    )
    found = changes(table)
    assert found.columns == ["target", "fraction", "self_accuracy", "neg_distance"]
    assert found["self_accuracy"].to_list() == pytest.approx([-0.6, 0.0])
    assert found["neg_distance"].to_list() == [2.5, None]


def test_a_table_of_targets_has_a_change_for_every_measure(loaded, passages):
    found = delete_and_measure(loaded, passages[:2], selections_for(loaded, passages[:2]))
    kept = ["target", "neurons", "tied", "negatives"]
    both = [f"{who}_{measure}" for who in ("self", "neg") for measure in MEASURES]
    texts = ["text_nll", "perplexity", "paper_perplexity"]
    assert changes(found.targets).columns == kept + both + texts


def test_what_cannot_be_measured_is_refused(loaded, passages):
    one = selections_for(loaded, passages[:1])
    with pytest.raises(InputError, match="1 selections were given for 2 targets"):
        delete_and_measure(loaded, passages[:2], one)
    with pytest.raises(InputError, match="no target"):
        delete_and_measure(loaded, [], [])
    with pytest.raises(InputError, match=r"two passages 'p0'"):
        delete_and_measure(loaded, passages[:1] * 2, one * 2)
    with pytest.raises(InputError, match=r"two passages 'p1'"):
        delete_and_measure(loaded, passages[:1], one, [passages[1]] * 2)
    twin = dataclasses.replace(passages[0], prefix_len=1)
    with pytest.raises(InputError, match=r"two passages 'p0'"):
        delete_and_measure(loaded, passages[:1], one, [twin])
    with pytest.raises(InputError, match=r"\[1, 3\]"):
        delete_and_measure(loaded, passages[:1], [Selection(np.ones((1, 3), dtype=bool))])


def test_a_selection_of_another_model_is_refused_before_any_work(loaded, passages, monkeypatch):
    asked = counted(monkeypatch)
    wrong = Selection(np.ones((1, 3), dtype=bool))
    with pytest.raises(InputError):
        delete_and_measure(loaded, passages[:2], [random_selection(loaded), wrong])
    assert not asked
