"""The few-pass letter measures against their definitions, one position at a time in float64."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from byrote.errors import InputError
from byrote.recall import LetterMeasures, letter_measures
from byrote.recall import letters as module
from byrote.texts import markov, token_alphabet, uniform

NAMES = [name for name in LetterMeasures.__slots__ if name not in ("asked", "hit")]


def kl(p, q):
    total = 0.0
    for a, b in zip(p, q, strict=True):
        if a > 0:
            total += a * math.log(a / b) if b > 0 else math.inf
    return total


def entropy(p):
    return -sum(x * math.log(x) for x in p if x > 0)


def plain(logits, target, ids, source, empirical):
    """The definitions for one position."""
    z = logits.double().numpy()
    p = np.exp(z - z.max())
    p /= p.sum()
    on_letters = p[list(ids)]
    q = np.exp(z[list(ids)] - z[list(ids)].max())
    q /= q.sum()
    return {
        "loss": -math.log(p[target]),
        "hit": int(np.flatnonzero(z == z.max())[0]) == target,
        "mass": on_letters.sum(),
        "entropy": entropy(p),
        "entropy_letters": entropy(q),
        "kl_model_source": kl(q, source),
        "kl_source_model": kl(source, on_letters),
        "kl_model_empirical": kl(q, empirical),
        "kl_empirical_model": kl(empirical, on_letters),
    }


def distribution(generator, *shape, zeros=False):
    p = torch.rand(*shape, generator=generator, dtype=torch.float64)
    if zeros:
        p[..., 0] = 0.0
    return (p / p.sum(-1, keepdim=True)).numpy()


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    vocab=st.sampled_from([3, 30, 64, 129, 1000, 20_000]),
    batch=st.integers(1, 3),
    spread=st.sampled_from([0.1, 1.0, 10.0]),
    rounded=st.booleans(),
    zeros=st.booleans(),
    dtype=st.sampled_from([torch.float32, torch.float64, torch.bfloat16]),
    chunk=st.sampled_from([None, 1, 2, 17, 1000]),
    shifted=st.booleans(),
)
def test_equals_the_definitions(seed, vocab, batch, spread, rounded, zeros, dtype, chunk, shifted):
    generator = torch.Generator().manual_seed(seed)
    size, positions = min(vocab, 3 + seed % 5), 4
    logits = torch.randn(batch, positions + 1, vocab, generator=generator) * spread
    if rounded:  # many exact ties
        logits = logits.round()
    logits = logits.to(dtype)
    logits = logits[:, :-1] if shifted else logits[:, :-1].contiguous()
    ids = torch.randperm(vocab, generator=generator)[:size].tolist()
    targets = torch.tensor(ids)[torch.randint(0, size, (batch, positions), generator=generator)]
    targets[0, 0] = int(logits[0, 0].float().argmax())
    source = distribution(generator, batch, positions, size)
    empirical = distribution(generator, batch, 1, size, zeros=zeros)
    before = logits.clone()
    found = letter_measures(logits, targets, ids, source, empirical, chunk_rows=chunk)
    assert torch.equal(before, logits)
    close = 1e-12 if dtype == torch.float64 else 2e-5
    for b in range(batch):
        for i in range(positions):
            wanted = plain(logits[b, i], int(targets[b, i]), ids, source[b, i], empirical[b, 0])
            assert bool(found.hit[b, i]) == wanted["hit"]
            for name in NAMES:
                value = getattr(found, name)
                assert value.shape == (batch, positions)
                assert value.dtype == np.float64
                assert value[b, i] == pytest.approx(wanted[name], rel=close, abs=close), name


def test_pitfall_2_a_hit_is_the_argmax_of_the_vocabulary_not_of_the_alphabet():
    logits = torch.zeros(1, 10)
    logits[0, 3] = 2.0  # the best letter, and the target
    logits[0, 7] = 2.5  # the best token, no letter
    p = [0.5, 0.5]
    assert not letter_measures(logits, torch.tensor([3]), [3, 4], p, p).hit[0]
    assert letter_measures(logits, torch.tensor([7]), [3, 4], p, p).hit[0]


@pytest.mark.parametrize("vocab", [10, 64, 200, 70_000])
def test_ties_go_to_the_lowest_id(vocab):
    logits = torch.zeros(3, vocab)
    logits[:, [2, 5, vocab - 1]] = 1.0
    p = [0.5, 0.5]
    for chunk in (None, 1, 50):
        targets = torch.tensor([2, 5, vocab - 1])
        found = letter_measures(logits, targets, [2, 5], p, p, chunk_rows=chunk)
        assert found.hit.tolist() == [True, False, False]


def test_pitfall_8_an_unused_letter_makes_the_empirical_divergence_infinite_not_wrong():
    source = uniform(token_alphabet([1, 2, 3], 10))
    ids = [1, 2, 1, 2]
    logits = torch.zeros(4, 10)
    empirical = source.empirical(ids)
    found = letter_measures(logits, ids, [1, 2, 3], source.probabilities, empirical)
    assert np.isposinf(found.kl_model_empirical).all()
    np.testing.assert_allclose(found.kl_model_source, 0, atol=1e-9)
    np.testing.assert_allclose(found.kl_empirical_model, math.log(10 / 2), rtol=1e-6)
    np.testing.assert_allclose(found.kl_source_model, math.log(10 / 3), rtol=1e-6)


def test_a_chain_is_compared_position_by_position():
    source = markov(token_alphabet(range(4), 4), 1, 0.5, 0)
    ids = source.draw(20, 1)
    rows = source.next_probabilities(ids)
    found = letter_measures(torch.tensor(rows).log(), ids, range(4), rows, source.empirical(ids))
    np.testing.assert_allclose(found.kl_model_source, 0, atol=1e-12)
    np.testing.assert_allclose(found.entropy[1:], 0.5, atol=1e-9)


def test_positions_without_a_target_are_left_out():
    logits = torch.randn(2, 3, 50, generator=torch.Generator().manual_seed(1))
    targets = torch.tensor([[4, -100, 5], [-100, -100, 4]])
    p = [0.5, 0.5]
    found = letter_measures(logits, targets, [4, 5], p, p)
    assert found.asked.tolist() == [[True, False, True], [False, False, True]]
    asked = letter_measures(logits[found.asked], targets[found.asked], [4, 5], p, p)
    for name in NAMES:
        assert np.isnan(getattr(found, name)[~found.asked]).all()
        np.testing.assert_allclose(getattr(found, name)[found.asked], getattr(asked, name))
    assert not found.hit[~found.asked].any()
    assert found.mean() == pytest.approx(asked.mean())


def test_the_mean_over_positions():
    logits = torch.randn(2, 8, 50, generator=torch.Generator().manual_seed(2))
    found = letter_measures(logits, torch.full((2, 8), 4), [4, 5], [0.5, 0.5], [0.1, 0.9])
    mean = found.mean()
    assert list(mean) == [
        "loss", "accuracy", "mass", "entropy", "entropy_letters", "kl_model_source",
        "kl_source_model", "kl_model_empirical", "kl_empirical_model",
    ]  # fmt: skip
    assert mean["accuracy"] == found.hit.mean()
    assert mean["loss"] == pytest.approx(found.loss.mean())
    each = [one.mean()["loss"] for one in found.each()]
    np.testing.assert_allclose(each, found.loss.mean(1))
    nothing = letter_measures(logits, torch.full((2, 8), -100), [4, 5], [0.5, 0.5], [0.1, 0.9])
    assert all(math.isnan(value) for value in nothing.mean().values())


def test_a_memorised_string_has_no_loss_and_no_entropy_left():
    logits = torch.full((1, 1000), -50.0)
    logits[0, 6] = 50.0
    found = letter_measures(logits, [6], [5, 6], [0.5, 0.5], [0.5, 0.5]).mean()
    for name in ("loss", "entropy", "entropy_letters"):
        assert found[name] == pytest.approx(0.0, abs=1e-30)
    assert found["mass"] == found["accuracy"] == 1.0
    assert found["kl_model_source"] == pytest.approx(math.log(2))
    assert found["kl_source_model"] == pytest.approx(-math.log(2) + 50)


def test_excluded_tokens_add_nothing():
    logits = torch.zeros(2, 100)
    logits[:, 10:] = -torch.inf
    found = letter_measures(logits, [0, 1], [0, 1], [0.5, 0.5], [0.5, 0.5])
    np.testing.assert_allclose(found.entropy, math.log(10), rtol=1e-6)
    np.testing.assert_allclose(found.mass, 0.2, rtol=1e-6)


def test_a_diverged_forward_is_not_hidden():
    logits = torch.zeros(1, 100)
    logits[0, 3] = torch.nan
    found = letter_measures(logits, [0], [0, 1], [0.5, 0.5], [0.5, 0.5])
    assert math.isnan(found.mean()["loss"])
    assert math.isnan(found.mean()["entropy"])


def test_no_gradient_is_recorded_and_none_is_lost():
    logits = torch.randn(1, 4, 50, requires_grad=True)
    scaled = logits * 2
    letter_measures(scaled, torch.zeros(1, 4).long(), [0, 1], [0.5, 0.5], [0.5, 0.5])
    scaled.sum().backward()
    assert logits.grad is not None
    assert torch.equal(logits.grad, torch.full_like(logits, 2.0))


def test_an_empty_batch():
    found = letter_measures(torch.zeros(0, 5, 20), torch.zeros(0, 5), [0, 1], [0.5, 0.5], [1, 0])
    assert found.loss.shape == (0, 5)
    assert math.isnan(found.mean()["loss"])


def test_temporaries_hold_a_few_rows_only():
    rows, vocab = 400, 4096
    sizes = []

    class Spy(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            result = func(*args, **(kwargs or {}))
            if isinstance(result, torch.Tensor) and "view" not in str(func):
                sizes.append((result.numel(), str(func)))
            return result

    logits = torch.zeros(1, rows, vocab)
    targets = torch.zeros(1, rows).long()
    with Spy():
        letter_measures(logits, targets, range(26), [1 / 26] * 26, [1 / 26] * 26)
    views = ("detach", "split", "unbind", "slice", "unsqueeze", "expand", "alias")
    largest = max(n for n, name in sizes if not any(view in name for view in views))
    assert largest <= module._LOGITS_AT_ONCE


@pytest.mark.parametrize(
    ("shape", "targets", "ids", "source", "message"),
    [
        ((2, 9), [1, 2, 3], [0, 1], [0.5, 0.5], r"shape \[3\] for logits of shape \[2, 9\]"),
        ((2, 9), [1, 9], [0, 1], [0.5, 0.5], "target is 9: the logits are of 9"),
        ((2, 9), [1, 2], [0, 12], [0.5, 0.5], "letter's id is 12"),
        ((2, 9), [1, 2], [-1, 3], [0.5, 0.5], "0 or more"),
        ((2, 9), [1, 2], [0, 1, 2], [0.5, 0.5], r"source .* \[2\] do not .* \[2, 3\]"),
        ((2, 9), [1, 2], [0, 1], [[0.5, 0.5]] * 3, r"\[3, 2\] do not .* \[2, 2\]"),
    ],
)
def test_what_does_not_go_together(shape, targets, ids, source, message):
    with pytest.raises(InputError, match=message):
        letter_measures(torch.zeros(shape), targets, ids, source, [0.5, 0.5])
