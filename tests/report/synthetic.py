"""Synthetic run folders, written by the run folder's contract, for the tests of the report."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from byrote.recall import count_table, survival_table, wilson

SCRIPT = "<script>alert(1)</script>"
NASTY = (
    SCRIPT,
    "\"quoted\" & 'single' <b>bold</b> </script><!--",
    "emoji 🦜🧵 and ‫שלום עולם‬ مرحبا",
    "line one\nline two\n\n\tindented\r\n",
    "controls \x00\x07\x1b[31m \u2028 \u2029 \u202e reversed",
)
_LICENCE = (
    "Permission is hereby granted, free of charge, to any person obtaining a copy of this software "
    'and associated documentation files (the "Software"), to deal in the Software without '
    "restriction, including without limitation the rights to use, copy, modify, merge, publish, "
    "distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the "
    "Software is furnished to do so, subject to the following conditions: The above copyright "
    "notice and this permission notice shall be included in all copies or substantial portions of "
    'the Software.\n\nTHE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR '
    "IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A "
    "PARTICULAR PURPOSE AND NONINFRINGEMENT."
)
_BIBLE = (
    "In the beginning God created the heaven and the earth. And the earth was without form, and "
    "void; and darkness was upon the face of the deep. And the Spirit of God moved upon the face "
    "of the waters. And God said, Let there be light: and there was light. And God saw the light, "
    "that it was good: and God divided the light from the darkness. And God called the light Day, "
    "and the darkness he called Night. And the evening and the morning were the first day."
)
_INSTEAD = (" the", " of", ",", " and", " God", "\n", " a", " to", " software", ".")


@dataclass(frozen=True)
class Shape:
    """What a synthetic run looks like."""

    per_category: int = 20
    prefix_lens: tuple[int, ...] = (50,)
    suffix_len: int = 50
    controls: tuple[str, ...] = ("mismatched",)
    counts: bool = False
    coverage: bool = True
    zero_recited: bool = False
    nasty: bool = True
    one: bool = False
    held_out: bool = False
    verdict_only: bool = False
    seed: int = 7


_KEYS = (
    "id",
    "source",
    "category",
    "record",
    "offset",
    "prefix_len",
    "is_control",
    "control",
    "control_of",
    "count",
    "member",
    "prefix_text",
)
_GROUPS = (
    # source, category, text, mean skill of the model on it
    ("corpus:licenses", "MIT", _LICENCE, 2.6),
    ("corpus:licenses", "BSD-3-Clause", _LICENCE, 1.6),
    ("corpus:kjv", "famous", _BIBLE, 1.2),
    ("corpus:kjv", "other", _BIBLE, -0.3),
)


def write_run(folder: Path, shape: Shape | None = None) -> Path:
    """Write a finished run and return its folder."""
    shape = shape or Shape()
    rng = np.random.default_rng(shape.seed)
    passages: list[dict[str, Any]] = []
    tokens: list[pl.DataFrame] = []
    for source, category, text, skill in _GROUPS[:1] if shape.one else _GROUPS:
        for i in range(1 if shape.one else shape.per_category):
            for length in shape.prefix_lens:
                row = _base(source, category, text, i, length, shape, rng)
                if shape.nasty and source == "corpus:kjv" and i < len(NASTY):
                    row["prefix_text"] = NASTY[i] + " " + row["prefix_text"]
                pieces = _pieces(text, i, shape.suffix_len)
                if shape.nasty and source == "corpus:kjv" and i < len(NASTY):
                    pieces[3:4] = [NASTY[i]]
                better = 0.5 * math.log2(length / 50) if length != 50 else 0.0
                if row["count"]:
                    better += 0.4 * math.log2(row["count"])
                _score(row, tokens, pieces, skill + better + rng.normal(0, 0.9), shape, rng)
                passages.append(row)
                for control in shape.controls:
                    other = {**row, "is_control": True, "control": control}
                    other["control_of"], other["id"] = row["id"], f"{row['id']}~{control}"
                    if shape.held_out:
                        other |= {"source": "held.jsonl", "category": None, "control_of": None}
                    _score(other, tokens, _pieces(text, i + 11, shape.suffix_len), -1.6, shape, rng)
                    passages.append(other)
    frame = pl.DataFrame(passages, infer_schema_length=None).with_columns(
        pl.col("prefix_len", "suffix_len", "longest_run", "first_miss").cast(pl.Int32),
        pl.col("count").cast(pl.Int64),
        pl.col("member").cast(pl.Boolean),
        pl.col("control", "control_of").cast(pl.String),
    )
    if shape.verdict_only:
        known = {*_KEYS, "suffix_len", "suffix_text", "extractable", "first_miss"}
        unknown = [name for name in frame.columns if name not in known]
        frame = frame.with_columns(pl.lit(None, frame.schema[n]).alias(n) for n in unknown)
        tokens = [tokens[0].clear()]
    tables = folder / "tables"
    tables.mkdir(parents=True)
    frame.write_parquet(tables / "passages.parquet")
    pl.concat(tokens).write_parquet(tables / "tokens.parquet")
    _summary(frame).write_parquet(tables / "summary.parquet")
    sweep = len(shape.prefix_lens) > 1
    survival_table(frame, sweep=sweep).write_parquet(tables / "survival.parquet")
    count_table(frame).write_parquet(tables / "counts.parquet")
    if not shape.verdict_only:
        _discoverable(frame).write_parquet(tables / "discoverable.parquet")
    if shape.coverage and not shape.verdict_only:
        _coverage(frame, rng).write_parquet(tables / "coverage.parquet")
    fits = _fits(frame, shape)
    if fits is not None:
        fits.write_parquet(tables / "fits.parquet")
    (folder / "run.json").write_text(json.dumps(_info(frame, shape), indent=2), encoding="utf-8")
    return folder


def _base(
    source: str,
    category: str,
    text: str,
    i: int,
    length: int,
    shape: Shape,
    rng: np.random.Generator,
) -> dict[str, Any]:
    record = f"{category}-{i // 3}"
    end = f"#{length}" if len(shape.prefix_lens) > 1 else ""
    words = text.split(" ")
    start = (7 * i) % len(words)
    prefix = " ".join((words * 4)[start : start + max(4, length * 3 // 4)])
    return {
        "id": f"{source}/{record}@{i * 100}{end}",
        "source": source,
        "category": category,
        "record": record,
        "offset": i * 100,
        "prefix_len": length,
        "suffix_len": shape.suffix_len,
        "is_control": False,
        "control": None,
        "control_of": None,
        "count": int(2 ** rng.integers(0, 8)) if shape.counts else None,
        "member": None,
        "prefix_text": prefix,
    }


def _pieces(text: str, i: int, n: int) -> list[str]:
    words = (text.split(" ") * 20)[(7 * i + 40) % 60 :][:n]
    return [(" " if k else "") + word for k, word in enumerate(words)]


def _score(
    row: dict[str, Any],
    tokens: list[pl.DataFrame],
    pieces: list[str],
    skill: float,
    shape: Shape,
    rng: np.random.Generator,
) -> None:
    n = len(pieces)
    # A slow random walk: what is known comes in stretches.
    walk = skill + np.convolve(rng.normal(0, 2.2, n + 6), np.ones(7) / 7, mode="valid") * 2
    if skill > 2.8 and not shape.zero_recited:
        walk = walk + 1.5 + 1.5 * (walk < 0)
    p = np.clip(1 / (1 + np.exp(-1.5 * walk)), 1e-6, 1 - 1e-6)
    hit = p > 0.4
    if shape.zero_recited:
        hit[0] = False
    logprob = np.log(p)
    rank = np.where(hit, 0, np.maximum(1, (0.5 / p).astype(int)))
    sampled = np.where(rank < 40, logprob + 0.01, -np.inf)
    runs = [len(run) for run in "".join("x" if h else " " for h in hit).split()]
    total = float(sampled.sum())
    chance = math.exp(total) if math.isfinite(total) else 0.0
    needed = math.log(0.5) / math.log1p(-min(chance, 0.999999)) if chance > 1e-300 else math.inf
    row |= {
        "suffix_len": n,
        "suffix_text": "".join(pieces),
        "nll": float(-logprob.mean()),
        "perplexity": float(np.exp(-logprob.mean())),
        "token_accuracy": float(hit.mean()),
        "longest_run": max(runs, default=0),
        "extractable": bool(hit.all()),
        "first_miss": int(np.argmin(hit)) if not hit.all() else n,
        "logprob": float(logprob.sum()),
        "logprob_sampled": total,
        "n_needed": max(1.0, needed),
        "entropy": float(rng.gamma(2.0, 1.0)),
        "mia_loss": float(logprob.mean()),
        "mia_zlib": 0.1,
        "mia_min_k": float(np.sort(logprob)[: max(1, n // 5)].mean()),
        "mia_min_k_pp": 0.3,
    }
    instead = [
        piece if h else _INSTEAD[k % len(_INSTEAD)]
        for k, (piece, h) in enumerate(zip(pieces, hit, strict=True))
    ]
    tokens.append(
        pl.DataFrame(
            {
                "passage": [row["id"]] * n,
                "position": pl.Series(range(n), dtype=pl.Int32),
                "token": pl.Series(rng.integers(0, 49152, n), dtype=pl.Int32),
                "text": pieces,
                "logprob": pl.Series(logprob, dtype=pl.Float32),
                "logprob_sampled": pl.Series(sampled, dtype=pl.Float32),
                "rank": pl.Series(rank, dtype=pl.Int32),
                "hit": hit,
                "argmax": pl.Series(rng.integers(0, 49152, n), dtype=pl.Int32),
                "argmax_text": instead,
                "entropy": pl.Series(rng.gamma(2.0, 1.0, n), dtype=pl.Float32),
                "logprob_var": pl.Series(rng.gamma(2.0, 1.0, n), dtype=pl.Float32),
            }
        )
    )


def _cells(frame: pl.DataFrame) -> Iterable[tuple[str, str, int, str, pl.DataFrame]]:
    """Every group of the summary: the pool, each source, each category; each control."""
    frame = frame.with_columns(
        group=pl.when(pl.col("is_control")).then(pl.col("control")).otherwise(pl.lit("texts"))
    )
    keys = [("all", "all")]
    keys += [(s, "all") for s in frame["source"].unique().sort()]
    pairs = frame.drop_nulls("category").select("source", "category").unique()
    keys += list(pairs.sort("source", "category").iter_rows())
    for source, category in keys:
        for length in frame["prefix_len"].unique().sort():
            rows = frame.filter(pl.col("prefix_len") == length)
            if source != "all":
                rows = rows.filter(pl.col("source") == source)
            if category != "all":
                rows = rows.filter(pl.col("category") == category)
            for group in rows["group"].unique().sort():
                yield source, category, length, group, rows.filter(pl.col("group") == group)


def _summary(frame: pl.DataFrame) -> pl.DataFrame:
    out = []
    for source, category, length, group, rows in _cells(frame):
        n = len(rows)
        start = (source, category, length, group)
        rates = (
            ("extractable", "recited in full", rows["extractable"].sum()),
            ("run_ge_20", "20 or more tokens verbatim", (rows["longest_run"] >= 20).sum()),
            ("discoverable", "extractable with 1000 draws", (rows["n_needed"] <= 1000).sum()),
        )
        if rows["logprob"].null_count():
            rates = rates[:1]
        for measure, label, hits in rates:
            end = (hits / n, *wilson(hits, n), "wilson")
            out.append((*start, measure, label, "share", n, rows["record"].n_unique(), *end))
        if rows["logprob"].null_count():
            continue
        for measure, label, unit, column in (
            ("token_accuracy", "suffix tokens that are right", "share", "token_accuracy"),
            ("longest_run", "longest verbatim stretch, mean", "tokens", "longest_run"),
            ("nll", "mean negative log-likelihood", "nats per token", "nll"),
        ):
            values = rows[column].cast(pl.Float64).to_numpy()
            half = 1.96 * float(values.std()) / math.sqrt(n)
            mean = float(values.mean())
            end = (mean, max(0.0, mean - half), mean + half, "bootstrap")
            out.append((*start, measure, label, unit, n, rows["record"].n_unique(), *end))
        end = (float(np.median(rows["longest_run"].to_numpy())), math.nan, math.nan, "none")
        name = ("longest_run_median", "longest stretch, median", "tokens")
        out.append((*start, *name, n, rows["record"].n_unique(), *end))
    names = "source category prefix_len group measure label unit n documents value low high method"
    frame = pl.DataFrame(out, schema=names.split(), orient="row")
    return frame.with_columns(pl.col("prefix_len").cast(pl.Int32))


def _discoverable(frame: pl.DataFrame) -> pl.DataFrame:
    out = []
    for source, category, length, group, rows in _cells(frame):
        for p in (0.1, 0.5, 0.9):
            needed = rows["n_needed"] * (math.log1p(-p) / math.log(0.5))
            for n in np.logspace(0, 6, 25):
                hits, of = int((needed <= n).sum()), len(rows)
                out.append(
                    (source, category, length, group, p, n, of, hits / of, *wilson(hits, of))
                )
    names = "source category prefix_len group p n passages rate low high"
    return pl.DataFrame(out, schema=names.split(), orient="row")


def _coverage(frame: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    out = []
    texts = frame.filter(~pl.col("is_control"))
    keys = ("source", "record", "category")
    length = texts["prefix_len"].to_numpy().max()
    for (source, record, category), rows in texts.group_by(*keys, maintain_order=True):
        asked = int(rows["suffix_len"].sum())
        share = float(rng.beta(0.7, 2.0))
        for threshold in (0.001, 0.01, 0.1, 0.5):
            covered = int(asked * share * (0.25 - 0.25 * math.log10(threshold)))
            row = (source, record, category, length, asked, threshold, covered, covered / asked)
            out.append(row)
    names = "source record category prefix_len tokens threshold covered coverage"
    return pl.DataFrame(out, schema=names.split(), orient="row")


def _fits(frame: pl.DataFrame, shape: Shape) -> pl.DataFrame | None:
    out = []
    texts = frame.filter(~pl.col("is_control"))
    against = ["prefix_len"] if len(shape.prefix_lens) > 1 else []
    against += ["count"] if shape.counts else []
    for name in against:
        for source in ["all", *texts["source"].unique().sort()]:
            rows = texts if source == "all" else texts.filter(pl.col("source") == source)
            for measure in ("extractable", "token_accuracy"):
                x = rows[name].cast(pl.Float64).log10().to_numpy()
                y = rows[measure].cast(pl.Float64).to_numpy()
                slope, intercept = np.polyfit(x, y, 1)
                bounds = (slope - 0.02, slope + 0.02)
                fit = (slope, intercept, 0.87, len(np.unique(x)), *bounds)
                out.append((name, source, "all", measure, *fit))
    if not out:
        return None
    names = "against source category measure slope intercept r2 n_points low high"
    return pl.DataFrame(out, schema=names.split(), orient="row")


def _info(frame: pl.DataFrame, shape: Shape) -> dict[str, Any]:
    controls = int(frame["is_control"].sum())
    return {
        "schema_version": 1,
        "kind": "audit",
        "status": "done",
        "config": {
            "model": "bundled:gemma3-270m",
            "texts": ["corpus:licenses", "corpus:kjv"],
            "controls": list(shape.controls),
            "prefix_len": list(shape.prefix_lens),
            "suffix_len": shape.suffix_len,
            "stride": None,
            "temperature": 1.0,
            "top_k": 40,
            "top_p": None,
            "draws": 1000,
            "probability": 0.5,
            "confidence": 0.95,
            "seed": 0,
        },
        "config_hash": "0123456789ab",
        "versions": {
            "byrote": "0.1.0",
            "python": "3.11.9",
            "torch": "2.13.0",
            "transformers": "5.0.0",
        },
        "model": {
            "source": "bundled:gemma3-270m",
            "family": "gemma3_text",
            "parameters": 268098176,
            "weights_hash": "sha256:9f2c" + "0" * 60,
            "dtype": "float32",
            "licence": "Gemma terms of use",
            "bos_id": 2,
        },
        "data": {
            "hash": "b1946ac92492d2347c6235b4d2611184",
            "passages": len(frame) - controls,
            "controls": controls,
            "records": frame["record"].n_unique(),
            "too_short": 3,
        },
        "hardware": {
            "machine": "x86_64",
            "cpu": "A CPU",
            "cores": 2,
            "memory_gib": 15.5,
            "device": "cpu",
        },
        "seed": 0,
        "start": "2026-01-31T10:00:00+00:00",
        "end": "2026-01-31T10:03:21+00:00",
        "command": "byrote audit",
        "seconds": 201.4,
        "notes": ["3 of 83 records were shorter than prefix + suffix and were left out."],
    }
