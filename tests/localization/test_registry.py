"""Localizers by name, with options and contrasts in the name or beside it."""

from __future__ import annotations

import importlib
import inspect

import pytest

from byrote.errors import InputError
from byrote.localization.activations import ActivationSize
from byrote.localization.base import Localizer
from byrote.localization.contrast import Contrast
from byrote.localization.hard_concrete import HardConcrete
from byrote.localization.registry import LOCALIZERS, find_localizer
from byrote.localization.slimming import Slimming
from tests.recall.passages import random_passages


@pytest.mark.parametrize("name", LOCALIZERS)
def test_every_localizer_has_defaults_and_knows_its_name(name):
    found = find_localizer(name)
    assert isinstance(found, Localizer)
    assert found.name == name
    module, _, attribute = LOCALIZERS[name].partition(":")
    assert type(found) is getattr(importlib.import_module(module), attribute)


@pytest.mark.parametrize("name", LOCALIZERS)
def test_every_localizer_has_the_one_signature(name):
    parameters = inspect.signature(type(find_localizer(name)).score).parameters
    assert list(parameters)[:4] == ["self", "loaded", "passages", "told"]
    assert parameters["told"].default(0.5) is None


def test_options_beside_the_name():
    assert find_localizer("activations", {"order": "mean-abs"}) == ActivationSize("mean-abs")


def test_options_in_the_name():
    found = find_localizer("hard-concrete?penalty=500&skip_layers=[0]&noisy_skipped=true&init=0.2")
    assert isinstance(found, HardConcrete)
    assert (found.penalty, found.skip_layers, found.noisy_skipped) == (500, (0,), True)
    assert (found.init, found.beta) == (0.2, 0.33)
    assert find_localizer("activations?order=mean-abs") == ActivationSize("mean-abs")


def test_a_contrast_in_the_name():
    found = find_localizer("contrast:activations?kind=ratio&floor=0.5&order=mean-abs")
    assert isinstance(found, Contrast)
    assert (found.kind, found.floor, found.references) == ("ratio", 0.5, None)
    assert found.localizer == ActivationSize("mean-abs")
    assert find_localizer("contrast:random").kind == "difference"  # pyright: ignore


def test_a_contrast_beside_the_name():
    references = random_passages(3, 256)
    found = find_localizer(
        "activations", {"batch_size": 2}, contrast="z", floor=0.0, references=references
    )
    assert isinstance(found, Contrast)
    assert (found.kind, found.floor, found.references) == ("z", 0.0, references)
    assert found.localizer == ActivationSize(batch_size=2)


def test_references_without_a_contrast_go_to_the_method_itself():
    references = random_passages(2, 256)
    found = find_localizer("slimming?retain=1", references=references)
    assert isinstance(found, Slimming)
    assert list(found.references) == references


def test_with_a_contrast_the_references_are_its_own():
    found = find_localizer("contrast:slimming", references=random_passages(2, 256))
    assert isinstance(found, Contrast)
    assert len(found.localizer.references) == 0  # pyright: ignore


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: find_localizer("zero"), "no localizer 'zero'.*zero-out"),
        (lambda: find_localizer("activations?steps=3"), "steps.*order"),
        (lambda: find_localizer("activations", {"steps": 3}), "steps.*order"),
        (lambda: find_localizer("activations?order"), "'order' is no option"),
        (lambda: find_localizer("activations?order="), "key=value"),
        (lambda: find_localizer("activations?order=abs-mean&order=mean-abs"), "given twice"),
        (lambda: find_localizer("random?seed=1", {"seed": 2}), "seed is given twice"),
        (lambda: find_localizer("contrast:activations?kind=log"), "kind='log'"),
        (lambda: find_localizer("activations?kind=z", contrast="ratio"), "kind is given twice"),
        (lambda: find_localizer("contrast:activation?kind=z"), "Did you mean activations"),
        (lambda: find_localizer("activations?kind=z"), "kind"),
        (lambda: find_localizer("activations", floor=0.1), r"floor=0\.1"),
        (lambda: find_localizer("activations", references=[]), "contrast:activations"),
    ],
)
def test_what_cannot_be_found_is_refused(call, match):
    with pytest.raises(InputError, match=match):
        call()
