"""`corpus:licenses`: the licence files of the packages in the running environment.

Every environment has some, and every model has seen them many times over. The same licence
comes with hundreds of packages, so copies are dropped: twice the same text would count as two
documents and make the intervals too narrow.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from importlib import metadata
from pathlib import Path, PurePosixPath

from byrote.texts.corpora.base import Corpus, Entry

__all__ = ["CORPUS", "family", "without_copies"]

_SHORTEST = 200
_FILE = re.compile(r"(licen[cs]e|copying|notice)", re.IGNORECASE)
_COPYRIGHT = re.compile(r"copyright\s*(\(c\)|©|\d{4})|^\W*(copyright|©|\(c\))", re.IGNORECASE)
_WORD = re.compile(r"[a-z0-9]+")

# A text is a copy when this share of its runs of eight words stood in the texts kept before it.
_SHINGLE_WORDS = 8
_COPY_SHARE = 0.8

# One phrase a family, in lower-case words; the one that comes first in the file decides.
_PHRASES = {
    "Apache-2.0": ("apache license version 2 0", "licensed under the apache license"),
    "MIT": ("permission is hereby granted free of charge to any person obtaining a copy",),
    "BSD": ("redistribution and use in source and binary forms",),
    "LGPL": ("gnu lesser general public license", "gnu library general public license"),
    "GPL": ("gnu general public license",),
    "MPL-2.0": ("mozilla public license version 2 0", "mozilla public license v 2 0"),
    "PSF": ("python software foundation license",),
}


def family(text: str) -> str:
    """Name the licence family of a text: the family whose phrase comes first, or "other"."""
    words = " ".join(_WORD.findall(text.lower()))
    found = [
        (at, name)
        for name, phrases in _PHRASES.items()
        for phrase in phrases
        if (at := words.find(phrase)) >= 0
    ]
    return min(found)[1] if found else "other"


def without_copies(texts: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Drop the texts that say again what earlier ones said.

    Case, white space, punctuation and copyright lines do not count. A text that equals an
    earlier one up to those is a copy, and so is one of which 80 % stood in earlier ones.

    Args:
        texts: (id, text) in a fixed order; of two copies the first stays.
    """
    seen: set[tuple[str, ...]] = set()
    for name, text in texts:
        lines = (line for line in text.lower().splitlines() if not _COPYRIGHT.search(line))
        words = _WORD.findall("\n".join(lines))
        n = min(_SHINGLE_WORDS, max(len(words), 1))
        shingles = {tuple(words[i : i + n]) for i in range(max(len(words) - n + 1, 1))}
        if len(shingles & seen) < _COPY_SHARE * len(shingles):
            seen |= shingles
            yield name, text


def _files() -> Iterator[tuple[str, str]]:
    """Yield (package/file, text) of all licence files, by package and path."""
    found: dict[tuple[str, str], metadata.PackagePath] = {}
    for distribution in metadata.distributions():
        package = re.sub(r"[-_.]+", "-", distribution.metadata["Name"] or "").lower()
        for path in distribution.files or ():
            if path.parts[0].endswith(".dist-info") and _FILE.match(path.name):
                inside = PurePosixPath(*path.parts[1:])
                if inside.parts[0] == "licenses" and len(inside.parts) > 1:
                    inside = inside.relative_to("licenses")
                # The first one on the path is the one that Python imports.
                found.setdefault((package, inside.as_posix()), path)
    for (package, inside), path in sorted(found.items()):
        try:
            raw = Path(str(path.locate())).read_bytes()
        except OSError:
            # Listed by the package's metadata but no longer there.
            continue
        text = _decode(raw).strip()
        if len(text) >= _SHORTEST:
            yield f"{package}/{inside}", text


def _decode(raw: bytes) -> str:
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    return text.replace("\r\n", "\n").replace("\r", "\n")


@lru_cache(maxsize=1)
def _kept() -> tuple[Entry, ...]:
    # Short files first: they are single licences, and what repeats them are the long compilations.
    files = sorted(_files(), key=lambda file: (len(file[1]), file[0]))
    return tuple(
        Entry(id=name, text=text, category=family(text), labels={"package": name.split("/")[0]})
        for name, text in sorted(without_copies(files))
    )


def _entries() -> Iterator[Entry]:
    yield from _kept()


CORPUS = Corpus(
    name="licenses",
    summary="the licence files of the packages in this environment, copies dropped",
    options=("category", "package"),
    entries=_entries,
    version=lambda: "",
)
