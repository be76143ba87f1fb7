"""Collecting passages that a model recites: the filters, their order, the cache, the split."""

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from byrote.errors import InputError
from byrote.localization import collect_memorised
from byrote.localization.copies import copy_groups, shares_text
from byrote.localization.sieving import allowed_misses, sieve
from byrote.models import load
from byrote.recall import Scorer, edit_distance, nll, token_accuracy
from byrote.texts import Passage
from tests.recall.passages import follow, random_passages


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("BYROTE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def passage(ids, prefix_len=2, name=None):
    ids = np.array(ids, dtype=np.int32)
    name = name or "-".join(map(str, ids))
    return Passage(f"{name}@0", "test", name, 0, ids, prefix_len)


@pytest.fixture(scope="module")
def model():
    return load("random:llama?hidden_size=32&num_hidden_layers=2&vocab_size=97&seed=3")


@pytest.fixture(scope="module")
def asked(model):
    """Random passages, and some that the model goes on with itself, with up to two mistakes."""
    some = random_passages(15, 97, seed=5, prefix=(6, 6), suffix=(16, 16))
    recited = follow(model, some[:9])
    wrong = recited[3].input_ids.copy()
    wrong[10] = (wrong[10] + 1) % 97
    twisted = Passage("twisted@0", "test", "twisted", 0, wrong, 6)
    return [*recited, *some[9:], twisted]


@pytest.fixture(scope="module")
def written(model, asked):
    """What plain greedy decoding writes after each prefix."""
    found = {}
    for one in asked:
        ids = one.prefix_ids.tolist()
        with torch.inference_mode():
            for _ in range(one.suffix_len):
                ids.append(int(model.model(torch.tensor([ids])).logits[0, -1].argmax()))
        found[one.id] = ids[one.prefix_len :]
    return found


# The sieve


@pytest.mark.parametrize(
    ("suffix", "accuracy", "misses"),
    [(48, 0.9, 4), (32, 0.9, 3), (10, 0.9, 0), (10, 0.8, 1), (10, 0.0, 9), (20, 0.95, 0)],
)
def test_allowed_misses_leave_more_than_the_share(suffix, accuracy, misses):
    assert allowed_misses(suffix, accuracy) == misses
    assert (suffix - misses) / suffix > accuracy >= (suffix - misses - 1) / suffix


@pytest.mark.parametrize("family", ["gpt2", "llama", "gemma3_text", "opt", "mixtral"])
@pytest.mark.parametrize("accuracy", [0.0, 0.5, 0.9])
def test_the_sieve_drops_nothing_that_scoring_keeps(family, accuracy, random_model):
    loaded = random_model(family, hidden_size=32, num_hidden_layers=2, vocab_size=61)
    some = random_passages(30, 61, seed=1, prefix=(1, 9), suffix=(3, 30))
    some = [*follow(loaded, some[:8]), *some[8:]]
    scores = Scorer(loaded).score(some)
    kept = {i for i, score in enumerate(scores) if token_accuracy(score) > accuracy}
    left = sieve(loaded, some, accuracy)
    assert left == sorted(left)
    assert kept <= set(left)
    if accuracy == 0.9:
        assert len(left) < 20


def test_the_sieve_goes_by_the_lead(byte_tokenizer, random_model):
    loaded = random_model("llama", hidden_size=32, num_hidden_layers=2, vocab_size=61)
    led = load("random:llama?hidden_size=32&num_hidden_layers=2&vocab_size=61")
    led.bos_id = 7
    assert led.lead == (7,)
    some = random_passages(6, 61, seed=2, prefix=(3, 3), suffix=(14, 14))
    recited = follow(led, some, lead=(7,))[::3]
    assert sieve(led, recited, 0.9) == [0, 1]
    assert sieve(loaded, recited, 0.9) != [0, 1]


# The filters


def naive(loaded, passages, written, *, accuracy, distance, distinct, overlap, limit):
    """The five filters as the paper lists them, each passage by itself, with plain generation."""
    left = []
    for index, one in enumerate(passages):
        (score,) = Scorer(loaded).score([one])
        greedy, true = written[one.id], one.suffix_ids.tolist()
        apart = edit_distance(true, greedy)
        if token_accuracy(score) <= accuracy or min(len(set(true)), len(set(greedy))) < distinct:
            continue
        if apart <= distance:
            left.append((apart, -token_accuracy(score), nll(score), index))
    left.sort()
    kept = []
    groups = components([passages[i] for *_, i in left], overlap)
    for *_, index in left:
        others = next(g for g in groups if passages[index].id in g)
        if not any(passages[i].id in others for i in kept):
            kept.append(index)
    return [passages[i].id for i in kept[:limit]]


def components(passages, overlap, n=5):
    grams = {
        p.id: {tuple(p.input_ids[i : i + n]) for i in range(max(1, len(p.input_ids) - n + 1))}
        for p in passages
    }
    groups = [{p.id} for p in passages]
    for one in grams:
        for other in grams:
            both = len(grams[one] & grams[other])
            if one != other and both / len(grams[one] | grams[other]) > overlap:
                a = next(g for g in groups if one in g)
                b = next(g for g in groups if other in g)
                if a is not b:
                    groups.remove(b)
                    a |= b
    return groups


@pytest.mark.parametrize(
    "options",
    [
        {"accuracy": 0.9, "distance": 20, "distinct": 2, "overlap": 0.05, "limit": None},
        {"accuracy": 0.5, "distance": 5, "distinct": 1, "overlap": 0.3, "limit": 4},
        {"accuracy": 0.0, "distance": 99, "distinct": 3, "overlap": 1.0, "limit": None},
    ],
)
def test_the_filters_are_the_papers(model, asked, written, options):
    found = collect_memorised(model, asked, dev=0, cache=False, **options)
    assert [p.id for p in found.test] == naive(model, asked, written, **options)
    kept = found.table.filter(pl.col("fell").is_null())
    assert set(kept["passage"]) == {p.id for p in found.test}
    assert set(kept["split"]) == {"test"}
    assert found.table.filter(pl.col("fell").is_not_null())["split"].null_count() == (
        len(found.table) - len(kept)
    )


def test_the_table_of_filters_adds_up(model, asked):
    found = collect_memorised(model, asked, distinct=2, limit=3, dev=0)
    table = found.filters
    assert table["before"][0] == len(asked)
    assert table["left"][-1] == len(found.passages)
    assert (table["before"] - table["fell"] == table["left"]).all()
    assert table["before"][1:].to_list() == table["left"][:-1].to_list()
    assert table["filter"].to_list() == [
        "distinct",
        "accuracy",
        "greedy-distinct",
        "distance",
        "copies",
        "limit",
    ]
    assert int(table.filter(filter="limit")["fell"][0]) > 0
    assert int(table.filter(filter="copies")["fell"][0]) > 0  # the twisted one
    assert "limit" not in collect_memorised(model, asked, distinct=2, dev=0).filters["filter"]


def test_texts_are_cut_and_asked_of_a_model_that_knows_them(parrot, secrets, secrets_file):
    loaded = load(str(parrot))
    other = secrets_file.with_name("other.txt")
    other.write_text("The quick brown fox jumps over the lazy dog, and then it rests. " * 3)
    found = collect_memorised(
        loaded, [str(secrets_file), str(other)], prefix=20, suffix=30, distinct=10
    )
    assert {p.record for p in found.passages} == {f"secret-{i}" for i in range(10)}
    assert (found.table["distance"] <= 20).all()
    assert (len(found.dev), len(found.test)) == (2, 8)  # a quarter, where that is less than five
    assert [p.id for p in found.passages] == [p.id for p in found.dev + found.test]
    again = collect_memorised(
        loaded, [str(secrets_file), str(other)], prefix=20, suffix=30, distinct=10
    )
    assert [p.id for p in again.passages] == [p.id for p in found.passages]
    other_seed = collect_memorised(
        loaded, str(secrets_file), prefix=20, suffix=30, distinct=10, seed=3
    )
    assert {p.id for p in other_seed.dev} != {p.id for p in found.dev}


def test_windows_are_drawn(parrot, secrets_file):
    loaded = load(str(parrot))
    found = collect_memorised(
        loaded, str(secrets_file), prefix=20, suffix=30, distinct=10, windows=6
    )
    assert found.filters["before"][0] == 6


# The cache


def test_what_the_model_said_is_asked_once(model, asked, own_cache, monkeypatch):
    first = collect_memorised(model, asked, distinct=2)
    (file,) = (own_cache / "memorised").glob("*.parquet")

    def refuse(*_, **__):
        raise AssertionError("the model was asked again")

    with monkeypatch.context() as patch:
        patch.setattr("byrote.localization.memorised.sieve", refuse)
        second = collect_memorised(model, asked, distinct=2)
        looser = collect_memorised(model, asked, distinct=2, overlap=1.0, limit=2, dev=0)
    assert first.table.equals(second.table)
    assert len(looser.test) == 2
    file.write_bytes(b"damaged")
    assert collect_memorised(model, asked, distinct=2).table.equals(first.table)


def test_other_weights_windows_and_options_are_asked_anew(model, asked, own_cache):
    other = load("random:llama?hidden_size=32&num_hidden_layers=2&vocab_size=97&seed=4")
    collect_memorised(model, asked, distinct=2)
    collect_memorised(model, asked[:-1], distinct=2)
    collect_memorised(model, asked, distinct=2, accuracy=0.8)
    with pytest.raises(InputError, match="recites none"):
        collect_memorised(other, asked, distinct=2)
    assert len(list((own_cache / "memorised").glob("*.parquet"))) == 4


# Bad input


def test_where_nothing_is_recited_the_filter_is_named(model):
    with pytest.raises(InputError) as error:
        collect_memorised(model, random_passages(9, 97, prefix=(4, 4), suffix=(20, 20)), distinct=3)
    assert "recites none of the 9 windows well enough: 9 fell to the filter 'accuracy'" in str(
        error.value
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"accuracy": 1.0}, "give 0.999"),
        ({"accuracy": -0.1}, "accuracy=-0.1"),
        ({"distance": -1}, "distance=-1"),
        ({"distinct": 0}, "distinct=0"),
        ({"overlap": 2}, "overlap=2"),
        ({"limit": 0}, "limit=0"),
        ({"dev": -1}, "dev=-1"),
        ({"windows": 0}, "limit is 0"),
    ],
)
def test_bad_options_are_refused(model, asked, options, message):
    with pytest.raises(InputError, match=message):
        collect_memorised(model, asked, **options)


def test_no_texts_and_no_tokenizer_are_refused(model, tmp_path):
    with pytest.raises(InputError, match="No texts"):
        collect_memorised(model, [])
    (tmp_path / "a.txt").write_text("some text")
    with pytest.raises(InputError, match="no tokenizer"):
        collect_memorised(model, str(tmp_path / "a.txt"))


# Near copies


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 2), min_size=3, max_size=14), min_size=1, max_size=8),
    st.sampled_from([0.0, 0.05, 0.2, 0.5, 1.0]),
)
def test_groups_are_the_connected_components(rows, overlap):
    some = [passage(row, name=f"p{i}") for i, row in enumerate(rows)]
    numbers = copy_groups(some, overlap)
    expected = components(some, overlap)
    mine = [{p.id for p, n in zip(some, numbers, strict=True) if n == k} for k in set(numbers)]
    assert sorted(map(sorted, mine)) == sorted(map(sorted, expected))
    assert numbers[0] == 0
    assert max(numbers) == len(set(numbers)) - 1


def test_shared_text_is_found():
    one, other = passage(range(20)), passage(range(10, 30))
    strange = passage(range(40, 60))
    assert shares_text([one, strange], [other]) == [True, False]
    assert shares_text([one], []) == [False]
