import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from byrote.errors import InputError
from byrote.texts import Passage, draw


def passages_of(*groups):
    """Passages of (source, category, how many), group after group."""
    return [
        Passage(f"{s}{c}{i}", s, f"{s}{c}", i, np.array([i, i], dtype=np.int32), 1, category=c)
        for s, c, n in groups
        for i in range(n)
    ]


def names(passages):
    return [p.id for p in passages]


@given(st.integers(1, 12), st.integers(0, 30), st.integers(0, 30), st.integers(0, 5))
def test_each_source_gives_its_limit_in_the_order_of_the_stream(limit, n, m, seed):
    stream = passages_of(("a", "x", n), ("b", "x", m))
    drawn = names(draw(stream, limit, seed))
    assert len(drawn) == min(limit, n) + min(limit, m)
    order = names(stream)
    assert [order.index(name) for name in drawn] == sorted(order.index(name) for name in drawn)
    assert len(set(drawn)) == len(drawn)


def test_categories_of_a_source_are_drawn_in_proportion():
    stream = passages_of(("a", "x", 900), ("a", "y", 100))
    drawn = [p.category for seed in range(60) for p in draw(stream, 20, seed)]
    assert len(drawn) == 1200
    # 120 of the rarer one expected; the standard deviation of a binomial count is 10.4.
    assert abs(drawn.count("y") - 120) < 5 * 10.4


@given(st.permutations(range(24)))
def test_how_sources_are_mixed_makes_no_difference(order):
    groups = passages_of(("a", "x", 24)), passages_of(("b", "x", 24))
    mixed = []
    left, right = map(iter, groups)
    for turn in order:
        mixed.append(next(left if turn % 2 else right))
    mixed += [*left, *right]
    alone = set(names(draw(groups[0], 5, 3))) | set(names(draw(groups[1], 5, 3)))
    assert set(names(draw(mixed, 5, 3))) == alone


def test_the_seed_decides():
    stream = passages_of(("a", "x", 500))
    assert names(draw(stream, 5, 1)) == names(draw(stream, 5, 1))
    assert names(draw(stream, 5, 1)) != names(draw(stream, 5, 2))


def test_every_passage_is_drawn_equally_often():
    stream = passages_of(("a", "x", 40))
    hits = np.zeros(40)
    for seed in range(2000):
        for passage in draw(stream, 4, seed):
            hits[passage.offset] += 1
    # 200 expected; the standard deviation of a binomial count is 13.4.
    assert hits.sum() == 8000
    assert np.abs(hits - 200).max() < 5 * 13.4


def test_drawn_passages_own_their_ids():
    block = np.arange(100, dtype=np.int32)
    stream = (Passage(f"p{i}", "s", "r", i, block[i : i + 2], 1) for i in range(90))
    assert all(p.input_ids.base is None for p in draw(stream, 3, 0))


def test_no_limit_streams_everything():
    stream = iter(passages_of(("a", "x", 3)))
    assert draw(stream, None, 0) is stream


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_that_is_not_positive_is_refused(limit):
    with pytest.raises(InputError, match=f"limit is {limit} passages"):
        draw([], limit, 0)
