"""What cannot work is said at once: which field, which value, and what to do."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from byrote.errors import InputError
from byrote.studies.localization.checks import check
from byrote.studies.localization.config import Group, LocalizationConfig, Method
from byrote.studies.localization.presets import PRESETS
from tests.studies.localization.tiny import MODEL, tiny

SETTING = "deletion__settings__exposed__"
BAD = [
    ({"seed": -1}, r"seed = -1; it must be at least 0"),
    ({"methods__random__localizer": "rnadom"}, r"methods.random.localizer = 'rnadom' is none of"),
    ({"methods__slimming__options": {"lr": -1.0}}, r"methods.slimming: .*lr=-1.0"),
    ({"methods__slimming__options": {"lrr": 1.0}}, r"methods.slimming: .*lrr"),
    ({"methods__slimming__grid": {"lr": ()}}, r"methods.slimming.grid.lr is empty; give values"),
    ({"methods__slimming__grid": {"penalty": (1.0,)}}, r"penalty is in options and in grid; leave"),
    ({"methods__slimming__grid": {"lr": (0.1, -1.0)}}, r"methods.slimming: .*lr=-1.0"),
    ({"methods__activations__retain": 1.0}, r"activations has no loss to retain by; .* contrast"),
    ({"methods__slimming__retain": -1.0}, r"methods.slimming.retain = -1.0; it must be a number"),
    ({"methods__weights__contrast": "z"}, r"removes weights and has no scores to contrast"),
    ({"injection__groups": {}, "deletion__groups": {}}, r"are empty: there is nothing to do; name"),
    ({"injection__groups": {"a": Group()}}, r"injection.groups.a.methods is empty; name methods"),
    ({"injection__groups": {"a": Group(("x",))}}, r"there is no method 'x'; there are: hard-conc"),
    (
        {"injection__groups": {"a": Group(("random",)), "b": Group(("random",))}},
        r"injection.groups: random is named twice; name it once",
    ),
    ({"injection__groups": {"a": Group(("random",), most=-1)}}, r"a.most = -1; it must be at l"),
    ({"injection__groups": {"a": Group(("weights",))}}, r"weights removes .* leave it to DEL"),
    (
        {"injection__groups": {"a": Group(("activations-negatives",))}},
        r"each sentence is alone in its model; set its references to held-out",
    ),
    ({"injection__dev": 1}, r"injection.dev = 1: activations-ratio needs at least 2 sentences"),
    ({"injection__models": ()}, r"injection.models is empty; name a model"),
    ({"injection__models": ("random:gpt3",)}, r"injection.models.0: .*'gpt3'"),
    ({"injection__models": (MODEL, MODEL)}, r"injection.models: a model is named twice"),
    ({"injection__models": (MODEL + "&vocab_size=9",)}, r"a vocab_size of its own, and vocab ="),
    ({"vocab": 256}, r"vocab = 256; it must be above 256, the bytes"),
    ({"vocab_text": "corpus:bible"}, r"vocab_text: .*bible.*kjv"),
    ({"injection__rates": (0.1,)}, r"injection.fractions = 0.2, 0.1, injection.rates = 0.1; give"),
    ({"injection__rates": (0.1, 0.0)}, r"injection.rates = 0.0; it must be a number above 0"),
    ({"injection__fractions": (0.2, 0.2)}, r"injection.fractions = 0.2, 0.2: one is there twice"),
    ({"injection__fractions": (0.2, 0.0)}, r"injection.fractions = 0.0; it must be above 0 and"),
    ({"injection__fractions": (0.9, 0.1)}, r"2 times 0.9 are more than all neurons; take a small"),
    ({"injection__multiples": ()}, r"injection.multiples is empty; give 1 at least"),
    ({"injection__multiples": (0,)}, r"injection.multiples = 0; it must be at least 1"),
    ({"injection__examples": 0}, r"injection.examples = 0; it must be at least 1"),
    ({"injection__stop": -0.1}, r"injection.stop = -0.1; it must be at least 0"),
    ({"injection__sentences": "gone.jsonl"}, r"there is no such file; give an ECBD file"),
    ({"injection__tuned": {"x@y": {}}}, r"injection.tuned: there is no method 'x'; there are:"),
    ({"injection__tuned": {"slimming": {"lr": -1.0}}}, r"injection.tuned.slimming: .*lr=-1.0"),
    ({"deletion__settings": {}}, r"deletion.settings is empty; name one"),
    ({SETTING + "model": "./gone"}, r"settings.exposed.model: There is no model at './gone'"),
    ({SETTING + "sources": ()}, r"settings.exposed.sources is empty; name texts"),
    ({SETTING + "sources": ("gone.txt",)}, r"sources.0: gone.txt does not exist; give a file"),
    ({SETTING + "passages": 1}, r"settings.exposed.passages = 1; it must be at least 2"),
    ({SETTING + "windows": 1}, r"settings.exposed.windows = 1; so many passages are shown, at l"),
    ({SETTING + "accuracy": 1.0}, r"settings.exposed.accuracy = 1.0; it must be from 0 on and be"),
    ({SETTING + "suffix": 0}, r"settings.exposed.suffix = 0; it must be at least 1"),
    ({SETTING + "lr": 0.0}, r"settings.exposed.lr = 0.0; it must be a number above 0"),
    ({SETTING + "groups": ("slow",)}, r"exposed.groups: there is no group 'slow'; there are: qui"),
    ({"deletion__fractions": ()}, r"deletion.fractions is empty; give one at least"),
    ({"deletion__fractions": (1.0,)}, r"deletion.fractions = 1.0; it must be above 0 and below 1"),
    ({"deletion__scopes": ()}, r"deletion.scopes is empty"),
    ({"deletion__skip_layers": (-1,)}, r"deletion.skip_layers = -1; it must be at least 0"),
    ({"deletion__text": ""}, r"deletion.text: No source of texts is named"),
    ({"deletion__text_rows": 0}, r"deletion.text_rows = 0; it must be at least 1"),
    ({"deletion__references": 0}, r"references = 0: activations-ratio is compared with general"),
    ({"deletion__curve_methods": ("random",)}, r"deletion.curve is empty; give fractions"),
    ({"deletion__together": ("slimming",)}, r"slimming is in no group of deletion.groups; put it"),
    ({"deletion__together": ("x",)}, r"deletion.together: there is no method 'x'; there are"),
    (
        {"deletion__groups": {"a": Group(("weights",))}},
        r"weights removes weights for several passages at once; name it in deletion.together",
    ),
    (
        {"deletion__groups": {"a": Group(("weights",))}, "deletion__one_layer": ("weights",)},
        r"deletion.one_layer: weights removes weights and scores no neurons",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "message"), BAD, ids=[str(change) for change, _ in BAD])
def test_a_bad_field_is_named(corpus, changes, message):
    with pytest.raises(InputError, match=message):
        check(tiny(corpus, **changes))


@pytest.mark.parametrize("name", ["", "a b", "-a", "x" * 41, "a/b", "a@b"])
def test_a_name_that_is_no_file_name_is_refused(name):
    with pytest.raises(InputError, match="is no name; use letters, digits"):
        check(LocalizationConfig(methods={name: Method("random")}))


def test_names_that_differ_in_case_alone_are_refused():
    methods = {"a": Method("random"), "A": Method("random")}
    with pytest.raises(InputError, match="a and A differ in case alone; rename one"):
        check(LocalizationConfig(methods=methods))


def test_what_is_no_number_is_refused(corpus):
    config = tiny(corpus)
    config = replace(config, injection=replace(config.injection, stop=math.nan))
    with pytest.raises(InputError, match=r"injection.stop = nan; it must be"):
        check(config)


def test_what_can_work_is_let_through(corpus, whole):
    check(tiny(corpus))
    check(whole)
    check(tiny(corpus, injection__groups={}))
    check(tiny(corpus, deletion__groups={}))
    for preset in PRESETS.values():
        check(preset)
