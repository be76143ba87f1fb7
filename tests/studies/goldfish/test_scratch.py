"""Cells that train from scratch: order, tables, the same twice, and what a model then recites."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import polars as pl
import pytest

from byrote.runs.tasks import Work
from byrote.studies.goldfish.config import Arm
from byrote.studies.goldfish.schemas import SCHEMAS
from byrote.studies.goldfish.scratch import fresh_model, sequences_of_background, shown
from byrote.studies.goldfish.world import world
from tests.studies.goldfish.tiny import ARMS, MODEL, run, run_cell, timeless, tiny, works


def scratch_of(config):
    return asdict(config.scratch)


@pytest.fixture(scope="module")
def config(corpus):
    return tiny(corpus)


@pytest.fixture(scope="module")
def texts(config, tokenizer, corpus):
    scratch = scratch_of(config)
    return world(
        tokenizer,
        corpus,
        1,
        documents=3,
        heldout=5,
        validation=4,
        background=sequences_of_background(scratch, 4 / 3),
        tokens=31,
    )


def order(texts, config, tokenizer, arm):
    return shown(texts, scratch_of(config), asdict(arm), 1, tokenizer)


def places(rows, document):
    return [i for i, row in enumerate(rows) if np.array_equal(row, document.ids)]


def test_documents_are_repeated_and_background_is_read_once(texts, config, tokenizer):
    rows = order(texts, config, tokenizer, Arm())
    counts = Counter(tuple(row.tolist()) for row in rows)
    assert len(rows) == 20 + 3 * 4
    assert [counts[tuple(d.ids.tolist())] for d in texts.documents] == [4, 4, 4]
    assert sorted(counts.values()) == [1] * 20 + [4, 4, 4]


def test_nothing_that_is_kept_back_is_ever_shown(texts, config, tokenizer):
    hidden = {tuple(d.ids.tolist()) for d in texts.heldout}
    hidden |= {tuple(row.tolist()) for row in texts.validation}
    for arm in ARMS.values():
        rows = order(texts, config, tokenizer, arm)
        assert not hidden & {tuple(row.tolist()) for row in rows}


def test_the_control_reads_other_text_in_the_place_of_documents(texts, config, tokenizer):
    rows = order(texts, config, tokenizer, ARMS["control"])
    assert len(rows) == 32
    assert all(not places(rows, document) for document in texts.documents)
    assert len({tuple(row.tolist()) for row in rows}) == 32
    # All else stands where it does for the others.
    others = order(texts, config, tokenizer, Arm())
    same = [np.array_equal(one, two) for one, two in zip(rows, others, strict=True)]
    assert sum(same) == 20


def test_copies_come_at_the_same_steps_under_all_arms_of_one_size(texts, config, tokenizer):
    plain = order(texts, config, tokenizer, Arm())
    masked = order(texts, config, tokenizer, ARMS["hash-4"])
    for one, two in zip(plain, masked, strict=True):
        np.testing.assert_array_equal(one, two)
    edited = order(texts, config, tokenizer, ARMS["edited-4"])
    exact = {place for d in texts.documents for place in places(plain, d)}
    for place, (one, two) in enumerate(zip(plain, edited, strict=True)):
        assert np.array_equal(one, two) or place in exact
    for document in texts.documents:
        assert set(places(edited, document)) < set(places(plain, document))
        assert len(places(edited, document)) == 2


def test_more_input_is_more_of_documents_and_background_alike(texts, config, tokenizer):
    rows = order(texts, config, tokenizer, ARMS["more"])
    assert [len(places(rows, document)) for document in texts.documents] == [5, 5, 5]
    assert len(rows) == 3 * 5 + round(20 * 4 / 3)
    assert sequences_of_background(scratch_of(config), 4 / 3) >= len(rows)


def test_weights_are_those_of_the_repetition(config):
    one, two, other = (fresh_model(scratch_of(config), seed) for seed in (1, 1, 2))
    for a, b, c in zip(
        one.model.parameters(), two.model.parameters(), other.model.parameters(), strict=True
    ):
        assert a.equal(b)
        assert not a.equal(c) or a.unique().numel() == 1
    tokenizer: Any = one.tokenizer
    assert one.vocab_size == len(tokenizer) == 300


ALL = ("control", "standard", "hash-3", "random-4", "text-4", "edited-4", "wider")


@pytest.fixture(scope="module")
def tables(corpus, tmp_path_factory):
    return run(tiny(corpus, scratch__arms=ALL), tmp_path_factory.mktemp("cells"))


def test_tables_have_the_columns_that_are_documented(tables):
    for name in ("trainings", "validation", "documents", "scores"):
        documented = dict(SCHEMAS[name])
        del documented["cell"]
        assert dict(tables[name].schema) == documented, name


def test_every_arm_is_asked_for_every_document(tables):
    found = tables["documents"]
    assert set(found["arm"]) == set(ALL)
    for (_,), group in found.filter(decoding="greedy").group_by("arm"):
        assert group["member"].to_list() == [True] * 3 + [False] * 5
    ways = {
        arm: set(group["decoding"]) for (arm,), group in found.group_by("arm", maintain_order=True)
    }
    assert ways["standard"] == {"greedy", "beams", "memfree"}
    assert ways["hash-3"] == ways["control"] == {"greedy", "beams"}
    assert ways["edited-4"] == {"greedy"}
    # The same documents for all arms.
    asked = {tuple(g["document"]) for _, g in found.filter(decoding="greedy").group_by("arm")}
    assert len(asked) == 1


def test_dropped_shares_are_there_under_masks_that_are_fixed(tables):
    shares = tables["documents"].group_by("arm").agg(pl.col("dropped_share").null_count() == 0)
    known = dict(shares.iter_rows())
    assert {arm for arm in ALL if known[arm]} == {"hash-3", "text-4", "edited-4", "wider"}
    share = tables["documents"].filter(arm="hash-3")["dropped_share"].mean()
    assert 0.15 < share < 0.5


def test_tokens_are_counted(tables):
    rows = {row["arm"]: row for row in tables["trainings"].iter_rows(named=True)}
    # Reformatted copies are longer.
    assert 32 * 31 < rows["text-4"]["tokens_shown"] < 1.25 * 32 * 31
    assert {rows[arm]["tokens_shown"] for arm in ("control", "standard", "hash-3")} == {32 * 31}
    assert rows["standard"]["tokens_learned"] == rows["control"]["tokens_learned"] == 32 * 31
    assert 0.6 < rows["hash-3"]["tokens_learned"] / (32 * 31) < 0.8
    assert rows["wider"]["sequences"] == 42
    assert (rows["wider"]["batch"], rows["wider"]["steps"]) == (6, 7)
    assert rows["standard"]["steps"] == 8
    assert rows["standard"]["k"] is None
    assert (rows["hash-3"]["k"], rows["hash-3"]["h"]) == (3, 5)
    assert rows["text-4"]["normalize"]
    assert {row["epsilon"] for row in rows.values()} == {None}


def test_validation_is_measured_before_in_the_course_and_at_the_end(tables):
    for arm in ALL:
        found = tables["validation"].filter(arm=arm)
        row = tables["trainings"].filter(arm=arm).row(0, named=True)
        assert found["step"].to_list() == [0, 3, 6, row["steps"]]
        assert found["tokens_shown"].to_list()[-1] == row["tokens_shown"]
        assert found["tokens_learned"].to_list()[-1] == row["tokens_learned"]
        assert found["tokens_learned"][0] == 0
        assert found["loss"][-1] == row["validation_loss"] < found["loss"][0]
    # All start with the same weights and are measured on the same text.
    first = tables["validation"].filter(step=0)["loss"]
    assert first.n_unique() == 1
    assert first[0] == pytest.approx(np.log(300), abs=0.2)


def test_membership_is_scored_for_all_documents(tables):
    found = tables["scores"].filter(arm="standard")
    assert found["attack"].unique(maintain_order=True).to_list() == [
        "loss", "zlib", "min_k", "min_k_pp",
    ]  # fmt: skip
    assert len(found) == 4 * 8
    assert found["score"].is_finite().all()


def test_the_same_cell_twice_gives_the_same_bits(tables, corpus, tmp_path):
    config = tiny(corpus, scratch__arms=ALL)
    for arm in ("hash-3", "random-4", "text-4"):
        (work,) = [w for w in works(config) if w.id == f"scratch.{arm}.s0"]
        again = run_cell(work, tmp_path / arm)
        for name, table in again.items():
            assert timeless(table).equals(timeless(tables[name].filter(arm=arm))), (arm, name)


def test_arms_do_not_know_of_each_other(tables, corpus, tmp_path):
    """But for the most input that one asks for, which decides nothing but where text ends."""
    (work,) = works(tiny(corpus, scratch__arms=("standard",)))
    alone = run_cell(work, tmp_path)
    for name, table in alone.items():
        assert timeless(table).equals(timeless(tables[name].filter(arm="standard"))), name


def test_other_repetitions_have_other_documents_and_weights(tables, corpus, tmp_path):
    config = tiny(corpus, seeds=2, scratch__arms=("standard",))
    other = run_cell(works(config)[1], tmp_path)
    first = tables["documents"].filter(arm="standard")
    assert set(other["documents"]["document"]) != set(first["document"])
    assert other["validation"]["loss"][0] != tables["validation"]["loss"][0]
    assert other["documents"]["seed"].unique().to_list() == [1]


def test_standard_training_recites_and_its_goldfish_twin_does_not(corpus, tmp_path):
    """The positive control of the study: the same documents, steps and weights."""
    config = tiny(
        corpus,
        scratch__model=MODEL.replace("hidden_size=32", "hidden_size=64"),
        scratch__arms=("control", "standard", "hash-3"),
        scratch__documents=2,
        scratch__repeats=160,
        scratch__background=40,
        scratch__lr=1e-2,
        scratch__validate_every=100,
    )
    tables = run(config, tmp_path)
    greedy = tables["documents"].filter(decoding="greedy", member=True)
    recited = dict(greedy.group_by("arm").agg(pl.col("exact").sum()).iter_rows())
    assert recited == {"control": 0, "standard": 2, "hash-3": 0}
    overlap = dict(greedy.group_by("arm").agg(pl.col("rouge_l").mean()).iter_rows())
    assert overlap["standard"] == 1.0
    assert overlap["hash-3"] < 0.8
    # It leaves the document where it never learned it.
    assert greedy.filter(arm="hash-3")["at_dropped"].to_list() == [True, True]
    free = tables["documents"].filter(decoding="memfree", member=True)
    assert not free["exact"].any()
    losses = tables["scores"].filter(arm="standard", attack="loss")
    shown, others = (losses.filter(member=flag)["score"].to_list() for flag in (True, False))
    assert min(shown) > max(others)


@pytest.mark.parametrize(
    "objective", ["mile", "focal", "self-contrastive", "patch-level", "dp-sgd"]
)
def test_other_objectives_are_trained_the_same_way(tables, corpus, tmp_path, objective):
    if objective == "dp-sgd":
        pytest.importorskip("opacus")
    config = replace(tiny(corpus), arms={objective: Arm(objective=objective)})
    config = replace(config, scratch=replace(config.scratch, arms=(objective,)))
    (work,) = works(config)
    found = run_cell(work, tmp_path)
    standard = tables["trainings"].filter(arm="standard").row(0, named=True)
    row = found["trainings"].row(0, named=True)
    for same in ("sequences", "batch", "steps", "tokens_shown"):
        assert row[same] == standard[same], same
    assert (row["epsilon"] is None) == (objective != "dp-sgd")
    # The same weights at first, measured by the plain loss, and others in the end.
    first = tables["validation"].filter(arm="standard", step=0)["loss"].item()
    assert found["validation"]["loss"][0] == first
    assert found["validation"]["step"].to_list() == [0, 3, 6, 8]
    assert np.isfinite(row["validation_loss"])
    assert row["validation_loss"] != standard["validation_loss"]


def test_a_saved_model_keeps_its_tokenizer(corpus, folder, tmp_path):
    config = tiny(corpus, scratch__model=folder, scratch__vocab=0)
    (work,) = works(config)
    tables = run_cell(work, tmp_path)
    assert tables["trainings"]["vocab"].item() == 300
    assert tables["validation"]["loss"][0] == pytest.approx(np.log(300), abs=0.3)


def test_the_first_training_of_the_paper_runs_on_a_tiny_model(corpus, folder, tmp_path):
    from byrote.studies.config import override
    from byrote.studies.goldfish.presets import PAPER

    published = next(w for w in works(PAPER) if w.id == "scratch.control.s0")
    small = {
        "model": folder, "corpus": corpus, "documents": 2, "repeats": 2, "background": 6,
        "heldout": 2, "validation": 2, "batch": 4, "tokens": 64, "prefix": 14, "beams": 2,
    }  # fmt: skip
    config = override(PAPER, {f"scratch.{name}": value for name, value in small.items()})
    work: Work = next(w for w in works(config) if w.id == "scratch.control.s0")
    # Everything else is as it was published.
    assert work.params["scratch"] == {**published.params["scratch"], **small}
    assert work.params["arm"] == published.params["arm"]
    tables = run_cell(replace(work), tmp_path)
    assert tables["trainings"]["steps"].item() == 3
    assert np.isfinite(tables["trainings"]["validation_loss"].item())
    assert set(tables["documents"]["decoding"]) == {"greedy", "beams"}
