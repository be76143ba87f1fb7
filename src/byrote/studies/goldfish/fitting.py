"""Whether the models can take what a config asks of them, and how much memory that needs."""

from __future__ import annotations

from typing import Any

from byrote.errors import InputError
from byrote.studies.goldfish.config import GoldfishConfig
from byrote.studies.goldfish.plan import cells as cells_of
from byrote.studies.shapes import Shape, shape_of

__all__ = ["fit"]


def fit(config: GoldfishConfig) -> dict[str, float]:
    """See that both models of a config can take its documents.

    Args:
        config: The config, checked.

    Returns:
        For each cell, by its id, the bytes of memory that it needs at least: weights, gradients,
        moments and logits in float32. Other activations and the libraries come on top.

    Raises:
        InputError: A model cannot be found, documents do not fit its context, or its tokenizer
            cannot say which characters a token covers; the message names the setting.
        ByroteError: A model could not be converted.
    """
    shapes: dict[str, Shape] = {}
    extreme, scratch = config.extreme, config.scratch
    try:
        if extreme.arms or extreme.long_arms:
            shapes["extreme"] = shape = shape_of(extreme.model)
            _check_tokenizer(shape)
            shape.check_length(extreme.tokens, bool(shape.outline.lead), "passages")
    except InputError as error:
        raise InputError(f"extreme: {error}") from error
    try:
        if scratch.arms:
            source = scratch.model
            if scratch.vocab:
                source += f"{'&' if '?' in source else '?'}vocab_size={scratch.vocab}"
            shapes["scratch"] = shape = shape_of(source)
            if not scratch.vocab:
                _check_tokenizer(shape)
            # Its BOS is one of the tokens.
            shape.check_length(scratch.tokens, False, "documents")
    except InputError as error:
        raise InputError(f"scratch: {error}") from error
    needed = {cell.id: _bytes(cell.params, shapes) for cell in cells_of(config)}
    return {cell: size for cell, size in needed.items() if size > 0}


def _check_tokenizer(shape: Shape) -> None:
    """Documents end with a token, and their text with the same character."""
    tokenizer: Any = shape.outline.tokenizer
    if tokenizer is None or not tokenizer.is_fast:
        raise InputError(
            f"{shape.source} has no fast tokenizer, which says what characters a token covers; "
            "take a model that comes with a tokenizer.json"
        )


def _bytes(params: dict[str, Any], shapes: dict[str, Shape]) -> float:
    if "extreme" in params:
        extreme = params["extreme"]
        return shapes["extreme"].training_bytes("all", extreme["passages"] * extreme["tokens"])
    scratch = params["scratch"]
    batch = round(scratch["batch"] * params["arm"]["batch_factor"])
    return shapes["scratch"].training_bytes("all", batch * scratch["tokens"])
