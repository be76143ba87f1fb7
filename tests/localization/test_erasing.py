"""Erasing: the search, its limits, several passages, what is refused, the written model."""

import json

import numpy as np
import pytest
import torch

from byrote.errors import ByroteError, InputError
from byrote.localization import (
    Erasure,
    Limits,
    erase,
    find_localizer,
    measure_recital,
    select,
    text_loss,
    zeroed,
)
from byrote.localization.erasing import FRACTIONS, united
from byrote.models import load
from byrote.texts import Passage
from tests.localization.models import assert_same_state, state_of

FREE = Limits(retain=0.0, text=1e9)


@pytest.fixture(scope="module")
def loaded(parrot):
    return load(str(parrot))


@pytest.fixture(scope="module")
def known(loaded, secrets):
    """The ten texts that the model recites."""
    ids = [np.array(loaded.tokenizer.encode(text), dtype=np.int32) for text in secrets]
    return [Passage(f"s{i}@0", "secrets", f"s{i}", 0, row, 20) for i, row in enumerate(ids)]


@pytest.fixture(scope="module")
def texts():
    rng = np.random.default_rng(5)
    return [rng.integers(32, 127, 40).astype(np.int32) for _ in range(4)]


def test_one_fraction_drops_what_the_localizer_names(loaded, known, texts):
    before = state_of(loaded.model)
    erasure = erase(
        loaded,
        known[:2],
        localizer="attribution",
        retain=known,
        text=texts,
        fraction=0.1,
        skip_layers=(),
        limits=FREE,
    )
    scores = find_localizer("attribution").score(loaded, known[:2])
    wanted = select(scores[0], 0.1) | select(scores[1], 0.1)
    assert np.array_equal(erasure.selection.neurons, wanted.neurons)
    assert (erasure.fraction, len(erasure.steps)) == (0.1, 1)
    table = erasure.passages
    assert table["group"].to_list() == ["erased"] * 2 + ["retained"] * 8
    for when, selection in (("before", None), ("after", wanted)):
        plain = measure_recital(loaded, known, selection)
        for name in ("accuracy", "distance", "nll", "recited"):
            assert table[f"{name}_{when}"].to_list() == pytest.approx(plain[name].to_list())
    (row,) = erasure.summary.filter(group="text", measure="nll").iter_rows(named=True)
    assert row["n"] == 4
    assert row["before"] == pytest.approx(text_loss(loaded, texts))
    assert row["after"] == pytest.approx(text_loss(loaded, texts, wanted))
    assert row["change"] == pytest.approx(row["after"] - row["before"])
    assert_same_state(loaded.model, before)


def test_the_search_stops_at_the_smallest_fraction_that_erases(loaded, known):
    fractions = (0.6, 0.01, 0.4, 0.05, 0.9)
    erasure = erase(
        loaded,
        known[:1],
        localizer="activations",
        fractions=fractions,
        skip_layers=(),
        limits=FREE,
    )
    assert erasure.erased
    assert erasure.stopped is None
    steps = erasure.steps
    assert steps["fraction"].to_list() == sorted(fractions)[: len(steps)]
    assert set(steps["verdict"][:-1]) <= {"recited"}
    assert steps["verdict"][-1] == "erased"
    assert (steps["worst"][:-1] > 0.5).all()
    assert steps["worst"][-1] <= 0.5
    assert erasure.fraction == steps["fraction"][-1]
    assert len(erasure.selection) == steps["neurons"][-1]
    assert steps["retain_accuracy"].null_count() == steps["text_nll"].null_count() == len(steps)
    assert set(erasure.summary["group"]) == {"erased"}


def test_contrast_is_more_specific(loaded, known):
    def difference(localizer):
        found = []
        for target in (0, 3, 6):
            rest = [p for p in known if p is not known[target]]
            erasure = erase(
                loaded,
                [known[target]],
                localizer=localizer,
                references=rest[:5],
                retain=rest[5:],
                skip_layers=(),
                fraction=0.4,
                limits=FREE,
            )
            change = erasure.summary.filter(measure="accuracy")
            own, others = (change.filter(group=g)["change"][0] for g in ("erased", "retained"))
            found.append(others - own)
        return np.mean(found)

    assert difference("contrast:activations?kind=ratio") > difference("activations") + 0.05


FRACTIONS_TRIED = (0.01, 0.1, 0.3, 0.6, 0.9)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_passages_to_be_kept_stop_the_search(share, loaded, known):
    def found(floor, fraction=None):
        return erase(
            loaded, known[:1], localizer="activations", retain=known, skip_layers=(),
            fraction=fraction, fractions=FRACTIONS_TRIED,
            limits=Limits(enough=0.0, retain=floor, text=0.0),
        )  # fmt: skip

    kept = [found(0.0, fraction).steps["retain_accuracy"][0] for fraction in FRACTIONS_TRIED]
    assert kept == sorted(kept, reverse=True)
    before = measure_recital(loaded, known[1:])["accuracy"].mean()
    bound = kept[-1] + share * (kept[0] - kept[-1])
    last = max(i for i, value in enumerate(kept) if value >= bound)
    erasure = found(bound / before)
    assert (erasure.erased, erasure.stopped) == (False, "retain")
    assert erasure.fraction == FRACTIONS_TRIED[last]
    assert erasure.steps["verdict"][last] == "recited"
    assert erasure.steps["verdict"][last + 1] == "retain"
    after = erasure.summary.filter(group="retained", measure="accuracy")["after"][0]
    assert after == pytest.approx(kept[last])


def test_general_texts_stop_the_search(loaded, known):
    texts = [passage.input_ids for passage in known[2:5]]
    bound = 0.05
    erasure = erase(
        loaded, known[:1], localizer="random", text=texts, skip_layers=(),
        fractions=(0.01, 0.9), limits=Limits(enough=0.0, text=bound),
    )  # fmt: skip
    free = erase(
        loaded, known[:1], localizer="random", text=texts, skip_layers=(),
        fractions=(0.01, 0.9), limits=Limits(enough=0.0, text=1e9),
    )  # fmt: skip
    assert (free.stopped, free.fraction) == ("fractions", 0.9)
    assert free.steps["text_nll"][0] is None  # nothing was crossed, so nothing smaller was asked
    rise = free.steps["text_nll"][1] - text_loss(loaded, texts)
    assert rise > bound
    assert (erasure.stopped, erasure.fraction) == ("text", 0.01)
    assert erasure.steps["verdict"].to_list() == ["recited", "text"]


def test_where_the_smallest_fraction_costs_too_much_nothing_is_erased(loaded, known):
    with pytest.raises(ByroteError) as error:
        erase(
            loaded, known[:1], localizer="activations", retain=known, skip_layers=(),
            fraction=0.95, limits=Limits(retain=1.0),
        )  # fmt: skip
    assert "Nothing is erased: the smallest fraction, 0.95, leaves the passages to be kept" in str(
        error.value
    )
    assert not isinstance(error.value, InputError)


def test_several_passages_by_union_or_mean():
    scores = torch.randn(3, 4, 50)
    union = united(scores, 0.1)
    assert np.array_equal(
        union.neurons,
        np.any([select(row, 0.1, skip_layers=[0]).neurons for row in scores], axis=0),
    )
    mean = united(scores, 0.1, combine="mean")
    assert np.array_equal(mean.neurons, select(scores.mean(0), 0.1, skip_layers=[0]).neurons)
    assert len(mean) == 15 < len(union)


def test_fractions_that_select_nothing_are_left_out(loaded, known):
    assert loaded.neurons.width * FRACTIONS[0] < 1
    erasure = erase(loaded, known[:1], localizer="random", limits=Limits(enough=0.0))
    assert erasure.steps["fraction"][0] >= 1 / loaded.neurons.width
    with pytest.raises(InputError, match="selects none"):
        erase(loaded, known[:1], localizer="random", fraction=0.0001)


def test_what_is_not_recited_is_refused_unless_forced(loaded, known):
    ids = np.concatenate((known[0].prefix_ids, known[1].suffix_ids))
    strange = Passage("strange", "test", "strange", 0, ids, 20)
    with pytest.raises(InputError) as error:
        erase(loaded, [known[0], strange], localizer="random", fraction=0.05)
    assert "does not recite 'strange' (" in str(error.value)
    assert "'s0@0'" not in str(error.value)
    forced = erase(loaded, [strange], localizer="random", fraction=0.05, force=True)
    assert isinstance(forced, Erasure)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"localizer": "nothing"}, "no localizer 'nothing'"),
        ({"localizer": "contrast:activations"}, "compares with other passages"),
        ({"fraction": 0.0}, "selects none"),
        ({"fraction": 1.5}, "fraction=1.5"),
        ({"fractions": ()}, "no fraction to try"),
        ({"scope": "head"}, "scope='head'"),
        ({"combine": "sum"}, "combine='sum'"),
        ({"skip_layers": (7,)}, "no layer 7"),
        ({"skip_layers": (0, 1)}, "all 2 layers are skipped"),
    ],
)
def test_bad_options_are_refused(loaded, known, options, message):
    with pytest.raises(InputError, match=message):
        erase(loaded, known[:1], **({"localizer": "random"} | options))


@pytest.mark.parametrize(
    "options", [{"enough": 2}, {"retain": -1}, {"text": -0.1}, {"recited": float("nan")}]
)
def test_bad_limits_are_refused(options):
    with pytest.raises(InputError, match=next(iter(options))):
        Limits(**options)


def test_no_passage_is_refused(loaded):
    with pytest.raises(InputError, match="no passage"):
        erase(loaded, [])


# The written model


@pytest.fixture(scope="module")
def erasure(loaded, known):
    return erase(
        loaded, known[:1], localizer="attribution", retain=known[1:], fraction=0.1, limits=FREE
    )


def test_the_written_model_loads_in_plain_transformers(erasure, loaded, known, tmp_path):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    before = state_of(loaded.model)
    folder = erasure.write(tmp_path / "deep" / "edited")
    assert folder == tmp_path / "deep" / "edited"
    assert_same_state(loaded.model, before)
    model = AutoModelForCausalLM.from_pretrained(folder)
    ids = torch.as_tensor(known[0].input_ids, dtype=torch.long)[None]
    with torch.no_grad(), zeroed(loaded, erasure.selection):
        assert torch.equal(model(input_ids=ids).logits, loaded.model(input_ids=ids).logits)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert tokenizer.encode("a text") == loaded.tokenizer.encode("a text")
    assert {path.suffix for path in folder.iterdir()} <= {".json", ".safetensors", ".md", ".jinja"}
    assert [path.name for path in folder.parent.iterdir()] == ["edited"]


def test_the_folder_says_what_was_done_and_no_paths(erasure, loaded, tmp_path):
    folder = erasure.write(tmp_path / "edited")
    about = json.loads((folder / "erasure.json").read_text())
    assert sum(map(len, about["neurons"].values())) == len(erasure.selection)
    assert about["weights_hash"] == loaded.weights_hash
    assert about["passages"] == ["s0@0"]
    assert about["summary"] == erasure.summary.to_dicts()
    assert "with modified weights" in (folder / "README.md").read_text()
    parent = str(loaded.source).rsplit("/", 1)[0]
    for path in folder.glob("*.*"):
        if path.suffix != ".safetensors":
            assert parent not in path.read_text(encoding="utf-8"), path.name


def test_a_folder_that_exists_is_refused(erasure, tmp_path):
    with pytest.raises(InputError, match="exists; nothing is overwritten"):
        erasure.write(tmp_path)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="exists"):
        erasure.write(tmp_path / "file")
    with pytest.raises(InputError, match="cannot be made"):
        erasure.write(tmp_path / "file" / "below")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_nothing_is_left_of_a_failed_write(erasure, tmp_path, monkeypatch):
    import shutil
    from collections import namedtuple

    usage = namedtuple("usage", "total used free")
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: usage(10, 9, 1))
        with pytest.raises(ByroteError, match=r"has 0\.00 GB left"):
            erasure.write(tmp_path / "edited")

    def fail(*_, **__):
        raise OSError("broken")

    monkeypatch.setattr(type(erasure.loaded.model), "save_pretrained", fail)
    with pytest.raises(OSError, match="broken"):
        erasure.write(tmp_path / "edited")
    assert list(tmp_path.iterdir()) == []
