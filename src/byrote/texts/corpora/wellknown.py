"""`corpus:wellknown`: short texts that were copied so often that models know them by heart.

All are in the public domain in the United States: published before 1930, or works of its federal
government, or traditional, or given to the public by their author. Which wording of a traditional
text stands here is an editorial choice.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from importlib import resources

from byrote.texts.corpora.base import Corpus, Entry

__all__ = ["CORPUS"]

_HEADING = "## "
_SEQUENCE_LEN = 120


def parse(text: str) -> Iterator[Entry]:
    """Read texts below headings of the form `## id | category`; line breaks belong to the text."""
    for part in f"\n{text}".split(f"\n{_HEADING}")[1:]:
        heading, _, body = part.partition("\n")
        name, _, category = heading.partition(" | ")
        yield Entry(id=name.strip(), text=body.strip(), category=category.strip())


def _sequences() -> Iterator[Entry]:
    """Number sequences; what a model makes of them may also be reckoned."""

    def entry(name: str, numbers: Iterator[int] | list[int]) -> Entry:
        return Entry(name, ", ".join(map(str, numbers)), "sequence")

    yield entry("Whole numbers", list(range(1, _SEQUENCE_LEN)))
    yield entry("Squares", [n * n for n in range(1, _SEQUENCE_LEN // 2)])
    yield entry("Powers of two", [2**n for n in range(_SEQUENCE_LEN // 4)])
    yield entry("Fibonacci numbers", _fibonacci(_SEQUENCE_LEN // 4))
    yield entry(
        "Prime numbers",
        [n for n in range(2, 3 * _SEQUENCE_LEN) if all(n % d for d in range(2, int(n**0.5) + 1))],
    )
    digits = _pi(_SEQUENCE_LEN)
    yield Entry("Digits of pi", f"{digits[0]}.{digits[1:]}", "sequence")


def _fibonacci(count: int) -> Iterator[int]:
    one, other = 0, 1
    for _ in range(count):
        yield one
        one, other = other, one + other


def _pi(digits: int) -> str:
    """The first digits of π by Machin's formula, 16 arctan(1/5) - 4 arctan(1/239), in integers."""
    unit = 10 ** (digits + 10)

    def arctan_of_inverse(n: int) -> int:
        power = total = unit // n
        for k in range(3, 2 * digits + 40, 2):
            power //= -n * n
            total += power // k
        return total

    pi = 4 * (4 * arctan_of_inverse(5) - arctan_of_inverse(239))
    return str(pi)[:digits]


@lru_cache(maxsize=1)
def _all() -> tuple[Entry, ...]:
    file = resources.files("byrote.texts.corpora") / "wellknown.txt"
    return (*parse(file.read_text(encoding="utf-8")), *_sequences())


def _entries() -> Iterator[Entry]:
    yield from _all()


CORPUS = Corpus(
    name="wellknown",
    summary="short texts in the public domain that everybody copies: speeches, poems, lists",
    options=("category",),
    entries=_entries,
    version=lambda: "",
)
