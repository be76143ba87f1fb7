"""What is said beside a run's numbers: each departure where it is one, and only there."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest

from byrote.studies.dynamics.config import DynamicsConfig, ModelConfig
from byrote.studies.dynamics.notes import notes
from tests.studies.dynamics.tiny import tiny


def said(config, words, **tables):
    found = [note for note in notes(tables, config) if words in note]
    assert len(found) <= 1
    return found[0] if found else None


@pytest.mark.parametrize(("n", "there"), [(128, True), (1024, False)])
def test_the_length_where_it_is_not_the_papers(n, there):
    note = said(tiny(phases__n=n), "headline setting")
    assert (note is not None) == there
    assert note is None or f"{n} tokens" in note


@pytest.mark.parametrize(("strings", "there"), [(2, True), (5, False), (6, False)])
def test_fewer_strings_than_the_papers(strings, there):
    note = said(tiny(strings=strings), "intervals are wide")
    assert (note is not None) == there
    assert note is None or note.startswith(f"{strings} strings")


def test_learning_rates_of_the_models_that_ran():
    config = DynamicsConfig(
        models={
            name: ModelConfig(source=f"random:llama?seed={i}", lr=10.0**-i)
            for i, name in enumerate(("a", "b", "c"), 1)
        }
    )
    tables = {
        "trainings": pl.DataFrame({"model": ["b", "b"]}),
        "sequential": pl.DataFrame({"model": ["c"]}),
    }
    note = said(config, "Learning rates", **tables)
    assert note is not None
    assert note.endswith(f"{config.training.schedule} schedule: b 0.01, c 0.001.")
    assert said(config, "Learning rates") is None


def test_early_ends_where_there_are_some():
    early = tiny(training__stop_loss=0.05, training__stop_epochs=4)
    note = said(early, "An exposure ends after")
    assert note is not None
    assert "after 4 epochs in a row with a loss below 0.05" in note
    none = replace(early, training=replace(early.training, stop_loss=None))
    assert said(none, "An exposure ends after") is None


def test_how_many_exposures_were_not_memorised():
    phases = pl.DataFrame({"t_mem": [5, None, 7, None]})
    note = said(tiny(), "not memorised", phases=phases)
    assert note is not None
    assert note.startswith("2 of 4 exposures")
    everything = pl.DataFrame({"t_mem": pl.Series([5, 7], dtype=pl.Int64)})
    assert said(tiny(), "not memorised", phases=everything) is None
    assert said(tiny(), "not memorised") is None


def test_bundled_weights_are_near_to_the_published_ones():
    config = tiny()
    assert said(config, "quantised") is None
    bundled = {"s": ModelConfig(source="bundled:smollm2-135m")}
    assert said(replace(config, models=bundled), "quantised") is not None
