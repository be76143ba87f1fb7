"""The few-pass reduction of logits against the plain definitions, in float64."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from byrote.recall.logit_stats import logit_stats
from byrote.recall.sampling import sampled_logprob
from byrote.recall.scores import SamplingScheme

GREEDY_MARGIN = 1e-3
SCHEMES = (
    SamplingScheme(),
    SamplingScheme(top_k=None),
    SamplingScheme(top_k=1),
    SamplingScheme(temperature=0.7, top_k=5),
    SamplingScheme(temperature=1.3, top_k=None, top_p=0.9),
    SamplingScheme(top_k=40, top_p=0.8),
)


def plain(logits, target, margin=GREEDY_MARGIN):
    """The definitions, one row at a time."""
    row = logits.double()
    logprobs = row - torch.logsumexp(row, 0)
    p = logprobs.exp()
    mean = float((p * logprobs).sum())
    return {
        "logprob": float(logprobs[target]),
        "rank": int((row > row[target]).sum()),
        "argmax": int((row == row.max()).nonzero()[0]),
        "entropy": -mean,
        "logprob_var": float((p * (logprobs - mean) ** 2).sum()),
        "near_tie": int((row > row.max() - margin).sum()) > 1,
    }


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    vocab=st.sampled_from([3, 64, 100, 777, 4096, 12_345]),
    spread=st.sampled_from([0.1, 1.0, 8.0, 40.0]),
    rounded=st.booleans(),
    scheme=st.sampled_from(SCHEMES),
)
def test_equals_the_definitions(seed, vocab, spread, rounded, scheme):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(6, vocab, generator=generator) * spread
    if rounded:  # many exact ties
        logits = logits.round()
    targets = torch.randint(0, vocab, (6,), generator=generator)
    targets[0] = int(logits[0].argmax())
    stats = logit_stats(logits.clone(), targets, scheme, GREEDY_MARGIN)
    sampled = sampled_logprob(logits, targets, scheme)
    for row in range(6):
        wanted = plain(logits[row], int(targets[row]))
        assert float(stats.logprob[row]) == pytest.approx(wanted["logprob"], rel=1e-5, abs=1e-5)
        assert int(stats.rank[row]) == wanted["rank"]
        assert int(stats.argmax[row]) == wanted["argmax"]
        assert bool(stats.hit[row]) == (wanted["argmax"] == int(targets[row]))
        assert float(stats.entropy[row]) == pytest.approx(wanted["entropy"], rel=1e-4, abs=1e-4)
        assert float(stats.logprob_var[row]) == pytest.approx(
            wanted["logprob_var"], rel=1e-3, abs=1e-3
        )
        assert bool(stats.near_tie[row]) == wanted["near_tie"]
        assert float(stats.logprob_sampled[row]) == pytest.approx(
            float(sampled[row]), rel=1e-5, abs=1e-5
        )


def test_ties_at_the_top_k_threshold_stay_in_the_nucleus():
    logits = torch.zeros(1, 50_000)
    logits[0, :3] = 5.0
    scheme = SamplingScheme(top_k=10)
    stats = logit_stats(logits.clone(), torch.tensor([49_999]), scheme, GREEDY_MARGIN)
    # transformers keeps every logit that equals the tenth largest, here all the zeros.
    wanted = -math.log(3 * math.exp(5.0) + 49_997)
    assert float(stats.logprob_sampled[0]) == pytest.approx(wanted, abs=1e-5)


def test_a_certain_token_has_no_entropy_and_no_variance():
    logits = torch.full((1, 262_144), -100.0)
    logits[0, 7] = 100.0
    stats = logit_stats(logits, torch.tensor([7]), SamplingScheme(), GREEDY_MARGIN)
    assert float(stats.logprob[0]) == 0.0
    assert float(stats.entropy[0]) == 0.0
    assert float(stats.logprob_var[0]) == 0.0
    assert bool(stats.hit[0])
