import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from byrote.exposure.goldfish import Goldfish, keep_mask
from byrote.exposure.goldfish.official import TABLE_SIZE, keys, table
from tests.exposure.goldfish.plain import official_row


def dropped(targets, h, k, strategy="official"):
    ids = np.concatenate([[0], targets])
    found = np.flatnonzero(~keep_mask(ids, Goldfish(k, h, strategy=strategy))) - 1
    return found.tolist()


def official(**options):
    return Goldfish(strategy="official", **options)


def ours(**options):
    return Goldfish(strategy="hash", **options)


def test_table_is_the_one_of_torch():
    generator = torch.Generator().manual_seed(2971215073)
    np.testing.assert_array_equal(table(), torch.rand(TABLE_SIZE, generator=generator).numpy())
    assert table().dtype == np.float32
    np.testing.assert_allclose(
        table()[:5], [0.233684, 0.441264, 0.741148, 0.909272, 0.711322], atol=1e-6
    )


@pytest.mark.parametrize(
    ("targets", "h", "k", "expected"),
    [
        (np.arange(1, 41), 4, 4, [7, 12, 13, 19, 25, 28, 34, 37]),
        (np.arange(1, 41), 13, 4, [18, 21, 32, 33, 37, 38]),
        (np.arange(1, 41), 13, 3, [16, 18, 21, 32, 33, 37, 38]),
        (
            (np.arange(1, 65) * 997 + 13) % 32000,
            13,
            4,
            [12, 14, 16, 17, 18, 21, 23, 33, 35, 40, 43, 47, 52, 53, 54, 57, 61],
        ),
    ],
)
def test_vectors_of_the_reference(targets, h, k, expected):
    assert dropped(targets, h, k) == expected


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.integers(-100, 130_000), min_size=1, max_size=50),
    st.integers(1, 60),
    st.integers(2, 9),
)
def test_official_is_its_definition(ids, h, k):
    found = keep_mask(np.array(ids), official(k=k, h=h))
    assert found.tolist() == official_row(ids, k, h, table())


# Each known defect of the reference, there in `official` and gone in `hash`.


def test_the_token_itself_decides():
    rows = np.random.default_rng(0).integers(1, 5000, (2000, 14))
    changed = rows.copy()
    changed[:, -1] += 1
    kept = {g: keep_mask(rows, g)[:, -1] for g in (official(), ours())}
    assert (keep_mask(changed, official())[:, -1] != kept[official()]).mean() > 0.3
    np.testing.assert_array_equal(keep_mask(changed, ours())[:, -1], kept[ours()])


def test_order_is_ignored():
    rows = np.random.default_rng(1).integers(1, 5000, (2000, 15))
    mixed = rows.copy()
    mixed[:, 3:14] = rows[:, 3:14][:, ::-1]
    assert (keep_mask(mixed, official())[:, 14] == keep_mask(rows, official())[:, 14]).all()
    agreed = (keep_mask(mixed, ours())[:, 14] == keep_mask(rows, ours())[:, 14]).mean()
    # Two independent draws with one in four agree in 10 of 16 cases.
    assert abs(agreed - 10 / 16) < 0.05


def test_token_id_1_is_invisible():
    rows = np.random.default_rng(2).integers(2, 5000, (2000, 7))
    ones = np.concatenate([rows[:, :3], np.ones_like(rows[:, :2]), rows[:, 5:]], axis=1)
    more = np.concatenate(
        [rows[:, :2], np.ones_like(rows[:, :2]), rows[:, 2:3], rows[:, 5:]], axis=1
    )
    last = {}
    for goldfish in (official(h=5), ours(h=5)):
        last[goldfish.strategy] = [keep_mask(each, goldfish)[:, -1] for each in (ones, more)]
    assert (last["official"][0] == last["official"][1]).all()
    assert 0.5 < (last["hash"][0] == last["hash"][1]).mean() < 0.75


@pytest.mark.parametrize(("k", "fate"), [(4, True), (5, False)])
def test_token_id_0_decides_alone(k, fate):
    rows = np.random.default_rng(3).integers(2, 5000, (2000, 14))
    rows[:, 6] = 0
    drops = {g.strategy: ~keep_mask(rows, g)[:, -1] for g in (official(k=k), ours(k=k))}
    assert (drops["official"] == fate).all()
    assert abs(drops["hash"].mean() - 1 / k) < 0.04


def test_one_percent_of_id_0_moves_the_rate():
    rng = np.random.default_rng(4)
    ids = rng.integers(1, 50_000, 200_000)
    ids[rng.random(len(ids)) < 0.01] = 0
    rates = {g.strategy: 1 - keep_mask(ids, g).mean() for g in (official(), ours())}
    assert rates["official"] == pytest.approx(0.34, abs=0.01)
    assert rates["hash"] == pytest.approx(0.25, rel=0.01)


def test_wide_windows_collapse():
    ids = np.random.default_rng(5).integers(0, 131_000, 200_000)
    wide = {"k": 50, "h": 50}
    assert (keys(ids[None], 50) == 0).mean() == pytest.approx(0.093, abs=0.02)
    rates = {g.strategy: 1 - keep_mask(ids, g).mean() for g in (official(**wide), ours(**wide))}
    assert rates["official"] < 0.0195
    assert rates["hash"] == pytest.approx(0.02, rel=0.05)


def test_the_neighbour_in_the_packing_decides():
    rng = np.random.default_rng(6)
    document, neighbours = rng.integers(1, 5000, 40), rng.integers(1, 5000, (50, 40))
    rows = np.concatenate([neighbours, np.tile(document, (50, 1))], axis=1)
    starts = np.zeros(rows.shape, dtype=bool)
    starts[:, [0, 40]] = True
    masks = {g.strategy: keep_mask(rows, g, starts=starts)[:, 40:] for g in (official(), ours())}
    assert (masks["official"] != masks["official"][0]).any()
    assert (masks["hash"] == masks["hash"][0]).all()
    np.testing.assert_array_equal(masks["hash"][0], keep_mask(document, ours()))


def test_padding_decides():
    document = np.random.default_rng(7).integers(1, 5000, 40)
    padded = np.concatenate([np.zeros(10, dtype=int), document])
    masks = {
        g.strategy: (keep_mask(document, g), keep_mask(padded, g, exempt_ids=[0])[10:])
        for g in (official(k=3), ours(k=3))
    }
    assert (masks["official"][0] != masks["official"][1]).any()
    np.testing.assert_array_equal(*masks["hash"])


def test_no_row_is_blanked():
    # The reference's `seeded_random` indexes with integers and drops rows 0 and 1 whole.
    ids = np.random.default_rng(8).integers(1, 5000, (4, 4000))
    for strategy in ("hash", "random"):
        per_row = (~keep_mask(ids, Goldfish(4, strategy=strategy))).mean(axis=1)
        np.testing.assert_allclose(per_row, 0.25, atol=0.03)
