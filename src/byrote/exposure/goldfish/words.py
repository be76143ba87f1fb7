"""The words of a text as its copies share them: normalised, hashed, and where each one stands."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from byrote.exposure.goldfish.config import Normalization
from byrote.exposure.goldfish.hashing import Words as Hashes
from byrote.exposure.goldfish.hashing import scramble, window_hashes

__all__ = ["BREAK", "Units", "units_of"]

BREAK = "\x00"
"""Stands for a special token in a text: it ends a word and is nothing itself."""

LONGEST = 16
"""Characters after which a run without a space begins a new unit, as in addresses and base64."""

# Kinds of characters: skipped, between words, of a word, a sign, a word by itself.
_SKIPPED, _BETWEEN, _LETTER, _SIGN, _WHOLE = range(5)

# Scripts without spaces between words: each character is a unit.
_UNSPACED = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x3040, 0x30FF),  # Hiragana, Katakana
    (0x3400, 0x4DBF),  # Han
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x3FFFF),
)
_APOSTROPHES = frozenset("'’‘ʼ`´")
_NEWLINES = frozenset("\n\x0b\x0c\x85\u2028\u2029")
# A word cut in two at the end of a line; invisible characters may stand about.
_HYPHENATED = re.compile(r"(?<=[^\W\d_])[-\u2010\u2011][ \t]*\r?\n\s*(?=[^\W\d_])")
# What is not ASCII, with the character before: an accent that follows may join it.
_FOREIGN = re.compile(r"[\x00-\x7f]?[^\x00-\x7f]+")


@dataclass(frozen=True, slots=True, eq=False)
class Units:
    """Words, and runs of signs between them.

    Attributes:
        following: int64 `[characters + 1]`: the unit that holds a character of the text, or else
            the next one; the number of units behind the last.
        hashes: uint64 `[units]`, of what the units hold.
        signs: bool `[units]`, punctuation rather than words.
    """

    following: NDArray[np.int64]
    hashes: Hashes
    signs: NDArray[np.bool_]


def units_of(text: str, options: Normalization, seed: int) -> Units:
    """Cut a text into words and signs that do not depend on what the options normalise away.

    Args:
        text: Any text; its characters are counted as Python counts them.
        options: What copies may differ in.
        seed: The key of the hashes.
    """
    codes, origin, leader = _normalised(text, options)
    kinds = _kinds(codes, options)
    if options.line_breaks:
        for match in _HYPHENATED.finditer(_string(codes)):
            kinds[match.start() : match.end()] = _SKIPPED
    seen = kinds != _SKIPPED
    codes, origin, kinds = codes[seen], origin[seen], kinds[seen]

    between = kinds == _BETWEEN
    new = np.ones(len(kinds), dtype=bool)
    new[1:] = (kinds[1:] != kinds[:-1]) | (kinds[1:] == _WHOLE)
    run = np.arange(len(kinds))
    run -= np.maximum.accumulate(np.where(new, run, 0))
    new = (new | (run % LONGEST == 0)) & ~between
    unit = np.cumsum(new) - 1
    count = int(new.sum())

    following = np.full(len(text) + 1, count, dtype=np.int64)
    # Backwards, so that where one character became several the first of them stays.
    following[origin[~between][::-1]] = unit[~between][::-1]
    following = np.minimum.accumulate(following[::-1])[::-1]
    if leader is not None:
        following = following[leader]

    counted = ~between | _counted_space(codes, between, options)
    owner = np.where(between, unit + 1, unit)
    counted &= owner < count
    letters = codes[counted]
    if options.line_breaks:
        letters = np.where(_is_newline(letters), np.uint32(32), letters)
    lengths = np.bincount(owner[counted], minlength=count)
    hashes = window_hashes(scramble(letters, seed, 5), np.cumsum(lengths), lengths, seed)
    return Units(following, hashes, kinds[new] == _SIGN)


def _normalised(
    text: str, options: Normalization
) -> tuple[NDArray[np.uint32], NDArray[np.int64], NDArray[np.int64] | None]:
    """The characters that copies share, and which character of the text each comes from.

    The third is the first character of the cluster that each character is in, for the positions
    `[characters + 1]`; None where each stands for itself.
    """
    codes = _codes(text)
    origin = np.arange(len(codes))
    leader = None
    if (options.unicode or options.case) and not text.isascii():
        leader = np.arange(len(text) + 1)
        parts, places, done = [], [], 0
        for match in _FOREIGN.finditer(text):
            parts.append(codes[done : match.start()])
            places.append(origin[done : match.start()])
            for start, end in _clusters(text, match.start(), match.end()):
                folded = _folded(text[start:end], options.unicode, options.case)
                parts.append(folded)
                places.append(np.full(len(folded), start))
                leader[start:end] = start
            done = match.end()
        codes = np.concatenate([*parts, codes[done:]])
        origin = np.concatenate([*places, origin[done:]])
    if options.case:
        capital = (codes >= ord("A")) & (codes <= ord("Z"))
        codes = np.where(capital, codes + np.uint32(32), codes)
    return codes, origin, leader


def _clusters(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """Spans of characters that normalise together: a base and the marks that follow it."""
    edges = [start]
    edges += [i for i in range(start + 1, end) if not _joins(text[i])]
    return list(zip(edges, [*edges[1:], end], strict=True))


@lru_cache(maxsize=65536)
def _joins(character: str) -> bool:
    # Vowels and final consonants of Hangul join too, and the half-width voiced sound marks.
    return (
        unicodedata.category(character)[0] == "M"
        or 0x1160 <= ord(character) <= 0x11FF
        or character in "\uff9e\uff9f"
    )


@lru_cache(maxsize=65536)
def _folded(cluster: str, unicode: bool, case: bool) -> NDArray[np.uint32]:
    if unicode:
        cluster = unicodedata.normalize("NFKC", cluster)
    if case:
        cluster = cluster.casefold()
        if unicode:
            cluster = unicodedata.normalize("NFKC", cluster)
    return _codes(cluster)


def _codes(text: str) -> NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")


def _string(codes: NDArray[np.uint32]) -> str:
    return codes.astype("<u4").tobytes().decode("utf-32-le", "surrogatepass")


def _kinds(codes: NDArray[np.uint32], options: Normalization) -> NDArray[np.int8]:
    key = (options.invisible, options.punctuation)
    kinds = _ascii_kinds(*key)[np.minimum(codes, 127)]
    foreign = np.flatnonzero(codes > 127)
    if len(foreign):
        distinct, which = np.unique(codes[foreign], return_inverse=True)
        kinds[foreign] = np.array([_kind(code, *key) for code in distinct.tolist()])[which]
    return kinds


@lru_cache(maxsize=4)
def _ascii_kinds(invisible: bool, punctuation: bool) -> NDArray[np.int8]:
    return np.array([_kind(code, invisible, punctuation) for code in range(128)], dtype=np.int8)


@lru_cache(maxsize=65536)
def _kind(code: int, invisible: bool, punctuation: bool) -> int:
    character = chr(code)
    category = unicodedata.category(character)
    if character.isspace() or category == "Cc":
        return _BETWEEN
    if category == "Cf":
        return _SKIPPED if invisible else _SIGN
    if character in _APOSTROPHES and punctuation:
        return _SKIPPED
    if any(low <= code <= high for low, high in _UNSPACED):
        return _WHOLE if category[0] in "LMN" else _SIGN
    return _LETTER if category[0] in "LMN" else _SIGN


@lru_cache(maxsize=1)
def _newlines() -> NDArray[np.uint32]:
    return np.array(sorted(map(ord, _NEWLINES)), dtype=np.uint32)


def _is_newline(codes: NDArray[np.uint32]) -> NDArray[np.bool_]:
    return np.isin(codes, _newlines())


def _counted_space(
    codes: NDArray[np.uint32], between: NDArray[np.bool_], options: Normalization
) -> NDArray[np.bool_]:
    """Which white space is a part of the word that follows."""
    if options.space and options.line_breaks:
        return np.zeros(len(codes), dtype=bool)
    if not options.space:
        return between & (codes != ord(BREAK)) & (codes != ord("\r"))
    # Only that there is a line break, not how many.
    newline = between & _is_newline(codes)
    lines = np.cumsum(newline)
    index = np.arange(len(codes))
    last_letter = np.maximum.accumulate(np.where(between, -1, index))
    before = np.where(last_letter >= 0, lines[np.maximum(last_letter, 0)], 0)
    return newline & (lines - before == 1)
