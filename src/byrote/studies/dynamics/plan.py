"""From a config to cells: which strings are learned by which models, each once.

Several experiments read the same exposures: E1's is E5's and E9's, and E2, E3 and E6 share its
ones at equal settings. So each experiment names what it needs, and what is needed twice is run
once.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from byrote.errors import InputError
from byrote.studies.cells import Cell
from byrote.studies.dynamics.config import DynamicsConfig
from byrote.studies.sizes import parameters_of
from byrote.texts.seeds import derive_seed

__all__ = ["Need", "cells", "needs", "plan"]

# Rough speed of one core, for estimates only.
_FLOPS = 8e10
_SECONDS_PER_PARAMETER = 4e-9
_START_SECONDS = 5.0


@dataclass(frozen=True)
class Need:
    """Strings of one kind learned by one model, as an experiment needs them.

    Attributes:
        model: Name in the config's `models`.
        distribution: `uniform`, `skewed` or `markov`.
        letters: Size of the alphabet.
        level: Nats per letter: entropy of `skewed`, entropy rate of `markov`, else ln ℓ.
        n: String length in tokens.
        part: Which parameters learn.
        epochs: Exposures at most.
        context: Whether the local prefix is tried against the global context (E6).
    """

    model: str
    distribution: str
    letters: int
    level: float
    n: int
    part: str
    epochs: int
    context: bool = False

    @property
    def id(self) -> str:
        """A readable name; exposures of the same name are one."""
        kind = {"uniform": "u", "skewed": f"h{self.level:.3f}.", "markov": f"m{self.level:.3f}."}
        name = f"{self.model}.{kind[self.distribution]}{self.letters}.n{self.n}"
        return name if self.part == "all" else f"{name}.{self.part.replace(':', '-')}"


def needs(config: DynamicsConfig) -> Iterator[tuple[str, Need]]:
    """What each experiment needs, as pairs of its name and the need."""
    epochs = config.training.epochs

    def uniform(model: str, letters: int, n: int, **more: Any) -> Need:
        fields = {"part": "all", "epochs": epochs, **more}
        return Need(model, "uniform", letters, math.log(letters), n, **fields)

    some = {**dict.fromkeys(config.phases.models, config.phases.alphabets), **config.phases.only}
    for model, alphabets in some.items():
        for letters in alphabets:
            yield "phases", uniform(model, letters, config.phases.n)
    entropy = config.entropy
    for model in entropy.models:
        most = math.log(entropy.letters)
        for like in entropy.like:
            level = math.log(like)
            if like == entropy.letters:
                yield "entropy", uniform(model, like, entropy.n)
            else:
                need = Need(model, "skewed", entropy.letters, level, entropy.n, "all", epochs)
                yield "entropy", need
        yield "entropy", uniform(model, entropy.letters, entropy.n)
        for rate in entropy.markov_rates:
            level = rate * most
            yield (
                "entropy",
                Need(model, "markov", entropy.letters, level, entropy.n, "all", epochs),
            )
    for model in config.length.models:
        for n in config.length.lengths:
            yield "length", uniform(model, config.length.letters, n)
    for ladder in config.size.ladders.values():
        for model in ladder:
            yield "size", uniform(model, config.size.letters, config.size.n)
    context = config.context
    for model in context.models:
        for letters in context.alphabets:
            yield "context", uniform(model, letters, context.n, context=True)
    for model in config.untrained.models:
        for n in config.untrained.lengths:
            more = {"epochs": config.untrained.epochs or epochs}
            yield "untrained", uniform(model, config.untrained.letters, n, **more)
    for model in config.checkpoints.models:
        checkpoints = config.checkpoints
        more = {"epochs": checkpoints.epochs}
        yield "checkpoints", uniform(model, checkpoints.letters, checkpoints.n, **more)
    for model in config.partial.models:
        for part in dict.fromkeys(("all", *config.partial.parts)):
            more = {"part": part, "epochs": config.partial.epochs or epochs}
            yield "partial", uniform(model, config.partial.letters, config.partial.n, **more)


def plan(config: DynamicsConfig) -> list[Need]:
    """All exposures, each once: with the most epochs that is asked for, and E6 where it is.

    Raises:
        InputError: One exposure cannot serve two experiments that differ in epochs, because the
            learning rates depend on their number; or two kinds of strings cannot be told apart.
    """
    merged: dict[str, Need] = {}
    for experiment, need in needs(config):
        known = merged.get(need.id, need)
        if known.level != need.level:
            raise InputError(
                f"{experiment}: strings of {need.level:.6f} and {known.level:.6f} nats per letter "
                f"would both be {need.id}; let them differ by at least 0.001, or leave one out"
            )
        if known.epochs != need.epochs and (why := _depends_on_epochs(config)):
            raise InputError(
                f"{experiment}.epochs: {need.id} is shown {need.epochs} times here and "
                f"{known.epochs} times elsewhere; under {why[0]} these are different curves. Give "
                f"both the same number, or take {why[1]}"
            )
        merged[need.id] = dataclasses.replace(
            need,
            epochs=max(known.epochs, need.epochs),
            context=known.context or need.context,
        )
    return list(merged.values())


def _depends_on_epochs(config: DynamicsConfig) -> tuple[str, str] | None:
    """What makes learning rates depend on the number of epochs, and what would not."""
    training = config.training
    if training.schedule != "constant":
        return f"a {training.schedule} schedule", "the constant schedule"
    if 0 < training.warmup < 1:
        return f"a warm-up of {training.warmup:g} of all steps", "a warm-up in steps"
    return None


def cells(config: DynamicsConfig) -> list[Cell]:
    """Split the study into cells: one for each exposure and string, chain and pretraining."""
    found = [
        _training(config, need, string) for need in plan(config) for string in range(config.strings)
    ]
    for model in config.sequential.models:
        for optimiser in config.sequential.optimisers:
            for chain in range(config.strings):
                found.append(_sequential(config, model, optimiser, chain))
    if config.checkpoints.source:
        found.append(_checkpoints(config))
    return found


def _training(config: DynamicsConfig, need: Need, string: int) -> Cell:
    model = config.models[need.model]
    context = dataclasses.asdict(config.context) if need.context else None
    return Cell(
        id=f"{need.id}.s{string}",
        task="byrote.studies.dynamics.trainings:run",
        params={
            **_common(config, need.model, string),
            "training": need.id,
            "string": string,
            "distribution": need.distribution,
            "letters": need.letters,
            "level": need.level,
            "n": need.n,
            "part": need.part,
            "epochs": need.epochs,
            "expected_epochs": _expected(config, need),
            "context": context,
        },
        cost=_training_cost(config, need, parameters_of(model.source)),
    )


def _sequential(config: DynamicsConfig, model: str, optimiser: str, chain: int) -> Cell:
    sequential = config.sequential
    size = parameters_of(config.models[model].source)
    stages = sequential.strings + 1
    steps = stages * sequential.epochs
    every = steps / sequential.every * (sequential.strings * sequential.n)
    text = stages * sequential.text_windows * sequential.text_tokens if sequential.text else 0
    cost = steps * _step(size, sequential.n) + 2 * size * (every + text) / _FLOPS
    return Cell(
        id=f"sequential.{model}.{optimiser}.c{chain}",
        task="byrote.studies.dynamics.sequential:run",
        params={
            **_common(config, model, chain),
            "sequential": dataclasses.asdict(sequential),
            "optimiser": optimiser,
            "chain": chain,
        },
        cost=cost + _START_SECONDS,
    )


def _checkpoints(config: DynamicsConfig) -> Cell:
    checkpoints = config.checkpoints
    size = parameters_of(checkpoints.source)
    pretraining = max(checkpoints.steps) * _step(size, checkpoints.batch * checkpoints.context)
    exposing = len(checkpoints.steps) * config.strings * checkpoints.epochs
    return Cell(
        id="checkpoints",
        task="byrote.studies.dynamics.checkpoints:run",
        params={
            "checkpoints": dataclasses.asdict(checkpoints),
            "exposure": dataclasses.asdict(config.training),
            "strings": config.strings,
            "study_seed": config.seed,
        },
        cost=1.4 * pretraining + exposing * _step(size, checkpoints.n) + _START_SECONDS,
    )


def _common(config: DynamicsConfig, model: str, index: int) -> dict[str, Any]:
    """What all cells with one of the config's models are told.

    The seed of string i does not depend on the model or on the kind of string, so that all models
    learn the same strings, and shorter strings begin longer ones.
    """
    return {
        "name": model,
        "model": dataclasses.asdict(config.models[model]),
        "alphabet": config.alphabet,
        "exposure": dataclasses.asdict(config.training),
        "study_seed": config.seed,
        "string_seed": derive_seed(config.seed, "string", str(index)),
        "init_seed": derive_seed(config.seed, "weights", str(index)) % 2**63,
    }


def _step(parameters: float, tokens: float) -> float:
    """Seconds of one optimiser step on one core, roughly."""
    return 6 * parameters * tokens / _FLOPS + parameters * _SECONDS_PER_PARAMETER + 0.005


def _expected(config: DynamicsConfig, need: Need) -> int:
    """Epochs after which an exposure probably ends: for the time left, and for nothing else."""
    expected = need.epochs
    pretrained = config.models[need.model].init == "pretrained"
    if config.training.stop_loss is not None and pretrained:
        # Strings are mostly memorised within some 25 epochs by a pretrained model.
        expected = min(expected, 25)
    if need.context:
        expected = max(expected, min(need.epochs, max(config.context.epochs)))
    return expected


def _training_cost(config: DynamicsConfig, need: Need, parameters: float) -> float:
    training, context = config.training, config.context
    expected = _expected(config, need)
    heldout = expected / training.heldout_every * training.heldout * need.n
    tokens = 0.0
    if need.context:
        positions = min(context.positions or need.n, need.n)
        shared = [c for c in context.conditions if c not in ("intact", "truncate", "shuffle")]
        local = positions * sum(context.k) + need.n
        tokens = context.draws * len(shared) * local + 2 * local
        if "shuffle" in context.conditions:
            few = min(context.shuffle_positions or positions, positions)
            tokens += context.draws * few * len(context.k) * need.n / 2
        tokens *= len(context.epochs)
    forward = 2 * parameters * (heldout + tokens) / _FLOPS
    return expected * _step(parameters, need.n) + forward + _START_SECONDS
