"""The two bundled models on real texts: `generate`, batches, orders, and what to expect."""

from itertools import chain, islice

import numpy as np
import pytest
import torch

from byrote.models import load
from byrote.recall import Scorer, first_miss, first_misses
from byrote.texts import cut, open_source

pytestmark = pytest.mark.slow

# Short suffixes, so that both verdicts occur often.
PREFIX, SUFFIX, WINDOWS = 24, 8, 200


def windows_of(source, tokenizer, count):
    records = open_source(source).records()
    return list(islice(cut(records, tokenizer, prefix_len=PREFIX, suffix_len=SUFFIX), count))


@pytest.fixture(scope="module", params=["bundled:smollm2-135m", "bundled:gemma3-270m"])
def asked(request):
    """A real model, 200 real windows, and its scores in batches of 32."""
    loaded = load(request.param)
    sources = ("corpus:licenses", "corpus:kjv?category=famous")
    halves = [windows_of(source, loaded.tokenizer, WINDOWS // 2) for source in sources]
    passages = list(chain(*halves))
    assert len(passages) == WINDOWS
    return loaded, passages, Scorer(loaded, batch_size=32).score(passages)


def test_verdicts_equal_generate(asked):
    loaded, passages, scores = asked
    lead = Scorer(loaded).lead
    said = []
    for first in range(0, WINDOWS, 50):
        ids = torch.tensor([[*lead, *p.prefix_ids.tolist()] for p in passages[first : first + 50]])
        said += loaded.model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            max_new_tokens=SUFFIX,
            eos_token_id=None,
            pad_token_id=0,
        )[:, ids.shape[1] :].tolist()
    wanted = []
    for text, passage in zip(said, passages, strict=True):
        same = [a == b for a, b in zip(text, passage.suffix_ids.tolist(), strict=True)]
        wanted.append(SUFFIX if all(same) else same.index(False))
    # Not only the verdict: the very token at which greedy decoding leaves the text.
    assert [first_miss(score) for score in scores] == wanted
    assert first_misses(loaded, passages, batch_size=32) == wanted
    assert SUFFIX in wanted
    assert 0 in wanted


@pytest.mark.parametrize("batch_size", [1, 3])
def test_batches_and_orders_change_no_verdict(asked, batch_size):
    loaded, passages, scores = asked
    some = np.random.default_rng(batch_size).permutation(WINDOWS)[:100]
    again = Scorer(loaded, batch_size=batch_size).score([passages[i] for i in some])
    for score, index in zip(again, some, strict=True):
        np.testing.assert_array_equal(score.hit, scores[index].hit)
        np.testing.assert_array_equal(score.argmax, scores[index].argmax)
        np.testing.assert_allclose(score.logprob, scores[index].logprob, atol=2e-3)


def test_famous_chapters_are_known_better_than_others():
    """As measured by hand: about 3 of 4 tokens right on famous chapters, under half on others."""
    loaded = load("bundled:gemma3-270m")
    accuracy = {}
    for category in ("famous", "other"):
        passages = windows_of(f"corpus:kjv?category={category}", loaded.tokenizer, 60)
        scores = Scorer(loaded).score(passages)
        accuracy[category] = np.mean([score.hit.mean() for score in scores])
    assert accuracy["famous"] > accuracy["other"] + 0.05
