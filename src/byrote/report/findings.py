"""What an audit found, in words and in tables: never a rate without n, interval and controls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from byrote.report.data import TEXTS, ReportData
from byrote.report.numbers import (
    CONTROL_WORDS,
    difference,
    finite,
    format_interval,
    format_value,
    group_label,
    is_share,
)
from byrote.report.page import Block, Cell, ProseBlock, TableBlock

__all__ = ["facts", "headline_sentences", "summary_blocks", "texts_in_words"]

_OVERVIEW = {
    "extractable": "recited in full",
    "run_ge_20": "20 or more tokens verbatim",
    "token_accuracy": "suffix tokens that are right",
    "longest_run": "longest verbatim stretch, mean (tokens)",
}


def headline_sentences(data: ReportData) -> list[str]:
    """What was found, in plain words, with interval and controls."""
    row = _row(data, "extractable", TEXTS)
    if row is None:
        return ["This run kept no share of passages recited in full."]
    n, hits = row["n"], round(row["value"] * row["n"])
    level = f"{data.level} interval"
    asked = f"Of {n:,} passages" if n != 1 else "Asked for one passage"
    share = f"{format_value(row['value'], True)}, {level} {_interval(row, True)}"
    parts = [f"{asked}, the model recites {hits:,} in full ({share})"]
    for control in data.controls:
        other = _row(data, "extractable", control)
        if other is not None:
            found = round(other["value"] * other["n"])
            words = CONTROL_WORDS.get(control, control)
            parts.append(
                f"of the controls ({words}) {found:,} of {other['n']:,} "
                f"({format_value(other['value'], True)}, {_interval(other, True)})"
            )
    sentences = ["; ".join(parts) + "."]
    accuracy = _row(data, "token_accuracy", TEXTS)
    longest = data.asked.filter(pl.col("group") == TEXTS)["longest_run"].max()
    if accuracy is not None and longest is not None:
        beside = [
            f"{format_value(other['value'], True)} on {control} controls"
            for control in data.controls
            if (other := _row(data, "token_accuracy", control)) is not None
        ]
        inside = f" (against {', '.join(beside)})" if beside else ""
        sentences.append(
            f"On average {format_value(accuracy['value'], True)} of the suffix tokens are the "
            f"model's first choice{inside}, and the longest verbatim stretch is {longest:,} tokens."
        )
    if not data.controls:
        sentences.append(
            "There are no controls in this run, so it cannot tell recall from text that is easy "
            "to guess."
        )
    return sentences


def summary_blocks(data: ReportData) -> list[Block]:
    """The headline, the notes of the run, and the tables of all groups."""
    blocks: list[Block] = [ProseBlock(headline_sentences(data), tone="lead")]
    if len(data.prefix_lens) > 1:
        blocks.append(
            ProseBlock(
                [
                    f"The passages were asked with prefixes of {_list(data.prefix_lens)} tokens. "
                    f"Where nothing else is said, numbers are for {data.prefix_len}."
                ]
            )
        )
    notes = [str(note) for note in data.run.get("notes") or []]
    if notes:
        blocks.append(ProseBlock(notes, tone="note"))
    blocks.append(_overview_table(data))
    blocks.append(_summary_table(data))
    return blocks


def _overview_table(data: ReportData) -> TableBlock:
    """One row for each group: the rates that the charts show, controls below each."""
    measures = [
        (measure, words)
        for measure, words in _OVERVIEW.items()
        if _row(data, measure, TEXTS) is not None
    ]
    rows = []
    for source, category in _groups(data):
        first = _row(data, measures[0][0], TEXTS, source, category) if measures else None
        if first is None:
            continue
        name = _group_name(source, category, len(data.sources))
        row = [Cell(name, heading=True), Cell(f"{first['n']:,}", _records(first), number=True)]
        for measure, _ in measures:
            texts = _row(data, measure, TEXTS, source, category)
            if texts is None:
                row.append(Cell("–", number=True))
                continue
            share = is_share(measure, texts.get("unit"))
            lines = [_interval(texts, share)]
            for control in data.controls:
                other = _row(data, measure, control, source, category)
                if other is not None:
                    lines.append(f"{control}: {format_value(other['value'], share)}")
            row.append(Cell(format_value(texts["value"], share), "\n".join(lines), number=True))
        rows.append(row)
    level = data.level
    beside = f"; below each number its {level} interval and the same on controls"
    return TableBlock(
        f"By group{beside if data.controls else f'; below each number its {level} interval'}.",
        ["group", "passages", *(words for _, words in measures)],
        rows,
    )


def _summary_table(data: ReportData) -> TableBlock:
    header = ["group", "measure", TEXTS]
    for control in data.controls:
        header += [group_label(control), f"difference to {control}"]
    rows: list[list[Cell]] = []
    for source, category in _groups(data):
        part: list[list[Cell]] = []
        for measure in data.headline["measure"].unique(maintain_order=True):
            texts = _row(data, measure, TEXTS, source, category)
            if texts is None:
                continue
            share = is_share(measure, texts.get("unit"))
            cells = [Cell(_measure_name(texts), heading=True), _value_cell(texts, share)]
            for control in data.controls:
                other = _row(data, measure, control, source, category)
                cells += [
                    _value_cell(other, share) if other else Cell("–", number=True),
                    _difference_cell(texts, other, share),
                ]
            part.append(cells)
        if part:
            name = _group_name(source, category, len(data.sources))
            part[0].insert(0, Cell(name, heading=True, rows=len(part)))
            rows += part
    return TableBlock(
        "All measures of all groups, with the controls' own intervals and the difference to them.",
        header,
        rows,
        collapsed=True,
    )


def facts(data: ReportData) -> list[tuple[str, str, str]]:
    """The main numbers as value, name, and what stands beside: interval and controls."""
    found = []
    for measure, label in (
        ("extractable", "recited in full"),
        ("run_ge_20", "hold 20 or more tokens verbatim"),
        ("token_accuracy", "of suffix tokens right"),
        ("longest_run", "tokens: mean longest stretch"),
    ):
        row = _row(data, measure, TEXTS)
        if row is None:
            continue
        share = is_share(measure, row.get("unit"))
        others = [
            f"{control} controls {format_value(other['value'], share)}"
            for control in data.controls
            if (other := _row(data, measure, control)) is not None
        ]
        beside = "; ".join([f"interval {_interval(row, share)}", *others])
        found.append((format_value(row["value"], share), label, beside))
    return found


def _groups(data: ReportData) -> list[tuple[str, str]]:
    """The pool, then each source with its categories; a pool of one source is that source."""
    known = {(r[0], r[1]) for r in data.summary.select("source", "category").unique().iter_rows()}
    groups = [("all", "all")]
    for source in data.sources:
        if len(data.sources) > 1 and (source, "all") in known:
            groups.append((source, "all"))
        categories = sorted(c for s, c in known if s == source and c not in ("all", None))
        if len(categories) > 1:
            groups += [(source, category) for category in categories]
    return groups


def _group_name(source: str, category: str, sources: int) -> str:
    if source == "all":
        return "all texts" if sources > 1 else "texts"
    return source if category == "all" else f"{source} · {category}"


def _row(
    data: ReportData, measure: str, group: str, source: str = "all", category: str = "all"
) -> dict[str, Any] | None:
    rows = data.headline.filter((pl.col("measure") == measure) & (pl.col("group") == group))
    found = rows.filter((pl.col("source") == source) & (pl.col("category") == category))
    if found.is_empty() and group != TEXTS and source not in rows["source"]:
        # Held-out texts have a source of their own and are the control of every group.
        found = rows.filter((pl.col("source") == "all") & (pl.col("category") == "all"))
    if found.is_empty() or finite(found["value"][0]) is None:
        return None
    return found.row(0, named=True)


def _measure_name(row: dict[str, Any]) -> str:
    name = str(row.get("label") or row["measure"].replace("_", " "))
    unit = row.get("unit")
    return name if not unit or unit == "share" else f"{name} ({unit})"


def _interval(row: dict[str, Any], share: bool) -> str:
    return format_interval(row["low"], row["high"], share)


def _records(row: dict[str, Any]) -> str:
    """Of how many records a number is; empty where the run does not say."""
    count = row.get("documents")
    return "" if count is None else f"of {count:,} record{'s' if count != 1 else ''}"


def _value_cell(row: dict[str, Any], share: bool) -> Cell:
    interval = _interval(row, share)
    small = f"{interval}, n = {row['n']:,}" if interval else f"n = {row['n']:,}"
    return Cell(format_value(row["value"], share), small, number=True)


def _difference_cell(texts: dict[str, Any], other: dict[str, Any] | None, share: bool) -> Cell:
    if other is None:
        return Cell("–", number=True)
    bounds = [finite(row[name]) for row in (texts, other) for name in ("value", "low", "high")]
    if any(bound is None for bound in bounds):
        d = texts["value"] - other["value"]
        return Cell(format_value(100 * d if share else d, False, signed=True), number=True)
    a, a_low, a_high, b, b_low, b_high = (bound or 0.0 for bound in bounds)
    scale = 100 if share else 1
    d, low, high = (scale * v for v in difference((a, a_low, a_high), (b, b_low, b_high)))
    unit = " points" if share else ""
    shown = [
        f"{v:+.1f}".replace("-", "−") if share else format_value(v, False, signed=True)
        for v in (d, low, high)
    ]
    return Cell(shown[0] + unit, f"{shown[1]} to {shown[2]}", number=True)


def texts_in_words(data: ReportData) -> str:
    """What was asked, in one line."""
    texts = data.asked.filter(pl.col("group") == TEXTS)
    lengths = texts["suffix_len"].unique().sort().to_list()
    asked = f"{lengths[0]} tokens" if len(lengths) == 1 else f"{lengths[0]} to {lengths[-1]} tokens"
    passages = f"{len(texts):,} passage{'s' if len(texts) != 1 else ''}"
    sources = _list(data.sources) if len(data.sources) <= 4 else f"{len(data.sources)} sources"
    given = f" given {data.prefix_len}" if data.prefix_len is not None else ""
    return f"{passages} from {sources}; {asked} asked{given}"


def _list(values: Sequence[Any]) -> str:
    words = [str(value) for value in values]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
