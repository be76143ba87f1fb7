"""The model of a cell, with a tokenizer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from byrote.errors import InputError
from byrote.models import LoadedModel, load
from byrote.models.source import parse_source
from byrote.studies.vocabulary import learned_tokenizer

__all__ = ["open_model", "short_name"]


def open_model(source: str, params: Mapping[str, Any]) -> LoadedModel:
    """Load a model in float32; one with random weights gets a vocabulary if it has none.

    Args:
        source: As for every command.
        params: Of the cell: `vocab` and `vocab_text`.

    Raises:
        InputError: It cannot be loaded, or has no tokenizer.
    """
    if needs_vocabulary(source):
        tokenizer = learned_tokenizer(params["vocab_text"], params["vocab"])
        joint = "&" if "?" in source else "?"
        loaded = load(f"{source}{joint}vocab_size={len(tokenizer)}", dtype="float32")
        return LoadedModel(loaded.model, tokenizer, source, None)
    loaded = load(source, dtype="float32")
    if loaded.tokenizer is None:
        raise InputError(f"{source} has no tokenizer to read texts with; add tokenizer=FOLDER")
    return loaded


def needs_vocabulary(source: str) -> bool:
    """Whether a model has random weights and no tokenizer of its own."""
    parsed = parse_source(source)
    return parsed.kind == "random" and "tokenizer" not in dict(parsed.options)


def short_name(source: str) -> str:
    """A model's name as charts and cells have it: without where it comes from and its options."""
    bare = source.split("?")[0].rstrip("/")
    return bare.rpartition("/")[2].rpartition(":")[2] or "model"
