"""Whether the models can take what a config asks of them, and how much memory that needs."""

from __future__ import annotations

from typing import Any

from byrote.errors import InputError
from byrote.studies.localization.config import LocalizationConfig
from byrote.studies.localization.models import needs_vocabulary
from byrote.studies.localization.plan import cells as cells_of
from byrote.studies.shapes import Shape, shape_of

__all__ = ["fit"]

# Tokens of the longest sentence that byrote makes up, and more.
_SENTENCE = 160


def fit(config: LocalizationConfig) -> dict[str, float]:
    """See that the models of a config can take its passages.

    Args:
        config: The config, checked.

    Returns:
        For each cell, by its id, the bytes of memory that it needs at least: the weights in
        float32, and where it trains them gradients, moments and logits.

    Raises:
        InputError: A model cannot be found, has no tokenizer, or passages do not fit its context;
            the message names the field.
        ByroteError: A model could not be converted.
    """
    shapes: dict[str, Shape] = {}

    def shape(field: str, source: str, tokens: int, what: str) -> None:
        asked = source
        if needs_vocabulary(source):
            asked += f"{'&' if '?' in source else '?'}vocab_size={config.vocab}"
        try:
            found = shapes.setdefault(source, shape_of(asked))
            if not needs_vocabulary(source):
                _check_tokenizer(found)
            found.check_length(tokens, bool(found.outline.lead), what)
        except InputError as error:
            raise InputError(f"{field}: {error}") from error

    inj, deletion = config.injection, config.deletion
    for index, model in enumerate(inj.models if inj.groups else ()):
        shape(f"injection.models.{index}", model, _SENTENCE, "sentences")
    for name, setting in (deletion.settings if deletion.groups else {}).items():
        tokens = max(setting.prefix + setting.suffix, deletion.text_tokens)
        shape(f"deletion.settings.{name}", setting.model, tokens, "passages or general texts")
    needed = {cell.id: _bytes(cell.params, shapes) for cell in cells_of(config)}
    return {cell: size for cell, size in needed.items() if size > 0}


def _check_tokenizer(shape: Shape) -> None:
    if shape.outline.tokenizer is None:
        raise InputError(f"{shape.source} has no tokenizer to read texts with; take another model")


def _bytes(params: dict[str, Any], shapes: dict[str, Shape]) -> float:
    if "setting" not in params:
        return float(shapes[params["model"]].weight_bytes)
    setting = params["setting"]
    own = shapes[setting["model"]]
    if setting["how"] == "found":
        return float(own.weight_bytes)
    tokens = setting["windows"] * len(setting["sources"]) * (setting["prefix"] + setting["suffix"])
    return own.training_bytes("all", tokens)
