"""The published hyperparameters are options that the methods take."""

from __future__ import annotations

import pytest

from byrote.errors import InputError
from byrote.localization.published_options import PUBLISHED, published
from byrote.localization.registry import find_localizer


@pytest.mark.parametrize("key", PUBLISHED)
def test_every_entry_makes_a_localizer(key):
    found = find_localizer(key[0], published(*key))
    for name, value in PUBLISHED[key].items():
        assert getattr(found, name) == value


def test_erasing_skips_layer_0_and_injection_does_not():
    for key in PUBLISHED:
        assert (published(*key).get("skip_layers") == (0,)) == (key[1] == "del")


def test_what_was_given_for_one_fraction_does_not_serve_another():
    assert published("hard-concrete", "inj", "gpt2", 0.001)["penalty"] == 1000
    assert published("hard-concrete", "inj", "gpt2", 0.01)["penalty"] == 100
    assert published("hard-concrete", "inj", "gpt2-xl", 0.001)["penalty"] == 500
    with pytest.raises(InputError, match=r"slimming inj gpt2 0\.001.*slimming inj gpt2 0\.01"):
        published("slimming", "inj", "gpt2", 0.001)


def test_the_caller_may_change_what_it_gets():
    published("slimming", "del", "gpt2-xl")["lr"] = 7
    assert published("slimming", "del", "gpt2-xl")["lr"] == 1e-2


def test_an_unknown_method_is_refused():
    with pytest.raises(InputError, match="No options were published for zero-out"):
        published("zero-out", "inj", "gpt2")
