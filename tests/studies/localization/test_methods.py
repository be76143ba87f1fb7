"""From a method of the config to a localizer, and which part it plays."""

from __future__ import annotations

import dataclasses

import pytest

from byrote.errors import InputError
from byrote.localization.contrast import Contrast
from byrote.localization.hard_concrete import HardConcrete
from byrote.studies.localization.config import LocalizationConfig, Method
from byrote.studies.localization.labels import label, names
from byrote.studies.localization.methods import (
    candidates,
    localizer_of,
    part_of,
    players,
    special_options,
    takes,
)
from byrote.studies.localization.presets import LAPTOP, METHODS
from tests.studies.localization.test_further import a_passage


@pytest.mark.parametrize(
    ("method", "part"),
    [
        (Method("hard-concrete", {"lr": 0.1}), "hard-concrete"),
        (Method("screened-zero-out"), "zero-out"),
        (Method("zero-out"), "zero-out"),
        (Method("activations"), "activations"),
        (Method("activations", {"order": "mean-abs"}), None),
        (Method("activations", contrast="ratio"), None),
        (Method("hard-concrete", retain=1.0), None),
        (Method("hard-concrete", {"aim": "erase"}), None),
        (Method("zero-out", spare_lead=True), None),
        (Method("attribution"), None),
    ],
)
def test_a_method_plays_a_part_by_its_fields(method, part):
    assert part_of(method) == part


def test_of_two_that_play_one_part_the_first_is_taken():
    methods = {"b": Method("random", {"seed": 1}), "a": Method("random"), "z": Method("zero-out")}
    config = LocalizationConfig(methods=methods)
    assert players(config, ["a", "b", "z"]) == {"zero-out": "z", "random": "a"}


def test_options_of_the_grid_go_over_the_methods_own():
    method = Method("hard-concrete", {"epochs": 3, "lr": 0.1}, grid={"penalty": (1.0, 2.0)})
    found = localizer_of(method, {"penalty": 2.0}, skip_layers=(0,))
    assert isinstance(found, HardConcrete)
    assert (found.epochs, found.lr, found.penalty, found.skip_layers) == (3, 0.1, 2.0, (0,))


def test_candidates_are_all_combinations():
    grid = {"lr": (0.1, 0.2), "beta": (0.3, 0.6)}
    found = candidates(dataclasses.asdict(Method("hard-concrete", grid=grid)))
    assert found == [{"lr": a, "beta": b} for a in (0.1, 0.2) for b in (0.3, 0.6)]
    assert candidates(dataclasses.asdict(Method("random"))) == [{}]


def test_a_contrast_is_to_what_is_held_out_or_to_the_negatives():
    others = [a_passage("a"), a_passage("b")]
    held = localizer_of(Method("activations", contrast="z"), {}, others)
    assert isinstance(held, Contrast)
    assert [p.id for p in held.references or ()] == ["a", "b"]
    negatives = localizer_of(
        Method("activations", contrast="ratio", references="negatives"), {}, others
    )
    assert isinstance(negatives, Contrast)
    assert negatives.references is None


def test_a_retaining_method_knows_what_to_retain():
    found = localizer_of(Method("slimming", retain=2.0), {}, [a_passage("a")])
    assert (found.retain, len(found.references)) == (2.0, 1)  # type: ignore[attr-defined]


def test_the_bos_is_spared_where_the_localizer_can():
    spared = localizer_of(Method("attribution", spare_lead=True), {})
    assert spared.spare_lead  # type: ignore[attr-defined]
    localizer_of(Method("activations", spare_lead=True), {})
    assert not takes("activations", "spare_lead")


def test_a_bad_option_is_named():
    with pytest.raises(InputError, match="epochz"):
        localizer_of(Method("slimming", {"epochz": 1}), {})


def test_the_special_goes_over_the_general():
    tuned = {"m": {"lr": 1, "beta": 2}, "m@x": {"lr": 3}, "m@x@y": {"lr": 4}}
    assert special_options(tuned, "m") == {"lr": 1, "beta": 2}
    assert special_options(tuned, "m", "x", "y") == {"lr": 4, "beta": 2}
    assert special_options(tuned, "m", "z", "y") == {"lr": 1, "beta": 2}
    assert special_options(tuned, "n", "x") is None


def test_no_two_methods_have_one_label():
    found = [label(LAPTOP, name) for name in METHODS]
    assert len(set(found)) == len(found)
    twins = LocalizationConfig(methods={"a": Method("random"), "b": Method("random", {"seed": 2})})
    assert [label(twins, name) for name in "ab"] == ["Random", "Random (b)"]


def test_methods_stand_in_the_papers_order_and_chance_comes_last():
    found = names(LAPTOP)
    assert found[:5] == [
        "hard-concrete", "slimming", "zero-out", "integrated-gradients", "activations",
    ]  # fmt: skip
    assert found[-1] == "random"
