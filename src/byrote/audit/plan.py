"""The plan of an audit: every passage and control that will be scored, on disk before scoring.

It is written once. A run that continues reads it, so nothing is tokenized or drawn again and a
changed source cannot slip into a half-finished run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from byrote.audit.config import AuditConfig
from byrote.errors import InputError
from byrote.progress import task, track
from byrote.runs import replacing
from byrote.texts.controls import CONTROLS, make_controls
from byrote.texts.ids import UniqueIds
from byrote.texts.passages import Passage
from byrote.texts.sampling import draw
from byrote.texts.sources import TextSource, open_source
from byrote.texts.windows import CutStats, cut, with_prefix_len

__all__ = ["Sources", "open_sources", "read_plan", "write_plan"]

# Streamed passages get their controls block by block; a control's suffix comes from its block.
_BLOCK = 4096

_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("source", pa.string()),
        ("record", pa.string()),
        ("offset", pa.int64()),
        ("input_ids", pa.list_(pa.int32())),
        ("prefix_len", pa.int32()),
        ("control", pa.string()),
        ("control_of", pa.string()),
        ("count", pa.int64()),
        ("member", pa.bool_()),
        ("category", pa.string()),
    ]
)


@dataclass(frozen=True, slots=True)
class Sources:
    """The opened sources of an audit.

    Attributes:
        texts: Texts that the model may have seen.
        held_out: Texts that it cannot have seen.
        kinds: Kinds of control that are made from the texts.
    """

    texts: tuple[TextSource, ...]
    held_out: tuple[TextSource, ...]
    kinds: tuple[str, ...]


def open_sources(config: AuditConfig) -> Sources:
    """Open all sources and check that they can be read, before any model is loaded.

    Raises:
        InputError: A source is missing, empty or of no known kind.
    """
    kinds, held = [], []
    for word in config.controls:
        kind = word.removeprefix("controls:")
        if kind in CONTROLS:
            kinds.append(kind)
        elif word.startswith("controls:"):
            raise InputError(f"{word}: there is no such control; known are {', '.join(CONTROLS)}")
        else:
            held.append(open_source(word, text_field=config.text_field))
    texts = [open_source(word, text_field=config.text_field) for word in config.texts]
    names = [source.name for source in (*texts, *held)]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"{twice[0]} is given twice; give each source once")
    for source in (*texts, *held):
        with task(f"Checking {source.name}"):
            source.check()
    return Sources(tuple(texts), tuple(held), tuple(kinds))


def write_plan(
    path: Path,
    config: AuditConfig,
    sources: Sources,
    tokenizer: Any,
    *,
    vocab_size: int,
    max_len: int | None,
) -> tuple[dict[str, Any], list[str]]:
    """Cut, draw and pair all passages, and write them to `path`.

    Args:
        path: Where the plan goes (Parquet).
        config: The audit's config.
        sources: What `open_sources` gave.
        tokenizer: The model's tokenizer.
        vocab_size: Ids must lie below it.
        max_len: Tokens that the model can take, less the leading token; None is no bound.

    Returns:
        Counts and hashes for `run.json`, and remarks for the report.

    Raises:
        InputError: No passage is left, or a record cannot be used.
    """
    digest = hashlib.sha256()
    per_source: dict[str, dict[str, Any]] = {}
    counts = {"passages": 0, "controls": 0}
    missing = dict.fromkeys(sources.kinds, 0)
    notes: list[str] = []
    unique = UniqueIds()

    def cut_source(source: TextSource, control: str | None = None) -> Iterator[Passage]:
        stats = CutStats()
        windows = cut(
            track(source.records(), f"Reading {source.name} (records)"),
            tokenizer,
            prefix_len=max(config.prefix_len) if config.prefix_len else None,
            suffix_len=config.suffix_len,
            stride=config.stride,
            vocab_size=vocab_size,
            max_len=max_len,
            control=control,
            stats=stats,
            unique=unique,
        )
        drawn = 0
        chosen = windows if config.limit is None else draw(windows, config.limit, config.seed)
        for passage in chosen:
            drawn += 1
            yield passage
        per_source[source.name] = {
            "records": stats.records,
            "windows": stats.passages,
            "drawn": drawn,
            "too_short": stats.too_short,
            "fingerprint": source.fingerprint(),
        }
        if stats.too_short:
            notes.append(
                f"{source.name}: {stats.too_short:,} of {stats.records:,} records are shorter than "
                f"prefix + suffix and were left out: {', '.join(stats.examples)} …"
            )
        if drawn < stats.passages:
            notes.append(
                f"{source.name}: {drawn:,} of {stats.passages:,} windows were drawn at random "
                f"(seed {config.seed}); --limit all takes every one"
            )

    def planned() -> Iterator[Passage]:
        for source in sources.texts:
            for block in _blocks(cut_source(source), _BLOCK):
                for passages in _sweep(block, config.prefix_len):
                    yield from passages
                    for kind in sources.kinds:
                        controls = make_controls(kind, passages, config.seed)
                        missing[kind] += len(passages) - len(controls)
                        yield from controls
        for source in sources.held_out:
            for block in _blocks(cut_source(source, "held-out"), _BLOCK):
                for passages in _sweep(block, config.prefix_len):
                    yield from passages

    with replacing(path) as temporary, pq.ParquetWriter(temporary, _SCHEMA) as writer:
        for block in _blocks(planned(), _BLOCK):
            for passage in block:
                digest.update(f"{passage.id}\0{passage.prefix_len}\0".encode())
                digest.update(np.ascontiguousarray(passage.input_ids, dtype="<i4").tobytes())
                counts["passages" if passage.control is None else "controls"] += 1
            writer.write_table(pa.Table.from_pylist([_row(p) for p in block], _SCHEMA))
    for kind, number in missing.items():
        if number:
            notes.append(
                f"{number:,} passages have no {kind} control: no other suffix of their length "
                "differs from their own"
            )
    data = {"hash": digest.hexdigest(), **counts, "sources": per_source}
    return data, notes


def read_plan(path: Path, part_size: int) -> Iterator[list[Passage]]:
    """Read a plan in parts of `part_size` passages, a part at a time in memory."""
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=part_size):
            yield [
                Passage(**(row | {"input_ids": np.asarray(row["input_ids"], dtype=np.int32)}))
                for row in batch.to_pylist()
            ]


def _sweep(block: list[Passage], lengths: tuple[int, ...]) -> Iterator[list[Passage]]:
    """The same suffixes behind each prefix length; one length needs no new ids."""
    if len(lengths) < 2:
        yield block
        return
    for length in lengths:
        yield [with_prefix_len(passage, length) for passage in block]


def _row(passage: Passage) -> dict[str, Any]:
    return {name: getattr(passage, name) for name in _SCHEMA.names}


def _blocks(passages: Iterable[Passage], size: int) -> Iterator[list[Passage]]:
    iterator = iter(passages)
    while block := list(islice(iterator, size)):
        yield block
