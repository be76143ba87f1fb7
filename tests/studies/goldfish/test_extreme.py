"""Cells that fine-tune a model on a few passages, again and again."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import torch

from byrote.models import load
from byrote.studies.config import override
from byrote.studies.goldfish.presets import PAPER
from byrote.studies.goldfish.schemas import SCHEMAS
from byrote.studies.goldfish.world import first_windows
from tests.studies.goldfish.tiny import run, run_cell, timeless, tuning, works

ARMS = ("standard", "hash-3", "static-4")


@pytest.fixture(scope="module")
def config(corpus, folder):
    return tuning(corpus, folder, extreme__arms=ARMS, extreme__long_arms=("hash-3",))


@pytest.fixture(scope="module")
def tables(config, tmp_path_factory):
    return run(config, tmp_path_factory.mktemp("extreme"))


def test_tables_have_the_columns_that_are_documented(tables):
    for name in ("extreme", "extreme_texts"):
        documented = dict(SCHEMAS[name])
        del documented["cell"]
        assert dict(tables[name].schema) == documented, name


def test_every_epoch_and_passage_has_a_row(tables):
    for arm in ARMS:
        found = tables["extreme"].filter(pl.col("arm") == arm, ~pl.col("long"))
        assert found["epoch"].to_list() == [e for e in range(5) for _ in range(3)]
        texts = tables["extreme_texts"].filter(pl.col("arm") == arm, ~pl.col("long"))
        shown = texts.filter("member")
        assert shown["epoch"].to_list() == [e for e in (0, 2, 4) for _ in range(3)]
        # The control is asked before and after.
        never = texts.filter(~pl.col("member"))
        assert never["epoch"].to_list() == [e for e in (0, 4) for _ in range(3)]
        assert not set(never["document"]) & set(found["document"])
    long = tables["extreme"].filter("long")
    assert (long["arm"].unique().to_list(), long["epoch"].max()) == (["hash-3"], 6)


def test_the_longer_course_begins_like_the_shorter_one(tables):
    both = tables["extreme"].filter(pl.col("arm") == "hash-3", pl.col("epoch") <= 4)
    short, long = (both.filter(pl.col("long") == flag).drop("long") for flag in (False, True))
    assert short.equals(long)


def test_all_arms_start_alike_and_with_the_same_passages(tables):
    start = tables["extreme"].filter(pl.col("epoch") == 0, ~pl.col("long"))
    assert start.group_by("arm").agg("document")["document"].n_unique() == 1
    assert start.group_by("arm").agg("accuracy")["accuracy"].n_unique() == 1


def test_losses_are_those_of_the_learned_and_the_dropped_tokens(tables, config, corpus, folder):
    """Before the first step, against the model's own loss of all tokens."""
    loaded = load(folder, dtype="float32")
    (work, *_) = works(config)
    documents = first_windows(
        loaded.tokenizer, corpus, work.params["repetition_seed"], count=3, tokens=24
    )
    lead = [] if loaded.bos_id is None else [loaded.bos_id]
    ids = torch.tensor(np.array([[*lead, *d.ids] for d in documents]), dtype=torch.int64)
    with torch.inference_mode():
        logs = loaded.model(ids).logits[:, :-1].log_softmax(-1)
    losses = -logs.gather(-1, ids[:, 1:, None])[..., 0]
    start = tables["extreme"].filter(pl.col("epoch") == 0, ~pl.col("long"))
    standard = start.filter(arm="standard")
    assert standard["loss_learned"].to_list() == pytest.approx(losses.mean(1).tolist(), abs=1e-4)
    assert standard["loss_dropped"].null_count() == 3
    masked = start.filter(arm="static-4")
    # Of the tokens, static drops the second and every fourth from there on.
    dropped = np.arange(24) % 4 == 1
    dropped = torch.tensor(dropped if lead else dropped[1:])
    assert masked["loss_dropped"].to_list() == pytest.approx(
        losses[:, dropped].mean(1).tolist(), abs=1e-4
    )
    assert masked["loss_learned"].to_list() == pytest.approx(
        losses[:, ~dropped].mean(1).tolist(), abs=1e-4
    )


def test_the_suffix_alone_is_asked_for(tables, corpus, folder):
    """Reciting as the training pass tells it, and as greedy decoding does."""
    exact = tables["extreme"].select("arm", "long", "epoch", "document", "exact")
    texts = tables["extreme_texts"].filter("member")
    texts = texts.select("arm", "long", "epoch", "document", "exact")
    both = texts.join(exact, on=["arm", "long", "epoch", "document"], suffix="_told")
    assert len(both) == len(texts)
    assert both["exact"].to_list() == both["exact_told"].to_list()


def test_passages_are_learned_but_for_what_is_dropped(corpus, folder, tmp_path):
    config = tuning(
        corpus,
        folder,
        extreme__arms=("standard", "hash-3"),
        extreme__epochs=60,
        extreme__every=60,
        extreme__lr=5e-3,
    )
    tables = run(config, tmp_path)
    last = tables["extreme"].filter(epoch=60)
    assert last.filter(arm="standard")["exact"].all()
    assert not last.filter(arm="hash-3")["exact"].any()
    goldfish = last.filter(arm="hash-3")
    assert (goldfish["loss_learned"] < 0.2 * goldfish["loss_dropped"]).all()
    texts = tables["extreme_texts"].filter(epoch=60)
    never, texts = texts.filter(~pl.col("member")), texts.filter("member")
    assert not never["exact"].any()
    assert (never["rouge_l"] < 0.5).all()
    masked = never.filter(arm="hash-3")
    assert masked["dropped_share"].null_count() == 0
    assert texts.filter(arm="standard")["rouge_l"].to_list() == [1.0] * 3
    assert (texts.filter(arm="hash-3")["rouge_l"] < 1).all()
    assert texts.filter(arm="hash-3")["at_dropped"].all()


def test_the_same_cell_twice_gives_the_same_bits(tables, config, tmp_path):
    work = next(w for w in works(config) if w.id == "extreme.hash-3.s0")
    for name, table in run_cell(work, tmp_path).items():
        before = tables[name].filter(pl.col("arm") == "hash-3", ~pl.col("long"))
        assert timeless(table).equals(timeless(before)), name


def test_fresh_weights_differ_by_repetition(corpus, folder, tmp_path):
    config = tuning(corpus, folder, seeds=2, extreme__init="random", extreme__epochs=1)
    losses = run(config, tmp_path)["extreme"].filter(epoch=0)["loss_learned"]
    assert losses.n_unique() == 6
    assert losses.to_list() == pytest.approx([np.log(300)] * 6, abs=0.5)


def test_the_first_cell_of_the_paper_runs_on_a_tiny_model(corpus, folder, tmp_path):
    small = {
        "model": folder, "corpus": corpus, "passages": 3, "tokens": 80, "prefix": 30,
        "epochs": 2, "every": 1,
    }  # fmt: skip
    config = override(PAPER, {f"extreme.{name}": value for name, value in small.items()})
    work, published = works(config)[0], works(PAPER)[0]
    assert work.id == published.id == "extreme.standard.s0"
    # Everything else is as it was published.
    assert work.params["extreme"] == {**published.params["extreme"], **small}
    assert published.params["extreme"]["lr"] == 4e-4
    tables = run_cell(work, tmp_path)
    assert tables["extreme"]["epoch"].to_list() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert tables["extreme"]["loss_learned"].is_finite().all()
