from __future__ import annotations

import math
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score, roc_curve

from byrote.errors import InputError
from byrote.recall import membership
from byrote.recall.membership import attack, attacks, auc, fpr_floor, min_k, min_k_pp, tpr_at_fpr
from byrote.recall.scores import Scores


def make_scores(logprob, entropy=None, var=None) -> Scores:
    lp = np.array(logprob, dtype=np.float32)
    zeros, ids = np.zeros_like(lp), np.zeros(len(lp), dtype=np.int32)
    return Scores(
        logprob=lp,
        rank=ids,
        hit=ids.astype(bool),
        argmax=ids,
        entropy=zeros if entropy is None else np.array(entropy, dtype=np.float32),
        logprob_var=zeros if var is None else np.array(var, dtype=np.float32),
        logprob_sampled=lp,
    )


tokens = st.lists(
    st.tuples(
        st.floats(-20, 0, width=32), st.floats(0, 10, width=32), st.floats(0.0625, 9, width=32)
    ),
    min_size=1,
    max_size=50,
)


@given(tokens, st.text(max_size=40))
def test_attacks_are_their_definitions(rows: list[tuple[float, float, float]], text: str) -> None:
    lp, entropy, var = map(list, zip(*rows, strict=True))
    scores = make_scores(lp, entropy, var)
    got = {name: function(scores, text) for name, function in attacks().items()}
    lowest = max(1, len(lp) // 5)
    standard = sorted((x + h) / math.sqrt(v) for x, h, v in rows)
    size = len(zlib.compress(text.encode()))
    assert got["loss"] == pytest.approx(math.fsum(lp) / len(lp), abs=1e-9)
    assert got["zlib"] == pytest.approx(math.fsum(lp) / size, abs=1e-9)
    assert got["min_k"] == pytest.approx(math.fsum(sorted(lp)[:lowest]) / lowest, abs=1e-9)
    assert got["min_k_pp"] == pytest.approx(
        math.fsum(standard[:lowest]) / lowest, rel=1e-6, abs=1e-6
    )


def test_every_attack_is_higher_where_the_text_is_likelier() -> None:
    likely = make_scores([-0.1] * 10, [1.0] * 10, [1.0] * 10)
    unlikely = make_scores([-5.0] * 10, [1.0] * 10, [1.0] * 10)
    for name, function in attacks().items():
        assert function(likely, "some text") > function(unlikely, "some text"), name


def test_a_certain_token_is_neither_surprising_nor_a_division_by_zero() -> None:
    assert min_k_pp(make_scores([0.0, 0.0], [0.0, 0.0], [0.0, 0.0])) == 0.0
    assert math.isfinite(min_k_pp(make_scores([-9.0], [0.0], [0.0])))


def test_an_attack_takes_a_lone_surrogate_and_an_impossible_token() -> None:
    scores = make_scores([-math.inf, -1.0], [1.0, 1.0], [1.0, 1.0])
    assert {f(scores, "\ud800") for f in attacks().values()} == {-math.inf}


def test_the_share_of_tokens_is_checked() -> None:
    with pytest.raises(InputError, match="k is 0"):
        min_k(make_scores([-1.0]), k=0.0)


def test_an_attack_is_registered_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(membership, "_registry", dict(membership._registry))

    @attack("first_token")
    def first_token(scores: Scores, text: str) -> float:
        return float(scores.logprob[0])

    assert attacks()["first_token"] is first_token
    with pytest.raises(InputError, match="first_token"):
        attack("first_token")(first_token)


labelled = st.lists(
    st.tuples(st.integers(0, 6).map(float) | st.just(-math.inf), st.booleans()),
    min_size=2,
    max_size=40,
).filter(lambda rows: 0 < sum(y for _, y in rows) < len(rows))


@settings(deadline=None)
@given(labelled)
def test_auc_is_the_chance_that_a_member_wins(rows: list[tuple[float, bool]]) -> None:
    x, y = map(list, zip(*rows, strict=True))
    pos, neg = [a for a, m in rows if m], [a for a, m in rows if not m]
    wins = sum((a > b) + (a == b) / 2 for a in pos for b in neg) / (len(pos) * len(neg))
    got = auc(x, y, resamples=50)
    assert got.value == pytest.approx(wins)
    if got.method == "bootstrap":
        assert min(len(pos), len(neg)) >= 5
        assert 0 <= got.low < got.high <= 1
    if all(map(math.isfinite, x)):
        assert got.value == pytest.approx(roc_auc_score(y, x))


@settings(deadline=None)
@given(labelled, st.sampled_from([0.05, 0.1, 0.25, 0.3, 0.5, 0.9]))
def test_tpr_is_the_best_threshold_below_the_fpr(
    rows: list[tuple[float, bool]], fpr: float
) -> None:
    x, y = map(list, zip(*rows, strict=True))
    pos, neg = [a for a, m in rows if m], [a for a, m in rows if not m]
    if fpr < 1 / len(neg):
        with pytest.raises(InputError, match=f"1/{len(neg)}"):
            tpr_at_fpr(x, y, fpr)
        return
    best = 0.0
    for threshold in set(x):
        if sum(b >= threshold for b in neg) / len(neg) <= fpr + 1e-12:
            best = max(best, sum(a >= threshold for a in pos) / len(pos))
    assert tpr_at_fpr(x, y, fpr, resamples=50).value == pytest.approx(best)


def test_auc_and_tpr_equal_sklearn_on_many_passages() -> None:
    rng = np.random.default_rng(0)
    y = rng.random(3000) < 0.4
    x = rng.normal(size=3000) + y
    false, true, _ = roc_curve(y, x)
    assert auc(x, y, resamples=20).value == pytest.approx(roc_auc_score(y, x))
    assert tpr_at_fpr(x, y, 0.01, resamples=20).value == pytest.approx(true[false <= 0.01].max())


def test_the_interval_of_auc_covers_the_truth() -> None:
    rng = np.random.default_rng(1)
    truth = 0.7602  # of two unit normals one apart: Φ(1/√2)
    inside = 0
    for seed in range(100):
        x = np.concatenate([rng.normal(1, 1, 60), rng.normal(0, 1, 60)])
        estimate = auc(x, np.arange(120) < 60, seed=seed, resamples=300)
        inside += estimate.low <= truth <= estimate.high
    assert 88 <= inside <= 100


def test_auc_resamples_documents() -> None:
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(20) < 10, 30)
    x = np.repeat(rng.normal(size=20), 30) + 0.1 * rng.normal(size=600) + y
    wide = auc(x, y, clusters=np.repeat(np.arange(20), 30))
    narrow = auc(x, y)
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)
    assert wide == auc(x, y, clusters=np.repeat(np.arange(20), 30))


def test_labels_of_one_kind_and_nan_scores_are_refused() -> None:
    with pytest.raises(InputError, match="2 members and 0 non-members"):
        auc([1.0, 2.0], [True, True])
    with pytest.raises(InputError, match="NaN"):
        auc([1.0, math.nan], [True, False])
    with pytest.raises(InputError, match="2 scores for 1"):
        auc([1.0, 2.0], [True])
    with pytest.raises(InputError, match="strictly between"):
        tpr_at_fpr([1.0, 2.0], [True, False], 0.0)


def test_the_floor_of_the_false_positive_rate() -> None:
    assert fpr_floor(200) == 0.005
    assert fpr_floor(0) == 1.0
