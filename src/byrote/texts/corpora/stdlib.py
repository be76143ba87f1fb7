"""`corpus:stdlib`: Python's own documentation topics (what `help("assert")` shows)."""

from __future__ import annotations

import platform
from collections.abc import Iterator

from byrote.texts.corpora.base import Corpus, Entry

__all__ = ["CORPUS"]


def _entries() -> Iterator[Entry]:
    from pydoc_data.topics import topics

    for topic in sorted(topics):
        if text := topics[topic].strip():
            yield Entry(id=topic, text=text, labels={"topic": topic})


CORPUS = Corpus(
    name="stdlib",
    summary="the documentation topics that come with Python, one record a topic",
    options=("topic",),
    entries=_entries,
    version=lambda: f"python=={platform.python_version()}",
)
