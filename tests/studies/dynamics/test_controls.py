"""A positive and a negative control: the study finds memorisation where it is, and only there."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from byrote.studies.dynamics import STUDY
from tests.studies.dynamics.tiny import MODELS, run, tiny


@pytest.fixture(scope="module")
def exposed(tmp_path_factory):
    # With a BOS: after a letter and after the same letter twice, a model without absolute positions
    # says the same, so that without one a string may begin with what nobody can learn.
    config = tiny(
        strings=2,
        models__tiny__source=MODELS["begun"].source,
        models__tiny__lr=3e-3,
        training__epochs=300,
        training__stop_loss=0.02,
        training__heldout=3,
        training__heldout_every=30,
        phases__alphabets=(26,),
        phases__n=20,
    )
    tables = run(config, tmp_path_factory.mktemp("exposed"))
    return tables, STUDY.analyse(tables, config)


def test_a_string_that_is_shown_enough_is_memorised(exposed):
    tables, derived = exposed
    assert set(tables["trainings"]["ended"]) == {"observer"}
    last = tables["epochs"].filter(pl.col("epoch") == pl.col("epoch").max().over("string"))
    assert last["accuracy"].to_list() == [1.0, 1.0]
    assert (last["loss"] < 0.02).all()
    phases = derived["phases"]
    assert phases["t_mem"].null_count() == 0
    assert (phases["t_guess"] < phases["t_mem"]).all()
    assert (phases["t_mem"] < phases["last_epoch"]).all()
    times = derived["phase_times"].filter(which="t_mem").row(0, named=True)
    assert (times["strings"], times["censored"]) == (2, 0)
    assert derived["order"]["memorised"].to_list() == [20, 20]


def test_strings_that_were_never_shown_are_not_known(exposed):
    tables, derived = exposed
    held = tables["heldout"].filter(pl.col("epoch") == pl.col("epoch").max().over("string"))
    assert len(held) == 6
    assert held["accuracy"].max() < 0.4
    # Guessing by letters has a loss of ln 26; what was learned by rote makes it worse, not better.
    assert held["loss"].min() > np.log(26)
    control = derived["control"]
    assert (control["last_loss"] > control["entropy_rate"]).all()
    assert control["last_epoch"].to_list() == tables["trainings"]["epochs"].to_list()


def test_where_nothing_is_learned_nothing_is_found(tmp_path):
    config = tiny(strings=3, training__epochs=30, models__tiny__lr=1e-9, training__heldout=0)
    tables = run(config, tmp_path)
    derived = STUDY.analyse(tables, config)
    losses = tables["epochs"]["loss"].to_numpy().reshape(3, 31)
    assert np.ptp(losses, axis=1).max() < 1e-3
    assert derived["phases"]["t_mem"].to_list() == [None] * 3
    assert derived["phases"]["t_guess"].to_list() == [None] * 3
    times = derived["phase_times"].filter(which="t_mem").row(0, named=True)
    assert (times["strings"], times["censored"], times["median"]) == (3, 3, np.inf)
    assert np.isnan(times["mean"])
    # Of four letters an untaught model may hit one or two by chance, from the first epoch on.
    assert derived["order"]["memorised"].max() <= 2
