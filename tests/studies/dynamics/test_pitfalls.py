"""The pitfalls of random-string experiments, one test each, and that the study avoids them.

What a pitfall asks of the parts below the study is tested there: letters in
`tests/texts/test_alphabets.py`, measures in `tests/recall/test_letters.py`, schedules and dropout
in `tests/exposure`.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from byrote.errors import InputError
from byrote.exposure import Recorder
from byrote.models import load
from byrote.recall.oracles import kgram_ceiling
from byrote.studies.config import override
from byrote.studies.dynamics import STUDY, trainings
from byrote.studies.dynamics.checks import check
from byrote.studies.dynamics.config import ModelConfig
from byrote.studies.dynamics.measuring import StringMeter
from byrote.studies.dynamics.presets import PRESETS
from byrote.studies.dynamics.setup import make_alphabet
from tests.studies.dynamics import naive
from tests.studies.dynamics.tiny import MODELS, TINY, run, run_cell, string_of, tiny, works


def with_model(model, **values):
    return replace(tiny(**values), models={"tiny": model})


@pytest.fixture
def shown(monkeypatch):
    """What `expose` was given, in order."""
    found = []
    real = trainings.expose

    def expose(loaded, sequences, config, **options):
        found.append((loaded, sequences, config))
        return real(loaded, sequences, config, **options)

    monkeypatch.setattr(trainings, "expose", expose)
    return found


@pytest.mark.parametrize("bos", ["auto", "never"])
@pytest.mark.parametrize("letters", [2, 7, 26])
def test_pitfall_1_one_token_a_letter_and_bos_only_where_it_is_wanted(
    letters, bos, lettered, shown, tmp_path
):
    model = ModelConfig(lettered, bos=bos)
    config = with_model(
        model, training__epochs=1, training__heldout=1, phases__alphabets=(letters,), phases__n=100
    )
    tables = run(config, tmp_path)
    row = tables["trainings"].row(0, named=True)
    loaded, sequences, _ = shown[0]
    lead = [257] if bos == "auto" else []
    assert sequences.input_ids.shape == (1, 100 + len(lead))
    assert sequences.input_ids[0].tolist() == lead + row["ids"]
    assert len(row["ids"]) == 100
    assert len(set(row["ids"])) == letters
    # The text has the merged pair `ab` in it, which would be one token if it were tokenized.
    text = loaded.tokenizer.decode(row["ids"])
    assert len(text) == 100
    assert set(text) == set("abcdefghijklmnopqrstuvwxyz"[:letters])
    assert letters > 2 or len(loaded.tokenizer(text, add_special_tokens=False)["input_ids"]) < 100
    assert (row["bos"], row["targets"]) == ((257, 100) if lead else (None, 99))
    assert len(tables["positions"].filter(epoch=0)) == row["targets"]
    lengths = tables["heldout"]["position_loss"].list.drop_nulls().list.len()
    assert set(lengths) == {row["targets"]}


def test_pitfall_2_the_argmax_is_over_the_whole_vocabulary(tmp_path):
    config = with_model(MODELS["plain"], training__epochs=1, phases__alphabets=(2,), phases__n=100)
    tables = run(config, tmp_path)
    ids, loaded = string_of(tables), load(MODELS["plain"].source)
    letters = list(make_alphabet(loaded, 2, "auto", 0).ids)
    predicted = naive.predictions(loaded.model, ids, None)
    over_all = np.mean([p.argmax() == ids[i] for i, p in predicted.items()])
    on_letters = np.mean([letters[p[letters].argmax()] == ids[i] for i, p in predicted.items()])
    assert tables["epochs"]["accuracy"][0] == pytest.approx(over_all)
    # The other way about, a model that knows nothing would look as if it guessed well.
    assert over_all < 0.05 < 0.3 < on_letters


@pytest.mark.parametrize("bos", [None, 7])
def test_pitfall_3_the_first_loss_is_that_of_the_untouched_model(bos, tmp_path):
    model = MODELS["plain" if bos is None else "begun"]
    tables = run(with_model(model, phases__n=40), tmp_path)
    ids, loaded = string_of(tables), load(model.source)
    whole = torch.tensor([([] if bos is None else [bos]) + ids.tolist()])
    with torch.no_grad():
        expected = float(loaded.model(input_ids=whole, labels=whole).loss)
    first = tables["epochs"].row(0, named=True)
    assert first["epoch"] == 0
    assert first["loss"] == pytest.approx(expected, rel=1e-5)


def test_pitfall_3_bos_changes_the_first_loss(tmp_path):
    model = MODELS["begun"]
    losses = {
        bos: run(with_model(replace(model, bos=bos)), tmp_path / bos)["epochs"]["loss"][0]
        for bos in ("auto", "always", "never")
    }
    assert losses["auto"] == losses["always"]
    assert abs(losses["auto"] - losses["never"]) > 1e-3


def test_pitfall_4_the_rate_is_recorded_and_one_for_all_alphabets(tmp_path):
    config = tiny(phases__alphabets=(2, 7, 26), training__schedule="cosine", training__warmup=0.25)
    table = run(config, tmp_path)["trainings"]
    assert table["letters"].to_list() == [2, 7, 26]
    for column, value in {"lr": 1e-2, "schedule": "cosine", "warmup": 0.25}.items():
        assert set(table[column]) == {value}
    # There is no field that could give an alphabet a rate of its own.
    for name, preset in PRESETS.items():
        rates: dict[str, set] = {}
        for work in works(preset):
            if "model" in work.params:
                rate = (work.params["model"]["lr"], work.params["exposure"]["schedule"])
                rates.setdefault(work.params["name"], set()).add(
                    (*rate, work.params["exposure"]["warmup"])
                )
        assert {len(found) for found in rates.values()} == {1}, name


def test_pitfall_5_early_ends_are_refused_where_the_schedule_has_a_length(tmp_path):
    for schedule in ("linear", "cosine"):
        config = tiny(training__schedule=schedule, training__stop_loss=0.05)
        with pytest.raises(InputError, match=f"{schedule} schedule depends on their length"):
            check(config)
    check(tiny(training__stop_loss=0.05))
    # What it protects against: the same exposures, planned longer, give other curves.
    for schedule, same in (("linear", False), ("constant", True)):
        curves = [
            run(
                tiny(training__schedule=schedule, training__epochs=epochs),
                tmp_path / f"{schedule}{epochs}",
            )["epochs"]["loss"].head(4)
            for epochs in (4, 8)
        ]
        assert curves[0].equals(curves[1]) is same
    table = run(tiny(training__schedule="linear", training__epochs=4), tmp_path / "t")["trainings"]
    assert table.select("schedule", "epochs", "epochs_at_most").row(0) == ("linear", 4, 4)


GPT2 = ModelConfig(
    "random:gpt2?hidden_size=32&vocab_size=300&resid_pdrop=0.5&embd_pdrop=0.5", lr=1e-2
)


def test_pitfall_6_dropout_is_off_unless_asked_for(tmp_path):
    tables = run(with_model(GPT2, training__epochs=2), tmp_path)
    assert tables["trainings"]["dropout"].item() == "off"
    ids, loaded = string_of(tables), load(GPT2.source)
    assert loaded.model.config.resid_pdrop == 0.5
    model = naive.in_float64(loaded.model)
    optimizer = naive.AdamW([p for p in model.parameters() if p.requires_grad])
    for epoch in range(3):
        letters = make_alphabet(loaded, 4, "auto", 0).ids
        expected = naive.measures(model, ids, None, letters, np.ones(4) / 4)["loss"]
        assert tables["epochs"]["loss"][epoch] == pytest.approx(expected, rel=2e-3)
        naive.teach(model, ids, None, optimizer, GPT2.lr)


def test_pitfall_6_with_dropout_everything_is_still_measured_in_evaluation_mode(
    shown, monkeypatch, tmp_path
):
    modes = []
    observe, evaluate = Recorder.observe, StringMeter.evaluate
    monkeypatch.setattr(
        Recorder, "observe", lambda s, v: (modes.append(v.model.training), observe(s, v))[1]
    )
    monkeypatch.setattr(
        StringMeter, "evaluate", lambda s, m, d: (modes.append(m.training), evaluate(s, m, d))[1]
    )
    config = with_model(GPT2, training__dropout="model", training__heldout_every=1)
    tables = run(config, tmp_path / "on")
    assert len(modes) == 10
    assert not any(modes)
    assert tables["trainings"]["dropout"].item() == "model"
    off = run(with_model(GPT2), tmp_path / "off")
    same = [a == b for a, b in zip(tables["epochs"]["loss"], off["epochs"]["loss"], strict=True)]
    assert same == [True, False, False, False, False]
    model = shown[0][0].model
    found = naive.measures(model, string_of(tables), None, [0, 1], np.ones(2) / 2)
    assert tables["epochs"]["loss"][-1] == pytest.approx(found["loss"], rel=1e-4)


def test_pitfall_7_bf16_keeps_small_updates_in_float32(shown, tmp_path):
    config = with_model(
        replace(MODELS["plain"], lr=1e-5), training__precision="bf16", training__epochs=4
    )
    tables = run(config, tmp_path)
    assert tables["trainings"]["precision"].item() == "bf16"
    before = dict(load(MODELS["plain"].source).model.named_parameters())
    after = dict(shown[0][0].model.named_parameters())
    assert {p.dtype for p in after.values()} == {torch.float32}
    name = "model.layers.0.mlp.up_proj.weight"
    moved = (before[name] != after[name]).float().mean()
    visible = (before[name].bfloat16() != after[name].bfloat16()).float().mean()
    # bf16 parameters would have lost nearly all of what was learned.
    assert moved > 0.99
    assert visible < 0.7
    losses = tables["epochs"]["loss"]
    assert losses[4] < losses[0]


def test_pitfall_7_the_paper_preset_has_float32_weights_under_bf16():
    paper = PRESETS["paper"]
    assert paper.training.precision == "bf16"
    assert {model.lr for model in paper.models.values()} == {1e-5}
    with pytest.raises(InputError, match="precision='bfloat16' is not known"):
        check(replace(paper, training=replace(paper.training, precision="bfloat16")))


def test_pitfall_8_baselines_are_those_of_the_string_too(tmp_path):
    tables = run(tiny(phases__alphabets=(2,), phases__n=30), tmp_path)
    row = tables["trainings"].row(0, named=True)
    counts = np.unique(row["ids"], return_counts=True)[1] / 30
    # A finite string of two letters is never as even as its source.
    assert row["modal"] == counts.max() > row["guess"] == 0.5
    assert row["string_entropy"] == pytest.approx(naive.entropy(counts))
    assert row["string_entropy"] < row["entropy"] == pytest.approx(np.log(2))
    for table in (tables["epochs"], tables["heldout"]):
        assert {"kl_model_empirical", "kl_empirical_model"} <= set(table.columns)
        assert (table["kl_model_empirical"] != table["kl_model_source"]).any()
    derived = STUDY.analyse(tables, TINY)["phases"]
    assert {"guess", "modal", "string_entropy"} <= set(derived.columns)


@pytest.mark.parametrize("positions", [None, 4])
def test_pitfall_9_only_positions_that_all_local_prefixes_reach_and_controls(positions, tmp_path):
    config = tiny(
        context__models=("tiny",),
        context__alphabets=(4,),
        context__k=(1, 2, 5),
        context__positions=positions,
    )
    tables = run(config, tmp_path)
    table = tables["context"]
    asked = set(table.filter(condition="truncate")["position"])
    assert min(asked) > 5
    assert asked == set(range(6, 16)) if positions is None else len(asked) == 4
    for condition in set(table["condition"]) - {"shuffle"}:
        for k in (1, 2, 5):
            rows = table.filter(condition=condition, draw=0)
            rows = rows if condition == "intact" else rows.filter(k=k)
            assert set(rows["position"]) == asked
    assert set(table.filter(condition="shuffle")["position"]) < asked
    # The oracle beside it, always, for every k.
    assert dict(tables["ceilings"].select("k", "accuracy").iter_rows()) == kgram_ceiling(
        string_of(tables), [1, 2, 5], first=6
    )
    derived = STUDY.analyse(tables, config)["contexts"]
    assert {"truncate", "k-gram ceiling"} <= set(derived["condition"])


def test_pitfall_9_truncation_cannot_be_left_out():
    config = tiny(context__models=("tiny",), context__conditions=("intact", "shuffle"))
    with pytest.raises(InputError, match="the control truncate must be there"):
        check(config)
    for preset in PRESETS.values():
        assert {"intact", "truncate"} <= set(preset.context.conditions)


def test_pitfall_10_random_weights_are_called_random(weights_on_disk, lettered, tmp_path):
    models = {
        "taught": ModelConfig(weights_on_disk),
        "twin": ModelConfig(weights_on_disk, init="random"),
        "scratch": ModelConfig(lettered),
    }
    config = replace(tiny(training__epochs=1, strings=2), models=models)
    config = override(
        config,
        {
            "phases.models": ("taught", "scratch"),
            "untrained.models": ("twin",),
            "untrained.letters": 4,
            "untrained.lengths": (16,),
        },
    )
    tables = run(config, tmp_path)
    found = dict(tables["trainings"].select("model", "init").iter_rows())
    assert found == {"taught": "pretrained", "twin": "random", "scratch": "random"}
    # A random twin has other weights for each string, and never those on disk.
    first = {
        (m, s): loss
        for m, s, loss in tables["epochs"]
        .filter(epoch=0)
        .join(tables["trainings"], on=["training", "string"])
        .select("model", "string", "loss")
        .iter_rows()
    }
    loaded = load(weights_on_disk)
    for string in range(2):
        ids = string_of(tables, model="taught", string=string)
        own = naive.measures(loaded.model, ids, 257, [97, 98], np.ones(2) / 2)["loss"]
        assert first["taught", string] == pytest.approx(own, rel=1e-4)
        assert first["twin", string] != pytest.approx(own, rel=1e-2)
    derived = STUDY.analyse(tables, config)
    assert set(derived["phase_times"].select("model", "init").iter_rows()) == set(found.items())
    of = dict(derived["experiments"].select("training", "experiment").iter_rows())
    assert of == {
        "taught.u4.n16": "phases",
        "scratch.u4.n16": "phases",
        "twin.u4.n16": "untrained",
    }


def test_pitfall_10_each_string_has_a_twin_of_its_own(weights_on_disk, shown, tmp_path):
    model = ModelConfig(weights_on_disk, init="random")
    config = with_model(model, strings=2, training__epochs=1, training__heldout=0)
    seen = []
    for work in works(config):
        run_cell(work, tmp_path / work.id)
        seen.append(shown[-1][0].model.lm_head.weight.detach().clone())
    assert (seen[0] - seen[1]).abs().mean() > 1e-3
