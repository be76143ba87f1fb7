"""`byrote filter build`, `info`, `test`: filters of n-grams for MemFree decoding."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from byrote.cli.options import Common
from byrote.errors import InputError

if TYPE_CHECKING:
    from byrote.decoding import NGramFilter
    from byrote.texts import TextSource

__all__ = ["build", "info", "measure"]

_DEFAULT_TOKENIZER = "bundled:smollm2-135m"


def build(
    texts: Annotated[list[str], Parameter(consume_multiple=True, negative="")],
    /,
    *,
    out: Path,
    tokenizer: str = _DEFAULT_TOKENIZER,
    n: int = 10,
    exact: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    fpr: float = 0.001,
    capacity: int | None = None,
    text_field: str = "text",
    trust_remote_code: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    common: Common | None = None,
) -> None:
    """Build a filter of all n-grams of texts, and write it to one file.

    Args:
        texts: JSONL, Parquet, CSV or text files, folders, hf:DATASET, corpus:kjv, corpus:licenses,
            corpus:stdlib, corpus:wellknown. A record has `text`, or `prefix` and `suffix`, or
            `input_ids`.
        out: The file to write.
        tokenizer: The model that the filter is for; only its tokenizer is read.
        n: Tokens of an n-gram.
        exact: Store the n-grams themselves: no false positives, about five times the size.
        fpr: Wanted rate of false positives, where not exact.
        capacity: Distinct n-grams to make room for; texts are then streamed and not held in memory
            [default: count them first].
        text_field: Name of the column that holds the text.
        trust_remote_code: Run Python code that comes with a hub tokenizer.
    """
    common = common or Common()
    common.start()
    if exact and capacity is not None:
        raise InputError("--exact and --capacity exclude each other: an exact set takes all")
    if out.is_dir():
        raise InputError(f"--out {out} is a folder; name a file")
    from byrote.decoding import build_filter
    from byrote.decoding.building import check_options
    from byrote.models.outline import outline

    check_options(n, None if exact else fpr, capacity)
    sources = _opened(texts, text_field)
    read = outline(tokenizer, trust_remote_code=trust_remote_code)
    ngrams = build_filter(
        sources,
        read.tokenizer,
        n=n,
        exact=exact,
        fpr=fpr,
        capacity=capacity,
        vocab_size=read.vocab_size,
        tokenizer_name=tokenizer,
        text_field=text_field,
    )
    ngrams.save(out)
    _show(_facts(out, ngrams), common, notes=_notes(ngrams))


def info(path: Path, /, *, common: Common | None = None) -> None:
    """Say what is in a filter; its content is compared with its sha256.

    Args:
        path: The filter's file.
    """
    common = common or Common()
    common.start()
    from byrote.decoding import load_filter

    ngrams = load_filter(path)
    _show(_facts(path, ngrams), common, notes=_notes(ngrams))


def measure(
    path: Path,
    texts: Annotated[list[str] | None, Parameter(consume_multiple=True, negative="")] = None,
    /,
    *,
    tokenizer: str | None = None,
    lookups: int = 200_000,
    seed: int = 0,
    text_field: str = "text",
    trust_remote_code: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    common: Common | None = None,
) -> None:
    """Measure a filter: its rate of false positives, and how much of some texts it holds.

    Args:
        path: The filter's file.
        texts: Sources, as for `byrote filter build`: which share of their n-grams is in the filter?
            All of them, for texts that it was built from.
        tokenizer: The model whose tokenizer cuts the texts [default: that of the filter].
        lookups: n-grams that are asked for to measure false positives.
        seed: Of these n-grams.
        text_field: Name of the column that holds the text.
        trust_remote_code: Run Python code that comes with a hub tokenizer.
    """
    common = common or Common()
    common.start()
    from byrote.decoding import load_filter
    from byrote.decoding.measuring import measure_texts, random_rate
    from byrote.models.outline import outline

    if lookups < 1:
        raise InputError(f"--lookups {lookups}: it must be at least 1")
    if seed < 0:
        raise InputError(f"--seed {seed}: it must be 0 or more")
    sources = _opened(texts or [], text_field)
    ngrams = load_filter(path)
    name = tokenizer or ngrams.origin.tokenizer_name
    # Random ids beyond the vocabulary would do as well: no n-gram is known by its tokens' meaning.
    vocab_size, read = 1 << 16, None
    if name is not None and (sources or tokenizer):
        outlined = outline(name, trust_remote_code=trust_remote_code)
        vocab_size, read = outlined.vocab_size or vocab_size, outlined.tokenizer
        if read is not None:
            ngrams.check_tokenizer(read, str(path))
    rows = [random_rate(ngrams, lookups, vocab_size, seed)]
    rows += [row for source in sources for row in measure_texts(ngrams, source, read, seed)]
    if common.json:
        print(json.dumps({"filter": str(path), "measured": [row.to_dict() for row in rows]}))
        return
    if common.quiet:
        return
    for row in rows:
        print(row.describe())


def _opened(texts: list[str], text_field: str) -> list[TextSource]:
    """The sources, each of which has a first record; the rest is read once, while it is used."""
    from byrote.texts import open_source

    sources = [open_source(text, text_field=text_field) for text in texts]
    for source in sources:
        if next(iter(source.records()), None) is None:
            raise InputError(f"{source.name} holds no records: give a source that holds some text.")
    return sources


def _facts(path: Path, ngrams: NGramFilter) -> dict[str, Any]:
    from byrote.decoding import BloomFilter

    facts: dict[str, Any] = {
        "filter": str(path),
        "kind": ngrams.kind,
        "n": ngrams.n,
        "n-grams": ngrams.count,
        "documents": ngrams.origin.documents,
        "tokens": ngrams.origin.tokens,
        "bytes": ngrams.nbytes,
        "false positives": ngrams.fpr,
        "tokenizer": ngrams.origin.tokenizer_name,
        "tokenizer hash": ngrams.origin.tokenizer,
        "sources": list(ngrams.origin.sources),
    }
    if isinstance(ngrams, BloomFilter):
        facts |= {"capacity": ngrams.capacity, "asked for": ngrams.target_fpr}
    return facts


def _notes(ngrams: NGramFilter) -> list[str]:
    from byrote.decoding import BloomFilter

    if isinstance(ngrams, BloomFilter) and ngrams.count > ngrams.capacity:
        return [
            f"the filter holds {ngrams.count:,} n-grams and was made for {ngrams.capacity:,}: its "
            f"rate of false positives is {ngrams.fpr:.2g}, not {ngrams.target_fpr:.2g}; build it "
            f"again with --capacity {ngrams.count}"
        ]
    return []


def _show(facts: dict[str, Any], common: Common, notes: list[str]) -> None:
    if common.json:
        print(json.dumps({**facts, "notes": notes}))
        return
    if common.quiet:
        return
    for name, value in facts.items():
        if value is None:
            continue
        if isinstance(value, list):
            value = ", ".join(value)
        elif isinstance(value, float):
            value = f"{value:.3g}"
        elif isinstance(value, int):
            value = f"{value:,}"
        print(f"{name:<16}{value}")
    for note in notes:
        print(f"note: {note}")
