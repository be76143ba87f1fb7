"""The study's tables are as they are described: the same tables, columns and types."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from byrote.studies.goldfish.analysis import analyse
from byrote.studies.goldfish.schemas import ABOUT, COLUMNS, SCHEMAS
from tests.studies.goldfish.tiny import run, tiny, tuning


def test_tables_have_the_columns_that_are_described(tmp_path, corpus, folder):
    config = replace(
        tiny(corpus, scratch__arms="standard,hash-3,random-4"),
        extreme=tuning(corpus, folder, extreme__arms="standard,hash-3").extreme,
    )
    cells = {
        name: table.select(pl.lit("c").alias("cell"), pl.all())
        for name, table in run(config, tmp_path).items()
    }
    found = {**cells, **analyse(cells, config)}
    assert set(found) == set(SCHEMAS) == set(ABOUT)
    for name, table in found.items():
        assert not table.is_empty(), name
        assert table.columns == list(SCHEMAS[name]), name
        for column, kind in SCHEMAS[name].items():
            assert table.schema[column] == kind, f"{name}.{column}"


def test_every_column_has_a_meaning():
    columns = {f"{table}.{column}" for table, schema in SCHEMAS.items() for column in schema}
    assert columns == set(COLUMNS)
    assert all(meaning.endswith(".") for meaning in (*COLUMNS.values(), *ABOUT.values()))
