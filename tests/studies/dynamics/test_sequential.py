"""The cell in which a model learns string after string."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from byrote.models import load
from byrote.recall.scoring import Scorer
from byrote.studies.dynamics import sequential
from byrote.studies.dynamics.config import ModelConfig
from byrote.studies.dynamics.setup import make_source
from byrote.texts.alphabets import letters_alphabet
from byrote.texts.seeds import derive_seed
from tests.studies.dynamics import naive
from tests.studies.dynamics.tiny import run, tiny, works

LR, EPOCHS = 3e-3, 3


@pytest.fixture(scope="module")
def config(lettered, tmp_path_factory):
    folder = tmp_path_factory.mktemp("text")
    (folder / "text.txt").write_text("It was a bright cold day in April. " * 30)
    found = tiny(
        phases__models=(),
        sequential__models=("tiny",),
        sequential__letters=4,
        sequential__n=12,
        sequential__strings=3,
        sequential__epochs=EPOCHS,
        sequential__every=2,
        sequential__text=str(folder / "text.txt"),
        sequential__text_windows=4,
        sequential__text_tokens=20,
    )
    return replace(found, models={"tiny": ModelConfig(lettered, lr=LR)})


@pytest.fixture(scope="module")
def tables(config, tmp_path_factory):
    return run(config, tmp_path_factory.mktemp("run"))


def chain(tables, optimiser):
    return tables["sequential"].filter(optimiser=optimiser)


def strings(config):
    loaded = load(config.models["tiny"].source)
    params = works(config)[0].params
    source = make_source(letters_alphabet(loaded.tokenizer, 4), "uniform", 0.0, config.seed)
    seed = params["string_seed"]
    return (
        loaded,
        source,
        [source.draw(12, derive_seed(seed, "in sequence", str(j))) for j in range(3)],
    )


def test_every_string_is_learned_once_and_then_the_first_again(tables):
    for optimiser in ("fresh", "carried"):
        stages = chain(tables, optimiser).select("stage", "learned").unique(maintain_order=True)
        assert stages.rows() == [(0, 0), (1, 1), (2, 2), (3, 0)]


def test_the_string_under_way_is_measured_always_and_the_others_every_so_often(tables):
    # Three epochs: the second is not due, and the last is measured though it is not due either.
    for (stage, learned, measured), rows in chain(tables, "fresh").group_by(
        "stage", "learned", "measured"
    ):
        expected = [0, 1, 2, 3] if learned == measured else [0, 2, 3]
        assert rows["epoch"].to_list() == expected, (stage, measured)
    assert len(chain(tables, "fresh")) == 4 * (4 + 3 + 3)
    assert tables["sequential"].null_count().sum_horizontal().item() == 0


def test_a_stage_begins_where_the_one_before_ended(tables):
    for optimiser in ("fresh", "carried"):
        rows = chain(tables, optimiser)
        for stage in range(1, 4):
            ended = rows.filter(stage=stage - 1, epoch=EPOCHS).sort("measured")
            begins = rows.filter(stage=stage, epoch=0).sort("measured")
            assert begins["loss"].to_list() == pytest.approx(ended["loss"].to_list(), rel=1e-5)


@pytest.mark.parametrize("optimiser", ["fresh", "carried"])
def test_a_chain_is_that_of_a_plain_loop(optimiser, config, tables):
    loaded, source, drawn = strings(config)
    rows = chain(tables, optimiser)
    model = naive.in_float64(loaded.model)
    adam = naive.AdamW(list(model.parameters()))
    for stage, learned in enumerate([0, 1, 2, 0]):
        if optimiser == "fresh":
            adam = naive.AdamW(list(model.parameters()))
        for epoch in range(EPOCHS + 1):
            for row in rows.filter(stage=stage, epoch=epoch).iter_rows(named=True):
                expected = naive.measures(
                    model, drawn[row["measured"]], 257, source.alphabet.ids, source.probabilities
                )
                assert row["loss"] == pytest.approx(expected["loss"], rel=5e-3)
                assert row["accuracy"] == pytest.approx(expected["accuracy"])
            if epoch < EPOCHS:
                naive.teach(model, drawn[learned], 257, adam, LR)


def test_a_carried_optimiser_is_another_one_from_the_second_string_on(tables):
    fresh, carried = (chain(tables, name).drop("optimiser") for name in ("fresh", "carried"))
    assert fresh.filter(stage=0).equals(carried.filter(stage=0))
    # Its moments first tell after the first step of the second string.
    start = pl.col("epoch") == 0
    assert fresh.filter(start, stage=1).equals(carried.filter(start, stage=1))
    one, two = (table.filter(~start, stage=1)["loss"].to_numpy() for table in (fresh, carried))
    assert (np.abs(one - two) > 1e-3).any()


def test_the_loss_on_natural_text_is_that_of_its_windows(config, tmp_path, monkeypatch):
    asked = []
    score = Scorer.score

    def spy(self, passages, *args, **options):
        asked.append(list(passages))
        return score(self, asked[-1], *args, **options)

    monkeypatch.setattr(sequential.Scorer, "score", spy)
    short = replace(config, sequential=replace(config.sequential, optimisers=("fresh",)))
    table = run(short, tmp_path)["sequential_text"]
    assert table["stage"].to_list() == [-1, 0, 1, 2, 3]
    loaded = load(config.models["tiny"].source)
    assert loaded.bos_id is None or loaded.bos_id == 257
    assert len(asked) == 5
    assert [len(passages) for passages in asked] == [4] * 5
    assert {tuple(p.id for p in passages) for passages in asked} == {tuple(p.id for p in asked[0])}
    found = []
    for passage in asked[0]:
        assert len(passage.input_ids) == 20
        predicted = naive.predictions(loaded.model, passage.input_ids, loaded.bos_id)
        found.append(
            np.mean(
                [-np.log(predicted[i][passage.input_ids[i]]) for i in range(passage.prefix_len, 20)]
            )
        )
    assert table["loss"][0] == pytest.approx(np.mean(found), rel=1e-4)
    assert table["loss"].n_unique() == 5


def test_without_text_there_is_no_table_of_it(config, tmp_path):
    one = replace(config.sequential, text="", optimisers=("fresh",), strings=1, epochs=1)
    found = run(replace(config, sequential=one), tmp_path)
    assert set(found) == {"sequential"}
    stages = found["sequential"].select("stage", "learned").unique(maintain_order=True)
    assert stages.rows() == [(0, 0), (1, 0)]
