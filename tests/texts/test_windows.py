import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from byrote.errors import InputError
from byrote.texts import CutStats, Passage, Record, UniqueIds, cut, prefix_sweep, with_prefix_len

LENGTHS = st.integers(1, 7)


def ids_record(name, ids, **fields):
    return Record(id=name, source="s", input_ids=np.array(ids, dtype=np.int32), **fields)


def cut_or_none(records, tokenizer=None, **options):
    try:
        return list(cut(records, tokenizer, **options))
    except InputError as error:
        if "No passage is left" not in str(error):
            raise
        return []


@given(st.lists(st.integers(0, 40), min_size=1, max_size=6), LENGTHS, LENGTHS, LENGTHS)
def test_windows_are_slices_at_multiples_of_the_stride(sizes, prefix_len, suffix_len, stride):
    records = [ids_record(f"r{i}", range(100 * i, 100 * i + n)) for i, n in enumerate(sizes)]
    expected = []
    for record in records:
        ids = record.input_ids.tolist()
        for offset in range(len(ids)):
            window = ids[offset : offset + prefix_len + suffix_len]
            if offset % stride == 0 and len(window) == prefix_len + suffix_len:
                expected.append((f"{record.id}@{offset}", record.id, offset, window))
    stats = CutStats()
    options = {"prefix_len": prefix_len, "suffix_len": suffix_len, "stride": stride}
    passages = cut_or_none(records, **options, stats=stats)
    assert [(p.id, p.record, p.offset, p.input_ids.tolist()) for p in passages] == expected
    assert all(p.prefix_len == prefix_len and p.suffix_len == suffix_len for p in passages)
    assert stats.records == len(records)
    assert stats.passages == len(expected)
    assert stats.tokens == sum(sizes)
    assert stats.too_short == sum(n < prefix_len + suffix_len for n in sizes)


def test_windows_of_text_are_slices_of_its_own_tokens(tokenizer):
    texts = ["the quick brown fox " * 30, "", "In the beginning " * 20, "short"]
    records = [Record(id=f"t{i}", source="s", text=text) for i, text in enumerate(texts)]
    passages = list(cut(records, tokenizer, prefix_len=5, suffix_len=4, stride=3))
    for passage in passages:
        text = texts[int(passage.record[1:])]
        whole = tokenizer(text, add_special_tokens=False)["input_ids"]
        start = passage.offset
        assert passage.input_ids.tolist() == whole[start : start + 9]
        assert passage.input_ids.dtype == np.int32
    assert {p.record for p in passages} == {"t0", "t2"}


def test_the_default_window_is_50_plus_50_at_a_stride_of_100():
    passages = list(cut([ids_record("r", range(250))], None))
    assert [(p.offset, p.prefix_len, p.suffix_len) for p in passages] == [
        (0, 50, 50),
        (100, 50, 50),
    ]


def test_windows_are_views():
    record = ids_record("r", range(30))
    passages = list(cut([record], None, prefix_len=5, suffix_len=5))
    assert all(np.shares_memory(p.input_ids, record.input_ids) for p in passages)


def test_mixed_records_keep_their_order_and_fields(tokenizer):
    text = "the quick brown fox jumps over the lazy dog " * 3
    records = [
        Record(id="a", source="s", text=text, count=3),
        ids_record("b", range(12), member=True),
        Record(id="c", source="s", prefix=text, suffix=text, category="x"),
        Record(id="d", source="s", text=text),
    ]
    passages = list(cut(records, tokenizer, prefix_len=6, suffix_len=6, stride=1000))
    assert [p.record for p in passages] == ["a", "b", "c", "d"]
    assert [p.count for p in passages] == [3, None, None, None]
    assert [p.member for p in passages] == [None, True, None, None]
    assert [p.category for p in passages] == [None, None, "x", None]


def test_ids_with_a_boundary_are_used_whole_or_trimmed_around_it():
    records = [ids_record("r", range(10), prefix_len=4), ids_record("q", range(3), prefix_len=1)]
    whole = list(cut(records, None))
    assert [(p.input_ids.tolist(), p.prefix_len) for p in whole] == [
        (list(range(10)), 4),
        ([0, 1, 2], 1),
    ]
    stats = CutStats()
    (trimmed,) = cut(records, None, prefix_len=2, suffix_len=3, stats=stats)
    assert trimmed.id == "r@2"
    assert trimmed.input_ids.tolist() == [2, 3, 4, 5, 6]
    assert trimmed.prefix_len == 2
    assert stats.too_short == 1
    assert stats.examples == ["q (1+2 tokens)"]


FULL = {"prefix_len": 50, "suffix_len": 50}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prefix_len": 0}, "prefix_len is 0, but it must be at least 1 token"),
        ({"suffix_len": -3}, "suffix_len is -3"),
        ({"stride": 0}, "stride is 0"),
        ({"max_len": 99, **FULL}, r"prefix_len 50 \+ suffix_len 50 = 100 tokens.*context has 99"),
        ({"max_len": 100, "lead": 1, **FULL}, r"\+ 1 BOS = 101 tokens.*context has 100"),
    ],
)
def test_impossible_lengths_are_refused_before_anything_is_read(options, message):
    def untouched():
        raise AssertionError("a record was read")
        yield

    with pytest.raises(InputError, match=message):
        cut(untouched(), None, **options)


def test_a_window_that_just_fits_the_context_is_cut():
    assert list(cut([ids_record("r", range(100))], None, max_len=101, lead=1))


def test_a_default_window_that_does_not_fit_matters_only_where_one_is_cut():
    pair = ids_record("pair", range(60), prefix_len=30)
    assert len(list(cut([pair], None, max_len=61, lead=1))) == 1
    with pytest.raises(InputError, match=r"\+ 1 BOS = 101 tokens, but .* context has 61"):
        list(cut([pair, ids_record("r", range(300))], None, max_len=61, lead=1))


def test_a_whole_pair_longer_than_the_context_is_refused():
    with pytest.raises(InputError, match=r'Record "r" of s: prefix 4 \+ suffix 116 = 120 tokens'):
        list(cut([ids_record("r", range(120), prefix_len=4)], None, max_len=110))


@pytest.mark.parametrize("bad", [500, -1])
def test_ids_outside_the_vocabulary_are_named(bad):
    ids = list(range(20))
    ids[7] = bad
    records = [ids_record("fine", range(20)), ids_record("bad", ids)]
    message = rf'Record "bad" of s: position 7 holds token id {bad}, .* 500 ids \(0 to 499\)'
    with pytest.raises(InputError, match=message):
        list(cut(records, None, prefix_len=2, suffix_len=2, vocab_size=500))


def test_ids_of_other_integer_types_are_converted_and_others_refused():
    wide = Record(id="w", source="s", input_ids=np.arange(8, dtype=np.int64))  # type: ignore[arg-type]
    (passage,) = cut([wide], None, prefix_len=4, suffix_len=4)
    assert passage.input_ids.dtype == np.int32
    for ids, message in (
        (np.array([1.5, 2.0]), "float64"),
        (np.array([[1, 2]]), r"shape \[1, 2\]"),
        (np.array([2**40, 1]), "position 0 of input_ids holds 1099511627776"),
    ):
        with pytest.raises(InputError, match=message):
            list(cut([Record(id="w", source="s", input_ids=ids)], None))


def test_text_without_a_tokenizer_is_refused():
    with pytest.raises(InputError, match='Record "t" of s holds text, but this model has no token'):
        list(cut([Record(id="t", source="s", text="hello")], None))


def test_a_record_without_any_form_is_refused():
    with pytest.raises(InputError, match='Record "t" of s holds no text, no prefix'):
        list(cut([Record(id="t", source="s", prefix="half")], None))


def test_nothing_left_is_an_error_with_the_counts():
    records = [ids_record(f"r{i}", range(i)) for i in range(8)]
    stats = CutStats()
    with pytest.raises(InputError) as error:
        list(cut(records, None, prefix_len=5, suffix_len=5, stats=stats))
    assert "none of 8 records has enough tokens for a prefix of 5 and a suffix of 5" in str(
        error.value
    )
    assert "r0 (0 tokens), r1 (1 tokens)" in str(error.value)
    assert "smaller prefix_len or suffix_len" in str(error.value)
    assert stats.too_short == 8
    assert len(stats.examples) == 5
    assert "8 records were too short: r0 (0 tokens)" in stats.describe()


def test_no_records_at_all_is_an_error():
    with pytest.raises(InputError, match="No records came from the texts"):
        list(cut([], None))


def test_records_are_read_batch_by_batch():
    read = 0

    def records():
        nonlocal read
        for i in range(100_000):
            read += 1
            yield ids_record(f"r{i}", range(10))

    passages = cut(records(), None, prefix_len=5, suffix_len=5)
    for _ in range(1000):
        next(passages)
    assert read < 2100


def test_records_of_the_same_id_get_windows_of_their_own():
    records = [ids_record(name, range(4)) for name in ("x", "x", "x#2", "x", "y")]
    passages = list(cut(records, None, prefix_len=2, suffix_len=2))
    assert [p.id for p in passages] == ["x@0", "x#2@0", "x#2#2@0", "x#3@0", "y@0"]


def test_ids_stay_unique_over_several_calls_that_share_them():
    unique = UniqueIds()
    options = {"prefix_len": 2, "suffix_len": 2, "unique": unique}
    names = [next(cut([ids_record("x", range(4))], None, **options)).id for _ in range(3)]
    assert names == ["x@0", "x#2@0", "x#3@0"]


def test_many_ids_are_all_told_apart(monkeypatch):
    monkeypatch.setattr("byrote.texts.ids._RECENT", 64)
    unique = UniqueIds()
    first = [unique(f"r{i}") for i in range(2000)]
    assert first == [f"r{i}" for i in range(2000)]
    assert [unique(f"r{i}") for i in range(2000)] == [f"r{i}#2" for i in range(2000)]


def test_held_out_passages_are_marked():
    (passage,) = cut(
        [ids_record("r", range(4))], None, prefix_len=2, suffix_len=2, control="held-out"
    )
    assert (passage.id, passage.control, passage.control_of) == ("r@0~held-out", "held-out", None)


def passage_of(prefix_len=5, **fields):
    ids = np.arange(12, dtype=np.int32)
    return Passage("r@7", "s", "r", 7, ids, prefix_len, **fields)


@given(st.integers(1, 5))
def test_a_shorter_prefix_keeps_its_end_and_the_suffix(k):
    passage = passage_of()
    short = with_prefix_len(passage, k)
    assert short.id == f"r@7/p{k}"
    assert short.prefix_ids.tolist() == passage.prefix_ids.tolist()[-k:]
    assert short.suffix_ids.tolist() == passage.suffix_ids.tolist()
    assert short.offset + short.prefix_len == passage.offset + passage.prefix_len


def test_a_shorter_control_names_the_shorter_passage():
    short = with_prefix_len(passage_of(control="shuffled", control_of="q@0"), 3)
    assert short.control_of == "q@0/p3"


@pytest.mark.parametrize("k", [0, 6])
def test_an_impossible_prefix_is_refused(k):
    with pytest.raises(InputError, match=rf'"r@7" has a prefix of 5 tokens, .*not to {k}'):
        with_prefix_len(passage_of(), k)


def test_a_sweep_gives_every_length_of_every_passage():
    swept = list(prefix_sweep([passage_of(), passage_of()], [1, 3, 5]))
    assert [p.prefix_len for p in swept] == [1, 3, 5, 1, 3, 5]


@pytest.mark.parametrize("lens", [[], [0, 3], [3, 3]])
def test_an_impossible_sweep_is_refused(lens):
    with pytest.raises(InputError, match="must be positive and each be given once"):
        prefix_sweep([passage_of()], lens)


@settings(deadline=None)
@given(st.text(max_size=60), st.integers(2, 6))
def test_any_text_is_cut_into_its_own_tokens(tokenizer, text, size):
    whole = tokenizer(text, add_special_tokens=False)["input_ids"] if text else []
    options = {"prefix_len": 1, "suffix_len": size - 1}
    passages = cut_or_none([Record(id="t", source="s", text=text)], tokenizer, **options)
    joined = [token for p in passages for token in p.input_ids.tolist()]
    assert joined == whole[: len(whole) // size * size]
