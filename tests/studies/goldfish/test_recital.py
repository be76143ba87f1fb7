"""What was written beside what follows, against naive definitions."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import torch
from rouge_score import rouge_scorer

from byrote.decoding import MemFree, NGramSet
from byrote.models import load
from byrote.recall import Scorer
from byrote.recall.membership import attacks
from byrote.studies.goldfish.recital import (
    MEMBERSHIP,
    RECITAL,
    greedy,
    membership_table,
    recital_table,
    written,
)
from byrote.studies.goldfish.world import first_windows, passage_of


@pytest.fixture(scope="module")
def loaded(folder):
    return load(folder, dtype="float32")


@pytest.fixture(scope="module")
def passages(loaded, corpus):
    documents = first_windows(loaded.tokenizer, corpus, 1, count=12, tokens=31)
    return [passage_of(d, 15, member=i < 6) for i, d in enumerate(documents)]


def mixed(passages, seed=0):
    """What might have been written: all right, some tokens wrong, too short, nothing."""
    rng = np.random.default_rng(seed)
    found = []
    for index, passage in enumerate(passages):
        ids = passage.suffix_ids.copy()
        if index % 4 == 1:
            ids[rng.integers(0, len(ids), 3)] = 7
        found.append(ids[: {2: 9, 3: 0}.get(index % 4, len(ids))].tolist())
    return found


def test_the_columns_are_as_they_are_said_to_be(loaded, passages):
    table = recital_table(loaded, passages, mixed(passages), "greedy")
    assert dict(table.schema) == RECITAL
    assert table["document"].to_list() == [p.record for p in passages]
    assert table["member"].to_list() == [True] * 6 + [False] * 6
    assert table["at_dropped"].null_count() == table["dropped_share"].null_count() == 12


def test_divergence_is_that_of_the_definition(loaded, passages):
    results = mixed(passages)
    rng = np.random.default_rng(3)
    keep = [rng.random(31) < 0.6 for _ in passages]
    table = recital_table(loaded, passages, results, "greedy", keep)
    for row, passage, ids, learned in zip(
        table.iter_rows(named=True), passages, results, keep, strict=True
    ):
        first = None
        for place in range(passage.suffix_len):
            if place >= len(ids) or ids[place] != passage.suffix_ids[place]:
                first = place
                break
        assert row["first_divergence"] == first
        assert row["exact"] == (first is None)
        assert row["at_dropped"] == (None if first is None else not learned[15 + first])
        assert row["dropped_share"] == pytest.approx(np.mean(~learned[15:]))
    assert 0 < table["exact"].sum() < 12


def test_overlap_is_that_of_rouge_score(loaded, passages):
    scorer = rouge_scorer.RougeScorer(["rougeL"])
    table = recital_table(loaded, passages, mixed(passages), "greedy")
    for row, passage, ids in zip(
        table.iter_rows(named=True), passages, mixed(passages), strict=True
    ):
        decode = loaded.tokenizer.decode
        reference, candidate = decode(passage.suffix_ids.tolist()), decode(ids)
        expected = scorer.score(reference, candidate)["rougeL"].fmeasure
        assert row["rouge_l"] == pytest.approx(expected, abs=1e-9)
        assert 0 <= row["edit_similarity"] <= 1
    assert table.filter(pl.col("exact"))["edit_similarity"].to_list() == [1.0] * 3


def memorised(loaded, passages):
    """Passages of which the model's own greedy continuation is the suffix, and others."""
    found = []
    for passage, ids in zip(passages, greedy(loaded, passages, (0,)), strict=True):
        whole = [*passage.prefix_ids.tolist(), *ids]
        if len(ids) == passage.suffix_len:
            found.append(passage_like(passage, whole))
    return found


def passage_like(passage, ids):
    from dataclasses import replace

    return replace(passage, input_ids=np.array(ids, dtype=np.int32))


def test_exact_is_extractable(loaded, passages):
    every = [*memorised(loaded, passages), *passages]
    table = recital_table(loaded, every, greedy(loaded, every, (0,)), "greedy")
    scores = Scorer(loaded, lead=(0,)).score(every)
    extractable = [bool((s.rank == 0).all()) for s in scores]
    assert table["exact"].to_list() == extractable
    assert 0 < sum(extractable) < len(every)


@torch.inference_mode()
def naive_greedy(loaded, passage, lead, length):
    ids = [*lead, *passage.prefix_ids.tolist()]
    for _ in range(length):
        logits = loaded.model(torch.tensor([ids])).logits[0, -1]
        # `written` asks for as many tokens as the suffix has: the text does not end before.
        logits[loaded.tokenizer.eos_token_id] = -torch.inf
        ids.append(int(logits.argmax()))
    return ids[-length:]


def test_written_is_greedy_decoding_in_batches(loaded, passages, monkeypatch):
    expected = [naive_greedy(loaded, p, (0,), p.suffix_len) for p in passages]
    assert written(loaded, passages, (0,)) == expected
    monkeypatch.setattr("byrote.studies.goldfish.recital._ROWS", 5)
    assert written(loaded, passages, (0,)) == expected


def test_beams_find_what_is_at_least_as_likely(loaded, passages):
    def likelihood(results):
        shown = [
            passage_like(p, [*p.prefix_ids.tolist(), *ids])
            for p, ids in zip(passages, results, strict=True)
        ]
        scores = Scorer(loaded, lead=(0,)).score(shown)
        return np.array([s.logprob.sum(dtype=float) for s in scores])

    plain = written(loaded, passages, (0,))
    beams = written(loaded, passages, (0,), num_beams=8)
    assert [len(ids) for ids in beams] == [16] * 12
    assert likelihood(beams).mean() > likelihood(plain).mean()


def test_memfree_recites_nothing(loaded, passages):
    every = memorised(loaded, passages)
    assert every
    ngrams = NGramSet.build((p.input_ids for p in every), 5)
    free = written(loaded, every, (0,), logits_processor=[MemFree(ngrams)])
    table = recital_table(loaded, every, free, "memfree")
    assert not table["exact"].any()
    assert table["decoding"].unique().to_list() == ["memfree"]
    # The n-gram that ends in the first token written is forbidden already.
    assert table["first_divergence"].to_list() == [0] * len(every)


@pytest.mark.parametrize(("lead", "prefix"), [((0,), 0), ((), 1)])
def test_membership_is_scored_over_the_whole_document(loaded, passages, lead, prefix):
    from dataclasses import replace

    whole = [replace(p, prefix_len=prefix) for p in passages[:3]]
    table = membership_table(loaded, whole, lead)
    assert dict(table.schema) == MEMBERSHIP
    assert table["attack"].to_list() == list(attacks()) * 3
    row = table.filter(attack="loss", document=whole[1].record)
    ids = torch.tensor([[*lead, *whole[1].input_ids.tolist()]])
    with torch.inference_mode():
        logs = loaded.model(ids).logits[0, :-1].log_softmax(-1)
    expected = logs.gather(-1, ids[0, 1:, None]).mean()
    assert row["score"].item() == pytest.approx(float(expected), abs=1e-4)
