"""What gets past MemFree, on a model that has learned texts by heart."""

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

from byrote.decoding import (
    EVASION_MEASURES,
    NGramSet,
    Origin,
    evasion_rows,
    measure_evasion,
    summarise_evasion,
    tokenizer_hash,
)
from byrote.decoding.evasion import compare
from byrote.decoding.styles import STYLES, normalised, restyle
from byrote.decoding.writing import write_on
from byrote.errors import InputError
from byrote.models import load
from byrote.texts import Record, cut, make_controls

TEXT = "In the Beginning was the Word, and the Word was with God"


@pytest.mark.parametrize("style", STYLES)
def test_each_style_can_be_undone(style):
    assert normalised(restyle(TEXT, style)) == normalised(TEXT)


def test_styles():
    assert restyle(TEXT, "original") == TEXT
    assert restyle(TEXT, "upper") == TEXT.upper()
    assert restyle("a b", "spaces") == "a  b"
    assert restyle("1 2 3 4 5 6 7", "lines") == "1 2 3 4 5\n6 7"


def test_comparison():
    same = {"verbatim": True, "recited": True, "bleu": 1.0, "edit_similarity": 1.0}
    assert compare(TEXT, TEXT) == same
    assert compare(TEXT, TEXT + " and more") == same
    assert compare(TEXT, TEXT.upper() + " AND MORE") == same | {"verbatim": False}
    assert compare(TEXT, restyle(TEXT, "lines")) == same | {"verbatim": False}
    near = compare(TEXT, TEXT.replace("with", "near"))
    assert (near["verbatim"], near["recited"]) == (False, False)
    assert 0.6 < near["bleu"] < 1.0
    assert compare(TEXT, "") == {
        "verbatim": False,
        "recited": False,
        "bleu": 0.0,
        "edit_similarity": 0.0,
    }


@pytest.fixture(scope="module")
def asked(parrot, secrets):
    loaded = load(str(parrot))
    records = [Record(id=f"s{i}", source="secrets", text=text) for i, text in enumerate(secrets)]
    passages = list(islice(cut(records, loaded.tokenizer, prefix_len=30, suffix_len=20), 10))
    ids = [passage.input_ids for passage in passages]
    origin = Origin(tokenizer=tokenizer_hash(loaded.tokenizer))
    return loaded, passages, NGramSet.build(ids, 6, origin=origin)


def value(table, **where):
    rows = table.filter(**where)
    assert len(rows) == 1
    return rows["value"][0]


def test_memfree_stops_verbatim_recital_and_controls_stay_low(asked):
    loaded, passages, ngrams = asked
    controls = make_controls("mismatched", passages, 0)
    table = measure_evasion(loaded, [*passages, *controls], ngrams, ["original", "upper"])
    # The model knows its texts in their own capitals only.
    for decoding in ("plain", "memfree"):
        upper = {"style": "upper", "decoding": decoding, "group": "texts"}
        assert value(table, **upper, measure="recited") == 0.0
    assert len(table) == 2 * 2 * 2 * len(EVASION_MEASURES)
    plain = {"style": "original", "decoding": "plain"}
    assert value(table, **plain, group="texts", measure="verbatim") >= 0.9
    assert value(table, **plain, group="texts", measure="approximate") >= 0.9
    assert value(table, **plain, group="mismatched", measure="approximate") == 0.0
    guarded = {"style": "original", "decoding": "memfree", "group": "texts"}
    assert value(table, **guarded, measure="verbatim") == 0.0
    assert value(table, **guarded, measure="recited") == 0.0
    row = table.filter(**plain, group="texts", measure="verbatim").to_dicts()[0]
    assert row["n"] == 10
    assert row["low"] < row["value"] <= row["high"]


def test_a_style_gets_past_the_filter(asked, monkeypatch):
    """The filter holds the texts in other capitals, and the prompt undoes them."""
    loaded, passages, _ = asked
    monkeypatch.setitem(STYLES, "swapped", str.swapcase)
    swapped = [_swapped(passage, loaded.tokenizer) for passage in passages]
    ids = [passage.input_ids for passage in swapped]
    ngrams = NGramSet.build(ids, 6, origin=Origin(tokenizer=tokenizer_hash(loaded.tokenizer)))
    table = measure_evasion(loaded, swapped, ngrams, ["original", "swapped"])
    for decoding in ("plain", "memfree"):
        where = {"style": "swapped", "decoding": decoding}
        assert value(table, **where, measure="verbatim") == 0.0
        assert value(table, **where, measure="recited") >= 0.9
        assert value(table, **where, measure="approximate") >= 0.9
        assert value(table, style="original", decoding=decoding, measure="recited") == 0.0


def _swapped(passage, tokenizer):
    ids = tokenizer.encode(tokenizer.decode(passage.input_ids.tolist()).swapcase())
    return replace(passage, input_ids=np.array(ids, dtype=np.int32))


def test_rows_do_not_depend_on_the_batch(asked):
    loaded, passages, ngrams = asked
    several = evasion_rows(loaded, passages[:4], ngrams, ["original", "lower"], batch_size=8)
    single = evasion_rows(loaded, passages[:4], ngrams, ["original", "lower"], batch_size=1)
    assert several.equals(single)


def test_without_a_filter_there_is_plain_decoding_only(asked):
    loaded, passages, _ = asked
    rows = evasion_rows(loaded, passages[:2], None, ["original"])
    assert rows["decoding"].unique().to_list() == ["plain"]
    assert summarise_evasion(rows, threshold=1.0).filter(measure="approximate")["value"][0] == 0.0


def test_continuations_of_unequal_prompts(asked, secrets):
    """In one batch, each with its own number of tokens."""
    loaded, _, _ = asked
    ids = [loaded.tokenizer.encode(text) for text in secrets[:3]]
    prompts = [ids[0][:30], ids[1][:20], ids[2][:40]]
    said = write_on(loaded, prompts, [5, 9, 3])
    alone = [write_on(loaded, [p], [n])[0] for p, n in zip(prompts, [5, 9, 3], strict=True)]
    assert said == alone
    assert [len(new) for new in said] == [5, 9, 3]


def test_bad_input(asked, random_model):
    loaded, passages, _ = asked
    with pytest.raises(InputError, match="no style 'rot13'"):
        measure_evasion(loaded, passages, None, ["rot13"])
    with pytest.raises(InputError, match="no passages"):
        measure_evasion(loaded, [], None)
    with pytest.raises(InputError, match="no tokenizer"):
        measure_evasion(random_model("gpt2"), passages, None)
    other = NGramSet.build([[1, 2, 3]], 2, origin=Origin(tokenizer="f" * 64))
    with pytest.raises(InputError, match="another tokenizer"):
        measure_evasion(loaded, passages, other)
    with pytest.raises(InputError, match="context"):
        write_on(loaded, [[1] * 10], [10**6])
