"""Cells of INJ: the same sentences in every group, tuning on others, the same twice."""

from __future__ import annotations

import json

import polars as pl
import pytest

from byrote.errors import InputError
from byrote.studies.localization.config import Group
from byrote.studies.localization.injection import sentences_of
from byrote.studies.localization.models import open_model, short_name
from byrote.studies.localization.tables import tuned_by
from tests.studies.localization.tiny import MODEL, run_cell, timeless, tiny, works


@pytest.fixture(scope="module")
def loaded(corpus):
    return open_model(MODEL, {"vocab": 300, "vocab_text": corpus})


def params(corpus, **changes):
    return works(tiny(corpus, **changes))[0].params


def test_a_model_with_random_weights_gets_a_vocabulary(loaded):
    assert loaded.vocab_size == len(loaded.tokenizer) == 300


def test_sentences_begin_with_one_token_and_no_two_splits_share_one(loaded, corpus):
    dev, test = sentences_of(loaded, params(corpus))
    assert (len(dev), len(test)) == (2, 3)
    assert len({passage.id for passage in (*dev, *test)}) == 5
    assert {passage.prefix_len for passage in (*dev, *test)} == {1}


def test_another_seed_gives_other_sentences(loaded, corpus):
    one, two = (sentences_of(loaded, params(corpus, seed=seed))[1] for seed in (0, 1))
    assert one[0].input_ids.tolist() != two[0].input_ids.tolist()


def test_sentences_can_come_from_a_file(loaded, corpus, tmp_path):
    path = tmp_path / "ecbd.jsonl"
    texts = [f"The {word} is a made-up thing." for word in ("bafo", "cegu", "dila", "fomo")]
    path.write_text("\n".join(json.dumps({"definition": text}) for text in texts))
    config = {"injection__sentences": str(path), "injection__examples": 2}
    _, test = sentences_of(loaded, params(corpus, **config))
    assert loaded.tokenizer.decode(test[0].input_ids.tolist()) == texts[2]
    with pytest.raises(InputError, match=r"has 4 sentences; .* ask for 7"):
        sentences_of(loaded, params(corpus, **{**config, "injection__examples": 5}))


def test_groups_inject_the_same_and_score_alike(measured):
    recalls = measured["recalls"]
    shared = ["fraction", "example", "scope", "multiple"]
    one = recalls.filter(pl.col("method") == "zero-out")
    two = recalls.filter(pl.col("method") == "activations")
    both = one.join(two, on=shared, suffix="_other")
    # The ceiling tells which neurons there were; the dear group has two of three.
    assert len(both) == len(one) == 2 * 2 * 2 * 2
    assert both["ceiling"].equals(both["ceiling_other"], check_names=False)
    assert both["passage"].equals(both["passage_other"], check_names=False)


def test_injections_are_told_once(measured):
    found = measured["injections"].group_by("fraction").agg(pl.col("example").sort())
    assert dict(found.iter_rows()) == {0.2: [2, 3, 4], 0.1: [2, 3, 4]}
    neurons = measured["injections"].group_by("fraction").agg(pl.col("neurons").unique())
    assert dict(neurons.iter_rows()) == {0.2: [38], 0.1: [19]}


def test_random_scores_find_what_chance_gives(measured):
    random = measured["recalls"].filter(pl.col("method") == "random")
    assert abs(float((random["recall"] - random["random"]).mean())) < 0.1


def test_methods_with_a_grid_are_tuned_on_the_dev_split(measured):
    tuning = measured["tuning"].filter(pl.col("benchmark") == "inj")
    assert tuning["method"].unique().to_list() == ["hard-concrete"]
    for _, group in tuning.group_by("fraction"):
        assert group["options"].to_list() == ['{"penalty": 1.0}', '{"penalty": 10.0}']
        best = group.filter(pl.col("chosen"))
        assert len(best) == 1
        assert best["value"][0] == group["value"].max()
        assert group["examples"].to_list() == [2, 2]


def test_of_equals_the_first_is_chosen():
    options, rows = tuned_by("m", [{"a": 1}, {"a": 2}], [0.5, 0.5], 3)
    assert options == {"a": 1}
    assert [row["chosen"] for row in rows] == [True, False]


def test_a_cell_gives_the_same_twice_whatever_its_neighbours(corpus, tmp_path):
    small = {"injection__fractions": (0.2,), "injection__rates": (0.05,)}
    alone = tiny(corpus, **small, injection__groups={"a": Group(("activations",))})
    beside = tiny(corpus, **small, injection__groups={"b": Group(("random", "activations"))})
    one, again = (
        run_cell(works(config)[0], tmp_path / name)
        for config, name in ((alone, "one"), (beside, "two"))
    )
    wanted = timeless(again["recalls"].filter(pl.col("method") == "activations"))
    assert one["recalls"].equals(wanted)
    assert one["injections"].equals(again["injections"])


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("bundled:smollm2-135m", "smollm2-135m"),
        ("EleutherAI/pythia-6.9b-deduped", "pythia-6.9b-deduped"),
        ("./folder/model/", "model"),
        ("random:gpt2?hidden_size=8", "gpt2"),
    ],
)
def test_models_have_short_names(source, name):
    assert short_name(source) == name
