from __future__ import annotations

import numpy as np
import pytest
import sacrebleu
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer

from byrote.recall.overlap import bleu, edit_distance, edit_similarity, rouge_l

ROUGE = RougeScorer(["rougeL"], use_stemmer=False)

ids = st.lists(st.integers(0, 5), max_size=25)
words = st.lists(
    st.sampled_from(["the", "cat", "sat", "mat", "The", "3.14", "don't", "a-b", "é", "1,000."]),
    max_size=20,
).map(" ".join)
texts = words | st.text(alphabet="ab 1.,-&<>;'\"()é\n", max_size=30) | st.text(max_size=30)


@settings(max_examples=200, deadline=None)
@given(texts, texts)
def test_rouge_l_of_text_equals_rouge_score(reference: str, candidate: str) -> None:
    expected = ROUGE.score(reference, candidate)["rougeL"]
    got = rouge_l(reference, candidate)
    assert got == pytest.approx((expected.precision, expected.recall, expected.fmeasure))


def naive_lcs(a: list[int], b: list[int]) -> int:
    table = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            longer = max(table[i][j + 1], table[i + 1][j])
            table[i + 1][j + 1] = table[i][j] + 1 if x == y else longer
    return table[-1][-1]


def naive_distance(a: list[int], b: list[int]) -> int:
    row = list(range(len(b) + 1))
    for i, x in enumerate(a):
        last, row[0] = row[0], i + 1
        for j, y in enumerate(b):
            last, row[j + 1] = row[j + 1], min(row[j + 1] + 1, row[j] + 1, last + (x != y))
    return row[-1]


@given(ids, ids)
def test_rouge_l_of_ids_is_the_longest_common_subsequence(a: list[int], b: list[int]) -> None:
    common = naive_lcs(a, b)
    got = rouge_l(a, b)
    assert got.recall == pytest.approx(common / len(a) if a else 0.0)
    assert got.precision == pytest.approx(common / len(b) if b else 0.0)
    assert got.f1 == pytest.approx(2 * common / (len(a) + len(b)) if a and b else 0.0)


@given(ids, ids)
def test_edit_distance_is_levenshtein(a: list[int], b: list[int]) -> None:
    distance = naive_distance(a, b)
    assert edit_distance(a, b) == distance
    longer = max(len(a), len(b))
    assert edit_similarity(a, b) == pytest.approx(1 - distance / longer if longer else 1.0)


def test_edit_distance_of_text_counts_characters() -> None:
    assert edit_distance("kitten", "sitting") == 3
    assert edit_similarity("kitten", "sitting") == pytest.approx(1 - 3 / 7)


@settings(max_examples=200, deadline=None)
@given(texts, texts)
@example("a.b 1.2 3-4 -5 x.", "a.b 1.2 3-4 -5 x.")
@example("&amp;lt; &quot;q&quot; 5.. ,.7", "&lt; <skipped> q- \n5..")
def test_bleu_of_text_equals_sacrebleu(reference: str, candidate: str) -> None:
    expected = sacrebleu.sentence_bleu(candidate, [reference]).score / 100
    assert bleu(reference, candidate) == pytest.approx(expected, abs=1e-9)


@settings(max_examples=200, deadline=None)
@given(ids, ids)
def test_bleu_of_ids_equals_sacrebleu_on_their_names(a: list[int], b: list[int]) -> None:
    expected = sacrebleu.sentence_bleu(
        " ".join(map(str, b)), [" ".join(map(str, a))], tokenize="none"
    )
    assert bleu(a, b) == pytest.approx(expected.score / 100, abs=1e-9)


@pytest.mark.parametrize("same", ["in the beginning God created", [4, 8, 15, 16, 23]])
def test_equal_texts_are_at_one(same: str | list[int]) -> None:
    assert rouge_l(same, same) == (1.0, 1.0, 1.0)
    assert bleu(same, same) == pytest.approx(1.0)
    assert edit_similarity(same, same) == 1.0
    assert edit_distance(same, same) == 0


def test_arrays_of_ids_equal_lists() -> None:
    a, b = [1, 2, 3, 4, 5], [1, 2, 4, 5, 9]
    x, y = np.array(a, dtype=np.int32), np.array(b, dtype=np.int32)
    assert rouge_l(x, y) == rouge_l(a, b)
    assert bleu(x, y) == bleu(a, b)
    assert edit_distance(x, y) == edit_distance(a, b)


def test_nothing_generated_scores_zero() -> None:
    assert rouge_l("some text", "") == (0.0, 0.0, 0.0)
    assert bleu([1, 2], []) == 0.0
    assert edit_similarity([1, 2], []) == 0.0
