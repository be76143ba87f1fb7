"""What makes a config of the study unfit, said before any model is loaded."""

from __future__ import annotations

import re
from typing import Any

from byrote.errors import InputError
from byrote.exposure.objectives import find_objective
from byrote.models.source import parse_source
from byrote.studies.goldfish.config import Arm, ExtremeConfig, GoldfishConfig, ScratchConfig
from byrote.studies.goldfish.masks import goldfish_of
from byrote.texts.sources import open_source

__all__ = ["check"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")
_BYTES = 256
# Their loss is not that of one forward pass over the passages, or they need a second model.
_NOT_EXTREME = ("self-contrastive",)
_OWN_OPTIONS = ("premature",)


def check(config: GoldfishConfig) -> None:
    """See that a config can work.

    Raises:
        InputError: A field cannot be used; the message names it.
    """
    if config.seed < 0:
        raise InputError(f"seed = {config.seed}; it must be 0 or more")
    _least("seeds", config.seeds, 1)
    for name, arm in config.arms.items():
        if not _NAME.fullmatch(name):
            raise InputError(
                f"arms: {name!r} is no name; use letters, digits, - . _, at most 60, and begin "
                "with a letter or a digit"
            )
        _check_arm(name, arm)
    extreme, scratch = config.extreme, config.scratch
    if not extreme.arms and not scratch.arms:
        raise InputError("extreme.arms and scratch.arms are both empty: there is nothing to do")
    for field, names in (
        ("extreme.arms", extreme.arms),
        ("extreme.long_arms", extreme.long_arms),
        ("scratch.arms", scratch.arms),
    ):
        _check_names(field, names, config)
    if extreme.arms or extreme.long_arms:
        _check_extreme(extreme, config)
    if scratch.arms:
        _check_scratch(scratch, config)


def _check_names(field: str, names: tuple[str, ...], config: GoldfishConfig) -> None:
    for name in names:
        if name not in config.arms:
            known = ", ".join(config.arms) or "none"
            raise InputError(f"{field}: there is no arm {name!r}; there are: {known}")
    if len(set(names)) < len(names):
        raise InputError(f"{field}: an arm is named twice in {', '.join(names)}")


def _check_arm(name: str, arm: Arm) -> None:
    fields: dict[str, Any] = {
        key: getattr(arm, key) for key in ("objective", "k", "h", "strategy", "normalize")
    }
    goldfish = goldfish_of(fields, 0)
    try:
        if goldfish is not None:
            goldfish.check()
        else:
            options: dict[str, Any] = dict(arm.options)
            if arm.objective == "self-contrastive":
                options.setdefault("premature", "")
            find_objective(arm.objective, options)
    except InputError as error:
        raise InputError(f"arms.{name}: {error}") from error
    if goldfish is not None and arm.options:
        raise InputError(f"arms.{name}.options: goldfish takes k, h, strategy and normalize")
    for field in ("input_factor", "batch_factor"):
        if not getattr(arm, field) > 0:
            raise InputError(f"arms.{name}.{field} = {getattr(arm, field)}; it must be above 0")


def _check_extreme(extreme: ExtremeConfig, config: GoldfishConfig) -> None:
    parse_source(extreme.model).check()
    open_source(extreme.corpus)
    for field in ("passages", "epochs", "long_epochs", "every"):
        _least(f"extreme.{field}", getattr(extreme, field), 1)
    if not extreme.lr > 0:
        raise InputError(f"extreme.lr = {extreme.lr}; it must be above 0")
    _check_prefix("extreme", extreme.prefix, extreme.tokens)
    for name in (*extreme.arms, *extreme.long_arms):
        arm = config.arms[name]
        if arm.copies != "exact":
            raise InputError(f"extreme.arms: {name} has copies = {arm.copies!r}; only exact ones")
        if arm.objective in _NOT_EXTREME:
            raise InputError(
                f"extreme.arms: {name}: {arm.objective} trains in two stages; leave it"
            )
        if arm.objective == "goldfish" and arm.strategy == "random":
            raise InputError(
                f"extreme.arms: {name}: a random mask is drawn once for each sequence of a "
                "training, and here sequences are shown many times; leave it to scratch.arms"
            )


def _check_scratch(scratch: ScratchConfig, config: GoldfishConfig) -> None:
    source = parse_source(scratch.model)
    source.check()
    if scratch.vocab and source.kind != "random":
        raise InputError(
            f"scratch.vocab = {scratch.vocab} with the model {scratch.model}: a vocabulary is "
            "learned for a random: model only. Set scratch.vocab=0 to keep the model's own"
        )
    if scratch.vocab and scratch.vocab <= _BYTES:
        raise InputError(
            f"scratch.vocab = {scratch.vocab}; it must be above {_BYTES}, the bytes"
        )
    open_source(scratch.corpus)
    for field in ("documents", "repeats", "heldout", "validation", "validate_every", "batch"):
        _least(f"scratch.{field}", getattr(scratch, field), 1)
    for field in ("background",):
        _least(f"scratch.{field}", getattr(scratch, field), 0)
    for field in ("beams", "ngram", "edit_every"):
        _least(f"scratch.{field}", getattr(scratch, field), 2)
    for field in ("lr", "clip"):
        if not getattr(scratch, field) > 0:
            raise InputError(f"scratch.{field} = {getattr(scratch, field)}; it must be above 0")
    _check_prefix("scratch", scratch.prefix, scratch.tokens)
    for name in scratch.arms:
        arm = config.arms[name]
        if round(scratch.batch * arm.batch_factor) < 1:
            raise InputError(f"arms.{name}.batch_factor = {arm.batch_factor} leaves no sequence")
        shown = round(arm.input_factor * (scratch.background + scratch.documents * scratch.repeats))
        if arm.copies != "none" and shown < scratch.documents * scratch.repeats:
            raise InputError(
                f"arms.{name}.input_factor = {arm.input_factor} shows fewer sequences than there "
                "are copies of documents"
            )


def _check_prefix(where: str, prefix: int, tokens: int) -> None:
    if not 2 <= prefix < tokens:
        raise InputError(
            f"{where}.prefix = {prefix}, {where}.tokens = {tokens}; the prefix has at least 2 "
            "tokens and is shorter than the whole"
        )


def _least(field: str, value: int, least: int) -> None:
    if value < least:
        raise InputError(f"{field} = {value}; it must be at least {least}")
