from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from byrote.errors import InputError
from byrote.texts import Passage, make_controls, mismatched, shuffled
from byrote.texts.windows import with_prefix_len


def passage(name, source, record, suffix, **fields):
    ids = np.array([900, 901, *suffix], dtype=np.int32)
    return Passage(name, source, f"{source}/{record}", 0, ids, 2, **fields)


PASSAGES = st.lists(
    st.tuples(st.sampled_from("ab"), st.integers(0, 3), st.lists(st.integers(0, 2), max_size=3)),
    max_size=14,
).map(lambda rows: [passage(f"p{i}", s, r, [7, *x]) for i, (s, r, x) in enumerate(rows)])


def suffix_of(p):
    return tuple(p.suffix_ids.tolist())


@settings(deadline=None, max_examples=300)
@given(PASSAGES, st.integers(0, 3))
def test_mismatched_is_a_derangement_of_the_suffixes_wherever_there_is_one(passages, seed):
    controls = {c.control_of: c for c in mismatched(passages, seed)}
    by_length = {}
    for p in passages:
        by_length.setdefault(p.suffix_len, []).append(p)
    for group in by_length.values():
        contents = Counter(map(suffix_of, group))
        given_away = Counter(suffix_of(controls[p.id]) for p in group if p.id in controls)
        for p in group:
            if len(contents) == 1:
                assert p.id not in controls
            else:
                control = controls[p.id]
                assert suffix_of(control) in contents
                assert suffix_of(control) != suffix_of(p)
                assert control.prefix_ids.tolist() == p.prefix_ids.tolist()
        if max(contents.values()) * 2 <= len(group):
            assert given_away == contents


@given(st.integers(2, 5), st.integers(1, 6), st.integers(0, 20))
def test_the_suffix_comes_from_another_record_of_the_same_source(records, windows, seed):
    passages = [
        passage(f"{s}{r}{w}", s, r, [ord(s), r, w])
        for s in "ab"
        for r in range(records)
        for w in range(windows)
    ]
    for control in mismatched(passages, seed):
        source, record, _ = suffix_of(control)
        assert chr(source) == control.source
        assert f"{control.source}/{record}" != control.record


def test_a_source_of_one_record_takes_suffixes_of_the_other_source():
    passages = [passage(f"{s}{w}", s, 0, [ord(s), w]) for s in "ab" for w in range(6)]
    controls = mismatched(passages, 0)
    assert len(controls) == 12
    assert all(chr(suffix_of(c)[0]) != c.source for c in controls)


def test_a_single_record_takes_its_own_other_windows():
    passages = [passage(f"w{w}", "a", 0, [w]) for w in range(5)]
    controls = mismatched(passages, 0)
    assert sorted(suffix_of(c) for c in controls) == [(w,) for w in range(5)]
    assert all(suffix_of(c) != suffix_of(p) for c, p in zip(controls, passages, strict=True))


def test_without_any_other_suffix_there_is_no_control():
    assert mismatched([passage("p", "a", 0, [1])], 0) == []
    assert mismatched([passage("p", "a", 0, [1]), passage("q", "a", 1, [1, 2])], 0) == []


def test_many_passages_are_matched_in_little_time():
    passages = [passage(f"p{i}", "a", i // 40, [i]) for i in range(20_000)]
    controls = mismatched(passages, 0)
    assert len({suffix_of(c) for c in controls}) == 20_000
    assert all(suffix_of(c)[0] // 40 != i // 40 for i, c in enumerate(controls))


@pytest.mark.parametrize("kind", ["mismatched", "shuffled"])
def test_controls_name_what_they_are_and_whose(kind):
    passages = [
        passage(f"p{i}", "a", i, [i, 50, 60], count=4, member=True, category="c") for i in range(4)
    ]
    for control, original in zip(make_controls(kind, passages, 0), passages, strict=True):
        assert control.id == f"{original.id}~{kind}"
        assert (control.control, control.control_of) == (kind, original.id)
        assert (control.source, control.category) == (original.source, "c")
        assert (control.count, control.member) == (None, None)
        assert (control.prefix_len, control.suffix_len) == (2, 3)


@pytest.mark.parametrize("kind", ["mismatched", "shuffled"])
def test_the_seed_decides(kind):
    passages = [passage(f"p{i}", "a", i, range(i, i + 20)) for i in range(30)]

    def ids(seed):
        return [c.input_ids.tolist() for c in make_controls(kind, passages, seed)]

    assert ids(1) == ids(1)
    assert ids(1) != ids(2)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=8), st.integers(0, 5))
def test_shuffled_puts_the_same_tokens_in_another_order(suffix, seed):
    controls = shuffled([passage("p", "a", 0, suffix)], seed)
    if len(set(suffix)) == 1:
        assert controls == []
    else:
        (control,) = controls
        assert list(suffix_of(control)) != suffix
        assert sorted(suffix_of(control)) == sorted(suffix)


def test_a_shuffle_depends_on_its_own_passage_only():
    passages = [passage(f"p{i}", "a", i, range(20)) for i in range(5)]
    together = {c.id: suffix_of(c) for c in shuffled(passages, 0)}
    (alone,) = shuffled(passages[3:4], 0)
    assert together[alone.id] == suffix_of(alone)
    assert len(set(together.values())) == 5


def test_an_unknown_kind_is_refused_with_the_known_ones():
    with pytest.raises(
        InputError, match='no control "controls:reversed"; known are mismatched, shuffled'
    ):
        make_controls("controls:reversed", [], 0)


def test_shuffled_is_the_same_behind_a_prefix_of_any_length():
    ids = np.arange(40, dtype=np.int32)
    whole = Passage("r@3", "a", "r", 3, ids, 20)
    orders = [suffix_of(shuffled([with_prefix_len(whole, n)], 0)[0]) for n in (5, 10, 20)]
    assert len(set(orders)) == 1
    other = Passage("r@4", "a", "r", 4, ids, 20)
    assert suffix_of(shuffled([other], 0)[0]) != orders[0]
