from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from byrote.errors import InputError
from byrote.recall.extraction import discoverable
from byrote.recall.intervals import bootstrap_mean, clopper_pearson, rate, wilson
from byrote.recall.measures import summary_measures
from byrote.recall.membership import auc
from byrote.recall.schemas import (
    COVERAGE_SCHEMA,
    DISCOVERABLE_SCHEMA,
    FIT_SCHEMA,
    GENERATION_SCHEMA,
    PASSAGE_SCHEMA,
    SUMMARY_SCHEMA,
)
from byrote.recall.tables import (
    DRAWS,
    coverage_table,
    discoverable_table,
    fit_table,
    summarise,
)


def make_frame(records: int = 30, lengths: tuple[int, ...] = (20, 50), seed: int = 0):
    """Two sources, two categories (some unknown), texts and mismatched controls."""
    rng = np.random.default_rng(seed)
    rows = []
    for r in range(records):
        for length in lengths:
            for window in range(3):
                for control in (None, "mismatched"):
                    suffix, miss = 10, int(rng.integers(0, 11))
                    logprob = -float(rng.exponential(4 if control is None else 40))
                    offset = 100 - length + 5 * window
                    name = f"r{r}@{offset}/{length}" + ("" if control is None else "~mismatched")
                    rows.append(
                        dict.fromkeys(PASSAGE_SCHEMA)
                        | {
                            "id": name,
                            "source": f"s{r % 2}",
                            "category": [None, "a", "b"][r % 3],
                            "record": f"r{r}",
                            "offset": offset,
                            "prefix_len": length,
                            "suffix_len": 4 * suffix,
                            "is_control": control is not None,
                            "control": control,
                            "count": 4**r % 1000,
                            "member": r % 4 != 0,
                            "nll": -logprob / suffix,
                            "token_accuracy": max(miss, 3) / suffix,
                            "longest_run": miss * 4,
                            "extractable": miss == suffix,
                            "first_miss": miss,
                            "logprob": logprob,
                            "logprob_sampled": -math.inf if rng.random() < 0.2 else logprob,
                            "mia_loss": logprob / suffix,
                        }
                    )
    return pl.DataFrame(rows, schema=PASSAGE_SCHEMA)


FRAME = make_frame()


def pick(table: pl.DataFrame, **keys) -> dict:
    found = table.filter([pl.col(name) == value for name, value in keys.items()])
    assert len(found) == 1, found
    return found.row(0, named=True)


def test_schemas_are_those_of_the_run_folder() -> None:
    assert summarise(FRAME).schema == SUMMARY_SCHEMA
    assert discoverable_table(FRAME).schema == DISCOVERABLE_SCHEMA
    assert coverage_table(FRAME).schema == COVERAGE_SCHEMA
    assert fit_table(FRAME).schema == FIT_SCHEMA


def test_no_passage_gives_empty_tables() -> None:
    empty = FRAME.clear()
    for table, schema in (
        (summarise(empty), SUMMARY_SCHEMA),
        (discoverable_table(empty), DISCOVERABLE_SCHEMA),
        (coverage_table(empty), COVERAGE_SCHEMA),
        (fit_table(empty), FIT_SCHEMA),
    ):
        assert table.is_empty()
        assert table.schema == schema


@pytest.mark.parametrize(
    ("source", "category"), [("all", "all"), ("s1", "all"), ("all", "a"), ("s0", "b")]
)
@pytest.mark.parametrize("group", ["texts", "mismatched"])
def test_each_pool_is_what_its_passages_say(source: str, category: str, group: str) -> None:
    table = summarise(FRAME, confidence=0.9, seed=3, n=100, p=0.5)
    part = FRAME.filter(
        pl.col("prefix_len") == 50,
        pl.lit(source == "all") | (pl.col("source") == source),
        pl.lit(category == "all") | (pl.col("category") == category),
        pl.col("is_control") == (group != "texts"),
    ).sort("id")
    keys = {"source": source, "category": category, "prefix_len": 50, "group": group}
    documents = (part["source"] + part["record"]).to_numpy()

    row = pick(table, **keys, measure="extractable")
    expected = rate(part["extractable"].to_numpy(), clusters=documents, confidence=0.9)
    assert (row["n"], row["documents"]) == (len(part), part["record"].n_unique())
    assert (row["value"], row["low"], row["high"]) == pytest.approx(
        (expected.value, expected.low, expected.high)
    )
    assert (row["method"], row["unit"]) == ("wilson", "share")

    row = pick(table, **keys, measure="nll")
    mean = bootstrap_mean(part["nll"].to_numpy(), clusters=documents, confidence=0.9, seed=3)
    assert (row["value"], row["low"], row["high"]) == pytest.approx(
        (mean.value, mean.low, mean.high)
    )
    exp = pick(table, **keys, measure="perplexity")
    assert (exp["value"], exp["low"]) == pytest.approx((math.exp(mean.value), math.exp(mean.low)))

    assert (
        pick(table, **keys, measure="longest_run_median")["value"] == part["longest_run"].median()
    )
    assert pick(table, **keys, measure="run_ge_20")["value"] == pytest.approx(
        (part["longest_run"] >= 20).mean()
    )
    seen = [discoverable(x, 100, 0.5) for x in part["logprob_sampled"]]
    assert pick(table, **keys, measure="discoverable")["value"] == pytest.approx(np.mean(seen))


def test_unknown_categories_count_in_the_pools_alone() -> None:
    table = summarise(FRAME)
    assert set(table["category"]) == {"all", "a", "b"}
    keys = {"source": "all", "prefix_len": 20, "group": "texts", "measure": "extractable"}
    parts = [pick(table, category=c, **keys)["n"] for c in ("a", "b")]
    assert sum(parts) < pick(table, category="all", **keys)["n"]


def test_tables_do_not_depend_on_the_order_of_rows() -> None:
    shuffled = FRAME.sample(fraction=1.0, shuffle=True, seed=5)
    for make in (summarise, discoverable_table, coverage_table, fit_table):
        assert_frame_equal(make(FRAME), make(shuffled), check_exact=True)


def test_equal_pools_have_equal_intervals() -> None:
    one = FRAME.filter(pl.col("source") == "s0")
    table = summarise(one).filter(pl.col("category") == "all").drop("category")
    pooled = table.filter(pl.col("source") == "all").drop("source")
    assert_frame_equal(pooled, table.filter(pl.col("source") == "s0").drop("source"))


def test_measures_that_no_passage_has_are_left_out() -> None:
    names = set(summarise(FRAME)["measure"])
    assert {"extractable", "token_accuracy", "longest_run", "run_ge_20", "discoverable"} <= names
    assert "rouge_l" not in names
    verdicts = FRAME.with_columns(
        pl.lit(None, dtype=PASSAGE_SCHEMA[name]).alias(name)
        for name in ("nll", "token_accuracy", "longest_run", "logprob_sampled", "mia_loss")
    )
    assert set(summarise(verdicts)["measure"]) == {"extractable"}
    assert coverage_table(verdicts).is_empty()
    assert discoverable_table(verdicts).is_empty()


def test_continuations_are_summarised_over_the_passages_that_have_one() -> None:
    values = pl.when(~pl.col("is_control")).then(pl.col("token_accuracy"))
    frame = FRAME.with_columns(
        values.alias(name) for name in GENERATION_SCHEMA if name != "generated_text"
    )
    table = summarise(frame)
    row = pick(table, source="all", category="all", prefix_len=20, group="texts", measure="rouge_l")
    other = pick(
        table, source="all", category="all", prefix_len=20, group="texts", measure="token_accuracy"
    )
    assert (row["value"], row["low"]) == (other["value"], other["low"])
    assert table.filter(pl.col("group") == "mismatched", pl.col("measure") == "bleu").is_empty()


def test_one_passage_has_a_value_but_no_bootstrap_interval() -> None:
    table = summarise(FRAME.filter(pl.col("id") == FRAME["id"][0]))
    row = pick(table, source="all", category="all", measure="nll")
    assert (row["n"], row["method"], row["low"], row["high"]) == (1, "none", None, None)
    row = pick(table, source="all", category="all", measure="extractable")
    assert (row["low"], row["high"]) == pytest.approx(wilson(row["value"], 1))


def test_an_impossible_text_has_infinite_perplexity() -> None:
    frame = FRAME.with_columns(pl.lit(math.inf).alias("nll"))
    row = pick(
        summarise(frame),
        source="all",
        category="all",
        prefix_len=20,
        group="texts",
        measure="perplexity",
    )
    assert row["value"] == math.inf
    assert row["low"] is None


def test_attacks_are_judged_where_members_are_known() -> None:
    part = FRAME.filter(~pl.col("is_control"), pl.col("prefix_len") == 20).sort("id")
    row = pick(
        summarise(FRAME, seed=1),
        source="all",
        category="all",
        prefix_len=20,
        group="texts",
        measure="auc_loss",
    )
    expected = auc(
        part["mia_loss"].to_numpy(),
        part["member"].to_numpy(),
        clusters=part["record"].to_numpy(),
        seed=1,
    )
    assert row["value"] == pytest.approx(expected.value)
    assert row["low"] <= row["value"] <= row["high"]
    names = set(summarise(FRAME)["measure"])
    assert not any(name.startswith("tpr") for name in names)  # 24 non-members show no 1 %
    unknown = FRAME.with_columns(pl.lit(None, dtype=pl.Boolean).alias("member"))
    assert "auc_loss" not in set(summarise(unknown)["measure"])


def test_a_suffix_too_short_for_a_long_run_does_not_count_as_one_without() -> None:
    short = pl.col("id").str.contains("r1[0-9]@")
    mixed = FRAME.with_columns(suffix_len=pl.when(short).then(19).otherwise("suffix_len"))
    keys = {"source": "all", "category": "all", "prefix_len": 20, "group": "texts"}
    row = pick(summarise(mixed), **keys, measure="run_ge_20")
    long = FRAME.filter(~short, ~pl.col("is_control"), prefix_len=20)
    assert (row["n"], row["value"]) == (len(long), (long["longest_run"] >= 20).mean())
    none = summarise(FRAME.with_columns(suffix_len=pl.lit(19, pl.Int32)))
    assert "run_ge_20" not in set(none["measure"])


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_shares_that_are_all_alike_get_the_bound_of_their_records(value: float) -> None:
    same = FRAME.with_columns(token_accuracy=pl.lit(value))
    keys = {"source": "all", "category": "all", "prefix_len": 20, "group": "texts"}
    row = pick(summarise(same, confidence=0.9), **keys, measure="token_accuracy")
    assert (row["low"], row["high"]) == pytest.approx(clopper_pearson(30 * value, 30, 0.9))
    assert (row["value"], row["method"]) == (value, "clopper-pearson")
    other = pick(
        summarise(FRAME.with_columns(token_accuracy=pl.lit(0.5))), **keys, measure="token_accuracy"
    )
    assert (other["low"], other["high"], other["method"]) == (None, None, "none")


def test_members_found_at_a_low_rate_need_a_hundred_others() -> None:
    frame = make_frame(records=150, lengths=(50,))
    row = pick(
        summarise(frame),
        source="all",
        category="all",
        group="texts",
        measure="tpr_at_low_fpr_loss",
    )
    assert 0 <= row["low"] <= row["value"] <= row["high"] <= 1


def test_discoverable_rates_grow_with_n_and_are_the_definition() -> None:
    table = discoverable_table(FRAME, p=[0.1, 0.9], confidence=0.9)
    part = FRAME.filter(~pl.col("is_control"), pl.col("prefix_len") == 20)
    for p in (0.1, 0.9):
        rows = table.filter(
            pl.col("p") == p,
            pl.col("source") == "all",
            pl.col("category") == "all",
            pl.col("prefix_len") == 20,
            pl.col("group") == "texts",
        )
        assert rows["n"].to_list() == list(DRAWS)
        assert rows["rate"].is_sorted()
        assert rows["passages"].unique().to_list() == [len(part)]
        for n, value in rows.select("n", "rate").iter_rows():
            seen = [discoverable(x, n, p) for x in part["logprob_sampled"]]
            assert value == pytest.approx(np.mean(seen))
        assert (rows["low"] <= rows["rate"]).all()
        assert (rows["rate"] <= rows["high"]).all()


def test_the_grid_of_draws_runs_from_one_to_a_million() -> None:
    assert (DRAWS[0], DRAWS[-1]) == (1.0, 1e6)
    assert list(DRAWS) == sorted(set(DRAWS))


def test_coverage_is_the_union_over_the_windows_of_a_record() -> None:
    table = coverage_table(FRAME, [0.1, 0.001])
    for key, rows in FRAME.filter(~pl.col("is_control")).group_by("source", "record", "prefix_len"):
        source, record, prefix_len = key
        for threshold in (0.1, 0.001, None):
            asked, covered = set(), set()
            for row in rows.iter_rows(named=True):
                start = row["offset"] + row["prefix_len"]
                span = set(range(start, start + row["suffix_len"]))
                asked |= span
                if threshold is None and row["extractable"]:
                    covered |= span
                if threshold is not None and row["logprob_sampled"] >= math.log(threshold):
                    covered |= span
            found = table.filter(
                pl.col("source") == source,
                pl.col("record") == record,
                pl.col("prefix_len") == prefix_len,
                pl.col("threshold").eq_missing(threshold),
            ).row(0, named=True)
            assert (found["tokens"], found["covered"]) == (len(asked), len(covered))
            assert found["coverage"] == pytest.approx(len(covered) / len(asked))


def test_fits_are_made_of_the_texts_alone() -> None:
    texts = FRAME.filter(~pl.col("is_control"))
    table = fit_table(FRAME, seed=2)
    assert_frame_equal(table, fit_table(texts, seed=2))
    row = pick(table, against="prefix_len", source="all", category="all", measure="token_accuracy")
    means = [
        texts.filter(pl.col("prefix_len") == x).select(pl.col("token_accuracy").mean()).item()
        for x in (20, 50)
    ]
    assert row["slope"] == pytest.approx((means[1] - means[0]) / math.log10(50 / 20))
    assert row["intercept"] + row["slope"] * math.log10(20) == pytest.approx(means[0])
    assert row["n_points"] == 2
    assert row["low"] <= row["slope"] <= row["high"]
    assert set(table["against"]) == {"prefix_len", "count"}


def test_without_a_sweep_there_is_no_fit() -> None:
    frame = FRAME.filter(pl.col("prefix_len") == 20).with_columns(
        pl.lit(None, dtype=pl.Int64).alias("count")
    )
    assert fit_table(frame).is_empty()


def test_options_are_checked() -> None:
    with pytest.raises(InputError, match="p is"):
        summarise(FRAME, p=1.0)
    with pytest.raises(InputError, match="confidence"):
        summarise(FRAME, confidence=2.0)
    with pytest.raises(InputError, match="threshold"):
        coverage_table(FRAME, [0.0])


def test_every_measure_reads_a_column_of_the_table() -> None:
    known = set(PASSAGE_SCHEMA) | set(GENERATION_SCHEMA)
    assert {m.column for m in summary_measures(10, 0.5)} <= known
