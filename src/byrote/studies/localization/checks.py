"""What makes a config of the study unfit, said before any model is loaded."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from byrote.errors import InputError
from byrote.localization.registry import LOCALIZERS
from byrote.models.source import parse_source
from byrote.studies.localization.config import (
    DeletionConfig,
    Group,
    InjectionConfig,
    LocalizationConfig,
    Method,
    Setting,
)
from byrote.studies.localization.methods import PRUNING, WEIGHTS, localizer_of, names_of
from byrote.studies.localization.models import needs_vocabulary
from byrote.texts.sources import open_source

__all__ = ["check"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,39}")
_BYTES = 256


def check(config: LocalizationConfig) -> None:
    """See that a config can work.

    Raises:
        InputError: A field cannot be used; the message names it.
    """
    _least("seed", config.seed, 0)
    inj, deletion = config.injection, config.deletion
    _check_names("methods", config.methods)
    for name, method in config.methods.items():
        _check_method(name, method)
    if not inj.groups and not deletion.groups:
        raise InputError(
            "injection.groups and deletion.groups are empty: there is nothing to do; name methods "
            "in a group of one of them"
        )
    if inj.groups:
        _check_groups("injection.groups", inj.groups, config)
        _check_injection(inj, config)
    if deletion.groups:
        _check_groups("deletion.groups", deletion.groups, config)
        _check_deletion(deletion, config)


def _check_method(name: str, method: Method) -> None:
    where = f"methods.{name}"
    if method.localizer == WEIGHTS:
        if method.contrast != "none" or method.retain or method.grid:
            raise InputError(
                f"{where}: {WEIGHTS} removes weights and has no scores to contrast or to tune; "
                "leave contrast, retain and grid out"
            )
        return
    if not (math.isfinite(method.retain) and method.retain >= 0):
        raise InputError(f"{where}.retain = {method.retain}; it must be a number from 0 on")
    if method.retain and method.localizer not in PRUNING:
        raise InputError(
            f"{where}.retain = {method.retain}: {method.localizer} has no loss to retain by; only "
            f"{' and '.join(PRUNING)} have. Take a contrast"
        )
    if twice := method.grid.keys() & method.options.keys():
        raise InputError(
            f"{where}: {sorted(twice)[0]} is in options and in grid; leave it out of one"
        )
    for option, values in method.grid.items():
        if not values:
            raise InputError(f"{where}.grid.{option} is empty; give values, or leave it out")
    # Each value once: combinations are refused by nothing else.
    most = max((len(values) for values in method.grid.values()), default=1)
    for index in range(most):
        tried = {key: values[min(index, len(values) - 1)] for key, values in method.grid.items()}
        _check_options(where, method, tried)


def _check_options(where: str, method: Method, options: Mapping[str, Any]) -> None:
    if method.localizer.partition("?")[0] not in LOCALIZERS:
        known = ", ".join((*LOCALIZERS, WEIGHTS))
        raise InputError(f"{where}.localizer = {method.localizer!r} is none of {known}")
    plain = Method(method.localizer, method.options, spare_lead=method.spare_lead)
    own = {key: value for key, value in options.items() if key not in ("kind", "floor")}
    try:
        localizer_of(plain, own)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def _check_groups(field: str, groups: Mapping[str, Group], config: LocalizationConfig) -> None:
    _check_names(field, groups)
    for name, group in groups.items():
        if not group.methods:
            raise InputError(f"{field}.{name}.methods is empty; name methods, or leave it out")
        _least(f"{field}.{name}.most", group.most, 0)
    _check_methods(field, tuple(names_of(groups)), config)


def _check_methods(field: str, names: tuple[str, ...], config: LocalizationConfig) -> None:
    for name in names:
        if name not in config.methods:
            known = ", ".join(config.methods) or "none"
            raise InputError(f"{field}: there is no method {name!r}; there are: {known}")
    if twice := [name for name in names if names.count(name) > 1]:
        raise InputError(f"{field}: {twice[0]} is named twice; name it once")


def _check_injection(inj: InjectionConfig, config: LocalizationConfig) -> None:
    if not inj.models:
        raise InputError("injection.models is empty; name a model, or leave injection.groups out")
    for index, model in enumerate(inj.models):
        _check_model(f"injection.models.{index}", model, config)
    if len(set(inj.models)) < len(inj.models):
        raise InputError("injection.models: a model is named twice; name it once")
    if not inj.fractions or len(inj.fractions) != len(inj.rates):
        raise InputError(
            f"injection.fractions = {_listed(inj.fractions)}, injection.rates = "
            f"{_listed(inj.rates)}; give as many of each, and at least one"
        )
    if not inj.multiples:
        raise InputError("injection.multiples is empty; give 1 at least")
    for multiple in inj.multiples:
        _least("injection.multiples", multiple, 1)
    _check_distinct("injection.multiples", inj.multiples)
    for fraction in inj.fractions:
        _share("injection.fractions", fraction)
        if fraction * max(inj.multiples) > 1:
            raise InputError(
                f"injection.fractions: {max(inj.multiples)} times {fraction:g} are more than all "
                "neurons; take a smaller fraction, or smaller injection.multiples"
            )
    _check_distinct("injection.fractions", inj.fractions)
    for rate in inj.rates:
        _above_zero("injection.rates", rate)
    _least("injection.dev", inj.dev, 0)
    for field in ("examples", "steps"):
        _least(f"injection.{field}", getattr(inj, field), 1)
    if not (math.isfinite(inj.stop) and inj.stop >= 0):
        raise InputError(f"injection.stop = {inj.stop}; it must be at least 0")
    if inj.sentences != "definitions" and not Path(inj.sentences).expanduser().is_file():
        raise InputError(
            f"injection.sentences = {inj.sentences!r}: there is no such file; give an ECBD file "
            "(JSON lines with the key `definition`), or `definitions`"
        )
    for name in names_of(inj.groups):
        method = config.methods[name]
        if method.localizer == WEIGHTS:
            raise InputError(
                f"injection.groups: {name} removes weights and scores no neurons; leave it to DEL"
            )
        if method.contrast != "none" and method.references == "negatives":
            raise InputError(
                f"injection.groups: {name} is contrasted with negatives, and each sentence is "
                "alone in its model; set its references to held-out"
            )
        if (method.contrast != "none" or method.retain or method.grid) and inj.dev < 2:
            raise InputError(
                f"injection.dev = {inj.dev}: {name} needs at least 2 sentences to be tuned on or "
                "compared with"
            )
    _check_tuned("injection.tuned", inj.tuned, config)


def _check_deletion(deletion: DeletionConfig, config: LocalizationConfig) -> None:
    if not deletion.settings:
        raise InputError("deletion.settings is empty; name one, or leave deletion.groups out")
    _check_names("deletion.settings", deletion.settings)
    for name, setting in deletion.settings.items():
        _check_setting(f"deletion.settings.{name}", setting, config)
        for group in setting.groups:
            if group not in deletion.groups:
                known = ", ".join(deletion.groups)
                raise InputError(
                    f"deletion.settings.{name}.groups: there is no group {group!r}; there are: "
                    f"{known}"
                )
    for field in ("fractions", "curve"):
        for fraction in getattr(deletion, field):
            _share(f"deletion.{field}", fraction)
        _check_distinct(f"deletion.{field}", getattr(deletion, field))
    for field in ("one_layer_fraction", "together_fraction"):
        _share(f"deletion.{field}", getattr(deletion, field))
    for field in ("fractions", "scopes"):
        if not getattr(deletion, field):
            raise InputError(f"deletion.{field} is empty; give one at least")
    _check_distinct("deletion.scopes", deletion.scopes)
    for layer in deletion.skip_layers:
        _least("deletion.skip_layers", layer, 0)
    _check_corpus("deletion.text", deletion.text)
    _least("deletion.text_rows", deletion.text_rows, 1)
    _least("deletion.text_tokens", deletion.text_tokens, 2)
    for field in ("references", "one_layer_layers"):
        _least(f"deletion.{field}", getattr(deletion, field), 0)
    own = set(names_of(deletion.groups))
    for field in ("curve_methods", "one_layer", "together"):
        names = getattr(deletion, field)
        _check_methods(f"deletion.{field}", names, config)
        for name in names:
            if name not in own:
                raise InputError(
                    f"deletion.{field}: {name} is in no group of deletion.groups; put it in one"
                )
            if config.methods[name].localizer == WEIGHTS and field != "together":
                raise InputError(f"deletion.{field}: {name} removes weights and scores no neurons")
    if deletion.curve_methods and not deletion.curve:
        raise InputError("deletion.curve is empty; give fractions, or no deletion.curve_methods")
    for name in own:
        method = config.methods[name]
        if method.localizer == WEIGHTS and name not in deletion.together:
            raise InputError(
                f"deletion.groups: {name} removes weights for several passages at once; name it in "
                "deletion.together"
            )
        if (method.contrast != "none" or method.retain) and method.references == "held-out":
            _check_references(name, method, deletion)
    _check_tuned("deletion.tuned", deletion.tuned, config)


def _check_references(name: str, method: Method, deletion: DeletionConfig) -> None:
    least = 2 if method.contrast == "z" else 1
    if deletion.references < least:
        raise InputError(
            f"deletion.references = {deletion.references}: {name} is compared with general text; "
            f"give at least {least}"
        )


def _check_setting(where: str, setting: Setting, config: LocalizationConfig) -> None:
    _check_model(f"{where}.model", setting.model, config)
    if not setting.sources:
        raise InputError(f"{where}.sources is empty; name texts, such as corpus:wellknown")
    for index, source in enumerate(setting.sources):
        _check_corpus(f"{where}.sources.{index}", source)
    for field in ("prefix", "suffix", "distinct", "epochs"):
        _least(f"{where}.{field}", getattr(setting, field), 1)
    for field in ("windows", "stride", "dev", "distance"):
        _least(f"{where}.{field}", getattr(setting, field), 0)
    _least(f"{where}.passages", setting.passages, 2)
    if setting.how == "exposed" and setting.windows < 2:
        raise InputError(
            f"{where}.windows = {setting.windows}; so many passages are shown, at least 2"
        )
    if not 0 <= setting.accuracy < 1:
        raise InputError(
            f"{where}.accuracy = {setting.accuracy}; it must be from 0 on and below 1: it is to be "
            "exceeded"
        )
    _above_zero(f"{where}.lr", setting.lr)


def _check_tuned(
    field: str, tuned: Mapping[str, Mapping[str, Any]], config: LocalizationConfig
) -> None:
    for key, options in tuned.items():
        name = key.partition("@")[0]
        if name not in config.methods:
            known = ", ".join(config.methods)
            raise InputError(f"{field}: there is no method {name!r}; there are: {known}")
        _check_options(f"{field}.{key}", config.methods[name], options)


def _check_model(field: str, text: str, config: LocalizationConfig) -> None:
    try:
        source = parse_source(text)
        source.check()
    except InputError as error:
        raise InputError(f"{field}: {error}") from error
    if not needs_vocabulary(text):
        return
    if "vocab_size" in dict(source.options):
        raise InputError(
            f"{field} = {text} has a vocab_size of its own, and vocab = {config.vocab} sets it; "
            "leave it out"
        )
    if config.vocab <= _BYTES:
        raise InputError(f"vocab = {config.vocab}; it must be above {_BYTES}, the bytes")
    _check_corpus("vocab_text", config.vocab_text)


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


def _check_names(field: str, named: Mapping[str, Any]) -> None:
    """Names stand in those of cells, which are files; some systems know no case."""
    for name in named:
        if not _NAME.fullmatch(name):
            raise InputError(
                f"{field}: {name!r} is no name; use letters, digits, - + . _, at most 40, and "
                "begin with a letter or a digit"
            )
    for one, other in itertools.combinations(named, 2):
        if one.lower() == other.lower():
            raise InputError(f"{field}: {one} and {other} differ in case alone; rename one")


def _check_distinct(field: str, values: tuple[Any, ...]) -> None:
    if len(set(values)) < len(values):
        raise InputError(f"{field} = {_listed(values)}: one is there twice; name it once")


def _listed(values: tuple[Any, ...]) -> str:
    return ", ".join(map(str, values)) or "none"


def _share(field: str, value: float) -> None:
    if not 0 < value < 1:
        raise InputError(f"{field} = {value}; it must be above 0 and below 1")


def _above_zero(field: str, value: float) -> None:
    if not (math.isfinite(value) and value > 0):
        raise InputError(f"{field} = {value}; it must be a number above 0")


def _least(field: str, value: int, least: int) -> None:
    if value < least:
        raise InputError(f"{field} = {value}; it must be at least {least}")
