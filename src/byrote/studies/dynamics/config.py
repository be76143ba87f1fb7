"""What the study of memorisation dynamics can be asked, one part for each experiment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from byrote.recall.context import CONTEXT_CONDITIONS

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
]


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
        checkpoint_every: Epochs between checkpoints inside a cell; 0 restarts a killed cell. The
            cells of `sequential` and `checkpoints`, which are many exposures each, write none and
            restart.
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
