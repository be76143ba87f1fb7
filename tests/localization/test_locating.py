"""Locating: what depends on the neurons found; and what stands around a passage."""

import numpy as np
import pytest

from byrote.errors import InputError
from byrote.localization import (
    Selection,
    find_localizer,
    find_surroundings,
    general_rows,
    locate,
    measure_recital,
    select,
)
from byrote.localization.copies import shares_text
from byrote.models import load
from byrote.texts import Passage
from tests.localization.models import assert_same_state, state_of


@pytest.fixture(scope="module")
def loaded(parrot):
    return load(str(parrot))


@pytest.fixture(scope="module")
def known(loaded, secrets):
    ids = [np.array(loaded.tokenizer.encode(text), dtype=np.int32) for text in secrets]
    return [Passage(f"s{i}@0", "secrets", f"s{i}", 0, row, 20) for i, row in enumerate(ids)]


@pytest.fixture(scope="module")
def location(loaded, known):
    before = state_of(loaded.model)
    found = locate(
        loaded,
        known[:2],
        localizer="attribution",
        others=known[:5],
        fraction=0.05,
        fractions=(0.2, 0.0001, 0.05),
        skip_layers=(),
        top=4,
    )
    assert_same_state(loaded.model, before)
    return found


def accuracies(loaded, passages, selection):
    table = measure_recital(loaded, passages, selection)
    return table["accuracy"].to_list(), table["nll"].to_list()


def test_dependence_is_what_ablation_says(location, loaded, known):
    table = location.dependence
    assert table["fraction"].to_list() == [0.0, 0.05, 0.2] * 2
    scores = find_localizer("attribution").score(loaded, known[:2])
    for row in table.iter_rows(named=True):
        index = 0 if row["passage"] == "s0@0" else 1
        fraction = row["fraction"]
        selection = select(scores[index], fraction) if fraction else None
        others = [p for p in known[:5] if p is not known[index]]
        own, *rest = accuracies(loaded, [known[index], *others], selection)[0]
        assert row["accuracy"] == own
        assert row["others_accuracy"] == pytest.approx(np.mean(rest))
        assert row["neurons"] == (len(selection) if selection else 0)
    assert table["random_accuracy"].to_list() != table["accuracy"].to_list()


def test_layers_are_dropped_one_at_a_time(location, loaded, known):
    scores = find_localizer("attribution").score(loaded, known[:1])[0]
    highest = select(scores, 0.05, scope="model")
    rows = location.layers.filter(passage="s0@0").to_dicts()
    assert [row["layer"] for row in rows] == [0, 1]
    assert [row["neurons"] for row in rows] == highest.counts().tolist()
    for row in rows:
        alone = np.zeros_like(highest.neurons)
        alone[row["layer"]] = highest.neurons[row["layer"]]
        (accuracy,), (nll,) = accuracies(loaded, known[:1], Selection(alone))
        assert (row["accuracy"], row["nll"]) == (accuracy, pytest.approx(nll))
        assert row["top_neuron"] == int(scores[row["layer"]].argmax())
        assert row["top_score"] == pytest.approx(float(scores[row["layer"]].max()))


def test_the_highest_neurons_are_dropped_one_by_one(location, loaded, known):
    scores = find_localizer("attribution").score(loaded, known[1:2])[0]
    rows = location.neurons.filter(passage="s1@0").to_dicts()
    order = scores.flatten().argsort(descending=True)[:4].tolist()
    assert [row["layer"] * scores.shape[1] + row["neuron"] for row in rows] == order
    assert [row["rank"] for row in rows] == [1, 2, 3, 4]
    for row in rows:
        alone = np.zeros(tuple(scores.shape), dtype=bool)
        alone[row["layer"], row["neuron"]] = True
        _, (nll,) = accuracies(loaded, known[1:2], Selection(alone))
        assert row["nll"] == pytest.approx(nll)


def test_skipped_layers_have_no_neurons(loaded, known):
    found = locate(loaded, known[:1], localizer="activations", fractions=(0.1,), top=3)
    assert set(found.neurons["layer"]) == {1}
    assert found.layers["neurons"].to_list()[0] == 0
    assert found.layers["accuracy"][0] == found.passages["accuracy"][0]
    assert found.dependence["others_accuracy"].null_count() == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fraction": 2}, "fraction=2"),
        ({"fraction": 0.0}, "selects none"),
        ({"top": 0}, "top=0"),
        ({"skip_layers": (9,)}, "no layer 9"),
        ({"scope": "head"}, "scope='head'"),
        ({"localizer": "nothing"}, "no localizer"),
        ({"localizer": "contrast:activations?kind=ratio"}, "compares with other passages"),
    ],
)
def test_bad_options_are_refused(loaded, known, options, message):
    with pytest.raises(InputError, match=message):
        locate(loaded, known[:1], **({"localizer": "random"} | options))


def test_no_passage_and_what_is_not_recited_are_refused(loaded, known):
    with pytest.raises(InputError, match="no passage"):
        locate(loaded, [])
    ids = np.concatenate((known[0].prefix_ids, known[1].suffix_ids))
    strange = Passage("strange", "test", "strange", 0, ids, 20)
    with pytest.raises(InputError, match="does not recite 'strange'"):
        locate(loaded, [strange], localizer="random", fractions=(0.1,), top=1)
    forced = locate(loaded, [strange], localizer="random", fractions=(0.1,), top=1, recited=0.0)
    assert len(forced.neurons) == 1


# Surroundings


@pytest.fixture
def sources(tmp_path, secrets):
    rng = np.random.default_rng(1)
    (tmp_path / "known.txt").write_text("".join(secrets) * 1)
    noise = "".join(rng.choice(list("abcdefghij klmnop"), 4000))
    (tmp_path / "noise.txt").write_text(noise)
    return [str(tmp_path / "known.txt"), str(tmp_path / "noise.txt")]


def test_surroundings_are_halves_of_what_is_known_best(loaded, known, sources):
    around = find_surroundings(loaded, known[:1], known=sources, general=sources[1:], count=3)
    references, retain = around.references, around.retain
    assert (len(references), len(retain)) == (3, 3)
    both = [*references, *retain]
    assert len({p.id for p in both}) == 6
    assert {(p.prefix_len, p.suffix_len) for p in both} == {(20, 40)}
    assert not any(shares_text(both, known[:1]))
    assert any(p.source == sources[0] for p in both)
    best = measure_recital(loaded, both)["accuracy"]
    assert best.max() == pytest.approx(best[0])
    assert {len(row) for row in around.text} == {128}
    again = find_surroundings(loaded, known[:1], known=sources, general=(), count=3)
    assert [p.id for p in again.references] == [p.id for p in references]
    assert again.text == ()


def test_sources_that_hold_nothing_else_are_refused(loaded, known, sources, tmp_path):
    (tmp_path / "same.txt").write_text(loaded.tokenizer.decode(known[0].input_ids.tolist()))
    with pytest.raises(InputError, match="name other sources"):
        find_surroundings(loaded, known[:1], known=[str(tmp_path / "same.txt")], general=())
    with pytest.raises(InputError, match="count=0"):
        find_surroundings(loaded, known[:1], known=sources, count=0)


def test_general_rows_are_drawn(loaded, sources):
    rows = general_rows(loaded, sources[1], count=5, length=64)
    assert [len(row) for row in rows] == [64] * 5
    other = general_rows(loaded, sources[1], count=5, length=64, seed=1)
    assert not all(np.array_equal(a, b) for a, b in zip(rows, other, strict=True))
