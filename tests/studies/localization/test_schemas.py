"""The study's tables are as they are described: the same tables, columns and types."""

from __future__ import annotations

from byrote.studies.localization.analysis import analyse
from byrote.studies.localization.schemas import ABOUT, COLUMNS, SCHEMAS


def test_tables_have_the_columns_that_are_described(measured, whole):
    found = {**measured, **analyse(measured, whole)}
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
