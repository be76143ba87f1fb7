"""The derived tables on made-up ones whose answers are known."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import combinations

import numpy as np
import polars as pl
import pytest

from byrote.studies.dynamics.analysis import analyse, learned_at, over_strings, spearman
from byrote.studies.dynamics.config import CheckpointsConfig, DynamicsConfig, SizeConfig
from byrote.studies.dynamics.schemas import SCHEMAS
from tests.studies.dynamics.tiny import TINY, tiny


def rasters(**strings):
    """The table `positions` of one exposure: a list of rows of hits for each string."""
    parts = []
    for name, rows in strings.items():
        hits = np.array(rows, dtype=bool)
        epochs, positions = hits.shape
        parts.append(
            pl.DataFrame(
                {
                    "training": "t",
                    "string": int(name[1:]),
                    "epoch": np.repeat(np.arange(epochs), positions),
                    "position": np.tile(np.arange(positions), epochs),
                    "hit": hits.ravel(),
                    "loss": 1.0,
                },
                schema_overrides={"string": pl.Int32},
            )
        )
    return pl.concat(parts)


def learned_in(order, epochs):
    """Hits such that position i is right from epoch `order[i]` on."""
    return [[epoch >= at for at in order] for epoch in range(epochs)]


def test_a_position_is_learned_once_it_is_right_up_to_the_end():
    hits = [[1, 0, 0, 1, 0], [1, 1, 0, 0, 0], [1, 0, 1, 1, 0], [1, 1, 1, 1, 0]]
    found = learned_at(rasters(s0=hits).sample(fraction=1.0, shuffle=True, seed=0))
    assert found[:4].tolist() == [0.0, 3.0, 2.0, 2.0]
    assert math.isnan(found[4])


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        (list(range(10)), 1.0),
        (list(range(9, -1, -1)), -1.0),
        ([4] * 10, None),
        ([5, 0, 4, 1, 3, 2, 9, 6, 8, 7], None),
    ],
)
def test_the_order_is_the_rank_correlation_of_position_and_epoch(order, expected):
    found = analyse({"positions": rasters(s0=learned_in(order, 11))}, TINY)["order"]
    row = found.row(0, named=True)
    assert (row["positions"], row["memorised"]) == (10, 10)
    if expected is None and len(set(order)) > 1:
        # Without ties: 1 - 6 Σd² / (n (n² - 1)).
        squares = sum((i - epoch) ** 2 for i, epoch in enumerate(order))
        expected = 1 - 6 * squares / (10 * 99)
    assert row["spearman"] == (expected if expected is None else pytest.approx(expected))


def test_positions_that_are_not_learned_come_last():
    # Five positions in order, then five that are never right: still the order of the string.
    order = [0, 1, 2, 3, 4, 99, 99, 99, 99, 99]
    found = analyse({"positions": rasters(s0=learned_in(order, 6))}, TINY)["order"]
    row = found.row(0, named=True)
    assert row["memorised"] == 5
    assert row["spearman"] == pytest.approx(spearman(np.arange(10), [0, 1, 2, 3, 4] + [6] * 5))
    assert row["spearman"] > 0.9


def test_few_positions_have_no_order():
    found = analyse({"positions": rasters(s0=learned_in([0, 1, 2], 4))}, TINY)["order"]
    assert found["spearman"].to_list() == [None]


def test_a_rank_correlation_with_a_constant_is_none_at_all():
    assert spearman([1, 2, 3], [5, 5, 5]) == 0.0
    assert spearman([1, 2, 3], [1, 2, 9]) == pytest.approx(1.0)


FACTS = {
    "source": "m", "init": "pretrained", "part": "all", "parameters": 10, "distribution": "uniform",
    "letters": 4, "entropy": math.log(4), "entropy_rate": math.log(4), "n": 16, "guess": 0.25,
    "modal": 0.3, "string_entropy": 1.3, "targets": 16,
}  # fmt: skip


def curves(*memorised, epochs=20, training="m.u4.n16", model="m", **facts):
    """The tables `trainings` and `epochs`: guessed up to the epoch before each is memorised."""
    trainings, rows = [], []
    for string, at in enumerate(memorised):
        trainings.append({"training": training, "string": string, "model": model, **FACTS, **facts})
        for epoch in range(epochs + 1):
            known = at is not None and epoch >= at
            guessing = epoch >= 3
            rows.append(
                {
                    "training": training,
                    "string": string,
                    "epoch": epoch,
                    "loss": 0.01 if known else 1.3 + (0.01 if guessing else 5.0),
                    "accuracy": 1.0 if known else 0.25,
                    "mass": 1.0 if guessing or known else 0.01,
                    "entropy": 1.0,
                    "kl_empirical_model": 9.0 if known else (0.01 if guessing else 5.0),
                    "kl_source_model": 9.0 if known else (0.01 if guessing else 5.0),
                }
            )
    ints = {"string": pl.Int32}
    return {
        "trainings": pl.DataFrame(trainings, schema_overrides=ints),
        "epochs": pl.DataFrame(rows, schema_overrides={**ints, "epoch": pl.Int32}),
    }


def test_phases_are_those_of_each_curve():
    found = analyse(curves(8, 12, None), TINY)["phases"]
    assert found["t_mem"].to_list() == [8, 12, None]
    assert found["t_guess"].to_list() == [7, 11, None]
    assert found["t_in_alphabet"].to_list() == [3, 3, 3]
    assert found["t_best_guess"].to_list() == [3, 3, None]
    assert found["first_loss"].to_list() == [6.3] * 3
    assert found["guess_loss"].to_list() == [1.31] * 2 + [None]
    assert found["guess_accuracy"].to_list() == [0.25, 0.25, None]
    assert found["last_epoch"].to_list() == [20] * 3
    assert found["last_accuracy"].to_list() == [1.0, 1.0, 0.25]


def test_guessing_is_measured_against_the_string_and_for_markov_against_its_rule():
    # The loss of 1.31 is .04 below ln 4, the entropy of the source, from epoch 3 on.
    assert analyse(curves(10), TINY)["phases"]["floor"].to_list() == [1.3]
    ruled = analyse(curves(10, distribution="markov", entropy_rate=0.7), TINY)["phases"]
    assert ruled["floor"].to_list() == [0.7]
    # Letters that are rarer in the source than in the string: who guesses knows the string's.
    other = analyse(curves(10, entropy=0.9, entropy_rate=0.9, distribution="skewed"), TINY)
    assert other["phases"]["floor"].to_list() == [1.3]


def test_what_was_never_reached_has_its_columns_type():
    derived = analyse({**curves(None, None), **sequence(never=True)}, TINY)
    for name in ("phases", "phase_times", "stages"):
        for column, kind in derived[name].schema.items():
            assert kind == SCHEMAS[name][column], f"{name}.{column}"
    assert derived["phases"]["t_mem"].to_list() == [None, None]
    assert derived["stages"]["t_mem"].to_list() == [None] * 4


def test_times_over_strings_count_what_did_not_get_there():
    table = analyse(curves(8, 12, None), TINY)["phase_times"]
    assert table["which"].to_list() == ["t_in_alphabet", "t_guess", "t_mem"]
    row = table.filter(which="t_mem").row(0, named=True)
    assert (row["strings"], row["censored"], row["median"]) == (3, 1, 12.0)
    assert (row["median_low"], row["median_high"]) == (8.0, math.inf)
    assert row["median_confidence"] == pytest.approx(0.75)
    assert math.isnan(row["mean"])
    whole = analyse(curves(8, 12, 10), TINY)["phase_times"].filter(which="t_mem").row(0, named=True)
    # Standard deviation 2, three strings: 4.3027 · 2 / √3 either way.
    assert whole["mean"] == 10.0
    assert whole["mean_low"] == pytest.approx(10 - 4.9683, abs=1e-4)
    assert whole["mean_high"] == pytest.approx(10 + 4.9683, abs=1e-4)


def test_exposures_are_not_mixed():
    one = curves(8, 8)
    two = curves(12, 12, training="r.u4.n16", model="r", init="random")
    both = {name: pl.concat([one[name], two[name]]) for name in one}
    table = analyse(both, TINY)["phase_times"].filter(which="t_mem")
    assert table.select("training", "init", "median").rows() == [
        ("m.u4.n16", "pretrained", 8.0),
        ("r.u4.n16", "random", 12.0),
    ]


def held_out(*epochs, losses):
    """Two held-out strings beside string 0, 1 nat below and above their mean."""
    rows = [
        {
            "training": "m.u4.n16", "string": 0, "epoch": epoch, "heldout": index,
            "loss": loss + (2 * index - 1), "accuracy": 0.1 + 0.2 * index,
        }
        for epoch, loss in zip(epochs, losses, strict=True)
        for index in range(2)
    ]  # fmt: skip
    frame = pl.DataFrame(rows, schema_overrides={"string": pl.Int32, "epoch": pl.Int32})
    return frame.sample(fraction=1.0, shuffle=True, seed=1)


def test_held_out_strings_are_averaged_before_they_are_followed():
    tables = {**curves(8), "heldout": held_out(0, 10, 20, losses=(7.0, 2.0, 4.5))}
    row = analyse(tables, TINY)["control"].row(0, named=True)
    expected = {
        "training": "m.u4.n16", "string": 0, "first_loss": 7.0, "least_loss": 2.0,
        "least_epoch": 10, "last_loss": 4.5, "last_accuracy": 0.2, "last_epoch": 20, "guess": 0.25,
        "entropy_rate": math.log(4), "trained_loss": 0.01, "trained_accuracy": 1.0, "between": 0,
    }  # fmt: skip
    assert row == pytest.approx(expected)


def test_the_control_is_compared_at_the_same_epoch():
    # Held-out strings were last measured while the string was still guessed.
    tables = {**curves(8), "heldout": held_out(0, 5, losses=(7.0, 2.0))}
    row = analyse(tables, TINY)["control"].row(0, named=True)
    assert (row["last_epoch"], row["trained_loss"]) == (5, pytest.approx(1.31))
    assert row["trained_accuracy"] == 0.25


def test_the_control_says_whether_it_was_measured_during_the_phases():
    # In the alphabet from epoch 3, memorised at 8.
    for epochs, expected in (((0, 9), 0), ((2, 3), 1), ((3, 5, 8), 3), ((0, 20), 0)):
        tables = {**curves(8), "heldout": held_out(*epochs, losses=[2.0] * len(epochs))}
        assert analyse(tables, TINY)["control"]["between"].to_list() == [expected]
    never = {**curves(None), "heldout": held_out(3, 5, losses=(2.0, 2.0))}
    assert analyse(never, TINY)["control"]["between"].to_list() == [0]


def test_contexts_are_averaged_by_string_first():
    rows = []
    # String 0 is asked for four times, string 1 once: each counts as one.
    for string, hits in ((0, [1, 1, 1, 0]), (1, [0])):
        for position, hit in enumerate(hits):
            rows.append(
                {
                    "training": "t", "string": string, "epoch": 10, "condition": "truncate",
                    "k": 3, "draw": 0, "position": position, "hit": bool(hit), "nll": 2.0,
                }
            )  # fmt: skip
    ints = {"string": pl.Int32, "epoch": pl.Int32, "k": pl.Int32}
    ceilings = {"training": "t", "string": [0, 1], "k": [3, 3], "accuracy": [0.9, 0.7]}
    tables = {
        "context": pl.DataFrame(rows, schema_overrides=ints),
        "ceilings": pl.DataFrame(ceilings, schema_overrides={"string": pl.Int32, "k": pl.Int32}),
    }
    found = analyse(tables, TINY)["contexts"]
    by = {(r["condition"], r["measure"]): r for r in found.iter_rows(named=True)}
    assert len(by) == len(found) == 3
    hit = by["truncate", "accuracy"]
    assert (hit["strings"], hit["value"]) == (2, pytest.approx(0.375))
    # A share has bounds, an interval over two strings has none.
    assert (hit["low"], hit["high"]) == (0.0, 1.0)
    assert by["truncate", "nll"]["value"] == 2.0
    assert by["k-gram ceiling", "accuracy"]["value"] == pytest.approx(0.8)


def test_the_ceiling_is_that_of_the_positions_asked():
    # a b a c a b a c …: after a comes b or c, after b and c always a.
    ids = [0, 1, 0, 2] * 6
    rows = [
        {
            "training": "t", "string": 0, "epoch": 10, "condition": condition, "k": 1, "draw": 0,
            "position": position, "hit": True, "nll": 0.1,
        }
        for condition, positions in (("truncate", (5, 7, 8, 9)), ("shuffle", (5, 7)))
        for position in positions
    ]  # fmt: skip
    ints = {"string": pl.Int32, "epoch": pl.Int32, "k": pl.Int32}
    ceilings = {"training": ["t"], "string": [0], "k": [1], "accuracy": [0.75]}
    tables = {
        "context": pl.DataFrame(rows, schema_overrides=ints),
        "ceilings": pl.DataFrame(ceilings, schema_overrides={"string": pl.Int32, "k": pl.Int32}),
        "trainings": pl.DataFrame({"training": ["t"], "string": [0], "ids": [ids]}),
    }
    derived = analyse(tables, TINY)
    asked = derived["asked_ceilings"].row(0, named=True)
    # Scored from position 2 on, c follows a once more than b does: so c is said, and is right at
    # position 7, not at 5 and 9; a at position 8 is sure.
    assert (asked["positions"], asked["accuracy"]) == (4, 0.5)
    found = derived["contexts"].filter(measure="accuracy")
    by = dict(zip(found["condition"], found["positions"], strict=True))
    assert by == {"truncate": 4, "shuffle": 2, "k-gram ceiling": 4}
    values = dict(zip(found["condition"], found["value"], strict=True))
    assert values["k-gram ceiling"] == 0.5


def test_a_published_step_0_is_a_model_without_pretraining():
    for source, expected in (
        ("EleutherAI/pythia-1b@step0", "random"),
        ("EleutherAI/pythia-1b@step1000", "pretrained"),
        ("EleutherAI/pythia-1b", "pretrained"),
    ):
        assert analyse(curves(8, source=source), TINY)["phases"]["init"].to_list() == [expected]


def test_an_interval_over_strings_is_that_of_student():
    found = over_strings([1.0, 2.0, 3.0, None, float("nan")])
    assert found == pytest.approx(
        {"strings": 3, "value": 2.0, "low": 2.0 - 2.4841, "high": 2.0 + 2.4841}, abs=1e-4
    )


def sequence(*, spike=False, never=False):
    """Three strings in sequence and the first again; what is learned is half forgotten later."""
    rows = []
    t_mem = dict.fromkeys(range(4), 99) if never else {0: 8, 1: 6, 2: 4, 3: 2}
    for stage, learned in enumerate([0, 1, 2, 0]):
        for epoch in range(11):
            for measured in range(3):
                if measured != learned and epoch % 5:
                    continue
                if measured == learned:
                    accuracy = 1.0 if epoch >= t_mem[stage] or (spike and epoch == 1) else 0.1
                else:
                    known = measured < stage and measured != learned
                    accuracy = 0.5 ** (stage - measured) if known else 0.05
                rows.append(
                    {
                        "model": "m", "optimiser": "fresh", "chain": 0, "stage": stage,
                        "learned": learned, "epoch": epoch, "measured": measured,
                        "loss": 3.0 - 2 * accuracy, "accuracy": accuracy,
                    }
                )  # fmt: skip
    text = pl.DataFrame(
        {
            "model": "m", "optimiser": "fresh", "chain": 0,
            "stage": [-1, 0, 1, 2, 3], "loss": [2.0, 2.5, 2.6, 2.7, 2.8],
        }
    )  # fmt: skip
    return {"sequential": pl.DataFrame(rows).sample(fraction=1.0, seed=3, shuffle=True),
            "sequential_text": text}  # fmt: skip


def test_each_stage_has_its_time_and_the_last_one_is_again():
    found = analyse(sequence(), TINY)["stages"].sort("stage")
    assert found["learned"].to_list() == [0, 1, 2, 0]
    assert found["again"].to_list() == [False, False, False, True]
    assert found["t_mem"].to_list() == [8, 6, 4, 2]
    assert found["first_accuracy"].to_list() == [0.1] * 4
    assert found["last_accuracy"].to_list() == [1.0] * 4
    assert found["text_loss"].to_list() == [2.5, 2.6, 2.7, 2.8]
    tables = sequence()
    del tables["sequential_text"]
    assert "text_loss" not in analyse(tables, TINY)["stages"].columns


def test_one_epoch_of_success_is_no_memory_in_a_sequence_either():
    found = analyse(sequence(spike=True), TINY)["stages"].sort("stage")
    assert found["t_mem"].to_list() == [8, 6, 4, 1]  # 1 and 2: two epochs in a row


def test_retention_is_what_is_left_at_the_end_of_later_stages():
    found = analyse(sequence(), TINY)["retention"].sort("stage", "measured")
    assert found.select("stage", "measured", "since", "accuracy").rows() == [
        (0, 0, 0, 1.0),
        (1, 0, 1, 0.5),
        (1, 1, 0, 1.0),
        (2, 0, 2, 0.25),
        (2, 1, 1, 0.5),
        (2, 2, 0, 1.0),
    ]


def test_experiments_say_which_exposures_they_read():
    config = tiny(length__models=("tiny",), length__letters=4, length__lengths=(16, 8))
    config = replace(config, size=SizeConfig(ladders={"one": ("tiny",)}, letters=4, n=16))
    assert analyse({}, config)["experiments"].rows() == [
        ("phases", "tiny.u4.n16", None, None),
        ("length", "tiny.u4.n16", None, None),
        ("length", "tiny.u4.n8", None, None),
        ("size", "tiny.u4.n16", "one", None),
    ]


def test_a_model_on_two_ladders_is_on_both():
    config = replace(
        tiny(), size=SizeConfig(ladders={"one": ("tiny",), "two": ("tiny",)}, letters=4, n=16)
    )
    found = analyse({}, config)["experiments"].filter(experiment="size")
    assert found["ladder"].to_list() == ["one", "two"]


def test_checkpoints_are_in_the_order_of_their_steps_wherever_they_come_from():
    made = pl.DataFrame(
        {
            "training": ["checkpoint.0", "checkpoint.0", "checkpoint.30", "checkpoint.u4.n16"],
            "string": [0, 1, 0, 0],
        }
    )
    found = analyse({"trainings": made}, DynamicsConfig())["experiments"]
    assert found.rows() == [
        ("checkpoints", "checkpoint.0", None, 0),
        ("checkpoints", "checkpoint.30", None, 30),
    ]
    published = replace(
        TINY,
        phases=replace(TINY.phases, models=()),
        checkpoints=CheckpointsConfig(models=("tiny",), steps=(512,), letters=4, n=16),
    )
    assert analyse({}, published)["experiments"].rows() == [
        ("checkpoints", "tiny.u4.n16", None, 512)
    ]


def test_missing_tables_are_borne():
    tables = {
        **curves(8, 12),
        "positions": rasters(s0=learned_in(range(10), 11)),
        **sequence(),
    }
    for count in range(len(tables) + 1):
        for names in combinations(tables, count):
            derived = analyse({name: tables[name] for name in names}, TINY)
            assert "experiments" in derived
            assert ("phases" in derived) == ({"trainings", "epochs"} <= set(names))
            assert ("order" in derived) == ("positions" in names)
            assert ("stages" in derived) == ("sequential" in names)
