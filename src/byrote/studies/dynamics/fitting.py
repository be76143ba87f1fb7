"""Whether the models can take what a config asks of them, and how much memory that needs.

Read off their configurations and tokenizers, without any weights: a string beyond the context would
otherwise be told by a cell, an hour later.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from byrote.errors import InputError
from byrote.studies.dynamics.checkpoints import byte_letters, check_bytes
from byrote.studies.dynamics.config import DynamicsConfig, ModelConfig
from byrote.studies.dynamics.plan import Need, needs, plan
from byrote.studies.dynamics.plan import cells as cells_of
from byrote.studies.dynamics.setup import (
    bos_of,
    make_alphabet,
    make_source,
    other_alphabet,
)
from byrote.studies.shapes import Shape, shape_of

__all__ = ["fit"]


def fit(config: DynamicsConfig) -> dict[str, float]:
    """See that every model of a config can take its strings.

    Args:
        config: The config, checked.

    Returns:
        For each cell, by its id, the bytes of memory that it needs at least: weights, gradients,
        moments and logits in float32. Other activations and the libraries come on top.

    Raises:
        InputError: A model cannot be found, or strings do not fit its context, its vocabulary or
            its tokenizer; the message names experiment and model.
        ByroteError: A model could not be converted.
    """
    known: dict[str, Shape] = {}

    def shape(source: str) -> Shape:
        if source not in known:
            known[source] = shape_of(source)
        return known[source]

    for experiment, need in dict.fromkeys(needs(config)):
        model = config.models[need.model]
        with _said_of(experiment, need.model):
            _check_need(config, need, model, shape(model.source))
    # E6 needs letters for another alphabet too, in exposures that others may share.
    for need in plan(config):
        if need.context:
            model = config.models[need.model]
            with _said_of("context", need.model):
                known_alphabet = _alphabet(config, need.letters, shape(model.source))
                other_alphabet(shape(model.source).outline, known_alphabet, config.seed)
    for name in config.sequential.models:
        with _said_of("sequential", name):
            _check_sequential(config, config.models[name], shape(config.models[name].source))
    if config.checkpoints.source:
        with _said_of("checkpoints", config.checkpoints.source):
            _check_bytes(config, shape(config.checkpoints.source))
    return _memory(config, known)


@contextmanager
def _said_of(experiment: str, model: str) -> Iterator[None]:
    try:
        yield
    except InputError as error:
        raise InputError(f"{experiment}: {model}: {error}") from error


def _alphabet(config: DynamicsConfig, letters: int, shape: Shape) -> Any:
    found = make_alphabet(shape.outline, letters, config.alphabet, config.seed)
    size = shape.outline.vocab_size
    if size is not None and max(found.ids) >= size:
        raise InputError(
            f"the letter {found.letters[found.ids.index(max(found.ids))]!r} is token "
            f"{max(found.ids)} of the tokenizer, and {shape.source} takes the ids 0 to {size - 1}; "
            'use alphabet = "tokens"'
        )
    return found


def _check_need(config: DynamicsConfig, need: Need, model: ModelConfig, shape: Shape) -> None:
    bos = bos_of(shape.outline, model.bos, model.source)
    alphabet = _alphabet(config, need.letters, shape)
    make_source(alphabet, need.distribution, need.level, config.seed)
    shape.check_length(need.n, bos is not None, "strings")
    shape.trained(need.part)


def _check_sequential(config: DynamicsConfig, model: ModelConfig, shape: Shape) -> None:
    sequential = config.sequential
    bos = bos_of(shape.outline, model.bos, model.source) is not None
    _alphabet(config, sequential.letters, shape)
    shape.check_length(sequential.n, bos, "strings")
    if sequential.text and shape.outline.tokenizer is not None:
        shape.check_length(sequential.text_tokens, bos, "windows of text")


def _check_bytes(config: DynamicsConfig, shape: Shape) -> None:
    checkpoints = config.checkpoints
    size = shape.outline.vocab_size
    if size is not None:
        check_bytes(size, shape.source)
    byte_letters(checkpoints.letters)
    shape.check_length(checkpoints.n, True, "strings")
    shape.check_length(checkpoints.context, True, "sequences of pretraining")


def _memory(config: DynamicsConfig, known: dict[str, Shape]) -> dict[str, float]:
    found: dict[str, float] = {}
    for cell in cells_of(config):
        params = cell.params
        if "checkpoints" in params:
            wanted = params["checkpoints"]
            shape = known[wanted["source"]]
            # The weights of every checkpoint are kept until the strings have been learned.
            states = len(wanted["steps"]) * shape.weight_bytes
            tokens = max(wanted["batch"] * wanted["context"], wanted["n"])
            found[cell.id] = states + shape.training_bytes("all", tokens)
        else:
            shape = known[params["model"]["source"]]
            tokens = params["n"] if "n" in params else params["sequential"]["n"]
            found[cell.id] = shape.training_bytes(params.get("part", "all"), tokens)
    return {cell: size for cell, size in found.items() if size > 0}
