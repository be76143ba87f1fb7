import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from byrote.errors import InputError
from byrote.exposure.goldfish import (
    Goldfish,
    Normalization,
    keep_mask,
    mask_labels,
    starts_from_cu_seqlens,
    starts_from_lengths,
    starts_from_position_ids,
    starts_from_segment_ids,
)
from tests.exposure.goldfish.plain import keep_row

IGNORED = -100


@st.composite
def batches(draw):
    rows, width = draw(st.integers(1, 3)), draw(st.integers(1, 40))
    some = st.lists(
        st.integers(-1, draw(st.sampled_from([3, 50_000]))), min_size=width, max_size=width
    )
    flags = st.lists(st.sampled_from([False, False, False, True]), min_size=width, max_size=width)
    ids = np.array([draw(some) for _ in range(rows)])
    return ids, np.array([draw(flags) for _ in range(rows)])


@settings(max_examples=40, deadline=None)
@given(
    batches(),
    st.integers(2, 9),
    st.integers(1, 70),
    st.sampled_from([0, 1, 2**64 - 1]),
    st.sets(st.integers(0, 3)),
    st.sets(st.integers(0, 3)),
    st.booleans(),
)
def test_hash_is_its_definition(batch, k, h, seed, exempt, separators, early):
    ids, starts = batch
    least = 1 if early else None
    found = keep_mask(
        ids,
        Goldfish(k, h, seed=seed, min_context=least),
        starts=starts,
        exempt_ids=exempt,
        separators=separators,
    )
    for row, flags, keep in zip(ids.tolist(), starts.tolist(), found.tolist(), strict=True):
        flags[0] = True
        assert keep == keep_row(row, flags, k, h, seed, least, exempt, separators)


@pytest.mark.parametrize("h", [1, 2, 13, 64])
def test_one_passage_one_mask_at_any_offset_row_and_packing(h):
    rng = np.random.default_rng(h)
    passage = rng.integers(0, 5000, 200)
    goldfish = Goldfish(4, h)
    alone = keep_mask(passage, goldfish)
    for offset in (1, 7, 64, 300):
        before, after = rng.integers(0, 5000, offset), rng.integers(0, 5000, 50)
        row = np.concatenate([before, passage, after])
        inside = slice(offset, offset + 200)
        running = keep_mask(row, goldfish)[inside]
        np.testing.assert_array_equal(running[h:], alone[h:])
        starts = starts_from_lengths([[offset, 200, 50]], (1, len(row)))[0]
        np.testing.assert_array_equal(keep_mask(row, goldfish, starts=starts)[inside], alone)
        stacked = np.stack([row[::-1], row])
        both = keep_mask(stacked, goldfish, starts=np.stack([starts, starts]))
        np.testing.assert_array_equal(both[1, inside], alone)


def test_special_tokens_and_padding_are_kept_and_no_context():
    passage = np.random.default_rng(0).integers(10, 5000, 300)
    goldfish = Goldfish(3, 5)
    alone = keep_mask(passage, goldfish)
    left = np.concatenate([[0, 0, 0, 1], passage, [2]])
    padded = keep_mask(left, goldfish, exempt_ids=[0, 1, 2])
    assert padded[:4].all()
    assert padded[-1]
    np.testing.assert_array_equal(padded[4:-1], alone)
    # In the midst of a passage too: the words around it do not notice.
    holed = np.insert(passage, 150, -100)
    np.testing.assert_array_equal(np.delete(keep_mask(holed, goldfish), 150), alone)


def test_separators_end_documents_without_further_help():
    first, second = np.random.default_rng(1).integers(10, 5000, (2, 100))
    goldfish = Goldfish(4, 13)
    row = np.concatenate([first, [9], second])
    found = keep_mask(row, goldfish, separators=[9])
    np.testing.assert_array_equal(found[:100], keep_mask(first, goldfish))
    assert found[100]
    np.testing.assert_array_equal(found[101:], keep_mask(second, goldfish))


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.int64, np.uint16])
def test_torch_and_numpy_of_any_width_agree(dtype):
    ids = np.random.default_rng(2).integers(0, 30_000, (3, 100)).astype(dtype)
    goldfish = Goldfish(4, 13)
    expected = keep_mask(ids.astype(np.int64), goldfish)
    np.testing.assert_array_equal(keep_mask(ids, goldfish), expected)
    found = keep_mask(torch.from_numpy(ids.astype(np.int64)), goldfish)
    assert found.dtype == torch.bool
    np.testing.assert_array_equal(found.numpy(), expected)


def test_pieces_of_a_long_row_are_the_row():
    # The tables of powers grow with what is hashed at once; the result must not.
    ids = np.random.default_rng(3).integers(0, 30_000, 20_000)
    goldfish = Goldfish(4, 50)
    whole = keep_mask(ids, goldfish)
    np.testing.assert_array_equal(keep_mask(ids[15_000:], goldfish)[50:], whole[15_050:])


@pytest.mark.parametrize("k", [2, 3, 4, 8, 32, 128])
def test_rate_is_one_in_k_under_every_key(k):
    ids = np.random.default_rng(4).integers(0, 50_000, 100_000)
    for seed in range(3):
        rate = 1 - keep_mask(ids, Goldfish(k, 13, seed=seed)).mean()
        error = np.sqrt((1 - 1 / k) / k / len(ids))
        assert abs(rate - 1 / k) < 4 * error


def test_keys_are_independent():
    ids = np.random.default_rng(5).integers(0, 50_000, 100_000)
    one, other = (~keep_mask(ids, Goldfish(4, 13, seed=seed)) for seed in (0, 1))
    assert abs((one & other).mean() - 1 / 16) < 0.003


def test_order_of_the_context_matters_and_the_token_itself_does_not():
    rng = np.random.default_rng(6)
    rows = rng.integers(0, 5000, (4000, 6))
    goldfish = Goldfish(2, 5)
    kept = keep_mask(rows, goldfish)[:, 5]
    swapped = rows.copy()
    swapped[:, [1, 3]] = rows[:, [3, 1]]
    assert 0.45 < (keep_mask(swapped, goldfish)[:, 5] == kept).mean() < 0.55
    changed = rows.copy()
    changed[:, 5] += 1
    np.testing.assert_array_equal(keep_mask(changed, goldfish)[:, 5], kept)


def test_start_of_a_document_is_kept_as_far_as_asked():
    rows = np.random.default_rng(7).integers(0, 5000, (500, 20))
    for least, expected in ((None, 4), (1, 1), (13, 13)):
        dropped = ~keep_mask(rows, Goldfish(2, 13, min_context=least))
        assert not dropped[:, :expected].any()
        assert 0.4 < dropped[:, expected].mean() < 0.6 or expected == 1
    assert not (~keep_mask(rows, Goldfish(2, 3)))[:, :3].any()


def test_static_is_the_reference_s_slice():
    ids = np.arange(40).reshape(2, 20)
    for start in (0, 2):
        dropped = np.zeros((2, 19), dtype=bool)
        dropped[:, start::3] = True
        found = keep_mask(ids, Goldfish(3, strategy="static", start=start))
        np.testing.assert_array_equal(~found[:, 1:], dropped)
        assert found[:, 0].all()


def test_static_counts_from_the_start_of_the_document():
    starts = np.zeros(20, dtype=bool)
    starts[7] = True
    found = keep_mask(np.arange(20), Goldfish(4, strategy="static"), starts=starts)
    assert np.flatnonzero(~found).tolist() == [1, 5, 8, 12, 16]


def test_random_is_fresh_in_each_step_and_belongs_to_a_sequence():
    ids = np.zeros((4, 5000), dtype=int)
    goldfish = Goldfish(4, strategy="random", seed=3)
    first = keep_mask(ids, goldfish, step=0, indices=[10, 11, 12, 13])
    again = keep_mask(ids[:2], goldfish, step=0, indices=np.array([12, 10]))
    np.testing.assert_array_equal(again, first[[2, 0]])
    later = keep_mask(ids, goldfish, step=1, indices=[10, 11, 12, 13])
    other = keep_mask(ids, Goldfish(4, strategy="random", seed=4), indices=[10, 11, 12, 13])
    for second in (later, other, first[[1, 2, 3, 0]]):
        assert abs((~first & ~second).mean() - 1 / 16) < 0.008
    assert abs((~first).mean() - 1 / 4) < 0.01
    assert keep_mask(ids, goldfish, exempt_ids=[0]).all()


@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_labels_are_ignored_where_dropped_and_stay_ignored(kind):
    ids = np.random.default_rng(8).integers(0, 5000, (2, 100))
    labels = ids.copy()
    labels[:, :30] = IGNORED
    goldfish = Goldfish(3, 4)
    keep = keep_mask(ids, goldfish)
    if kind == "torch":
        given = torch.from_numpy(labels)
        found = mask_labels(given, torch.from_numpy(ids), goldfish)
        assert isinstance(found, torch.Tensor)
        found = found.numpy()
    else:
        found = mask_labels(labels, ids, goldfish)
    np.testing.assert_array_equal(found, np.where(keep & (labels != IGNORED), ids, IGNORED))
    assert (labels[:, 30:] == ids[:, 30:]).all()


def test_shifted_labels_lose_the_same_tokens():
    rows = np.random.default_rng(9).integers(0, 5000, (2, 101))
    starts = np.zeros(rows.shape, dtype=bool)
    starts[:, 40] = True
    goldfish = Goldfish(3, 4)
    plain = mask_labels(rows, rows, goldfish, starts=starts)
    found = mask_labels(rows[:, 1:], rows[:, :-1], goldfish, shifted=True, starts=starts[:, :-1])
    np.testing.assert_array_equal(found, plain[:, 1:])


def test_starts_of_documents():
    expected = np.array([[True, False, False, True, False], [True, True, False, False, True]])
    found = starts_from_position_ids(torch.tensor([[0, 1, 2, 0, 1], [5, 0, 1, 2, 0]]))
    np.testing.assert_array_equal(found, expected)
    segments = [[1, 1, 1, 2, 2], [1, 2, 2, 2, 0]]
    np.testing.assert_array_equal(starts_from_segment_ids(segments), expected)
    edges = torch.tensor([0, 3, 5, 6, 9, 10])
    np.testing.assert_array_equal(starts_from_cu_seqlens(edges, (2, 5)), expected)
    np.testing.assert_array_equal(starts_from_lengths([[3, 2], [1, 3]], (2, 5)), expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"k": 1}, "k must be at least 2, but it is 1"),
        ({"k": 2.5}, "k must be a whole number, but it is 2.5"),
        ({"k": True}, "k must be a whole number"),
        ({"h": 0}, "h must be at least 1, but it is 0"),
        ({"seed": -1}, "seed must be from 0"),
        ({"strategy": "hsah"}, "no goldfish strategy 'hsah'"),
        ({"strategy": "static", "start": 4}, "start must be from 0 to k - 1 = 3, but it is 4"),
        ({"min_context": 14}, "min_context must be from 1 to h = 13, but it is 14"),
        ({"min_context": 2.5}, "min_context must be a whole number, but it is 2.5"),
        ({"strategy": "static", "normalize": True}, "normalize works with the strategy hash only"),
        ({"normalize": "no"}, "normalize must be True, False or a Normalization, but it is 'no'"),
        ({"normalize": 1}, "normalize must be True, False or a Normalization, but it is 1"),
    ],
)
def test_bad_masks_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        Goldfish(**options).check()
    with pytest.raises(InputError, match=message):
        keep_mask(np.arange(5), Goldfish(**options))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda g: mask_labels(np.zeros((2, 3)), np.zeros((2, 4), int), g), r"\[2, 3\].*\[2, 4\]"),
        (lambda g: keep_mask(np.zeros((2, 3)), g), "must be integers, but they are float64"),
        (lambda g: mask_labels(np.ones(3), np.ones(3, int), g), "labels are float64, .* signed"),
        (lambda g: mask_labels(np.ones(3, "u4"), np.ones(3, int), g), "labels are uint32"),
        (lambda g: mask_labels(torch.ones(3), torch.ones(3).long(), g), "labels are torch.float32"),
        (lambda g: mask_labels([1, 2], np.ones(2, int), g), "labels are a list; give a numpy"),
        (lambda g: mask_labels(np.ones(2, int), [1, 2], g), "ids are a list; give a numpy"),
        (lambda g: keep_mask(np.zeros((2, 3, 4), int), g), r"shape is \[2, 3, 4\]"),
        (lambda g: keep_mask(np.arange(5), g, starts=np.zeros(4, bool)), r"\[4\].*\[5\]"),
        (lambda g: starts_from_lengths([[3, 3]], (1, 5)), "row 0 have 6 tokens.*row has 5"),
        (lambda g: starts_from_lengths([[3]], (2, 5)), "1 rows, but 2 rows"),
        (lambda g: starts_from_cu_seqlens([0, 11], (2, 5)), "from 0 to 11.*10 tokens"),
    ],
)
def test_bad_shapes_are_refused(call, message):
    with pytest.raises(InputError, match=message):
        call(Goldfish())


@pytest.mark.parametrize("value", ["false", 0, None])
def test_what_copies_may_differ_in_is_true_or_false(value):
    with pytest.raises(InputError, match=f"normalize: case must be True or False.*{value}"):
        Normalization(case=value)


def test_random_wants_an_index_for_each_row():
    with pytest.raises(InputError, match="3 indices, but 2 rows"):
        keep_mask(np.zeros((2, 4), int), Goldfish(strategy="random"), indices=[1, 2, 3])


@pytest.mark.parametrize("strategy", ["hash", "static", "random", "official"])
@pytest.mark.parametrize("shape", [(0, 5), (2, 0), (0,), (2, 1)])
def test_nothing_to_mask_is_no_error(strategy, shape):
    found = keep_mask(np.zeros(shape, dtype=int), Goldfish(strategy=strategy))
    assert found.shape == shape
