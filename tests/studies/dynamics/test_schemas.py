"""The study's tables are as they are described: the same tables, columns and types."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from byrote.studies.dynamics import STUDY
from byrote.studies.dynamics.config import CheckpointsConfig, SequentialConfig
from byrote.studies.dynamics.schemas import ABOUT, COLUMNS, SCHEMAS
from tests.studies.dynamics.tiny import MODEL, run, tiny

FROM_CELLS = (
    "trainings", "epochs", "positions", "heldout", "context", "ceilings", "sequential",
    "sequential_text", "pretraining",
)  # fmt: skip


def test_tables_have_the_columns_that_are_described(tmp_path):
    config = tiny(
        models='{"tiny": {"source": "' + MODEL.replace("=300", "=49152") + "&tokenizer="
        'bundled:smollm2-135m"}}',
        context__models="tiny",
    )
    config = replace(
        config,
        sequential=SequentialConfig(
            models=("tiny",), n=16, letters=4, strings=2, epochs=2, every=2, text_windows=2
        ),
        checkpoints=CheckpointsConfig(
            source=MODEL, steps=(0, 2), batch=2, context=32, letters=4, n=8, epochs=2
        ),
    )
    tables = run(config, tmp_path)
    derived = STUDY.analyse(tables, config)
    found = {
        **{
            name: table.select(pl.lit("c").alias("cell"), pl.all())
            for name, table in tables.items()
        },
        **derived,
    }
    assert set(tables) == set(FROM_CELLS)
    assert set(found) == set(SCHEMAS) == set(ABOUT)
    for name, table in found.items():
        assert table.columns == list(SCHEMAS[name]), name
        for column, kind in SCHEMAS[name].items():
            assert table.schema[column] == kind, f"{name}.{column}"


def test_every_column_has_a_meaning():
    columns = {f"{table}.{column}" for table, schema in SCHEMAS.items() for column in schema}
    assert columns == set(COLUMNS)
    assert all(meaning.endswith(".") for meaning in COLUMNS.values())
