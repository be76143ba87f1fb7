"""What every text source can do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

from byrote.errors import InputError
from byrote.texts.records import Record

__all__ = ["TextSource"]


class TextSource(ABC):
    """Somewhere that records come from: a file, a folder, a data set, a corpus.

    Attributes:
        name: The source as the user wrote it.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    @abstractmethod
    def records(self) -> Iterator[Record]:
        """Stream the records; every call starts again at the first one.

        Raises:
            InputError: If something in the source cannot be used; the message says where it is.
        """

    @abstractmethod
    def fingerprint(self) -> str:
        """Hash the content: the same text gives the same string, wherever it lies."""

    def check(self) -> None:
        """Read the whole source once and fail on the first thing that cannot be used.

        It needs no model and no tokenizer, so it belongs before both are loaded.

        Raises:
            InputError: If the source is missing, empty, or holds something that cannot be used.
        """
        if sum(1 for _ in self.records()) == 0:
            raise InputError(f"{self.name} holds no records: give a source that holds some text.")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"
