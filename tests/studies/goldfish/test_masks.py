"""Which tokens an arm learns: the same in every exact copy, other ones under a random mask."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from byrote.exposure.goldfish import keep_mask
from byrote.studies.goldfish import masks
from byrote.studies.goldfish.config import Arm
from byrote.studies.goldfish.copies import copies
from byrote.studies.goldfish.masks import goldfish_of, learned_documents
from byrote.studies.goldfish.world import first_windows, world


def goldfish(seed=3, **fields) -> Any:
    return goldfish_of(dataclasses.asdict(Arm(objective="goldfish", **fields)), seed)


def learned(rows, mask, tokenizer) -> Any:
    return masks.learned(rows, mask, tokenizer)


@pytest.fixture(scope="module")
def texts(tokenizer, corpus):
    return world(
        tokenizer, corpus, 1, documents=4, heldout=4, validation=4, background=90, tokens=63
    )


def test_an_objective_without_a_mask_learns_all(texts, tokenizer):
    none = goldfish_of(dataclasses.asdict(Arm(objective="mile")), 0)
    assert none is None
    assert learned(list(texts.background), none, tokenizer) is None
    assert learned_documents([d.ids for d in texts.documents], none, tokenizer) is None


@pytest.mark.parametrize("strategy", ["hash", "static", "random", "official"])
@pytest.mark.parametrize("k", [2, 4, 16])
def test_of_k_tokens_one_is_dropped(texts, tokenizer, strategy, k):
    keep = learned(list(texts.background), goldfish(k=k, h=5, strategy=strategy), tokenizer)
    # The first tokens of a row have too little before them to be dropped under a hash.
    dropped = 1 - np.concatenate([row[5:] for row in keep]).mean()
    n = sum(len(row) - 5 for row in keep)
    assert abs(dropped - 1 / k) < 5 * np.sqrt(1 / k * (1 - 1 / k) / n) + 0.01 / k


@pytest.mark.parametrize("strategy", ["hash", "static", "official"])
def test_exact_copies_have_one_mask_wherever_they_stand(texts, tokenizer, strategy):
    rows = list(texts.background[:20])
    for place in (0, 7, 13, 22):
        rows.insert(place, texts.documents[0].ids)
    mask = goldfish(k=3, h=5, strategy=strategy)
    keep = learned(rows, mask, tokenizer)
    found: Any = learned_documents([texts.documents[0].ids], mask, tokenizer)
    (asked,) = found
    for place in (0, 7, 13, 22):
        np.testing.assert_array_equal(rows[place], texts.documents[0].ids)
        np.testing.assert_array_equal(keep[place], asked)
    assert not asked.all()


def test_a_random_mask_is_another_one_for_every_copy(texts, tokenizer):
    mask = goldfish(k=3, strategy="random")
    rows = [texts.documents[0].ids] * 6
    keep = learned(rows, mask, tokenizer)
    assert len({tuple(row) for row in keep}) == 6
    np.testing.assert_array_equal(keep, learned(rows, mask, tokenizer))
    assert learned_documents(rows, mask, tokenizer) is None


def test_another_repetition_drops_other_tokens(texts, tokenizer):
    rows = list(texts.background)
    one, two = (learned(rows, goldfish(seed, k=4), tokenizer) for seed in (1, 2))
    assert any(not np.array_equal(a, b) for a, b in zip(one, two, strict=True))


def test_the_mask_is_that_of_its_definition_also_among_rows_of_other_lengths(texts, tokenizer):
    rows = [row[: 20 + index % 3] for index, row in enumerate(texts.background)]
    mask = goldfish(k=3, h=4)
    end = tokenizer.eos_token_id
    for row, keep in zip(rows, learned(rows, mask, tokenizer), strict=True):
        np.testing.assert_array_equal(
            keep, keep_mask(row, mask, exempt_ids=[end], separators=[end])
        )
        assert keep[row == end].all()


def test_the_end_of_a_text_is_learned_and_ends_the_context(texts, tokenizer):
    end = tokenizer.eos_token_id
    first, second = texts.documents[0].ids[:20], texts.documents[1].ids[:20]
    packed = np.array([*first, end, *second], dtype=np.int32)
    mask = goldfish(k=2, h=6)
    (keep,) = learned([packed], mask, tokenizer)
    alone = learned([first, second], mask, tokenizer)
    np.testing.assert_array_equal(keep, [*alone[0], True, *alone[1]])


def test_edits_change_the_mask_behind_them_only(texts, tokenizer):
    document = texts.documents[0]
    mask = goldfish(k=2, h=4)
    copy = copies(
        document, 2, "edited", np.random.default_rng(1), tokenizer=tokenizer, edit_every=63
    )[1]
    (at,) = np.flatnonzero(copy != document.ids)
    before, after = learned([document.ids, copy], mask, tokenizer)
    differs = np.flatnonzero(before != after)
    assert set(differs) <= set(range(at + 1, at + 5))


def test_the_mask_of_the_text_is_the_same_in_reformatted_copies(tokenizer, corpus):
    """The same words are dropped; by tokens, here with a context of three, fewer agree."""
    documents = first_windows(tokenizer, corpus, 2, count=12, tokens=63)
    rng = np.random.default_rng(0)
    agreed = {}
    for normalize in (True, False):
        mask = goldfish(k=2, h=3, normalize=normalize)
        same = []
        for document in documents:
            copy = copies(document, 2, "reformatted", rng, tokenizer=tokenizer, edit_every=9)[1]
            one, two = learned([document.ids, copy], mask, tokenizer)
            first, second = letters(document.ids, one, tokenizer), letters(copy, two, tokenizer)
            width = min(len(first), len(second))
            same.append(np.mean(first[12:width] == second[12:width]))
        agreed[normalize] = np.mean(same)
    assert agreed[True] > 0.95
    assert agreed[False] < agreed[True] - 0.05


def letters(ids, keep, tokenizer):
    """Whether each letter of the text is learned, without spaces and soft hyphens."""
    found = []
    for token, kept in zip(ids.tolist(), keep.tolist(), strict=True):
        found += [kept] * sum(c.isalnum() for c in tokenizer.decode([token]))
    return np.array(found)
