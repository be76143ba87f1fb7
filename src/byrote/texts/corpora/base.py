"""A corpus: texts that need no network, each with an id and labels to choose by."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from byrote.errors import InputError
from byrote.texts.base import TextSource
from byrote.texts.records import Record
from byrote.texts.specs import parse_query

__all__ = ["Corpus", "CorpusSource", "Entry"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One text of a corpus.

    Attributes:
        id: Its name, unique in the corpus.
        text: The text.
        category: A label to report by.
        labels: Values of the corpus's options, `category` apart.
    """

    id: str
    text: str
    category: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Corpus:
    """What a corpus's file defines.

    Attributes:
        name: The name after `corpus:`.
        summary: What it is, in one line.
        options: What may be asked for in the query string.
        entries: Yields all texts, always in the same order.
        version: Name and version of the package that the texts come from; empty where
            the content alone says all.
    """

    name: str
    summary: str
    options: tuple[str, ...]
    entries: Callable[[], Iterator[Entry]]
    version: Callable[[], str]


class CorpusSource(TextSource):
    """`corpus:NAME?option=value,value`: the entries of a corpus that match every option."""

    def __init__(self, name: str, corpus: Corpus) -> None:
        super().__init__(name)
        self.corpus = corpus
        _, self.query = parse_query(name.removeprefix("corpus:"), name, corpus.options)

    def records(self) -> Iterator[Record]:
        """Yield one record an entry."""
        for entry in self._entries():
            yield Record(id=entry.id, source=self.name, text=entry.text, category=entry.category)

    def fingerprint(self) -> str:
        """Name the package's version, and hash the ids, categories and texts."""
        digest = hashlib.sha256()
        for entry in self._entries():
            for part in (entry.id, entry.category or "", entry.text):
                digest.update(f"{len(part)}:{part}".encode())
        version = self.corpus.version()
        return (
            f"{version};sha256:{digest.hexdigest()}" if version else f"sha256:{digest.hexdigest()}"
        )

    def check(self) -> None:
        """Read the corpus once; a choice that matches nothing is refused with what there is."""
        if next(self._entries(), None) is not None:
            return
        if not self.query:
            raise InputError(f"{self.name}: this environment holds no such texts.")
        for option, wanted in self.query.items():
            there = {_label(entry, option) for entry in self.corpus.entries()} - {None}
            folded = {str(value).casefold() for value in there}
            for value in wanted:
                if value.casefold() not in folded:
                    some = sorted(map(str, there))
                    shown = ", ".join(some[:12]) + (", ..." if len(some) > 12 else "")
                    raise InputError(f'{self.name}: no {option} "{value}"; there are {shown}.')
        raise InputError(f"{self.name}: no text matches all of these options; drop one of them.")

    def _entries(self) -> Iterator[Entry]:
        wanted = {
            option: {value.casefold() for value in values} for option, values in self.query.items()
        }
        for entry in self.corpus.entries():
            if all((_label(entry, key) or "").casefold() in want for key, want in wanted.items()):
                yield entry


def _label(entry: Entry, option: str) -> str | None:
    return entry.category if option == "category" else entry.labels.get(option)
