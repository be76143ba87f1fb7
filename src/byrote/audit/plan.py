"""The plan of an audit: every passage and control that will be scored, on disk before scoring.

It is written once. A run that continues reads it, so nothing is tokenized or drawn again and a
changed source cannot slip into a half-finished run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
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
from byrote.texts.records import Record
from byrote.texts.sampling import draw
from byrote.texts.sources import TextSource, open_source
from byrote.texts.windows import CutStats, cut, with_prefix_len

__all__ = ["Sources", "open_sources", "read_plan", "write_plan"]

# Streamed passages get their controls block by block; a control's suffix comes from its block.
_BLOCK = 4096
_LEAST = 512

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
        if kind in kinds:
            raise InputError(f"--controls {kind} is given twice; give each kind once")
        if kind in CONTROLS:
            kinds.append(kind)
        elif word.startswith("controls:"):
            raise InputError(f"{word}: there is no such control; known are {', '.join(CONTROLS)}")
        else:
            held.append(open_source(word, text_field=config.text_field))
    texts = [open_source(word, text_field=config.text_field) for word in config.texts]
    seen: dict[str, str] = {}
    for source in (*texts, *held):
        path = Path(source.name).expanduser()
        place = str(path.resolve()) if path.exists() else source.name
        if place in seen:
            also = "" if seen[place] == source.name else f" (as {seen[place]})"
            raise InputError(f"{source.name} is given twice{also}; give each source once")
        if source.name == "all":
            raise InputError('the source "all" has the name of the pool of sources; give ./all')
        seen[place] = source.name
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
    vocab_size: int | None,
    max_len: int | None,
    lead: tuple[int, ...],
) -> tuple[dict[str, Any], list[str]]:
    """Cut, draw and pair all passages, and write them to `path`.

    Args:
        path: Where the plan goes (Parquet).
        config: The audit's config.
        sources: What `open_sources` gave.
        tokenizer: The model's tokenizer.
        vocab_size: Ids must lie below it; None leaves them unchecked.
        max_len: Tokens that the model can take; None is no bound.
        lead: Ids that scoring puts before every prefix.

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
        led = 0

        def records() -> Iterator[Record]:
            nonlocal led
            for record in track(source.records(), f"Reading {source.name} (records)"):
                bare = _without_lead(record, lead)
                led += bare is not record
                yield bare

        windows = cut(
            records(),
            tokenizer,
            prefix_len=max(config.prefix_len) if config.prefix_len else None,
            suffix_len=config.suffix_len,
            stride=config.stride,
            vocab_size=vocab_size,
            max_len=max_len,
            lead=len(lead),
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
        if led:
            notes.append(
                f"{source.name}: {led:,} records of ids begin with the BOS token, which is put "
                "before every prefix anyway; it was taken off, and offsets count without it"
            )
        if drawn < stats.passages:
            notes.append(
                f"{source.name}: {drawn:,} of {stats.passages:,} windows were drawn at random "
                f"(seed {config.seed}); --limit all takes every one"
            )

    own_record = 0

    def planned() -> Iterator[Passage]:
        nonlocal own_record
        for source in sources.texts:
            for block in _matched_blocks(cut_source(source)):
                for passages in _sweep(block, config.prefix_len):
                    yield from passages
                    for kind in sources.kinds:
                        controls = make_controls(kind, passages, config.seed)
                        missing[kind] += len(passages) - len(controls)
                        if kind == "mismatched":
                            own_record += _from_own_record(passages, controls)
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
    if own_record:
        notes.append(
            f"{own_record:,} mismatched controls have a suffix from their own record: no other one "
            "of that length was at hand. Who knows the record may know such a control"
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


def _without_lead(record: Record, lead: tuple[int, ...]) -> Record:
    """A record of ids without the leading tokens that scoring puts there by itself."""
    ids, length = record.input_ids, len(lead)
    if not lead or ids is None or tuple(ids[:length].tolist()) != lead:
        return record
    prefix_len = None if record.prefix_len is None else max(record.prefix_len - length, 0)
    return replace(record, input_ids=ids[length:], prefix_len=prefix_len)


def _from_own_record(passages: list[Passage], controls: list[Passage]) -> int:
    """How many controls have a suffix that stands in the record of their prefix."""
    own: dict[tuple[str, str], set[bytes]] = {}
    for passage in passages:
        key = (passage.source, passage.record)
        own.setdefault(key, set()).add(passage.suffix_ids.tobytes())
    return sum(c.suffix_ids.tobytes() in own[c.source, c.record] for c in controls)


def _row(passage: Passage) -> dict[str, Any]:
    return {name: getattr(passage, name) for name in _SCHEMA.names}


def _matched_blocks(passages: Iterable[Passage]) -> Iterator[list[Passage]]:
    """Blocks to find controls in; a small rest joins the one before it, for want of partners."""
    before: list[Passage] = []
    for block in _blocks(passages, _BLOCK):
        if before and len(block) < _LEAST:
            before += block
            continue
        if before:
            yield before
        before = block
    if before:
        yield before


def _blocks(passages: Iterable[Passage], size: int) -> Iterator[list[Passage]]:
    iterator = iter(passages)
    while block := list(islice(iterator, size)):
        yield block
