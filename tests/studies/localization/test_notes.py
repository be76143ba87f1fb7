"""The remarks say what a run departs from, and only what it has; and what the models can take."""

from __future__ import annotations

from dataclasses import replace

import pytest

from byrote.errors import InputError
from byrote.studies.localization.config import Group
from byrote.studies.localization.fitting import fit
from byrote.studies.localization.notes import notes
from byrote.studies.localization.presets import LAPTOP, PAPER, SMOKE
from tests.studies.localization.made_up import cell_tables
from tests.studies.localization.tiny import MODEL, tiny


@pytest.fixture(scope="module")
def laptop():
    return cell_tables(LAPTOP)


def _one(found, words):
    (note,) = [note for note in found if words in note]
    return note


def test_sentences_and_models_are_told(laptop):
    note = _one(notes(laptop, LAPTOP), "INJ:")
    assert f"{LAPTOP.injection.examples} sentences made up by byrote in smollm2-135m" in note
    paper = _one(notes(cell_tables(PAPER), PAPER), "INJ:")
    assert "GPT2, GPT2-XL, Pythia-2.8B, Pythia-6.9B" in paper


def test_sentences_that_were_not_written_are_counted(laptop):
    assert "2 of 12 sentences were not written" in _one(notes(laptop, LAPTOP), "not written")
    whole = {**laptop, "injections": laptop["injections"].filter(laptop["injections"]["recited"])}
    assert not [note for note in notes(whole, LAPTOP) if "not written" in note]


def test_settings_are_told_apart(laptop):
    found = notes(laptop, LAPTOP)
    assert "recites as it is" in _one(found, "DEL, gemma3-270m:")
    assert "was shown until" in _one(found, "DEL, smollm2-135m-exposed:")
    assert "gemma3-270m, 0.5 %: 34" in _one(found, "Neurons dropped")


def test_a_shortlist_and_a_search_are_told_where_there_are_such(laptop):
    found = notes(laptop, LAPTOP)
    assert "0.5 % of each layer" in _one(found, "Zero-Out is exact")
    assert _one(found, "tuned over few combinations")
    paper = notes(cell_tables(PAPER), PAPER)
    assert not [note for note in paper if "Zero-Out is exact" in note or "few combinations" in note]


def test_contrasts_with_negatives_are_owned_up_to(laptop):
    assert _one(notes(laptop, LAPTOP), "very passages that they are then to spare")
    assert not [n for n in notes(cell_tables(SMOKE), SMOKE) if "very passages" in n]


def test_of_deletions_alone_nothing_is_said_of_injections(laptop):
    config = replace(LAPTOP, injection=replace(LAPTOP.injection, groups={}))
    tables = {name: table for name, table in laptop.items() if name != "recalls"}
    assert not [note for note in notes(tables, config) if "INJ" in note]


def test_a_cell_needs_its_weights_and_an_exposure_more(corpus):
    needed = fit(tiny(corpus))
    assert set(needed) == {"inj.gpt2.r0.2.quick", "inj.gpt2.r0.1.quick", "del.exposed.quick"}
    assert needed["del.exposed.quick"] > 4 * needed["inj.gpt2.r0.1.quick"] > 0


def test_a_context_that_is_too_short_is_named(corpus):
    short = MODEL.replace("max_position_embeddings=256", "max_position_embeddings=64")
    message = r"injection.models.0: sentences of 160 tokens are longer than the context"
    with pytest.raises(InputError, match=message):
        fit(tiny(corpus, injection__models=(short,)))
    config = tiny(corpus, injection__groups={}, deletion__settings__exposed__suffix=300)
    with pytest.raises(InputError, match=r"deletion.settings.exposed: passages or general texts"):
        fit(config)


def test_what_is_not_run_is_not_looked_at(corpus):
    none = {"a": Group(("random",))}
    config = tiny(
        corpus, deletion__groups={}, deletion__settings__exposed__suffix=300, injection__groups=none
    )
    assert set(fit(config)) == {"inj.gpt2.r0.2.a", "inj.gpt2.r0.1.a"}
