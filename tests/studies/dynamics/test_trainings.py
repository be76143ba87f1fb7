"""The cell in which a model learns one string: its tables against their definitions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from byrote.models import load
from byrote.recall.context import CONTEXT_CONDITIONS
from byrote.recall.oracles import kgram_ceiling
from byrote.studies.dynamics.measuring import MEASURES
from byrote.studies.dynamics.setup import make_alphabet, make_source
from byrote.texts.seeds import derive_seed
from tests.studies.dynamics import naive
from tests.studies.dynamics.tiny import MODELS, TINY, run, string_of, tiny, works


def source_of(loaded, config, letters=4, distribution="uniform", level=0.0):
    alphabet = make_alphabet(loaded, letters, "auto", config.seed)
    return make_source(alphabet, distribution, level, config.seed)


@pytest.mark.parametrize("name", ["plain", "begun"])
def test_the_epochs_are_those_of_a_plain_loop(name, tmp_path):
    config = replace(
        tiny(
            training__epochs=5,
            training__schedule="linear",
            training__warmup=2,
            training__weight_decay=0.1,
        ),
        models={"tiny": replace(MODELS[name], lr=3e-3)},
    )
    tables = run(config, tmp_path)
    ids = string_of(tables)
    loaded = load(MODELS[name].source)
    source = source_of(loaded, config)
    bos = 7 if name == "begun" else None
    model = naive.in_float64(loaded.model)
    optimizer = naive.AdamW(list(model.parameters()), decay=0.1)
    # Two steps up to the rate, then down to what would be zero after the last of the five.
    rates = [0.0, 0.5, 1.0, 2 / 3, 1 / 3]
    for epoch in range(6):
        expected = naive.measures(model, ids, bos, source.alphabet.ids, source.probabilities)
        found = tables["epochs"].row(epoch, named=True)
        assert found["epoch"] == epoch
        assert {m: found[m] for m in MEASURES} == pytest.approx(
            {m: expected[m] for m in MEASURES}, rel=2e-3, abs=2e-4
        )
        at = tables["positions"].filter(epoch=epoch)
        assert at["position"].to_list() == list(expected["position_loss"])
        assert at["hit"].to_list() == list(expected["position_hit"].values())
        assert at["loss"].to_list() == pytest.approx(
            list(expected["position_loss"].values()), rel=2e-3, abs=2e-4
        )
        if epoch < 5:
            naive.teach(model, ids, bos, optimizer, 3e-3 * rates[epoch])
    # The loop above is a test only if something was learned in it.
    assert tables["epochs"]["loss"][5] < tables["epochs"]["loss"][0] - 0.3


def test_held_out_strings_are_measured_on_the_same_model(tmp_path):
    config = tiny(training__epochs=2, training__heldout_every=1)
    tables = run(config, tmp_path)
    ids, params = string_of(tables), works(config)[0].params
    loaded = load(TINY.models["tiny"].source)
    source = source_of(loaded, config)
    model = naive.in_float64(loaded.model)
    optimizer = naive.AdamW(list(model.parameters()))
    others = [
        source.draw(16, derive_seed(params["string_seed"], "held-out", str(i))) for i in range(2)
    ]
    assert not any(np.array_equal(ids, other) for other in others)
    for epoch in range(3):
        for index, other in enumerate(others):
            letters, p = source.alphabet.ids, source.probabilities
            expected = naive.measures(model, other, None, letters, p)
            found = tables["heldout"].filter(epoch=epoch, heldout=index).row(0, named=True)
            assert {m: found[m] for m in MEASURES} == pytest.approx(
                {m: expected[m] for m in MEASURES}, rel=2e-3, abs=2e-4
            )
            # The first token has nothing before it where there is no BOS.
            assert found["position_loss"][0] is None
            assert found["position_loss"][1:] == pytest.approx(
                list(expected["position_loss"].values()), rel=2e-3
            )
        naive.teach(model, ids, None, optimizer, 1e-2)


@pytest.mark.parametrize(("every", "epochs"), [(1, [0, 1, 2, 3, 4]), (3, [0, 3, 4]), (9, [0, 4])])
def test_held_out_strings_are_measured_every_so_often_and_at_the_end(every, epochs, tmp_path):
    tables = run(tiny(training__heldout_every=every), tmp_path)
    assert tables["heldout"]["epoch"].unique().sort().to_list() == epochs
    assert len(tables["heldout"]) == 2 * len(epochs)


def test_held_out_strings_are_measured_at_an_early_end_too(tmp_path):
    early = tiny(training__stop_loss=100.0, training__heldout_every=50)
    tables = run(early, tmp_path)
    last = tables["trainings"]["epochs"].item()
    assert last == tables["epochs"]["epoch"].max() == 2
    assert tables["heldout"]["epoch"].unique().sort().to_list() == [0, last]


def test_no_held_out_strings_no_table(tmp_path):
    assert set(run(tiny(training__heldout=0), tmp_path)) == {"trainings", "epochs", "positions"}


def test_held_out_strings_change_nothing_of_what_is_learned(tmp_path):
    with_them, without = run(TINY, tmp_path / "a"), run(tiny(training__heldout=0), tmp_path / "b")
    assert with_them["epochs"].equals(without["epochs"])


def test_an_exposure_ends_once_the_loss_is_low_for_so_many_epochs(tmp_path):
    config = tiny(training__epochs=60, training__stop_loss=0.5, training__stop_epochs=3)
    tables = run(config, tmp_path)
    row, losses = tables["trainings"].row(0, named=True), tables["epochs"]["loss"].to_list()
    low = [loss < 0.5 for loss in losses]
    first = next(e for e in range(2, 60) if all(low[e - 2 : e + 1]))
    # It is known after the step that the epoch's forward began, so one more epoch is there.
    assert (row["epochs"], row["epochs_at_most"], row["ended"]) == (first + 1, 60, "observer")
    assert len(losses) == first + 2
    whole = run(tiny(training__epochs=60), tmp_path / "whole")["epochs"]
    assert whole.head(len(losses)).equals(tables["epochs"])
    assert len(whole) == 61


def test_an_exposure_is_not_ended_before_the_last_look_at_contexts(tmp_path):
    config = tiny(
        training__epochs=9,
        training__stop_loss=100.0,
        context__models=("tiny",),
        context__alphabets=(4,),
        context__epochs=(0, 7),
    )
    tables = run(config, tmp_path)
    assert tables["trainings"]["epochs"].item() == 7
    assert tables["context"]["epoch"].unique().sort().to_list() == [0, 7]


def test_contexts_are_those_of_their_definition(tmp_path):
    config = tiny(context__models=("tiny",), context__alphabets=(4,), training__epochs=2)
    tables = run(config, tmp_path)
    ids, table = string_of(tables), tables["context"]
    assert table.columns[:2] == ["training", "string"]
    assert set(table["condition"]) == set(CONTEXT_CONDITIONS)
    loaded = load(TINY.models["tiny"].source)
    model = naive.in_float64(loaded.model)
    optimizer = naive.AdamW(list(model.parameters()))
    for _ in range(2):
        naive.teach(model, ids, None, optimizer, 1e-2)
    whole = naive.measures(model, ids, None, source_of(loaded, config).alphabet.ids, np.ones(4) / 4)
    intact = table.filter(condition="intact")
    assert len(intact) == 6
    for row in intact.iter_rows(named=True):
        assert row["nll"] == pytest.approx(whole["position_loss"][row["position"]], rel=2e-3)
        assert row["hit"] == whole["position_hit"][row["position"]]
    for row in table.filter(condition="truncate").iter_rows(named=True):
        some = ids[row["position"] - row["k"] : row["position"] + 1]
        p = naive.predictions(model, some, None)[row["k"]]
        assert row["nll"] == pytest.approx(-np.log(p[some[-1]]), rel=2e-3)
        assert row["hit"] == (p.argmax() == some[-1])
    # Nothing of the string is left in front of the local prefix, but the same number of tokens.
    counts = {c: len(table.filter(condition=c)) for c in CONTEXT_CONDITIONS}
    assert counts == dict.fromkeys(CONTEXT_CONDITIONS, 24) | {
        "intact": 6,
        "truncate": 12,
        "shuffle": 12,
    }


def test_the_ceilings_are_those_of_the_string(tmp_path):
    config = tiny(context__models=("tiny",), context__alphabets=(4,))
    tables = run(config, tmp_path)
    expected = kgram_ceiling(string_of(tables), [1, 3], first=4)
    assert dict(tables["ceilings"].select("k", "accuracy").iter_rows()) == expected


@pytest.mark.parametrize(
    ("changes", "entropy", "rate", "guess"),
    [
        ({}, np.log(4), np.log(4), 0.25),
        ({"entropy__like": (2,)}, np.log(2), np.log(2), 0.8914),
        ({"entropy__markov_rates": (0.5,)}, np.log(26), np.log(26) / 2, 1 / 26),
    ],
)
def test_a_training_says_what_its_source_is(changes, entropy, rate, guess, tmp_path):
    if changes:
        changes = {"phases__models": (), "entropy__models": ("tiny",), "entropy__n": 16, **changes}
        changes.setdefault("entropy__like", ())
    config = tiny(training__epochs=1, training__heldout=0, **changes)
    work = works(config)[0 if "entropy__like" not in changes or changes["entropy__like"] else 1]
    from tests.studies.dynamics.tiny import run_cell

    row = run_cell(work, tmp_path)["trainings"].row(0, named=True)
    assert row["entropy"] == pytest.approx(entropy)
    assert row["entropy_rate"] == pytest.approx(rate)
    assert row["guess"] == pytest.approx(guess, abs=1e-4)
    counts = np.unique(row["ids"], return_counts=True)[1] / 16
    assert row["string_entropy"] == pytest.approx(naive.entropy(counts))
    assert row["modal"] == pytest.approx(counts.max())


def test_only_the_part_asked_for_is_trained(tmp_path):
    config = tiny(
        phases__models=(), partial__models=("tiny",), partial__parts=("mlp:1",), partial__n=16
    )
    tables = run(config, tmp_path)["trainings"]
    whole, part = tables.filter(part="all"), tables.filter(part="mlp:1")
    assert whole["trained_parameters"].item() == whole["parameters"].item()
    # Gate, up and down projections of one layer.
    assert part["trained_parameters"].item() == 3 * 32 * 128
    assert whole["ids"].item().to_list() == part["ids"].item().to_list()


def test_every_column_is_filled(tmp_path):
    config = tiny(context__models=("tiny",), context__alphabets=(4,), strings=2)
    tables = run(config, tmp_path)
    may_be_null = {"trainings": {"bos"}, "context": {"k"}}
    for name, table in tables.items():
        for column in set(table.columns) - may_be_null.get(name, set()):
            assert table[column].null_count() == 0, (name, column)
            if table[column].dtype == pl.Float64:
                assert table[column].is_finite().all(), (name, column)
    assert tables["trainings"]["bos"].null_count() == 2
    # Only the intact context has nothing to do with k.
    assert set(tables["context"].filter(pl.col("k").is_null())["condition"]) == {"intact"}
    keys = tables["trainings"].select("training", "string")
    for table in tables.values():
        assert table.select("training", "string").unique(maintain_order=True).equals(keys)


def test_a_cell_says_the_same_again(tmp_path):
    config = tiny(context__models=("tiny",), context__alphabets=(4,))
    one, two = run(config, tmp_path / "a"), run(config, tmp_path / "b")
    one["trainings"], two["trainings"] = (t["trainings"].drop("seconds") for t in (one, two))
    assert [name for name in one if not one[name].equals(two[name])] == []


def test_a_cell_continues_from_its_checkpoint(tmp_path, monkeypatch):
    from byrote.exposure import course
    from tests.studies.dynamics.tiny import run_cell

    config = tiny(
        training__epochs=7,
        training__checkpoint_every=2,
        training__heldout_every=3,
        context__models=("tiny",),
        context__alphabets=(4,),
    )
    work = works(config)[0]
    whole = run_cell(work, tmp_path / "whole")
    written = course.write_checkpoint
    seen = []

    def write(folder, state, tensors):
        written(folder, state, tensors)
        seen.append(state["epoch"])
        if state["epoch"] == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr(course, "write_checkpoint", write)
    with pytest.raises(KeyboardInterrupt):
        run_cell(work, tmp_path / "cut")
    assert seen == [2, 4]
    again = run_cell(work, tmp_path / "cut")
    assert seen[2:] == [6, 7]
    for tables in (whole, again):
        tables["trainings"] = tables["trainings"].drop("seconds")
    assert [name for name in whole if not whole[name].equals(again[name])] == []
