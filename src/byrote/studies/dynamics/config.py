"""What the study of memorisation dynamics can be asked, one part for each experiment."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from byrote.errors import InputError
from byrote.exposure.config import ExposureConfig
from byrote.exposure.partial import check_part
from byrote.models.source import parse_source
from byrote.recall.context import CONTEXT_CONDITIONS
from byrote.texts.sources import open_source

__all__ = [
    "CheckpointsConfig",
    "ContextConfig",
    "DynamicsConfig",
    "EntropyConfig",
    "LengthConfig",
    "ModelConfig",
    "PartialConfig",
    "PhasesConfig",
    "SequentialConfig",
    "SizeConfig",
    "TrainingConfig",
    "UntrainedConfig",
    "check",
]

_LETTERS = 26
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")


@dataclass(frozen=True)
class ModelConfig:
    """A model that learns strings.

    Attributes:
        source: As for every command: a hub id (`org/name@revision`), a folder, a GGUF file,
            `bundled:NAME`, `random:FAMILY?...`.
        init: `pretrained` takes the weights of the source, `random` its shape with fresh weights,
            other ones for each string.
        lr: Learning rate; tuned once for the model, never for an alphabet (2407.19262's search).
        bos: `auto` puts the BOS token in front where the model has one, `always` insists, `never`
            leaves it out; the first token is then not predicted and not scored.
    """

    source: str
    init: Literal["pretrained", "random"] = "pretrained"
    lr: float = 1e-4
    bos: Literal["auto", "always", "never"] = "auto"


@dataclass(frozen=True)
class TrainingConfig:
    """How every string is shown.

    Attributes:
        epochs: Exposures at most; one string is one batch, so an epoch is one optimiser step.
        stop_loss: End early once the loss is below this for good; None shows all epochs.
        stop_epochs: For how many epochs in a row.
        schedule: `constant`, `linear` or `cosine`. Its length changes the curves where it is not
            constant, so early ends need `constant`.
        warmup: Steps, or below 1 a share of all steps.
        weight_decay: Of AdamW.
        clip: Largest gradient norm; None does not clip.
        precision: `float32`, or `bf16` with float32 weights.
        dropout: `off`, or `model` for the model's own.
        checkpoint_every: Epochs between checkpoints inside a cell; 0 restarts a killed cell.
        heldout: Fresh strings of the same source that are only measured (the in-context control).
        heldout_every: Epochs between their measurements.
    """

    epochs: int = 100
    stop_loss: float | None = None
    stop_epochs: int = 2
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    warmup: float = 0.0
    weight_decay: float = 0.0
    clip: float | None = None
    precision: Literal["float32", "bf16"] = "float32"
    dropout: Literal["off", "model"] = "off"
    checkpoint_every: int = 0
    heldout: int = 10
    heldout_every: int = 1


@dataclass(frozen=True)
class PhasesConfig:
    """E1, the two phases, for every alphabet size; also the basis of E5 and E9.

    Attributes:
        models: Names from the config's `models`.
        alphabets: Numbers of letters.
        only: Model -> alphabets, for further models that learn some of them only.
        n: String length in tokens.
    """

    models: tuple[str, ...] = ()
    alphabets: tuple[int, ...] = (2, 4, 7, 13, 26)
    only: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    n: int = 1024


@dataclass(frozen=True)
class EntropyConfig:
    """E2, entropy at a fixed alphabet: one letter more likely than the others.

    Attributes:
        models: Names from the config's `models`.
        letters: Size of the alphabet.
        like: Entropies, given as the number of letters of the uniform alphabet that has the same.
        markov_rates: Beyond the paper: shares of the full entropy that are left once the letter
            before is known (first order, uniform letters).
        n: String length in tokens.
    """

    models: tuple[str, ...] = ()
    letters: int = 26
    like: tuple[int, ...] = (2, 4, 7, 13)
    markov_rates: tuple[float, ...] = ()
    n: int = 1024


@dataclass(frozen=True)
class LengthConfig:
    """E3, string length.

    Attributes:
        models: Names from the config's `models`.
        letters: Size of the alphabet.
        lengths: Tokens.
    """

    models: tuple[str, ...] = ()
    letters: int = 26
    lengths: tuple[int, ...] = (16, 32, 64, 128, 256, 512, 1024)


@dataclass(frozen=True)
class SizeConfig:
    """E4, model size within families.

    Attributes:
        ladders: Family name -> names from the config's `models`.
        letters: Size of the alphabet.
        n: String length in tokens.
    """

    ladders: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    letters: int = 26
    n: int = 1024


@dataclass(frozen=True)
class ContextConfig:
    """E6, the local prefix against the global context.

    Attributes:
        models: Names from the config's `models`.
        alphabets: Numbers of letters.
        n: String length in tokens.
        k: Lengths of the local prefix.
        epochs: When to measure; an exposure is not ended before the last of them.
        conditions: What stands in place of the global context.
        positions: How many positions are asked for; None for all behind the largest k.
        shuffle_positions: How many for `shuffle`, whose cost is that of a row a position.
        draws: Altered contexts a condition.
    """

    models: tuple[str, ...] = ()
    alphabets: tuple[int, ...] = (26,)
    n: int = 1024
    k: tuple[int, ...] = (1, 2, 3, 5, 10, 20, 50, 100)
    epochs: tuple[int, ...] = (10, 20, 30, 50)
    conditions: tuple[str, ...] = tuple(CONTEXT_CONDITIONS)
    positions: int | None = None
    shuffle_positions: int | None = 50
    draws: int = 5


@dataclass(frozen=True)
class SequentialConfig:
    """E7, one string after the other.

    Attributes:
        models: Names from the config's `models`.
        letters: Size of the alphabet.
        n: String length in tokens.
        strings: How many are learned in sequence; the first is then learned once more.
        epochs: Exposures of each.
        optimisers: `fresh` begins anew with each string, `carried` keeps AdamW's moments.
        every: Epochs between measurements of all strings.
        text: Natural text whose loss is measured; empty for none.
        text_windows: Windows of it.
        text_tokens: Tokens of a window.
    """

    models: tuple[str, ...] = ()
    letters: int = 26
    n: int = 1024
    strings: int = 10
    epochs: int = 50
    optimisers: tuple[Literal["fresh", "carried"], ...] = ("fresh", "carried")
    every: int = 5
    text: str = "corpus:kjv"
    text_windows: int = 16
    text_tokens: int = 64


@dataclass(frozen=True)
class UntrainedConfig:
    """E8, random against pretrained weights: models with `init = "random"`, or step-0 checkpoints.

    Attributes:
        models: Names from the config's `models`.
        letters: Size of the alphabet.
        lengths: Tokens.
        epochs: Exposures at most; None takes the training's.
    """

    models: tuple[str, ...] = ()
    letters: int = 26
    lengths: tuple[int, ...] = (1024,)
    epochs: int | None = None


@dataclass(frozen=True)
class CheckpointsConfig:
    """E8, along the checkpoints of one model.

    With `source` a model is pretrained here on the bytes of a text and copies of it are exposed at
    `steps`. With `models`, published checkpoints are taken as they are.

    Attributes:
        models: Names from the config's `models`, one a checkpoint.
        steps: Their pretraining steps; with `source`, when to take checkpoints.
        source: `random:FAMILY?...` with a vocabulary of at least 257, or empty.
        text: What it is pretrained on.
        batch: Sequences of `context` bytes a step.
        context: Bytes.
        lr: Of pretraining.
        exposure_lr: Of exposing the copies.
        letters: Size of the alphabet.
        n: String length in tokens.
        epochs: Exposures at most.
    """

    models: tuple[str, ...] = ()
    steps: tuple[int, ...] = ()
    source: str = ""
    text: str = "corpus:kjv"
    batch: int = 16
    context: int = 128
    lr: float = 1e-3
    exposure_lr: float = 1e-3
    letters: int = 26
    n: int = 64
    epochs: int = 100


@dataclass(frozen=True)
class PartialConfig:
    """Beyond the paper: which parts suffice.

    Attributes:
        models: Names from the config's `models`.
        parts: As in `byrote.exposure.select`, such as `mlp`, `attention`, `layer:3`, `norm`.
        letters: Size of the alphabet.
        n: String length in tokens.
        epochs: Exposures at most; None takes the training's.
    """

    models: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    letters: int = 26
    n: int = 1024
    epochs: int | None = None


@dataclass(frozen=True)
class DynamicsConfig:
    """The study of memorisation dynamics; an experiment without models is left out.

    Attributes:
        models: Name -> model; the experiments refer to the names.
        seed: Of strings, of random weights and of altered contexts.
        strings: Independently drawn strings a configuration; the same ones for every model.
        alphabet: `letters` for a, b, c, ... as single tokens, `tokens` for arbitrary single tokens,
            `auto` for letters where the model has a tokenizer.
        training: How strings are shown.
        phases: E1, which E5 and E9 read too.
        entropy: E2.
        length: E3.
        size: E4.
        context: E6.
        sequential: E7.
        untrained: E8, random weights.
        checkpoints: E8, along pretraining.
        partial: Which parts suffice.
    """

    models: Mapping[str, ModelConfig] = field(default_factory=dict)
    seed: int = 0
    strings: int = 5
    alphabet: Literal["auto", "letters", "tokens"] = "auto"
    training: TrainingConfig = TrainingConfig()
    phases: PhasesConfig = PhasesConfig()
    entropy: EntropyConfig = EntropyConfig()
    length: LengthConfig = LengthConfig()
    size: SizeConfig = SizeConfig()
    context: ContextConfig = ContextConfig()
    sequential: SequentialConfig = SequentialConfig()
    untrained: UntrainedConfig = UntrainedConfig()
    checkpoints: CheckpointsConfig = CheckpointsConfig()
    partial: PartialConfig = PartialConfig()


def check(config: DynamicsConfig) -> None:
    """See that a config can work, before any model is loaded.

    What only the model's tokenizer and context can tell is said by the first cell that needs it.

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
        _exposure(config.training, model).check()
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


def _exposure(training: TrainingConfig, model: ModelConfig) -> ExposureConfig:
    return ExposureConfig(
        epochs=training.epochs,
        lr=model.lr,
        schedule=training.schedule,
        warmup=training.warmup,
        weight_decay=training.weight_decay,
        clip=training.clip,
        precision=training.precision,
        dropout=training.dropout,
        checkpoint_every=training.checkpoint_every,
    )


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
    if config.partial.models and not config.partial.parts:
        raise InputError("partial.models is set but partial.parts is empty: name some parts")


def _check_training(training: TrainingConfig) -> None:
    if training.stop_loss is not None and training.schedule != "constant":
        raise InputError(
            f"training.stop_loss = {training.stop_loss} ends exposures early, and the "
            f"{training.schedule} schedule depends on their length: use constant, or none"
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
