"""Contrast against its definition: means and deviations over the references, written out."""

from __future__ import annotations

import dataclasses
from collections import Counter
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from byrote.errors import InputError
from byrote.localization import contrast as contrast_module
from byrote.localization.activations import ActivationSize
from byrote.localization.base import Localizer
from byrote.localization.contrast import CONTRASTS, Background, Contrast, contrasted
from tests.recall.passages import random_passages

FEWEST = {"difference": 1, "ratio": 1, "z": 2}


@dataclass(frozen=True, eq=False)
class Stub(Localizer):
    """Scores by the passage's id, and a count of how often each was asked for."""

    name: ClassVar[str] = "stub"
    asked: Counter = field(default_factory=Counter)
    skip: tuple[int, ...] = ()

    def score(self, loaded, passages, told=lambda _: None):
        self.asked.update(passage.id for passage in passages)
        rows = [scores_of(passage.id, loaded) for passage in passages]
        found = torch.stack(rows) if rows else torch.empty(0, 2, 256)
        found[:, list(self.skip)] = -torch.inf
        told(1.0)
        return found


def scores_of(name, loaded):
    rng = np.random.default_rng(int(name.lstrip("pq")))
    return torch.from_numpy(rng.normal(size=(2, loaded.neurons.width)).astype(np.float32))


def others(count):
    return [
        dataclasses.replace(p, id=f"q{100 + i}") for i, p in enumerate(random_passages(count, 256))
    ]


def naive(target, references, kind, floor):
    """From numpy arrays `[layers, width]` and `[references, layers, width]`."""
    target, references = target.astype(np.float64), references.astype(np.float64)
    if kind == "difference":
        return target - references.mean(axis=0)
    if kind == "ratio":
        size, top = np.abs(references).mean(axis=0), target
    else:
        size, top = references.std(axis=0, ddof=1), target - references.mean(axis=0)
    out = np.empty_like(target)
    for layer in range(len(target)):
        least = floor * size[layer].mean()
        for index in range(target.shape[1]):
            divisor = max(size[layer, index], least)
            out[layer, index] = top[layer, index] / (divisor if divisor > 0 else 1.0)
    return out


def filled(references):
    background = Background.empty(*references.shape[1:])
    for reference in references:
        background.add(reference)
    return background


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(2, 9),
    kind=st.sampled_from(CONTRASTS),
    floor=st.sampled_from([0.0, 0.1, 1.0]),
    sparse=st.booleans(),
)
def test_a_contrast_is_its_definition(seed, count, kind, floor, sparse):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(count + 1, 2, 6)).astype(np.float32) * 10.0 ** rng.integers(-6, 6)
    if sparse:
        values[rng.random(values.shape) < 0.7] = 0
    target, references = values[0], values[1:]
    found = contrasted(torch.from_numpy(target), filled(torch.from_numpy(references)), kind, floor)
    np.testing.assert_allclose(found, naive(target, references, kind, floor), rtol=1e-4, atol=1e-5)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(2, 8))
def test_leaving_one_out_is_never_having_added_it(seed, count):
    values = torch.from_numpy(np.random.default_rng(seed).normal(5, 2, size=(count, 2, 5)))
    whole = filled(values)
    for index in range(count):
        rest = [at for at in range(count) if at != index]
        left, expected = whole.without(values[index]), filled(values[rest])
        assert left.count == expected.count
        for name in ("mean", "size", "squares"):
            torch.testing.assert_close(
                getattr(left, name), getattr(expected, name), rtol=1e-9, atol=1e-9
            )


@pytest.mark.parametrize("kind", CONTRASTS)
def test_the_others_are_the_references_where_none_are_given(random_model, kind):
    loaded, passages, stub = random_model("gpt2"), random_passages(5, 256), Stub()
    found = Contrast(stub, kind).score(loaded, passages)
    raw = Stub().score(loaded, passages).numpy()
    for index in range(5):
        rest = np.delete(raw, index, axis=0)
        np.testing.assert_allclose(
            found[index], naive(raw[index], rest, kind, 0.1), rtol=1e-4, atol=1e-5
        )
    assert set(stub.asked.values()) == {1}


@pytest.mark.parametrize("kind", CONTRASTS)
def test_given_references_make_passages_independent(random_model, kind, monkeypatch):
    monkeypatch.setattr(contrast_module, "_TOGETHER", 2)
    loaded, passages, stub = random_model("gpt2"), random_passages(3, 256), Stub()
    contrast = Contrast(stub, kind, others(5))
    found = contrast.score(loaded, passages)
    assert set(stub.asked.values()) == {1}
    raw = Stub().score(loaded, [*passages, *others(5)]).numpy()
    for index, passage in enumerate(passages):
        expected = naive(raw[index], raw[3:], kind, 0.1)
        np.testing.assert_allclose(found[index], expected, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(contrast.score(loaded, [passage])[0], found[index])


def test_a_passage_is_none_of_its_own_references(random_model):
    loaded, passages, stub = random_model("gpt2"), random_passages(4, 256), Stub()
    found = Contrast(stub, "difference", passages).score(loaded, passages[1:3])
    raw = Stub().score(loaded, passages).numpy()
    for row, index in enumerate((1, 2)):
        expected = naive(raw[index], np.delete(raw, index, axis=0), "difference", 0.1)
        np.testing.assert_allclose(found[row], expected, rtol=1e-4, atol=1e-5)
    assert set(stub.asked.values()) == {1}


def test_references_of_the_call_come_before_those_of_the_contrast(random_model):
    loaded, passages = random_model("gpt2"), random_passages(2, 256)
    given = Contrast(Stub(), references=others(4)[:2])
    found = given.score(loaded, passages, references=others(4)[2:])
    expected = Contrast(Stub(), references=others(4)[2:]).score(loaded, passages)
    assert torch.equal(found, expected)


@pytest.mark.parametrize("kind", CONTRASTS)
def test_skipped_layers_stay_unselectable(random_model, kind):
    loaded, passages = random_model("gpt2"), random_passages(4, 256)
    found = Contrast(Stub(skip=(0,)), kind).score(loaded, passages)
    assert (found[:, 0] == -torch.inf).all()
    assert found[:, 1].isfinite().all()


def test_a_floor_keeps_small_neurons_small():
    references = torch.ones(3, 1, 4)
    references[..., 3] = 0.001
    target = torch.tensor([[1.0, 1.0, 2.0, 0.01]])
    assert contrasted(target, filled(references), "ratio", 0.0).argmax() == 3
    assert contrasted(target, filled(references), "ratio", 0.1).argmax() == 2


def test_neurons_that_serve_everything_fall_behind(random_model):
    """A ratio takes the neurons that are large everywhere from the top."""
    loaded, passages = random_model("gpt2"), random_passages(12, 256, suffix=(8, 10))
    plain = ActivationSize().score(loaded, passages)
    ratio = Contrast(ActivationSize(), "ratio").score(loaded, passages)

    def shared(scores):
        """How many of a passage's ten highest are also among another's, on average."""
        tops = [set(row.flatten().topk(10).indices.tolist()) for row in scores]
        return np.mean([len(a & b) for i, a in enumerate(tops) for b in tops[:i]])

    assert shared(plain) > 2 * shared(ratio)


@pytest.mark.parametrize(("kind", "count"), [("difference", 1), ("ratio", 1), ("z", 2)])
def test_too_few_others_are_refused_before_anything_is_scored(random_model, kind, count):
    stub, loaded = Stub(), random_model("gpt2")
    with pytest.raises(InputError, match=rf"{kind}.*at least {FEWEST[kind]}.*'p0' has {count - 1}"):
        Contrast(stub, kind).score(loaded, random_passages(count, 256))
    assert not stub.asked


def test_the_only_reference_may_not_be_the_passage(random_model):
    passages = random_passages(1, 256)
    with pytest.raises(InputError, match="'p0' has 0"):
        Contrast(Stub(), references=passages).score(random_model("gpt2"), passages)


def test_references_of_the_same_id_are_refused(random_model):
    twice = [*others(2), *others(1)]
    with pytest.raises(InputError, match="'q100'"):
        Contrast(Stub(), references=twice).score(random_model("gpt2"), random_passages(1, 256))


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"kind": "log"}, "kind='log'"),
        ({"floor": -1.0}, "floor=-1.0"),
        ({"references": ()}, "at least 1 references; 0"),
    ],
)
def test_bad_options_are_refused(options, match):
    with pytest.raises(InputError, match=match):
        Contrast(Stub(), **options)


def test_progress_goes_up_to_the_end(random_model):
    heard = []
    Contrast(ActivationSize(batch_size=1), references=others(3)).score(
        random_model("gpt2"), random_passages(2, 256), heard.append
    )
    assert heard == sorted(heard)
    assert heard[-1] == pytest.approx(1.0)
    assert heard[0] == pytest.approx(0.2)


def test_nothing_is_scored_where_nothing_is_asked(random_model):
    found = Contrast(Stub(), references=others(2)).score(random_model("gpt2"), [])
    assert found.shape == (0, 2, 256)


def test_a_model_that_the_localizer_refuses_is_refused(random_model):
    class Picky(Stub):
        def check(self, loaded):
            raise InputError("not this one")

    with pytest.raises(InputError, match="not this one"):
        Contrast(Picky()).check(random_model("gpt2"))
