"""MemFree against asking for each token, and in `generate`."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import LogitsProcessorList

from byrote.decoding import BloomFilter, MemFree, NGramSet, Origin
from byrote.errors import InputError
from tests.decoding.naive import forbid, ngrams_of

N = 4


@settings(max_examples=60, deadline=None)
@given(
    documents=st.lists(st.lists(st.integers(0, 3), max_size=10), max_size=5),
    rows=st.integers(1, 4),
    length=st.integers(1, 6),
    seed=st.integers(0, 99),
)
@pytest.mark.parametrize("kind", [NGramSet.build, BloomFilter.build])
def test_scores_are_those_of_asking_for_each_token(kind, documents, rows, length, seed):
    generator = torch.Generator().manual_seed(seed)
    input_ids = torch.randint(0, 4, (rows, length), generator=generator)
    scores = torch.randn(rows, 6, generator=generator)
    wanted = forbid(ngrams_of(documents, 3), 3, input_ids, scores)
    kept = scores.clone()
    processor = MemFree(kind(documents, 3))
    assert torch.equal(processor(input_ids, scores), wanted)
    assert torch.equal(scores, kept)
    assert processor.counts.forbidden == int(torch.isneginf(wanted).sum())
    changed = torch.isneginf(wanted).gather(1, scores.argmax(1, keepdim=True)).sum()
    assert processor.counts.changed == int(changed)


def test_nothing_is_copied_where_nothing_is_forbidden():
    scores = torch.randn(2, 9)
    processor = MemFree(NGramSet.build([[1, 2, 3]], 3))
    assert processor(torch.tensor([[5, 5], [6, 6]]), scores) is scores
    assert processor(torch.tensor([[1], [2]]), scores) is scores
    assert processor.counts.steps == 2


def test_a_row_without_any_token_left():
    ngrams = NGramSet.build([[1, 2, token] for token in range(5)], 3)
    ids, scores = torch.tensor([[1, 2], [2, 2]]), torch.randn(2, 5)
    ended = MemFree(ngrams, eos_token_id=4)
    row = ended(ids, scores)[0]
    assert row[4] == scores[0, 4]
    assert torch.isneginf(row[:4]).all()
    assert ended.counts.stuck == 1
    left = MemFree(ngrams)
    assert torch.equal(left(ids, scores), scores)
    assert left.counts.stuck == 1
    # An EOS that another processor has forbidden is taken all the same.
    scores[0, 4] = -torch.inf
    assert MemFree(ngrams, eos_token_id=[4])(ids, scores)[0, 4] == 0.0


def test_filling_on_the_left_is_no_text():
    ngrams = NGramSet.build([[0, 0, 7, 3]], 4)
    ids, scores = torch.tensor([[0, 0, 0, 7], [5, 0, 0, 7]]), torch.zeros(2, 9)
    assert torch.isneginf(MemFree(ngrams)(ids, scores)).sum(1).tolist() == [1, 1]
    assert torch.isneginf(MemFree(ngrams, pad_token_id=0)(ids, scores)).sum(1).tolist() == [0, 1]


def test_bad_input(byte_tokenizer):
    with pytest.raises(InputError, match="not list"):
        MemFree([1, 2, 3])
    other = NGramSet.build([[1, 2, 3]], 2, origin=Origin(tokenizer="f" * 64))
    with pytest.raises(InputError, match="another tokenizer"):
        MemFree(other, tokenizer=byte_tokenizer)


WAYS = {
    "greedy": {"do_sample": False},
    "sampling": {"do_sample": True, "top_k": 5},
    "beams": {"do_sample": False, "num_beams": 4},
    "sampled beams": {"do_sample": True, "num_beams": 3},
}


def write(loaded, ids, processors=(), **how):
    torch.manual_seed(0)
    options = {"max_new_tokens": 24, "eos_token_id": None, "pad_token_id": 0} | how
    return loaded.model.generate(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        logits_processor=LogitsProcessorList(processors),
        **options,
    ).tolist()


@pytest.mark.parametrize("kind", [NGramSet.build, BloomFilter.build])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_no_generated_text_holds_an_ngram_of_the_filter(random_model, family, way, kind):
    loaded = random_model(family, vocab_size=64)
    prompts = torch.tensor(np.random.default_rng(5).integers(0, 64, (3, 8)))
    # The filter holds what the model would say, in this way and greedily.
    said = write(loaded, prompts, **WAYS[way]) + write(loaded, prompts, **WAYS["greedy"])
    known = ngrams_of(said, N)
    processor = MemFree(kind(said, N))
    written = write(loaded, prompts, [processor], **WAYS[way])
    assert processor.counts.rows_hit > 0
    assert written != said[: len(written)]
    for row in written:
        # From the last prompt tokens on: an n-gram that ends in a generated token.
        assert not ngrams_of([row[8 - N + 1 :]], N) & known


def test_greedy_is_the_naive_search(random_model):
    loaded = random_model("gpt2", vocab_size=64)
    prompt = torch.tensor([[3, 9, 27, 11, 5]])
    known = ngrams_of(write(loaded, prompt), N)
    ids = prompt
    with torch.inference_mode():
        for _ in range(24):
            scores = loaded.model(ids).logits[:, -1]
            ids = torch.cat([ids, forbid(known, N, ids, scores).argmax(1, keepdim=True)], 1)
    processor = MemFree(NGramSet.build([list(write(loaded, prompt)[0])], N))
    assert write(loaded, prompt, [processor]) == ids.tolist()


def test_rows_do_not_depend_on_their_batch(random_model):
    loaded = random_model("gpt2", vocab_size=64)
    prompts = torch.tensor(np.random.default_rng(6).integers(0, 64, (4, 7)))
    ngrams = NGramSet.build(write(loaded, prompts), N)
    together = write(loaded, prompts, [MemFree(ngrams)])
    alone = [write(loaded, prompts[i : i + 1], [MemFree(ngrams)])[0] for i in range(4)]
    assert together == alone


@pytest.mark.slow
def test_a_real_model_recites_less():
    from itertools import islice

    from byrote.decoding import build_filter
    from byrote.models import load
    from byrote.texts import cut, open_source

    loaded = load("bundled:gemma3-270m")
    texts, n, new = "corpus:kjv?category=famous", 6, 16
    records = open_source(texts).records()
    windows = cut(records, loaded.tokenizer, prefix_len=32, suffix_len=new, stride=600)
    passages = list(islice(windows, 16))
    ids = torch.tensor([[*loaded.lead, *passage.prefix_ids.tolist()] for passage in passages])
    ngrams = build_filter([texts], loaded.tokenizer, n=n, exact=True)
    processor = MemFree(ngrams, tokenizer=loaded.tokenizer)
    start = ids.shape[1]
    found = []
    for processors in ([], [processor]):
        written = write(loaded, ids, processors, max_new_tokens=new)
        found.append(sum(int(ngrams.matches(row[start - n + 1 :]).sum()) for row in written))
    # n-grams of the texts among the 16 that each of 16 rows has: a model that knows them says many.
    assert found[0] >= 10
    assert found[1] == 0
    assert processor.counts.changed > 0
    assert processor.counts.stuck == 0
