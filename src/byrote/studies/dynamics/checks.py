"""What makes a config of the study unfit, said before any model is loaded."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping

from byrote.errors import InputError
from byrote.exposure.partial import check_part
from byrote.models.source import parse_source
from byrote.recall.context import CONTEXT_CONDITIONS
from byrote.studies.config import flat_fields
from byrote.studies.dynamics.config import (
    CheckpointsConfig,
    ContextConfig,
    DynamicsConfig,
    ModelConfig,
    SequentialConfig,
    TrainingConfig,
)
from byrote.studies.dynamics.setup import exposure_config
from byrote.texts.sources import open_source

__all__ = ["check"]

_LETTERS = 26
# Two checkpoints may be of one step, such as of two seeds.
_MAY_REPEAT = ("checkpoints.steps",)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")


def check(config: DynamicsConfig) -> None:
    """See that a config can work, before any model is loaded.

    What only a model's tokenizer and configuration can tell is said by `fitting.fit`.

    Raises:
        InputError: A field cannot be used; the message names it.
    """
    if config.seed < 0:
        raise InputError(f"seed = {config.seed}; it must be 0 or more")
    if config.strings < 1:
        raise InputError(f"strings = {config.strings}; at least 1, and 3 for a verdict")
    _check_names(config.models)
    for model in config.models.values():
        parse_source(model.source).check()
        training = dataclasses.asdict(config.training)
        epochs = config.training.epochs
        exposure_config(training, model.lr, epochs=epochs, part="all", seed=0).check()
    _check_repeats(config)
    _check_models(config)
    _check_training(config.training)
    _check_strings(config)
    _check_context(config.context, config.training.epochs)
    _check_sequential(config.sequential)
    _check_checkpoints(config.checkpoints)
    for part in config.partial.parts:
        check_part(part)


def _check_names(models: Mapping[str, ModelConfig]) -> None:
    """Names of models become parts of file names."""
    seen: dict[str, str] = {}
    for name in models:
        if not _NAME.fullmatch(name):
            raise InputError(
                f"models: {name!r} is no name; use letters, digits, - . _, at most 60, and begin "
                "with a letter or a digit"
            )
        if other := seen.get(name.lower()):
            raise InputError(f"models: {other!r} and {name!r} differ in case alone; rename one")
        seen[name.lower()] = name


def _check_repeats(config: DynamicsConfig) -> None:
    """Nothing is measured better for being named twice; cells would have one name, or rows."""
    for name, value in flat_fields(config).items():
        if not isinstance(value, list) or name in _MAY_REPEAT:
            continue
        for item in value:
            if value.count(item) > 1:
                raise InputError(f"{name} = {value}: {item!r} stands there twice; name it once")


def _check_models(config: DynamicsConfig) -> None:
    parts = {
        "phases": (*config.phases.models, *config.phases.only),
        "entropy": config.entropy.models,
        "length": config.length.models,
        "context": config.context.models,
        "sequential": config.sequential.models,
        "untrained": config.untrained.models,
        "checkpoints": config.checkpoints.models,
        "partial": config.partial.models,
        **{f"size.ladders.{name}": models for name, models in config.size.ladders.items()},
    }
    for part, names in parts.items():
        for name in names:
            if name not in config.models:
                known = ", ".join(config.models) or "none"
                raise InputError(f"{part}.models: there is no model {name!r}; models are: {known}")
    if not any(parts.values()) and not config.checkpoints.source:
        raise InputError("no experiment has a model: set phases.models, or take a preset")
    over = {
        "phases": ("alphabets", config.phases.alphabets),
        "length": ("lengths", config.length.lengths),
        "context": ("alphabets", config.context.alphabets),
        "sequential": ("optimisers", config.sequential.optimisers),
        "untrained": ("lengths", config.untrained.lengths),
        "partial": ("parts", config.partial.parts),
    }
    for part, (field, values) in over.items():
        if getattr(config, part).models and not values:
            raise InputError(f"{part}.models is set but {part}.{field} is empty: name some")
    for model, alphabets in config.phases.only.items():
        if not alphabets:
            raise InputError(f"phases.only.{model} is empty: name some alphabets, or leave it out")


def _check_training(training: TrainingConfig) -> None:
    if training.stop_loss is not None and training.schedule != "constant":
        raise InputError(
            f"training.stop_loss = {training.stop_loss} ends exposures early, and the "
            f"{training.schedule} schedule depends on their length: use constant, or none"
        )
    if training.stop_loss is not None and not training.stop_loss > 0:
        raise InputError(
            f"training.stop_loss = {training.stop_loss}; no loss is below that. Give nats above 0, "
            "or none"
        )
    for name in ("epochs", "stop_epochs", "heldout_every"):
        if getattr(training, name) < 1:
            raise InputError(f"training.{name} = {getattr(training, name)}; it must be at least 1")
    if training.heldout < 0:
        raise InputError(f"training.heldout = {training.heldout}; it must be 0 or more")


def _check_strings(config: DynamicsConfig) -> None:
    sizes = {
        "phases.alphabets": config.phases.alphabets,
        **{f"phases.only.{m}": sizes for m, sizes in config.phases.only.items()},
        "context.alphabets": config.context.alphabets,
        "entropy.letters": (config.entropy.letters,),
        "length.letters": (config.length.letters,),
        "size.letters": (config.size.letters,),
        "sequential.letters": (config.sequential.letters,),
        "untrained.letters": (config.untrained.letters,),
        "checkpoints.letters": (config.checkpoints.letters,),
        "partial.letters": (config.partial.letters,),
    }
    most = math.inf if config.alphabet == "tokens" else _LETTERS
    for name, values in sizes.items():
        for value in values:
            if not 2 <= value <= most:
                raise InputError(
                    f"{name}: an alphabet has 2 to {_LETTERS} letters, not {value}; "
                    'alphabet = "tokens" has as many as the vocabulary'
                )
    lengths = {
        "phases.n": (config.phases.n,),
        "entropy.n": (config.entropy.n,),
        "length.lengths": config.length.lengths,
        "size.n": (config.size.n,),
        "context.n": (config.context.n,),
        "sequential.n": (config.sequential.n,),
        "untrained.lengths": config.untrained.lengths,
        "checkpoints.n": (config.checkpoints.n,),
        "partial.n": (config.partial.n,),
    }
    for name, values in lengths.items():
        for value in values:
            if value < 2:
                raise InputError(f"{name}: a string has at least 2 tokens, not {value}")
    for like in config.entropy.like:
        if not 1 <= like <= config.entropy.letters:
            raise InputError(
                f"entropy.like: {config.entropy.letters} letters cannot have the entropy of "
                f"{like} equally likely ones"
            )
    for rate in config.entropy.markov_rates:
        if not 0 < rate <= 1:
            raise InputError(f"entropy.markov_rates: {rate} is not a share above 0 and at most 1")


def _check_context(context: ContextConfig, epochs: int) -> None:
    if not context.models:
        return
    if not context.k or min(context.k) < 1 or max(context.k) + 1 >= context.n:
        raise InputError(
            f"context.k = {list(context.k)}: every k is at least 1, and the longest leaves "
            f"positions of the {context.n} tokens"
        )
    for condition in context.conditions:
        if condition not in CONTEXT_CONDITIONS:
            raise InputError(
                f"context.conditions: {condition!r} is none of {', '.join(CONTEXT_CONDITIONS)}"
            )
    if "truncate" not in context.conditions:
        # Without it nobody can tell a memory of the string from what its last tokens give away.
        raise InputError(
            f"context.conditions = {list(context.conditions)}; the control truncate must be there"
        )
    if not context.epochs or min(context.epochs) < 0:
        raise InputError(f"context.epochs = {list(context.epochs)}; give epochs of 0 or more")
    if max(context.epochs) > epochs:
        raise InputError(
            f"context.epochs = {list(context.epochs)}, but training.epochs = {epochs}: nothing "
            "would be measured after that"
        )
    for name in ("positions", "shuffle_positions", "draws"):
        value = getattr(context, name)
        if value is not None and value < 1:
            raise InputError(f"context.{name} = {value}; it must be at least 1")


def _check_sequential(sequential: SequentialConfig) -> None:
    if not sequential.models:
        return
    for name in ("strings", "epochs", "every", "text_windows", "text_tokens"):
        if getattr(sequential, name) < 1:
            raise InputError(f"sequential.{name} = {getattr(sequential, name)}; at least 1")
    if sequential.text:
        open_source(sequential.text)


def _check_checkpoints(checkpoints: CheckpointsConfig) -> None:
    if checkpoints.models and len(checkpoints.steps) != len(checkpoints.models):
        raise InputError(
            f"checkpoints.steps has {len(checkpoints.steps)} numbers for "
            f"{len(checkpoints.models)} models; give one each"
        )
    if checkpoints.models and checkpoints.source:
        raise InputError("checkpoints has models and a source; give one of the two")
    if not checkpoints.source:
        return
    parse_source(checkpoints.source).check()
    open_source(checkpoints.text)
    steps = checkpoints.steps
    if not steps or list(steps) != sorted(set(steps)) or steps[0] < 0:
        raise InputError(f"checkpoints.steps = {list(steps)}; give rising steps from 0 on")
    for name in ("batch", "context", "epochs"):
        if getattr(checkpoints, name) < 1:
            raise InputError(f"checkpoints.{name} = {getattr(checkpoints, name)}; at least 1")
    for name in ("lr", "exposure_lr"):
        value = getattr(checkpoints, name)
        if not 0 < value < math.inf:
            raise InputError(f"checkpoints.{name} = {value}; it must be a number above 0")
