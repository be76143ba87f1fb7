"""The control by position in the string."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from byrote.studies.dynamics.figures_control import position_figures, position_losses
from byrote.studies.dynamics.presets import LAPTOP
from tests.studies.dynamics.synthetic import study_data


def by_position(strings):
    """The table `heldout`: for each string its mean losses by epoch, the same at all positions."""
    rows = [
        {
            "training": "smollm2-135m.u26.n128", "string": string, "heldout": 0, "epoch": epoch,
            "loss": loss, "position_loss": [None] + [loss] * 127,
        }
        for string, losses in enumerate(strings)
        for epoch, loss in losses.items()
    ]  # fmt: skip
    return pl.DataFrame(rows, schema_overrides={"string": pl.Int32, "epoch": pl.Int32})


def test_losses_by_position_are_of_each_strings_own_epochs():
    found = position_losses(by_position([{0: 7.0, 5: 3.0, 10: 9.0}, {0: 5.0, 20: 4.0, 40: 6.0}]))
    means = found.group_by("moment", maintain_order=True).agg(pl.col("value").unique())
    assert dict(means.rows()) == {"first": [6.0], "last": [7.5], "least": [3.5]}
    one = found.filter(moment="first")["position"].to_list()
    # 127 positions in groups of four, of which the first has three.
    assert one[:2] == [2.0, 5.5]
    assert len(one) == 32


def test_losses_by_position_find_a_loss_that_falls_along_the_string():
    table = by_position([{0: 7.0, 5: 3.0}]).with_columns(
        position_loss=pl.lit([float(128 - i) for i in range(128)], dtype=pl.List(pl.Float64))
    )
    values = position_losses(table).filter(moment="last")["value"].to_list()
    assert values == sorted(values, reverse=True)


def test_held_out_strings_have_a_chart_by_position():
    laptop = study_data(LAPTOP)
    assert position_figures(laptop) == []  # made up without them
    changed = replace(
        laptop, tables={**laptop.tables, "heldout": by_position([{0: 7.0, 5: 3.0, 10: 9.0}])}
    )
    (figure,) = position_figures(changed)
    rows = [row for part in figure.chart.to_dict()["datasets"].values() for row in part]
    assert figure.name == "control-positions-smollm2-135m.u26.n128"
    assert {r["series"] for r in rows if "series" in r} == {
        "before training", "where their loss is lowest", "at the end",
    }  # fmt: skip
