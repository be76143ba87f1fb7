"""From a config to cells: in both benchmarks one for each group of methods."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from byrote.studies.cells import Cell
from byrote.studies.localization.config import Group, LocalizationConfig, Method
from byrote.studies.localization.costs import deletion_seconds, injection_seconds
from byrote.studies.localization.methods import special_options
from byrote.studies.localization.models import short_name

__all__ = ["cells", "model_names"]


def cells(config: LocalizationConfig) -> list[Cell]:
    """Split the study into cells, none of which needs another.

    Each cell injects, finds or exposes its passages itself: what it does depends on the config and
    the model alone, so that all cells of a model and fraction, or of a setting, have the same.
    """
    return [*_injections(config), *_deletions(config)]


def model_names(models: Sequence[str]) -> dict[str, str]:
    """Short names of models, no two alike, whatever the case."""
    found: dict[str, str] = {}
    for source in models:
        name = short_name(source)
        taken = {other.lower() for other in found.values()}
        number, unique = 2, name
        while unique.lower() in taken:
            unique, number = f"{name}-{number}", number + 1
        found[source] = unique
    return found


def _injections(config: LocalizationConfig) -> list[Cell]:
    inj = config.injection
    names = model_names(inj.models)
    found = []
    for model in inj.models:
        for fraction, rate in zip(inj.fractions, inj.rates, strict=True):
            for index, (group, methods) in enumerate(inj.groups.items()):
                params = {
                    **_common(config, methods),
                    "model": model,
                    "fraction": fraction,
                    "rate": rate,
                    "tuned": {
                        name: special_options(inj.tuned, name, model, f"{fraction:g}")
                        for name in methods.methods
                    },
                    "most": methods.most,
                    "tell": index == _fullest(inj.groups),
                    **{
                        key: getattr(inj, key)
                        for key in (
                            "sentences", "dev", "examples", "steps", "stop", "dropout", "multiples",
                        )
                    },
                }  # fmt: skip
                found.append(
                    Cell(
                        id=f"inj.{names[model]}.r{fraction:g}.{group}",
                        task="byrote.studies.localization.injection:run",
                        params=params,
                        cost=injection_seconds(params),
                    )
                )
    return found


def _deletions(config: LocalizationConfig) -> list[Cell]:
    deletion = config.deletion
    found = []
    for name, setting in deletion.settings.items():
        wanted = setting.groups or tuple(deletion.groups)
        groups = {group: each for group, each in deletion.groups.items() if group in wanted}
        for index, (group, methods) in enumerate(groups.items()):
            params = {
                **_common(config, methods),
                "name": name,
                "setting": dataclasses.asdict(setting),
                "tuned": {
                    each: special_options(deletion.tuned, each, name) for each in methods.methods
                },
                "most": methods.most,
                "tell": index == 0,
                **{
                    key: getattr(deletion, key)
                    for key in (
                        "fractions", "scopes", "skip_layers", "text", "text_rows", "text_tokens",
                        "references", "curve", "curve_methods", "one_layer", "one_layer_fraction",
                        "one_layer_layers", "together", "together_fraction",
                    )
                },
            }  # fmt: skip
            found.append(
                Cell(
                    id=f"del.{name}.{group}",
                    task="byrote.studies.localization.deletion:run",
                    params=params,
                    cost=deletion_seconds(params),
                )
            )
    return found


def _fullest(groups: Mapping[str, Group]) -> int:
    """Of the groups, the first that takes as many passages as any."""
    sizes = [group.most or float("inf") for group in groups.values()]
    return sizes.index(max(sizes))


def _common(config: LocalizationConfig, group: Group) -> dict[str, Any]:
    methods: Mapping[str, Method] = config.methods
    return {
        "seed": config.seed,
        "vocab": config.vocab,
        "vocab_text": config.vocab_text,
        "methods": {name: dataclasses.asdict(methods[name]) for name in group.methods},
    }
