from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from byrote.errors import InputError
from byrote.recall import sampling
from byrote.recall.sampling import is_plain, sampled_logprob
from byrote.recall.scores import SamplingScheme


def warped(logits: torch.Tensor, targets: torch.Tensor, scheme: SamplingScheme) -> torch.Tensor:
    """What `generate` would draw from: its own warpers, in its order."""
    scores: Any = logits
    ids: Any = torch.zeros(len(logits), 0, dtype=torch.long)
    if scheme.temperature != 1.0:
        scores = TemperatureLogitsWarper(scheme.temperature)(ids, scores)
    if scheme.top_k is not None:
        scores = TopKLogitsWarper(scheme.top_k)(ids, scores)
    if scheme.top_p is not None and scheme.top_p < 1:
        scores = TopPLogitsWarper(scheme.top_p)(ids, scores)
    return scores.log_softmax(dim=-1).gather(1, targets[:, None]).squeeze(1)


def assert_same(actual: torch.Tensor, expected: torch.Tensor) -> None:
    assert torch.isneginf(actual).tolist() == torch.isneginf(expected).tolist()
    torch.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-5)


schemes = st.builds(
    SamplingScheme,
    temperature=st.sampled_from([1.0, 0.25, 0.7, 1.8]),
    top_k=st.none() | st.integers(1, 60),
    top_p=st.none() | st.sampled_from([0.05, 0.25, 0.5, 0.75, 0.9, 0.999, 1.0]),
)


@st.composite
def problems(draw: st.DrawFn) -> tuple[torch.Tensor, torch.Tensor]:
    vocab = draw(st.integers(2, 50))
    rows = draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kind = draw(st.sampled_from(["normal", "wide", "tied", "equal", "offset", "masked"]))
    logits = rng.normal(size=(rows, vocab)) * (100 if kind == "wide" else 2)
    if kind == "tied":
        logits = np.round(logits)
    elif kind == "equal":
        logits = np.zeros_like(logits)
    elif kind == "offset":
        logits = np.round(logits) + 2048.0
    elif kind == "masked":
        logits[:, 1:] = np.where(rng.random((rows, vocab - 1)) < 0.5, -np.inf, logits[:, 1:])
    return (
        torch.tensor(logits, dtype=torch.float32),
        torch.tensor(rng.integers(vocab, size=rows)),
    )


@settings(max_examples=250, deadline=None)
@given(problems(), schemes)
def test_equals_the_warpers_of_transformers(
    problem: tuple[torch.Tensor, torch.Tensor], scheme: SamplingScheme
) -> None:
    logits, targets = problem
    assert_same(sampled_logprob(logits, targets, scheme), warped(logits, targets, scheme))


@settings(max_examples=200, deadline=None)
@given(problems(), st.sampled_from([0.05, 0.25, 0.5, 0.75, 0.9]), st.sampled_from([1.0, 0.6]))
def test_top_p_alone_equals_the_warpers_when_only_the_head_is_searched(
    problem: tuple[torch.Tensor, torch.Tensor], top_p: float, temperature: float
) -> None:
    logits, targets = problem
    scheme = SamplingScheme(temperature=temperature, top_k=None, top_p=top_p)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sampling, "_HEAD", 4)
        actual = sampled_logprob(logits, targets, scheme)
    assert_same(actual, warped(logits, targets, scheme))


@pytest.mark.parametrize(
    "scheme",
    [
        SamplingScheme(),
        SamplingScheme(temperature=0.8, top_k=50, top_p=0.9),
        SamplingScheme(top_k=None, top_p=0.9),
        SamplingScheme(temperature=1.5, top_k=None, top_p=0.3),
    ],
)
@pytest.mark.parametrize("spread", [0.01, 3.0])
def test_a_large_vocabulary_equals_the_warpers(scheme: SamplingScheme, spread: float) -> None:
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(24, 5000, generator=generator) * spread
    logits[::2] = logits[::2].round(decimals=1)  # rows with many ties
    targets = logits.topk(24, dim=1).indices.diagonal()
    assert_same(sampled_logprob(logits, targets, scheme), warped(logits, targets, scheme))


def test_the_head_decides_rows_without_ties_alone() -> None:
    logits = torch.randn(8, 5000, generator=torch.Generator().manual_seed(0)) * 4
    targets = logits.argmax(dim=1)

    def refuse(*_: object) -> torch.Tensor:
        raise AssertionError("sorted in full")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sampling, "_plain", refuse)
        for scheme in (SamplingScheme(top_k=40, top_p=0.9), SamplingScheme(top_k=None, top_p=0.9)):
            sampled_logprob(logits, targets, scheme)


@settings(deadline=None)
@given(problems(), schemes)
def test_probabilities_of_all_tokens_sum_to_one(
    problem: tuple[torch.Tensor, torch.Tensor], scheme: SamplingScheme
) -> None:
    row = problem[0][:1]
    vocab = row.shape[1]
    every = sampled_logprob(row.expand(vocab, -1), torch.arange(vocab), scheme)
    assert float(every.exp().sum()) == pytest.approx(1.0, abs=1e-4)


def test_ties_at_the_kth_token_all_stay() -> None:
    logits = torch.tensor([[3.0, 1.0, 1.0, 1.0, 0.0]])
    scheme = SamplingScheme(top_k=2)
    inside = sampled_logprob(logits.expand(5, -1), torch.arange(5), scheme)
    assert torch.isneginf(inside).tolist() == [False, False, False, False, True]


def test_of_equal_tokens_astride_p_as_many_stay_as_reach_it() -> None:
    scheme = SamplingScheme(top_k=None, top_p=0.5)
    every = sampled_logprob(torch.zeros(4, 4), torch.arange(4), scheme)
    assert sorted(every.tolist()) == pytest.approx([-np.inf, -np.inf, np.log(0.5), np.log(0.5)])


def test_a_token_outside_is_minus_infinity() -> None:
    logits = torch.tensor([[2.0, 1.0, 0.0]])
    assert sampled_logprob(logits, torch.tensor([2]), SamplingScheme(top_k=2)).tolist() == [-np.inf]


def test_known_values_are_reused_without_change_of_the_answer() -> None:
    logits = torch.randn(6, 300, generator=torch.Generator().manual_seed(1))
    targets = torch.randint(300, (6,), generator=torch.Generator().manual_seed(2))
    plain = SamplingScheme(top_k=None)
    known = logits.log_softmax(dim=1).gather(1, targets[:, None]).squeeze(1)
    assert is_plain(plain)
    assert sampled_logprob(logits, targets, plain, logprob=known) is known
    for scheme in (SamplingScheme(temperature=0.5), SamplingScheme(top_k=20, top_p=0.8)):
        top = logits.topk(64, dim=1).values
        with_top = sampled_logprob(logits, targets, scheme, top_values=top, logprob=known)
        assert torch.equal(with_top, sampled_logprob(logits, targets, scheme))


def test_logits_are_not_changed_and_half_precision_is_raised() -> None:
    logits = torch.randn(3, 100, generator=torch.Generator().manual_seed(1)).bfloat16()
    before, targets = logits.clone(), torch.tensor([1, 2, 3])
    result = sampled_logprob(logits, targets, SamplingScheme(temperature=0.7, top_k=10, top_p=0.9))
    assert result.dtype == torch.float32
    assert torch.equal(logits, before)


def test_a_row_does_not_depend_on_its_batch() -> None:
    logits = torch.randn(9, 4000, generator=torch.Generator().manual_seed(5)).round(decimals=1)
    targets = logits.topk(9, dim=1).indices.diagonal()
    for scheme in (SamplingScheme(top_p=0.9), SamplingScheme(top_k=None, top_p=0.4)):
        alone = [sampled_logprob(logits[i : i + 1], targets[i : i + 1], scheme) for i in range(9)]
        together = sampled_logprob(logits, targets, scheme)
        assert torch.isneginf(together).tolist() == torch.isneginf(torch.cat(alone)).tolist()
        torch.testing.assert_close(together, torch.cat(alone), rtol=1e-6, atol=1e-6)


def test_no_row_gives_no_number() -> None:
    none = torch.zeros(0, 50)
    for scheme in (SamplingScheme(top_k=5, top_p=0.5), SamplingScheme(top_k=None)):
        assert sampled_logprob(none, torch.zeros(0, dtype=torch.long), scheme).shape == (0,)


@pytest.mark.parametrize(
    "scheme",
    [
        SamplingScheme(temperature=0.0),
        SamplingScheme(temperature=-1.0),
        SamplingScheme(temperature=float("nan")),
        SamplingScheme(top_k=0),
        SamplingScheme(top_p=0.0),
        SamplingScheme(top_p=1.1),
    ],
)
def test_a_scheme_that_means_nothing_is_refused(scheme: SamplingScheme) -> None:
    with pytest.raises(InputError):
        sampled_logprob(torch.zeros(1, 3), torch.tensor([0]), scheme)
