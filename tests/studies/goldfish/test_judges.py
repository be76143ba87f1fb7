"""Each claim holds, fails, and is not tested where the tables cannot tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import polars as pl
import pytest

from byrote.studies.claims import Tables, judge_all
from byrote.studies.config import override
from byrote.studies.goldfish.claims import CLAIMS
from byrote.studies.goldfish.config import ExtremeConfig, GoldfishConfig, ScratchConfig
from byrote.studies.goldfish.presets import ARMS

CONFIG = GoldfishConfig(
    arms=ARMS,
    extreme=ExtremeConfig(arms=("standard", "hash-4", "hash-4-h4", "hash-32")),
    scratch=ScratchConfig(arms=tuple(ARMS)),
)
DOCUMENTS = 8
LADDER = ("hash-3", "hash-4", "hash-8", "hash-32", "hash-128", "standard")

Rows = list[dict[str, Any]]


def about(middle: float, step: float = 0.01, seeds: int = 3) -> list[float]:
    """Numbers of repetitions that hardly differ."""
    return [middle + step * (i - (seeds - 1) / 2) for i in range(seeds)]


def asked(
    arm: str,
    rouge: Sequence[float] = (0.2, 0.2, 0.2),
    recited: Sequence[int] | None = None,
    *,
    decoding: str = "greedy",
    at: Sequence[float] | None = None,
    dropped: float = 0.25,
    documents: int = DOCUMENTS,
) -> Rows:
    """Rows of `documents`, a repetition for each number.

    Args:
        recited: How many of a repetition's documents are; none by default.
        at: Share of first divergences on a dropped token.
        dropped: Share of tokens dropped.
    """
    rows = []
    for seed, overlap in enumerate(rouge):
        exact = 0 if recited is None else recited[seed]
        diverged = documents - exact
        for number in range(documents):
            place = number - exact
            rows.append(
                {
                    "arm": arm,
                    "seed": seed,
                    "document": f"d{seed}.{number}",
                    "member": True,
                    "decoding": decoding,
                    "exact": number < exact,
                    "rouge_l": overlap,
                    "first_divergence": None if place < 0 else 3,
                    "at_dropped": None
                    if at is None or place < 0
                    else place < round(at[seed] * diverged),
                    "dropped_share": None if at is None else dropped,
                }
            )
    # What is never shown must not count.
    others = [
        {**row, "member": False, "exact": not row["exact"], "rouge_l": 1 - row["rouge_l"]}
        for row in rows
    ]
    return rows + others


def documents(*parts: Rows) -> Tables:
    rows = [row for part in parts for row in part]
    return Tables({"documents": pl.DataFrame(rows, infer_schema_length=None)})


def tuned(
    arm: str, recited: Sequence[int], rouge: Sequence[float] = (0.5, 0.5, 0.5), **more: Any
) -> tuple[Rows, Rows]:
    """Rows of `extreme` and `extreme_texts`: before the first epoch none, then what is given."""
    table, texts = [], []
    for seed, (count, overlap) in enumerate(zip(recited, rouge, strict=True)):
        for epoch in (0, 20):
            for number in range(DOCUMENTS):
                row = {
                    "arm": arm, "seed": seed, "long": False, "epoch": epoch, "member": True,
                    "exact": epoch > 0 and number < count,
                    "rouge_l": overlap if epoch else 0.2,
                    **more,
                }  # fmt: skip
                table.append(row)
                texts.append(row)
                # What is never shown must not count.
                texts.append({**row, "member": False, "rouge_l": 1 - row["rouge_l"]})
    return table, texts


def extreme(*parts: tuple[Rows, Rows]) -> Tables:
    return Tables(
        {
            "extreme": pl.DataFrame([row for part in parts for row in part[0]]),
            "extreme_texts": pl.DataFrame([row for part in parts for row in part[1]]),
        }
    )


def trainings(**arms: tuple[Sequence[float], float]) -> Tables:
    """Rows of `trainings`: losses of the repetitions, and tokens learned."""
    rows = [
        {"arm": arm.replace("_", "-"), "seed": seed, "validation_loss": loss, "tokens_learned": t}
        for arm, (losses, t) in arms.items()
        for seed, loss in enumerate(losses)
    ]
    return Tables({"trainings": pl.DataFrame(rows)})


def membership(attack: str, measure: str, **arms: Sequence[float]) -> Tables:
    rows = [
        {
            "arm": arm.replace("_", "-"), "seed": seed, "attack": attack, "measure": measure,
            "value": value,
        }
        for arm, values in arms.items()
        for seed, value in enumerate(values)
    ]  # fmt: skip
    return Tables({"membership": pl.DataFrame(rows)})


def ladder(values: Sequence[float], seeds: int = 3) -> Tables:
    return documents(
        *(asked(arm, about(v, seeds=seeds)) for arm, v in zip(LADDER, values, strict=True))
    )


def beams(three: Sequence[int], many: Sequence[int] = (4, 4, 4), greedy: int = 0) -> Tables:
    n = len(three)
    zeros = [0.2] * n
    return documents(
        asked("hash-3", zeros, three, decoding="beams"),
        asked("hash-3", zeros, [greedy] * n),
        asked("standard", zeros, many, decoding="beams"),
        asked("standard", zeros, many),
    )


def gains(k3: Sequence[int], k128: Sequence[int]) -> Tables:
    return documents(
        asked("hash-3", recited=[1, 1, 1]),
        asked("hash-3", recited=[1 + g for g in k3], decoding="beams"),
        asked("hash-128", recited=[2, 3, 2]),
        asked(
            "hash-128",
            recited=[a + g for a, g in zip([2, 3, 2], k128, strict=True)],
            decoding="beams",
        ),
    )


def pair(one: str, two: str, a: float, b: float, seeds: int = 3) -> Tables:
    return documents(asked(one, about(a, seeds=seeds)), asked(two, about(b, 0.02, seeds)))


def control(goldfish: float, standard: float, seeds: int = 3) -> Tables:
    return documents(
        asked("control", about(0.2, seeds=seeds)),
        asked("standard", about(standard, 0.02, seeds)),
        asked("hash-3", about(goldfish, seeds=seeds)),
        asked("hash-4", about(goldfish, seeds=seeds)),
    )


def diverging(strategy: str, *shares: float) -> Tables:
    """Shares of first divergences on dropped tokens, the same under every mask of the strategy."""
    overlap = [0.2] * len(shares)
    return documents(
        *(
            asked(f"{strategy}-{k}", overlap, at=shares, dropped=1 / k)
            for k in (3, 4, 8, 32, 128)
            if f"{strategy}-{k}" in ARMS
        ),
        # Other masks do not count.
        asked("hash-4-h1", overlap, at=[0.0] * len(shares)),
        asked("hash-4-edited", overlap, at=[0.0] * len(shares)),
    )


def width(small: float, large: float, standard: float = 0.9, seeds: int = 3) -> Tables:
    return documents(
        asked("hash-4-h4", about(small, seeds=seeds)),
        asked("hash-4", about(large, 0.02, seeds)),
        asked("standard", about(standard, seeds=seeds)),
        asked("control", about(0.2, 0.02, seeds)),
    )


def free(recited: Sequence[int], plain: int = 5, rouge: float = 0.6, base: float = 0.2) -> Tables:
    n = len(recited)
    return documents(
        asked("standard", about(rouge, seeds=n), recited, decoding="memfree"),
        asked("standard", about(0.9, seeds=n), [plain] * n),
        asked("control", about(base, 0.02, n)),
    )


def three_to(*values: float) -> dict[str, Sequence[float]]:
    names = ("hash_3", "hash_4", "hash_8", "hash_32", "hash_128")
    return {name: about(v) for name, v in zip(names, values, strict=True)}


CASES: dict[str, tuple[Tables, Tables, Tables]] = {
    "extreme-standard": (
        extreme(tuned("standard", [7, 8, 7])),
        extreme(tuned("standard", [1, 0, 1])),
        extreme(tuned("standard", [2, 7, 4])),
    ),
    "extreme-goldfish": (
        extreme(
            tuned("standard", [7, 8, 7]), tuned("hash-4", [0, 0, 0]), tuned("hash-4-h4", [0, 0, 0])
        ),
        extreme(
            tuned("standard", [7, 8, 7]), tuned("hash-4", [0, 0, 0]), tuned("hash-4-h4", [1, 0, 0])
        ),
        # Nothing was to be prevented.
        extreme(
            tuned("standard", [1, 0, 0]), tuned("hash-4", [0, 0, 0]), tuned("hash-4-h4", [0, 0, 0])
        ),
    ),
    "extreme-overlap": (
        extreme(tuned("standard", [8] * 3, about(0.9)), tuned("hash-4", [0] * 3, about(0.5))),
        extreme(tuned("standard", [8] * 3, about(0.4)), tuned("hash-4", [0] * 3, about(0.5))),
        extreme(tuned("standard", [8] * 3, [0.2, 0.9, 0.5]), tuned("hash-4", [0] * 3, about(0.5))),
    ),
    "control-unaware": (
        documents(asked("control")),
        documents(asked("control", recited=[0, 0, 1])),
        documents(asked("control", documents=4)),
    ),
    "standard-recites": (
        documents(asked("control"), asked("standard", recited=[5, 6, 4])),
        documents(asked("control", recited=[5, 6, 5]), asked("standard")),
        documents(asked("control"), asked("standard", recited=[0, 1, 0])),
    ),
    "like-control": (control(0.25, 0.9), control(0.7, 0.9), control(0.25, 0.19)),
    "monotone": (
        ladder([0.2, 0.22, 0.3, 0.5, 0.7, 0.9]),
        ladder([0.9, 0.7, 0.5, 0.3, 0.22, 0.2]),
        ladder([0.3, 0.3, 0.3, 0.3, 0.3, 0.3]),
    ),
    "divergence-hash": (
        diverging("hash", 0.875, 0.875, 0.875),
        diverging("hash", 0.375, 0.25, 0.375),
        diverging("hash", 0.5, 1.0, 0.75),
    ),
    "divergence-static": (
        diverging("static", 0.75, 0.75, 0.75),
        diverging("static", 0.125, 0.125, 0.125),
        diverging("static", 0.75, 0.75),
    ),
    "equal-input": (
        trainings(standard=(about(3.0), 100), hash_4=(about(3.1), 75)),
        trainings(standard=(about(3.0), 100), hash_4=(about(2.9, 0.02), 75)),
        trainings(standard=(about(3.0), 100), hash_4=([2.9, 3.1, 3.0], 75)),
    ),
    "equal-learned": (
        trainings(
            standard=(about(3.0), 100),
            hash_4_more_steps=(about(3.02), 100),
            hash_4_larger_batch=(about(2.99), 102),
        ),
        trainings(
            standard=(about(3.0), 100),
            hash_4_more_steps=(about(3.02), 100),
            hash_4_larger_batch=(about(2.8), 102),
        ),
        # Not as many tokens.
        trainings(
            standard=(about(3.0), 100),
            hash_4_more_steps=(about(3.02), 90),
            hash_4_larger_batch=(about(2.99), 102),
        ),
    ),
    "membership-stays": (
        membership("zlib", "auc", **three_to(0.95, 0.96, 0.97, 0.98, 0.98)),
        membership("zlib", "auc", **three_to(0.7, 0.96, 0.97, 0.98, 0.98)),
        membership("zlib", "auc", **three_to(0.905, 0.96, 0.97, 0.98, 0.98)),
    ),
    "membership-low-fpr": (
        membership("loss", "tpr_at_0.01", hash_3=about(0.3), standard=about(0.9, 0.02)),
        membership("loss", "tpr_at_0.01", hash_3=about(0.9), standard=about(0.3, 0.02)),
        membership("loss", "tpr_at_0.05", hash_3=about(0.3), standard=about(0.9, 0.02)),
    ),
    "beam-resists": (beams([0, 0, 0]), beams([4, 4, 4], greedy=4), beams([0, 0, 0], [0, 1, 0])),
    "beam-gain": (
        gains([0, 0, 0], [3, 2, 3]),
        gains([3, 3, 2], [0, 0, 0]),
        gains([1] * 3, [0, 2, 1]),
    ),
    "random-worse": (
        documents(
            *(asked(f"random-{k}", about(0.5)) for k in (4, 8, 32)),
            *(asked(f"hash-{k}", about(0.3, 0.02)) for k in (4, 8, 32)),
        ),
        documents(
            *(asked(f"random-{k}", about(0.5 if k < 32 else 0.1)) for k in (4, 8, 32)),
            *(asked(f"hash-{k}", about(0.3, 0.02)) for k in (4, 8, 32)),
        ),
        documents(
            *(asked(f"random-{k}", about(0.5 if k < 32 else 0.3)) for k in (4, 8, 32)),
            *(asked(f"hash-{k}", about(0.3, 0.02)) for k in (4, 8, 32)),
        ),
    ),
    "width": (width(0.3, 0.28), width(0.6, 0.3), width(0.19, 0.21, standard=0.19)),
    "edited-leak": (
        pair("hash-4-edited", "hash-4", 0.6, 0.3),
        pair("hash-4-edited", "hash-4", 0.3, 0.6),
        pair("hash-4-edited", "hash-4", 0.3, 0.3),
    ),
    "reformatted-leak": (
        pair("hash-4-reformatted", "hash-4", 0.6, 0.3),
        pair("hash-4-reformatted", "hash-4", 0.3, 0.6),
        pair("hash-4-reformatted", "hash-4", 0.6, 0.3, seeds=2),
    ),
    "normalized-edited": (
        pair("normalized-4-edited", "hash-4-edited", 0.3, 0.6),
        pair("normalized-4-edited", "hash-4-edited", 0.6, 0.3),
        pair("normalized-4-edited", "hash-4-edited", 0.3, 0.3),
    ),
    "normalized-reformatted": (
        pair("normalized-4-reformatted", "hash-4-reformatted", 0.3, 0.6),
        pair("normalized-4-reformatted", "hash-4-reformatted", 0.6, 0.3),
        pair("normalized-4-reformatted", "hash-4-reformatted", 0.3, 0.3),
    ),
    "memfree-verbatim": (free([0, 0, 0]), free([0, 1, 0]), free([0, 0, 0], plain=0)),
    "memfree-overlap": (free([0] * 3), free([0] * 3, rouge=0.1), free([0] * 3, rouge=0.2)),
}
"""By claim: tables with which it holds, fails, and cannot be told."""

NEVER = ("benchmarks", "mauve")
SPARE = {
    ("divergence-hash", "hash-4-h1"),
    ("divergence-hash", "hash-4-edited"),
    ("divergence-static", "hash-4-h1"),
    ("divergence-static", "hash-4-edited"),
    ("memfree-verbatim", "control"),
}


def judged(claim: str, tables: Tables, config: GoldfishConfig = CONFIG) -> dict[str, Any]:
    found = judge_all([c for c in CLAIMS if c.id == claim], tables, config)
    return found.row(0, named=True)


def test_every_claim_has_its_cases():
    assert set(CASES) | set(NEVER) == {claim.id for claim in CLAIMS}


@pytest.mark.parametrize("claim", CASES)
@pytest.mark.parametrize("case", [0, 1, 2], ids=["holds", "fails", "untold"])
def test_a_claim_is_judged(claim, case):
    verdict = judged(claim, CASES[claim][case])
    assert verdict["verdict"] == ("holds", "fails", "not tested")[case], verdict
    assert verdict["why"]
    if case < 2:
        assert verdict["text"]
        assert verdict["n"] >= 3
        assert verdict["low"] <= verdict["value"] <= verdict["high"]


@pytest.mark.parametrize("claim", CASES)
def test_nothing_is_told_from_one_repetition(claim):
    tables = {name: table.filter(pl.col("seed") == 0) for name, table in CASES[claim][0].items()}
    assert judged(claim, Tables(tables))["verdict"] == "not tested"


@pytest.mark.parametrize("claim", CASES)
def test_nothing_is_told_where_a_repetition_of_an_arm_is_missing(claim):
    """Cells fail one by one: two of three repetitions are no three, and nothing breaks."""
    for arm in {arm for table in CASES[claim][0].values() for arm in table["arm"]}:
        tables = {
            name: table.filter((pl.col("seed") != 1) | (pl.col("arm") != arm))
            for name, table in CASES[claim][0].items()
        }
        verdict = judged(claim, Tables(tables))["verdict"]
        # Arms that this claim is not about, and standard training where it is pooled, may miss one.
        spare = (claim, arm) in SPARE
        pooled = arm == "standard" and claim in (
            "extreme-goldfish", "beam-resists", "memfree-verbatim",
        )  # fmt: skip
        assert verdict == "not tested" or spare or pooled, arm


@pytest.mark.parametrize("claim", CASES)
def test_nothing_is_told_without_tables(claim):
    assert judged(claim, Tables())["verdict"] == "not tested"
    empty = {name: table.clear() for name, table in CASES[claim][0].items()}
    assert judged(claim, Tables(empty))["verdict"] == "not tested"


@pytest.mark.parametrize("claim", CASES)
def test_nothing_is_told_of_a_config_without_the_arms(claim):
    bare = replace(
        CONFIG,
        extreme=replace(CONFIG.extreme, arms=()),
        scratch=replace(CONFIG.scratch, arms=("dp-sgd",)),
    )
    assert judged(claim, CASES[claim][0], bare)["verdict"] == "not tested"


@pytest.mark.parametrize("claim", NEVER)
def test_what_is_not_measured_says_why(claim):
    verdict = judged(claim, CASES["monotone"][0])
    assert verdict["verdict"] == "not tested"
    assert len(verdict["why"]) > 40


def test_the_presets_name_of_an_arm_with_other_fields_counts_for_nothing():
    config = override(CONFIG, {"arms.hash-3.k": 6})
    assert judged("membership-low-fpr", CASES["membership-low-fpr"][0], config)["why"] == (
        "no arm of this run is the hash mask with k = 3 and nothing else changed"
    )
    config = override(CONFIG, {"arms.standard.copies": "edited"})
    found = judged("standard-recites", CASES["standard-recites"][0], config)
    assert found["verdict"] == "not tested"


def test_repetitions_are_compared_within_themselves():
    """Arms that differ less than repetitions do are told apart all the same."""
    means = [0.2, 0.4, 0.6]
    tables = documents(
        asked("hash-4-edited", [m + d for m, d in zip(means, about(0.05), strict=True)]),
        asked("hash-4", means),
    )
    assert judged("edited-leak", tables)["verdict"] == "holds"


def test_a_mask_that_fails_decides_for_the_others():
    found = judged("random-worse", CASES["random-worse"][1])
    assert found["text"].startswith("k = 32:")
    assert "the worst of 3 values of k (holds: 2, fails: 1)" in found["text"]


def test_fewer_beams_than_the_papers_tell_nothing_of_its_attack():
    config = override(CONFIG, {"scratch.beams": 5})
    assert judged("beam-resists", CASES["beam-resists"][0], config)["verdict"] == "not tested"


def test_rates_that_the_documents_cannot_show_are_named():
    why = judged("membership-low-fpr", CASES["membership-low-fpr"][2])["why"]
    assert "a false-positive rate of 1 %" in why


def test_at_the_papers_rate_where_documents_are_enough():
    """The lowest rate that there is decides."""
    low = membership("loss", "tpr_at_0.001", hash_3=about(0.1), standard=about(0.9, 0.02))
    high = membership("loss", "tpr_at_0.01", hash_3=about(0.9), standard=about(0.9, 0.02))
    tables = Tables({"membership": pl.concat([high["membership"], low["membership"]])})
    found = judged("membership-low-fpr", tables)
    assert found["verdict"] == "holds"
    assert "at 0.1 % false ones" in found["text"]


def test_where_all_members_are_found_nothing_can_be_hidden_better():
    ones = [1.0, 1.0, 1.0]
    found = judged(
        "membership-low-fpr", membership("loss", "tpr_at_0.01", hash_3=ones, standard=ones)
    )
    assert found["verdict"] == "not tested"
    assert "finds 72 of 72 members (95 % interval from 95 %) under 3-goldfish" in found["text"]
    assert found["why"].startswith("all members are found under both")
    assert (found["low"], found["high"]) == (None, None)


def test_repetitions_that_agree_at_the_ceiling_give_no_interval():
    ones = [1.0, 1.0, 1.0]
    names = ("hash_3", "hash_4", "hash_8", "hash_32", "hash_128")
    found = judged("membership-stays", membership("zlib", "auc", **dict.fromkeys(names, ones)))
    assert found["verdict"] == "holds"
    assert "all told apart in 3 of 3 repetitions, of 24 members and 100 others" in found["text"]
    assert (found["value"], found["low"], found["high"]) == (1.0, None, None)
    near = membership("zlib", "auc", **dict.fromkeys(names, ones) | {"hash_3": [1.0, 1.0, 0.9996]})
    assert "hash-3: AUC: 0.9999 (0.9993 to 1.0000)" in judged("membership-stays", near)["text"]


def test_the_long_course_is_another_experiment():
    tables = extreme(
        tuned("standard", [1, 0, 1]),
        (tuned("standard", [8, 8, 8], long=True)[0], tuned("standard", [8, 8, 8], long=True)[1]),
    )
    assert judged("extreme-standard", tables)["verdict"] == "fails"
