from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from byrote.recall.curves import count_table, survival_table
from byrote.recall.intervals import bootstrap_mean, rate, wilson
from byrote.recall.schemas import COUNT_SCHEMA, SURVIVAL_SCHEMA
from tests.recall.test_tables import FRAME, make_frame


@pytest.mark.parametrize("measure", ["longest_run", "token_accuracy", "logprob"])
def test_a_curve_is_the_share_with_at_least_so_much(measure):
    table = survival_table(FRAME, confidence=0.9)
    assert table.schema == SURVIVAL_SCHEMA
    part = FRAME.filter(
        pl.col("prefix_len") == 50, pl.col("source") == "s1", ~pl.col("is_control")
    ).sort("id")
    rows = table.filter(
        pl.col("prefix_len") == 50,
        pl.col("source") == "s1",
        pl.col("group") == "texts",
        pl.col("measure") == measure,
    )
    assert rows["at_least"].to_list() == sorted(set(part[measure].cast(pl.Float64)))
    for row in rows.iter_rows(named=True):
        wanted = rate(
            (part[measure] >= row["at_least"]).to_numpy(),
            clusters=part["record"].to_numpy(),
            confidence=0.9,
        )
        assert (row["passages"], row["rate"]) == (wanted.n, wanted.value)
        assert (row["low"], row["high"]) == pytest.approx((wanted.low, wanted.high))


def test_a_long_curve_keeps_its_ends_and_few_points():
    frame = make_frame(records=60)
    rows = survival_table(frame).filter(
        source="all", group="texts", measure="logprob", prefix_len=20
    )
    values = frame.filter(~pl.col("is_control"), prefix_len=20)["logprob"]
    assert len(rows) == 80
    assert (rows["at_least"].min(), rows["at_least"].max()) == (values.min(), values.max())
    assert rows["rate"].max() == 1.0


def test_copies_of_one_record_make_its_band_wide():
    rows = survival_table(FRAME.with_columns(record=pl.col("record").str.slice(0, 2)))
    narrow = 0
    for row in rows.filter(pl.col("rate").is_between(0.2, 0.8)).iter_rows(named=True):
        low, high = wilson(row["rate"] * row["passages"], row["passages"])
        narrow += (row["high"] - row["low"]) > 1.02 * (high - low)
    assert narrow


def test_a_verdict_alone_has_no_curve_but_a_rate_by_count():
    unknown = ("longest_run", "token_accuracy", "logprob")
    bare = FRAME.with_columns(pl.lit(None, FRAME.schema[name]).alias(name) for name in unknown)
    assert survival_table(bare).is_empty()
    assert set(count_table(bare)["measure"]) == {"extractable"}


def test_each_count_is_what_its_passages_say():
    frame = FRAME.with_columns(count=pl.col("count").clip(0, 16))
    table = count_table(frame, confidence=0.9, seed=4)
    assert table.schema == COUNT_SCHEMA
    rows = table.filter(source="all", group="texts")
    assert (rows["count"] == rows["count_to"]).all()
    for row in rows.iter_rows(named=True):
        part = frame.filter(~pl.col("is_control"), count=row["count"]).sort("id")
        documents = (part["source"] + "\x1f" + part["record"]).to_numpy()
        options = {"clusters": documents, "confidence": 0.9}
        if row["measure"] == "extractable":
            wanted = rate(part["extractable"].to_numpy(), **options)
        else:
            wanted = bootstrap_mean(part["token_accuracy"].to_numpy(), seed=4, **options)
        assert (row["n"], row["value"]) == (len(part), pytest.approx(wanted.value))
        assert (row["documents"], row["method"]) == (part["record"].n_unique(), wanted.method)
        assert (row["low"], row["high"]) == pytest.approx((wanted.low, wanted.high))


def test_many_counts_are_put_into_bins():
    frame = FRAME.with_columns(count=pl.Series(np.arange(len(FRAME)), dtype=pl.Int64))
    rows = count_table(frame).filter(source="all", group="texts", measure="extractable")
    assert all(count & (count - 1) == 0 for count in rows["count"])
    assert (rows["count_to"] < 2 * rows["count"]).all()
    positive = frame.filter(~pl.col("is_control"), pl.col("count") > 0)
    assert rows["n"].sum() == len(positive)


def test_without_two_counts_there_is_nothing():
    assert count_table(FRAME.with_columns(count=pl.lit(3, pl.Int64))).is_empty()
    assert count_table(FRAME.with_columns(count=pl.lit(None, pl.Int64))).is_empty()
    assert count_table(FRAME.clear()).schema == COUNT_SCHEMA
