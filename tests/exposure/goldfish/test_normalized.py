import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from byrote.errors import InputError
from byrote.exposure.goldfish import Goldfish, Normalization, keep_mask, normalized_keep_mask
from byrote.exposure.goldfish.words import units_of

GOLDFISH = Goldfish(3, 3, normalize=True)


def each_character(text):
    return np.arange(len(text))[:, None] + [0, 1]


def dropped_letters(text, goldfish=GOLDFISH):
    """The dropped letters, in order, with which letter of the text each is; as copies share it."""
    keep = normalized_keep_mask(text, each_character(text), goldfish)
    letters = [(c, k) for c, k in zip(text, keep, strict=True) if c.isalnum()]
    return [
        (i, unicodedata.normalize("NFKC", c).casefold())
        for i, (c, k) in enumerate(letters)
        if not k
    ]


def dropped_characters(tokenizer, text, goldfish=GOLDFISH):
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    keep = normalized_keep_mask(text, encoded["offset_mapping"], goldfish)
    found = np.zeros(len(text), dtype=bool)
    for (start, end), kept in zip(encoded["offset_mapping"], keep, strict=True):
        found[start:end] |= not kept
    return found & np.array([c.isalnum() for c in text])


@pytest.mark.parametrize(
    "copy",
    [
        lambda t: t.replace(" ", "\n"),
        lambda t: t.replace(". ", ".\r\n\r\n\t"),
        lambda t: t.upper(),
        lambda t: t.replace("e", "e\u00ad"),
        lambda t: "\ufeff" + t.replace(" ", "\u00a0"),
        lambda t: t.replace("'", "’").replace(",", " —"),
        lambda t: unicodedata.normalize("NFD", t),
        lambda t: "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in t),
        lambda t: t.replace("firmament", "firma-\n  ment"),
    ],
    ids=[
        "lines",
        "paragraphs",
        "capitals",
        "soft-hyphens",
        "nbsp",
        "quotes",
        "decomposed",
        "full-width",
        "hyphens",
    ],
)
def test_reformatted_copies_lose_the_same_letters(copy, text):
    original = dropped_letters(text)
    assert 0.2 < len(original) / sum(map(str.isalnum, text)) < 0.5
    assert dropped_letters(copy(text)) == original


@pytest.mark.parametrize(
    ("option", "copy"),
    [
        ("unicode", lambda t: t.replace("fi", "ﬁ")),
        ("case", str.upper),
        ("space", lambda t: t.replace(" ", "  ")),
        ("line_breaks", lambda t: t.replace(" ", "\n")),
        ("invisible", lambda t: t.replace("e", "e\u00ad")),
        ("punctuation", lambda t: t.replace(",", " —")),
    ],
)
def test_each_option_matters(option, copy, text):
    without = Goldfish(3, 3, normalize=Normalization(**{option: False}))
    changed = copy(text)
    places = [letter[0] for letter in dropped_letters(text, without)]
    assert [letter[0] for letter in dropped_letters(changed, without)] != places
    if option != "unicode":
        assert dropped_letters(changed) == dropped_letters(text)


def test_line_breaks_alone_count_once():
    only_lines = Goldfish(3, 3, normalize=Normalization(line_breaks=False))
    text = "one two three\nfour five six\nseven eight nine ten eleven\ntwelve " * 9
    letters = dropped_letters(text, only_lines)
    assert dropped_letters(text.replace(" ", "  ").replace("\n", " \n\n "), only_lines) == letters


def test_two_tokenizers_lose_the_same_words(coarse, fine, spaced, text):
    first = dropped_characters(coarse, text)
    assert 0.2 < first.sum() / sum(map(str.isalnum, text)) < 0.5
    for other in (fine, spaced):
        assert len(other.tokenize(text)) != len(coarse.tokenize(text))
        np.testing.assert_array_equal(dropped_characters(other, text), first)


@pytest.mark.parametrize("name", ["coarse", "fine", "spaced", "byte_tokenizer"])
def test_ids_alone_say_the_same_as_offsets(name, request, text):
    tokenizer = request.getfixturevalue(name)
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    by_offsets = normalized_keep_mask(text, encoded["offset_mapping"], GOLDFISH)
    by_ids = keep_mask(np.array(encoded["input_ids"]), GOLDFISH, tokenizer=tokenizer)
    np.testing.assert_array_equal(by_ids, by_offsets)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=60))
def test_ids_alone_say_the_same_for_any_text(byte_tokenizer, found):
    if "\ufffd" in found or any(0xD800 <= ord(c) < 0xE000 for c in found):
        return
    goldfish = Goldfish(2, 1, normalize=True)
    ids = np.array(list(found.encode()), dtype=int)
    starts = np.cumsum([0, *(len(c.encode()) for c in found)])
    keep = keep_mask(ids, goldfish, tokenizer=byte_tokenizer)
    expected = normalized_keep_mask(found, each_character(found), goldfish)
    # (0, 0) is no character here, so the first one is asked for as well.
    np.testing.assert_array_equal(keep[starts[:-1]], expected)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=40), st.booleans())
def test_units_cover_any_text(found, unicode):
    units = units_of(found, Normalization(unicode=unicode), seed=0)
    assert len(units.following) == len(found) + 1
    assert (np.diff(units.following) >= 0).all()
    assert units.following[-1] == len(units.hashes) == len(units.signs)


def test_packed_documents_are_apart_and_specials_are_no_text(coarse, text):
    one = coarse(text[:300], add_special_tokens=False)["input_ids"]
    two = coarse(text[300:700], add_special_tokens=False)["input_ids"]
    row = np.array([0, *one, 0, *two, 0, 0])
    options = {"exempt_ids": [0], "tokenizer": coarse}
    found = keep_mask(row, GOLDFISH, separators=[0], **options)
    np.testing.assert_array_equal(
        found[1 : 1 + len(one)], keep_mask(np.array(one), GOLDFISH, **options)
    )
    np.testing.assert_array_equal(
        found[2 + len(one) : -2], keep_mask(np.array(two), GOLDFISH, **options)
    )
    assert found[[0, 1 + len(one), -1, -2]].all()
    padded = keep_mask(np.array([-1, *one, -1]), GOLDFISH, **options)
    np.testing.assert_array_equal(padded[1:-1], keep_mask(np.array(one), GOLDFISH, **options))


def test_decision_is_the_context_s_not_the_word_s():
    goldfish = Goldfish(2, 2, normalize=True)
    rng = np.random.default_rng(0)
    fates = []
    for _ in range(300):
        before = " ".join(f"w{n}" for n in rng.integers(0, 100, 5))
        kept = [
            normalized_keep_mask(t, each_character(t), goldfish)[len(before) + 1]
            for t in (f"{before} cat", f"{before} horses")
        ]
        assert kept[0] == kept[1]
        fates.append(kept[0])
    assert 0.4 < np.mean(fates) < 0.6


@pytest.mark.parametrize("k", [3, 8])
def test_rate_per_token_is_near_one_in_k(k, coarse, fine):
    rng = np.random.default_rng(1)
    words = ["light", "darkness", "waters", "face", "God", "beginning", "firmament", "day,", "the."]
    text = " ".join(rng.choice(words, 20_000))
    for tokenizer in (coarse, fine):
        ids = np.array(tokenizer(text, add_special_tokens=False)["input_ids"])
        rate = 1 - keep_mask(ids, Goldfish(k, 13, normalize=True), tokenizer=tokenizer).mean()
        assert rate == pytest.approx(1 / k, rel=0.06)


def test_scripts_without_spaces_are_cut_into_characters():
    text = "".join(chr(0x4E00 + n) for n in np.random.default_rng(2).integers(0, 2000, 4000))
    keep = normalized_keep_mask(text, each_character(text), Goldfish(4, 13, normalize=True))
    assert 1 - keep.mean() == pytest.approx(0.25, abs=0.03)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: keep_mask(np.arange(3), GOLDFISH), "needs the tokenizer that made the ids"),
        (lambda: normalized_keep_mask("ab", [(0, 3)], GOLDFISH), "from 0 to 3, but the text has 2"),
        (
            lambda: normalized_keep_mask("ab", [(0, 1)], Goldfish(strategy="static")),
            "not with static",
        ),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_no_text_is_no_error():
    assert normalized_keep_mask("", [], GOLDFISH).shape == (0,)
    assert normalized_keep_mask(" \n", [(0, 1), (1, 2)], GOLDFISH).all()
