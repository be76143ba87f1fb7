"""What makes a config of the study unfit, said before any model is loaded."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

from byrote.errors import InputError
from byrote.exposure.objectives import find_objective
from byrote.models.source import ModelSource, parse_source
from byrote.studies.goldfish.config import Arm, ExtremeConfig, GoldfishConfig, ScratchConfig
from byrote.studies.goldfish.masks import goldfish_of
from byrote.texts.sources import open_source

__all__ = ["check"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")
_BYTES = 256
# Its premature model is made by a first stage.
_NOT_EXTREME = ("self-contrastive",)


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
    # Cells are files, and some file systems do not tell upper from lower case.
    for name in config.arms:
        if same := [n for n in config.arms if n != name and n.lower() == name.lower()]:
            raise InputError(f"arms: {name} and {same[0]} differ in case alone; rename one")
    extreme, scratch = config.extreme, config.scratch
    if not extreme.arms and not extreme.long_arms and not scratch.arms:
        raise InputError(
            "extreme.arms, extreme.long_arms and scratch.arms are empty: there is nothing to do; "
            "name arms in one of them"
        )
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
        raise InputError(f"{field}: an arm is named twice in {', '.join(names)}; name it once")


def _check_arm(name: str, arm: Arm) -> None:
    fields: dict[str, Any] = {
        key: getattr(arm, key) for key in ("objective", "k", "h", "strategy", "normalize")
    }
    goldfish = goldfish_of(fields, 0)
    try:
        if goldfish is not None:
            goldfish.check()
        else:
            find_objective(arm.objective, arm.options)
    except InputError as error:
        raise InputError(f"arms.{name}: {error}") from error
    if goldfish is not None and arm.options:
        raise InputError(
            f"arms.{name}.options = {dict(arm.options)}: goldfish takes none; its fields are k, h, "
            "strategy and normalize"
        )
    for field in ("input_factor", "batch_factor"):
        _above_zero(f"arms.{name}.{field}", getattr(arm, field))


def _check_extreme(extreme: ExtremeConfig, config: GoldfishConfig) -> None:
    _check_model("extreme.model", extreme.model)
    _check_corpus("extreme.corpus", extreme.corpus)
    for field in ("passages", "epochs", "long_epochs", "every"):
        _least(f"extreme.{field}", getattr(extreme, field), 1)
    _above_zero("extreme.lr", extreme.lr)
    _check_prefix("extreme", extreme.prefix, extreme.tokens)
    for name in (*extreme.arms, *extreme.long_arms):
        arm = config.arms[name]
        if arm.copies != "exact":
            raise InputError(
                f"extreme.arms: {name} has copies = {arm.copies!r}, and passages are shown as they "
                "are here; leave it to scratch.arms"
            )
        if arm.objective in _NOT_EXTREME:
            raise InputError(
                f"extreme.arms: {name}: {arm.objective} trains in two stages; leave it to "
                "scratch.arms"
            )
        if arm.objective == "goldfish" and arm.strategy == "random":
            raise InputError(
                f"extreme.arms: {name}: a random mask is drawn once for each sequence of a "
                "training, and here sequences are shown many times; leave it to scratch.arms"
            )


def _check_scratch(scratch: ScratchConfig, config: GoldfishConfig) -> None:
    source = _check_model("scratch.model", scratch.model, tokenizer=not scratch.vocab)
    if scratch.vocab and source.kind != "random":
        raise InputError(
            f"scratch.vocab = {scratch.vocab} with the model {scratch.model}: a vocabulary is "
            "learned for a random: model only. Set scratch.vocab=0 to keep the model's own"
        )
    if scratch.vocab and scratch.vocab <= _BYTES:
        raise InputError(f"scratch.vocab = {scratch.vocab}; it must be above {_BYTES}, the bytes")
    if scratch.vocab and "vocab_size" in dict(source.options):
        raise InputError(
            f"scratch.model = {scratch.model} has a vocab_size of its own, and scratch.vocab = "
            f"{scratch.vocab} sets it; leave one out"
        )
    _check_corpus("scratch.corpus", scratch.corpus)
    for field in ("documents", "repeats", "heldout", "validation", "validate_every", "batch"):
        _least(f"scratch.{field}", getattr(scratch, field), 1)
    _least("scratch.background", scratch.background, 0)
    for field in ("beams", "ngram", "edit_every"):
        _least(f"scratch.{field}", getattr(scratch, field), 2)
    for field in ("lr", "clip"):
        _above_zero(f"scratch.{field}", getattr(scratch, field))
    for field in ("warmup", "weight_decay"):
        value = getattr(scratch, field)
        if not (math.isfinite(value) and value >= 0):
            raise InputError(f"scratch.{field} = {value}; it must be at least 0")
    _check_prefix("scratch", scratch.prefix, scratch.tokens)
    for name in scratch.arms:
        arm = config.arms[name]
        if round(scratch.batch * arm.batch_factor) < 1:
            raise InputError(
                f"arms.{name}.batch_factor = {arm.batch_factor} leaves no sequence of the "
                f"{scratch.batch} of scratch.batch; take a larger one"
            )
        # Copies and background are scaled alike.
        if round(arm.input_factor * scratch.repeats) < 1:
            raise InputError(
                f"arms.{name}.input_factor = {arm.input_factor} shows no copy of any document: "
                f"scratch.repeats is {scratch.repeats}; take a larger one of the two"
            )


def _check_model(field: str, text: str, *, tokenizer: bool = True) -> ModelSource:
    try:
        source = parse_source(text)
        source.check()
    except InputError as error:
        raise InputError(f"{field}: {error}") from error
    if tokenizer and source.kind == "random" and "tokenizer" not in dict(source.options):
        raise InputError(
            f"{field} = {text} has no tokenizer to read texts with; add tokenizer=FOLDER to it"
            + (", or set scratch.vocab to learn one" if field.startswith("scratch") else "")
        )
    return source


def _check_corpus(field: str, text: str) -> None:
    try:
        open_source(text)
    except InputError as error:
        raise InputError(f"{field}: {error}") from error
    # Opening a file looks at its name only.
    if not text.startswith(("corpus:", "hf:")) and not Path(text).expanduser().exists():
        raise InputError(
            f"{field}: {text} does not exist; give a file, a folder, hf:NAME or corpus:NAME"
        )


def _above_zero(field: str, value: float) -> None:
    if not (math.isfinite(value) and value > 0):
        raise InputError(f"{field} = {value}; it must be a number above 0")


def _check_prefix(where: str, prefix: int, tokens: int) -> None:
    if not 2 <= prefix < tokens:
        raise InputError(
            f"{where}.prefix = {prefix}, {where}.tokens = {tokens}; the prefix has at least 2 "
            "tokens and is shorter than the whole"
        )


def _least(field: str, value: int, least: int) -> None:
    if value < least:
        raise InputError(f"{field} = {value}; it must be at least {least}")
