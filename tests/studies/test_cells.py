"""Cells: named, seeded and checked before anything runs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from byrote.studies import Cell
from byrote.studies.cells import seeded

TASK = "tests.studies.fake:throw"


def test_a_seed_depends_on_the_study_and_the_cell_alone():
    cells = [Cell("a", TASK, {}), Cell("b", TASK, {})]
    a, b = (work.seed for work in seeded(cells, 0))
    assert a != b
    assert seeded(cells[1:], 0)[0].seed == b
    assert seeded([Cell("a", TASK, {"x": 1}, 9.0)], 0)[0].seed == a
    assert seeded(cells, 1)[0].seed != a


@given(st.integers(min_value=0, max_value=2**62), st.from_regex(r"[a-z0-9]{1,9}", fullmatch=True))
def test_seeds_are_64_bit_numbers(seed, name):
    assert 0 <= seeded([Cell(name, TASK, {})], seed)[0].seed < 2**64


def test_params_are_as_json_gives_them_back():
    assert seeded([Cell("a", TASK, {"x": (1, 2)})], 0)[0].params == {"x": [1, 2]}


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ([], "no cells"),
        ([Cell("a", TASK, {}), Cell("a", TASK, {})], "two cells have the id 'a'"),
        ([Cell("a", TASK, {}), Cell("A", TASK, {})], "two cells have the id 'A'"),
        ([Cell("a/b", TASK, {})], "not fit for a file name"),
        ([Cell(".a", TASK, {})], "not fit for a file name"),
        ([Cell("", TASK, {})], "not fit for a file name"),
        ([Cell("a" * 121, TASK, {})], "not fit for a file name"),
        ([Cell("a", "nowhere", {})], "is not `module:function`"),
        ([Cell("a", TASK, {"x": object()})], "not JSON"),
        ([Cell("a", TASK, {"x": float("nan")})], "not JSON"),
        ([Cell("a", TASK, {}, 0.0)], "not a positive number"),
        ([Cell("a", TASK, {}, float("inf"))], "not a positive number"),
    ],
)
def test_cells_that_are_not_fit_are_refused(cells, message):
    with pytest.raises(ValueError, match=message):
        seeded(cells, 0)
