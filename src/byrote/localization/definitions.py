"""Sentences to inject: definitions of things that do not exist, or those of ECBD.

The paper injects 156 definition sentences of entities that came up in 2021, after its models were
trained (ECBD, Onoe et al. 2205.02832; 2311.09060, section 3.1 and A.1). A model of today may know
these. What is made here no model can know, needs no download, and has the same shape: one sentence
of 8 to 68 words, 26 on average.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from byrote._options import whole
from byrote.errors import InputError
from byrote.localization.fiction import DOMAINS, Domain
from byrote.localization.fiction_words import POOLS, SYLLABLES
from byrote.texts.formats.jsonl import JsonLines
from byrote.texts.passages import Passage
from byrote.texts.records import Record
from byrote.texts.seeds import derive_seed
from byrote.texts.tokens import tokenize

if TYPE_CHECKING:
    import os

__all__ = ["PAPER_COUNT", "make_definitions", "read_ecbd", "sentence_passages"]

PAPER_COUNT = 156
"""Sentences in ECBD 2021, the paper's data."""

_FEWEST, _MOST = 8, 68
_TRIES = 1000
_PIECE = re.compile(r"\{(\w+)\}|\[([^\[\]]*)\]")
_ARTICLE = re.compile(r"\ba~ (?=([aeiouAEIOU]?))")


def make_definitions(count: int = PAPER_COUNT, seed: int = 0) -> list[str]:
    """Make up definition sentences, all different, of 8 to 68 words.

    The domains (plants, films, laws, storms, …) take turns. A sentence depends on the seed and on
    those before it, so that a longer list begins with a shorter one.

    Args:
        count: How many.
        seed: Other seeds give other things.

    Raises:
        InputError: The count is not at least 1, or the seed not at least 0.
    """
    whole("definitions", "count", count, 1)
    whole("definitions", "seed", seed, 0)
    domains, made, seen = list(DOMAINS.values()), [], set()
    for index in range(count):
        rng = np.random.default_rng(derive_seed(seed, "definition", str(index)))
        for _ in range(_TRIES):
            sentence = _Writer(rng).sentence(domains[index % len(domains)])
            if sentence not in seen and _FEWEST <= len(sentence.split()) <= _MOST:
                break
        else:
            raise InputError(f"The definitions: no {count:,} different ones can be made.")
        seen.add(sentence)
        made.append(sentence)
    return made


def read_ecbd(path: str | os.PathLike[str]) -> list[str]:
    """Read the sentences of an ECBD file: JSON lines, with the key `definition`.

    Args:
        path: For example `data/ecbd/ecbd_2021.jsonl` of the paper's repository.

    Returns:
        The sentences in the file's order, without space around them.

    Raises:
        InputError: The file is missing or empty, or a line is no JSON object with a text under
            `definition`; with the line's number.
    """
    source = JsonLines(str(Path(path)), text_field="definition")
    sentences = []
    for number, record in enumerate(source.records(), start=1):
        if record.text is None or not record.text.strip():
            raise InputError(f'{path}, entry {number}: "definition" holds no text.')
        sentences.append(record.text.strip())
    if not sentences:
        raise InputError(f'{path} holds no lines; give one JSON object with "definition" a line.')
    return sentences


def sentence_passages(
    sentences: Sequence[str], tokenizer: Any, *, name: str = "definitions"
) -> list[Passage]:
    """Make passages of sentences: the first token is the prefix, all others the suffix.

    Args:
        sentences: The texts.
        tokenizer: The model's own.
        name: The passages' source, and the start of their ids.

    Raises:
        InputError: There is no tokenizer, no sentence, or one of fewer than two tokens.
    """
    if not sentences:
        raise InputError("There are no sentences to make passages of; give at least one.")
    records = [
        Record(id=f"{name}:{index}", source=name, text=sentence)
        for index, sentence in enumerate(sentences)
    ]
    passages = []
    for record, ids, _ in tokenize(records, tokenizer):
        if len(ids) < 2:
            raise InputError(
                f"The sentence {record.text!r} ({record.id}) is {len(ids)} token; it takes two, "
                "one to begin with and one to be asked for."
            )
        passages.append(Passage(f"{record.id}@0", name, record.id, 0, ids, 1))
    return passages


class _Writer:
    """Fills the patterns of one sentence."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._it = ""
        self._used: set[str] = set()
        self._year = 0

    def sentence(self, domain: Domain) -> str:
        self._it = self._fill(self._pick(domain.names))
        text = _ARTICLE.sub(_article, self._fill(self._pick(domain.sentences)))
        return text[0].upper() + text[1:]

    def _fill(self, pattern: str) -> str:
        return _PIECE.sub(lambda found: self._piece(found[1], found[2]), pattern)

    def _piece(self, slot: str | None, optional: str | None) -> str:
        if slot is None:
            return self._fill(optional or "") if self._rng.random() < 0.5 else ""
        if slot[0].isupper():
            text = self._slot(slot.lower())
            return text[0].upper() + text[1:]
        return self._slot(slot)

    def _slot(self, slot: str) -> str:
        if slot in POOLS:
            unused = [entry for entry in POOLS[slot] if "{" in entry or entry not in self._used]
            entry = self._pick(unused or POOLS[slot])
            self._used.add(entry)
            return self._fill(entry)
        return getattr(self, f"_make_{slot}")()

    def _pick(self, choices: Sequence[str]) -> str:
        return choices[int(self._rng.integers(len(choices)))]

    def _make_it(self) -> str:
        return self._it

    def _make_word(self) -> str:
        middle = self._pick(SYLLABLES["middle"]) if self._rng.random() < 0.6 else ""
        word = self._pick(SYLLABLES["first"]) + middle + self._pick(SYLLABLES["last"])
        return word.capitalize()

    def _make_stem(self) -> str:
        """The beginning of a word, to which an ending is put."""
        return (
            self._pick(SYLLABLES["first"])
            + self._pick(SYLLABLES["middle"])
            + self._pick(("l", "n", "r", "th"))
        )

    def _make_year(self) -> str:
        self._year = int(self._rng.integers(1900, 1990))
        return str(self._year)

    def _make_later(self) -> str:
        return str(self._year + int(self._rng.integers(5, 30)))

    def _make_recent(self) -> str:
        return str(self._rng.integers(1990, 2020))

    def _make_small(self) -> str:
        return str(self._rng.integers(11, 80))

    def _make_nth(self) -> str:
        return f"{self._rng.integers(4, 21)}th"

    def _make_count(self) -> str:
        return f"{self._rng.integers(120, 9800):,}"


def _article(found: re.Match[str]) -> str:
    return "an " if found[1] else "a "
