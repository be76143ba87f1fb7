"""The columns of the tables that every study has: names, types, and what each one means."""

from __future__ import annotations

import polars as pl

from byrote.studies.claims import CLAIM_SCHEMA

__all__ = ["ABOUT", "COLUMNS", "SCHEMAS"]

SCHEMAS: dict[str, pl.Schema] = {
    "cells": pl.Schema(
        {
            "cell": pl.String,
            "task": pl.String,
            "params": pl.String,
            "seed": pl.UInt64,
            "cost": pl.Float64,
            "seconds": pl.Float64,
            "threads": pl.Int64,
        }
    ),
    "claims": pl.Schema(CLAIM_SCHEMA),
}
"""The tables of the frame; a study's own are described by the study."""

ABOUT: dict[str, str] = {
    "cells": "One row for each cell, in the order of the tables' rows.",
    "claims": "One row for each claim.",
}
"""What the rows of a table are, by its name."""

_MEANINGS = {
    "cells": {
        "cell": "Its id.",
        "task": "Module and function that did the work.",
        "params": "What it was asked to do, as JSON.",
        "seed": "Its seed, derived from the study's and its id.",
        "cost": "How long it was expected to take, core-seconds.",
        "seconds": "How long it took.",
        "threads": "Threads that it computed with.",
    },
    "claims": {
        "id": "Short name.",
        "section": "Where in the paper, and by which experiment.",
        "statement": "What was published.",
        "published": "The published number, or that there is none.",
        "provenance": "How the statement is known: letters, separated by commas.",
        "measured": "What is measured here, in words.",
        "verdict": "holds, fails or not tested.",
        "value": "Our number.",
        "low": "Lower end of its 95 % interval.",
        "high": "Upper end of the interval.",
        "n": "Strings (or whatever is independent) that it was taken over.",
        "text": "Our number in words, with its unit.",
        "why": "What decided, or why nothing could be decided.",
    },
}

COLUMNS: dict[str, str] = {
    f"{table}.{column}": meaning
    for table, columns in _MEANINGS.items()
    for column, meaning in columns.items()
}
"""What a column means, by `table.column`."""
