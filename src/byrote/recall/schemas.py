"""The columns of a run's tables: names, types, and what each one means."""

from __future__ import annotations

from typing import NamedTuple

import polars as pl

from byrote.recall.membership import attacks

__all__ = [
    "COLUMNS",
    "COUNT_SCHEMA",
    "COVERAGE_SCHEMA",
    "DISCOVERABLE_SCHEMA",
    "FIT_SCHEMA",
    "GENERATION_SCHEMA",
    "PASSAGE_SCHEMA",
    "SCHEMAS",
    "SUMMARY_SCHEMA",
    "SURVIVAL_SCHEMA",
    "TEXTS",
    "TOKEN_SCHEMA",
]

TEXTS = "texts"
"""The group of what was asked for; every other group is named after its control."""


class _Column(NamedTuple):
    name: str
    type: type[pl.DataType]
    description: str


def _attack_columns() -> list[_Column]:
    return [
        _Column(f"mia_{name}", pl.Float64, _first_line(function.__doc__))
        for name, function in attacks().items()
    ]


def _first_line(doc: str | None) -> str:
    return (doc or "A membership attack; high for members.").strip().splitlines()[0]


_ASKED = [
    _Column("source", pl.String, 'Name of the source; "all" for the pool of sources.'),
    _Column("category", pl.String, 'Category of the texts; "all" for the pool of categories.'),
    _Column("prefix_len", pl.Int32, "Prefix length, in tokens."),
    _Column("group", pl.String, '"texts", or the name of the control.'),
]

_PASSAGES = [
    _Column("id", pl.String, "Unique within a run: record@offset; controls add ~ and their kind."),
    _Column("source", pl.String, "Name of the source."),
    _Column("category", pl.String, "The label that came with the record, if one did."),
    _Column("record", pl.String, "Id of the record that the passage was cut from."),
    _Column("offset", pl.Int64, "Where the passage starts in its record, in tokens."),
    _Column("prefix_len", pl.Int32, "Prefix length, in tokens."),
    _Column("suffix_len", pl.Int32, "Suffix length, in tokens."),
    _Column("is_control", pl.Boolean, "Whether this is a control rather than one of the texts."),
    _Column("control", pl.String, "Kind of control: mismatched, shuffled, held-out; else null."),
    _Column("control_of", pl.String, "Id of the passage that this is the control of, if any."),
    _Column("count", pl.Int64, "How often the record was in training, where known."),
    _Column("member", pl.Boolean, "Whether the record was in training, where known."),
    _Column("prefix_text", pl.String, "The prefix, decoded."),
    _Column("suffix_text", pl.String, "The suffix, decoded."),
    _Column("nll", pl.Float64, "Mean negative log-likelihood, nats per suffix token."),
    _Column("perplexity", pl.Float64, "exp(nll)."),
    _Column("token_accuracy", pl.Float64, "Share of suffix tokens that are the argmax."),
    _Column("longest_run", pl.Int32, "Longest run of suffix tokens that are the argmax, tokens."),
    _Column("extractable", pl.Boolean, "Whether every suffix token is the argmax."),
    _Column(
        "first_miss",
        pl.Int32,
        "Index of the first suffix token that is not the argmax; suffix_len when extractable.",
    ),
    _Column("logprob", pl.Float64, "Log-probability of the suffix, nats."),
    _Column(
        "logprob_sampled",
        pl.Float64,
        "Log-probability of the suffix under the sampling scheme, nats; -inf where impossible.",
    ),
    _Column(
        "n_needed",
        pl.Float64,
        "Draws after which the suffix was seen with probability p; infinite where impossible.",
    ),
    _Column("entropy", pl.Float64, "Mean entropy of the next-token distributions, nats."),
    *_attack_columns(),
]

_GENERATION = [
    _Column("generated_text", pl.String, "The greedy continuation of the prefix, decoded."),
    _Column("rouge_l", pl.Float64, "ROUGE-L F1 of continuation and suffix, by words."),
    _Column("edit_similarity", pl.Float64, "1 - edit distance / longer length, by characters."),
    _Column("bleu", pl.Float64, "Sentence BLEU-4 in 0..1, by words."),
    _Column("rouge_l_tokens", pl.Float64, "ROUGE-L F1 by token ids."),
    _Column("edit_similarity_tokens", pl.Float64, "1 - edit distance / longer length, by ids."),
    _Column("bleu_tokens", pl.Float64, "Sentence BLEU-4 in 0..1, by token ids."),
]

_TOKENS = [
    _Column("passage", pl.String, "Id of the passage."),
    _Column("position", pl.Int32, "0 for the first suffix token."),
    _Column("token", pl.Int32, "The true token's id."),
    _Column("text", pl.String, "The token's text; the pieces of a passage join to its suffix."),
    _Column("logprob", pl.Float32, "Log-probability of the true token, nats."),
    _Column("logprob_sampled", pl.Float32, "The same under the sampling scheme, nats."),
    _Column("rank", pl.Int32, "How many tokens have a larger logit; 0 for the argmax."),
    _Column("hit", pl.Boolean, "Whether the true token is the argmax."),
    _Column("argmax", pl.Int32, "Id of the likeliest token."),
    _Column("argmax_text", pl.String, "Text of the likeliest token."),
    _Column("entropy", pl.Float32, "Entropy of the next-token distribution, nats."),
    _Column("logprob_var", pl.Float32, "Variance of the log-probability under the model, nats²."),
]

_SUMMARY = [
    *_ASKED,
    _Column("measure", pl.String, "Name of the measure."),
    _Column("label", pl.String, "The measure in words."),
    _Column("unit", pl.String, "Unit of value, low and high; share is a number in 0..1."),
    _Column("n", pl.Int64, "Passages that the value was computed from."),
    _Column("documents", pl.Int64, "Different records among them."),
    _Column("value", pl.Float64, "The estimate."),
    _Column("low", pl.Float64, "Lower end of the interval; null where there is none."),
    _Column("high", pl.Float64, "Upper end of the interval."),
    _Column("method", pl.String, "wilson, clopper-pearson, bootstrap, or none."),
]

_DISCOVERABLE = [
    *_ASKED,
    _Column("p", pl.Float64, "The wanted probability of seeing the suffix at least once."),
    _Column("n", pl.Float64, "Number of draws."),
    _Column("passages", pl.Int64, "Passages that the rate was computed from."),
    _Column("rate", pl.Float64, "Share of passages that n draws show with probability p."),
    _Column("low", pl.Float64, "Lower end of the rate's interval."),
    _Column("high", pl.Float64, "Upper end of the rate's interval."),
]

_SURVIVAL = [
    _ASKED[0],
    *_ASKED[2:],
    _Column("measure", pl.String, "longest_run, token_accuracy or logprob."),
    _Column("at_least", pl.Float64, "A value of the measure, in its unit."),
    _Column("passages", pl.Int64, "Passages that the rate was computed from."),
    _Column("rate", pl.Float64, "Share of passages with at least that value."),
    _Column("low", pl.Float64, "Lower end of the rate's interval."),
    _Column("high", pl.Float64, "Upper end of the rate's interval."),
]

_COUNTS = [
    _ASKED[0],
    _ASKED[3],
    _Column("measure", pl.String, "extractable or token_accuracy."),
    _Column("count", pl.Int64, "How often the records were in training; the start of a bin."),
    _Column("count_to", pl.Int64, "The largest count in the bin; count where there are no bins."),
    _Column("n", pl.Int64, "Passages that the value was computed from."),
    _Column("documents", pl.Int64, "Different records among them."),
    _Column("value", pl.Float64, "The estimate."),
    _Column("low", pl.Float64, "Lower end of the interval; null where there is none."),
    _Column("high", pl.Float64, "Upper end of the interval."),
    _Column("method", pl.String, "wilson, clopper-pearson, bootstrap, or none."),
]

_COVERAGE = [
    _Column("source", pl.String, "Name of the source."),
    _Column("record", pl.String, "Id of the record."),
    _Column("category", pl.String, "The label that came with the record, if one did."),
    _Column("prefix_len", pl.Int32, "Prefix length of the windows, in tokens."),
    _Column("tokens", pl.Int64, "Tokens of the record that lie in the suffix of any window."),
    _Column(
        "threshold",
        pl.Float64,
        "Least probability of a suffix that counts as recited; null for greedy extraction.",
    ),
    _Column("covered", pl.Int64, "Tokens that lie in the suffix of a window that counts."),
    _Column("coverage", pl.Float64, "covered / tokens."),
]

_FITS = [
    _Column("against", pl.String, "What the measure is fitted against: prefix_len or count."),
    _ASKED[0],
    _ASKED[1],
    _Column("measure", pl.String, "Name of the measure, of the texts (not of the controls)."),
    _Column("slope", pl.Float64, "Change of the measure for ten times as much."),
    _Column("intercept", pl.Float64, "The line's value at one."),
    _Column("r2", pl.Float64, "Explained share of the variance between the points, or null."),
    _Column("n_points", pl.Int64, "Different values that the line is fitted through."),
    _Column("low", pl.Float64, "Lower end of the slope's interval; null where there is none."),
    _Column("high", pl.Float64, "Upper end of the slope's interval."),
]


def _schema(columns: list[_Column]) -> pl.Schema:
    return pl.Schema({column.name: column.type for column in columns})


_TABLES: dict[str, list[_Column]] = {
    "passages": [*_PASSAGES, *_GENERATION],
    "tokens": _TOKENS,
    "summary": _SUMMARY,
    "discoverable": _DISCOVERABLE,
    "survival": _SURVIVAL,
    "counts": _COUNTS,
    "coverage": _COVERAGE,
    "fits": _FITS,
}

SCHEMAS: dict[str, pl.Schema] = {table: _schema(columns) for table, columns in _TABLES.items()}
"""Every table of an audit, with all the columns that it may have."""

PASSAGE_SCHEMA = _schema(_PASSAGES)
GENERATION_SCHEMA = _schema(_GENERATION)
"""What `--generate` adds to `PASSAGE_SCHEMA`."""
TOKEN_SCHEMA = SCHEMAS["tokens"]
SUMMARY_SCHEMA = SCHEMAS["summary"]
DISCOVERABLE_SCHEMA = SCHEMAS["discoverable"]
SURVIVAL_SCHEMA = SCHEMAS["survival"]
COUNT_SCHEMA = SCHEMAS["counts"]
COVERAGE_SCHEMA = SCHEMAS["coverage"]
FIT_SCHEMA = SCHEMAS["fits"]

COLUMNS: dict[str, str] = {
    f"{table}.{column.name}": column.description
    for table, columns in _TABLES.items()
    for column in columns
}
"""What a column means, by `table.column`."""
