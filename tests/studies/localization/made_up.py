"""Tables of a run of the study, made up: no model, in no time.

The pruning methods find and erase most and hurt others, contrast spares others at little cost, and
random neurons are not missed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from byrote.report.study import StudyData
from byrote.studies.localization.analysis import analyse
from byrote.studies.localization.config import LocalizationConfig, Method
from byrote.studies.localization.further import layers_to_try
from byrote.studies.localization.methods import WEIGHTS
from byrote.studies.localization.schemas import SCHEMAS

CLAIMS = pl.DataFrame({"verdict": ["holds", "not tested"]})
LAYERS = 6

Rows = dict[str, list[dict[str, Any]]]

_STRENGTH = {
    "hard-concrete": 0.9, "slimming": 0.85, "zero-out": 0.6, "screened-zero-out": 0.6,
    "integrated-gradients": 0.55, "activations": 0.35, "attribution": 0.5,
    "integrated-attribution": 0.5, "random": 0.0,
}  # fmt: skip


def study_data(config: LocalizationConfig, **changes: Any) -> StudyData:
    """A run of a config.

    Args:
        config: What was asked.
        changes: Tables of the cells to put in place of those made up; None leaves one out.
    """
    tables = {**cell_tables(config), **changes}
    tables = {name: table for name, table in tables.items() if table is not None}
    whole = {**tables, **analyse(tables, config), "claims": CLAIMS}
    return StudyData(Path("run"), {"kind": "localization"}, whole, CLAIMS)


def strength(method: Method) -> float:
    """How much of a target a method finds, 0 to 1."""
    found = _STRENGTH[method.localizer]
    return 0.8 * found if method.contrast != "none" else found


def harm(method: Method) -> float:
    """How much of that others suffer."""
    if method.localizer == "random":
        return 0.0
    if method.contrast != "none" or method.retain:
        return 0.02
    return 0.2 * strength(method) + 0.05


def cell_tables(config: LocalizationConfig) -> dict[str, pl.DataFrame]:
    """What the cells of a config would give; at most nine sentences or passages."""
    rng = np.random.default_rng(0)
    rows: Rows = {}
    for model in config.injection.models if config.injection.groups else ():
        for fraction in config.injection.fractions:
            _inject(config, model, fraction, rng, rows)
    for name in config.deletion.settings if config.deletion.groups else ():
        _delete(config, name, rng, rows)
    return {
        name: pl.DataFrame(
            [{column: row.get(column) for column in SCHEMAS[name]} for row in found],
            schema=SCHEMAS[name],
        )
        for name, found in rows.items()
    }


def _inject(
    config: LocalizationConfig, model: str, fraction: float, rng: np.random.Generator, rows: Rows
) -> None:
    inj = config.injection
    count = min(inj.examples, 9)
    marks = {"cell": "inj", "model": model, "fraction": fraction}
    for number in range(inj.dev, inj.dev + count):
        sentence = {"example": number, "passage": f"definitions:{number}@0"}
        rows.setdefault("injections", []).append(
            marks
            | sentence
            | {
                "tokens": 30, "neurons": 40, "steps": 50, "loss_before": 4.0, "loss_stop": 0.04,
                "nll": 0.05, "recited": number != inj.dev,
            }
        )  # fmt: skip
        for group in inj.groups.values():
            if group.most and number >= inj.dev + group.most:
                continue
            for name in group.methods:
                best = strength(config.methods[name])
                best *= 0.7 if fraction == min(inj.fractions) else 0.6
                for multiple in inj.multiples:
                    for scope in ("layer", "model"):
                        k = multiple * fraction
                        found = best * (0.6 + 0.1 * multiple) + 0.02 * rng.random()
                        found = found if best else k
                        rows.setdefault("recalls", []).append(
                            marks
                            | sentence
                            | {
                                "method": name, "scope": scope, "multiple": float(multiple),
                                "k": k, "recall": min(found, 0.95), "ceiling": 0.95, "random": k,
                                "neurons": 40 * multiple, "tied": 0, "recited": True,
                            }
                        )  # fmt: skip
    _more(config, {"benchmark": "inj", "where": model, "fraction": fraction}, inj.groups, rows)


def _more(config: LocalizationConfig, marks: dict[str, Any], groups: Any, rows: Rows) -> None:
    """Rows of tunings and timings."""
    for group in groups.values():
        for name in group.methods:
            if config.methods[name].localizer == WEIGHTS:
                continue
            timing = {"cell": "c", "method": name, "passages": 8, "seconds": 40.0, "threads": 1}
            rows.setdefault("timings", []).append(marks | timing)
            if config.methods[name].grid:
                tried = {"cell": "c", "method": name, "options": '{"lr": 0.1}', "examples": 2}
                rows.setdefault("tuning", []).append(marks | tried | {"value": 0.5, "chosen": True})


def _delete(config: LocalizationConfig, setting: str, rng: np.random.Generator, rows: Rows) -> None:
    deletion = config.deletion
    count = min(deletion.settings[setting].passages, 9)
    passages = [f"p{i}@0" for i in range(count)]
    marks = {"cell": "del", "setting": setting}
    for number, passage in enumerate([*passages, "d0@0", "d1@0"]):
        rows.setdefault("passages", []).append(
            marks
            | {
                "model": deletion.settings[setting].model, "passage": passage,
                "split": "test" if number < count else "dev", "source": "corpus:wellknown",
                "record": f"Poem {number} of a 'poet'", "category": ("poem", "law")[number % 2],
                "prefix_text": "To be,", "suffix_text": " or <not>", "tokens": 32, "accuracy": 0.98,
                "distance": 1, "nll": 0.1,
            }
        )  # fmt: skip
    rows.setdefault("filters", []).append(
        marks | {"filter": "accuracy", "meaning": "m", "before": 100, "fell": 80, "left": 20}
    )
    for group in deletion.groups.values():
        for name in group.methods:
            if config.methods[name].localizer != WEIGHTS:
                _drop(config, marks, name, passages, group.most, rng, rows)
            if name in deletion.together:
                _together(config, marks, name, passages, rng, rows)
    _more(config, {"benchmark": "del", "where": setting, "fraction": None}, deletion.groups, rows)


def _drop(
    config: LocalizationConfig,
    marks: dict[str, Any],
    name: str,
    passages: list[str],
    most: int,
    rng: np.random.Generator,
    rows: Rows,
) -> None:
    deletion, method = config.deletion, config.methods[name]
    own, others = strength(method), harm(method)
    marks = marks | {"method": name}
    targets = passages[: most or len(passages)]
    for index, target in enumerate(targets):
        for fraction in deletion.fractions:
            part = 0.6 if fraction < max(deletion.fractions) else 1.0
            for scope in deletion.scopes:
                here = marks | {"fraction": fraction, "scope": scope, "target": target}
                lost, hurt = (part * x + 0.01 * rng.random() for x in (own, others))
                rows.setdefault("deletions", []).append(here | _deleted(lost, hurt, len(passages)))
                for at, passage in enumerate(passages):
                    gone = (
                        lost
                        if passage == target
                        else hurt * (1.5 if (at - index) % 2 == 0 else 0.5)
                    )
                    rows.setdefault("confusion", []).append(
                        here
                        | {"passage": passage, "accuracy_before": 1.0, "accuracy_after": 1 - gone}
                    )
                for other in targets[index + 1 :]:
                    rows.setdefault("overlaps", []).append(
                        here
                        | {"one": target, "other": other, "shared": 3, "by_chance": 0.01,
                           "jaccard": 0.1 + 0.1 * rng.random()}
                    )  # fmt: skip
        for layer in range(LAYERS):
            rows.setdefault("layers", []).append(
                marks
                | {"fraction": max(deletion.fractions), "target": target, "layer": layer,
                   "neurons": 10 - layer, "share": (10 - layer) / 45}
            )  # fmt: skip
        if name in deletion.curve_methods:
            for fraction in deletion.curve:
                done = fraction / (fraction + 0.003)
                rows.setdefault("curves", []).append(
                    marks
                    | {"fraction": fraction, "target": target, "self_lost": own * done,
                       "neg_lost": others * done}
                )  # fmt: skip
        if name in deletion.one_layer:
            tried = layers_to_try(LAYERS, deletion.skip_layers, deletion.one_layer_layers)
            for layer in (None, *tried):
                one = 1.0 if layer is None else 0.5
                rows.setdefault("one_layer", []).append(
                    marks
                    | {"target": target, "layer": layer, "neurons": 12,
                       "self_lost": own * one + 0.01 * rng.random(),
                       "neg_lost": others * (5.0 if layer == 1 else 1.0) + 0.01 * rng.random()}
                )  # fmt: skip


def _deleted(lost: float, hurt: float, count: int) -> dict[str, Any]:
    row: dict[str, Any] = {"neurons": 34, "tied": 0, "negatives": count - 1}
    for who, gone in (("self", lost), ("neg", hurt)):
        row |= {
            f"{who}_accuracy_before": 1.0, f"{who}_accuracy_after": 1 - gone,
            f"{who}_distance_before": 0.0, f"{who}_distance_after": 90 * gone,
            f"{who}_nll_before": 0.1, f"{who}_nll_after": 0.1 + 3 * gone,
            f"{who}_recited_before": 1.0, f"{who}_recited_after": 0.0,
        }  # fmt: skip
    nats = {"before": 3.0, "after": 3.0 + 0.05 * hurt}
    for when, value in nats.items():
        row |= {
            f"text_nll_{when}": value,
            f"perplexity_{when}": float(np.exp(value)),
            f"paper_perplexity_{when}": 2.0**value,
        }
    return row


def _together(
    config: LocalizationConfig,
    marks: dict[str, Any],
    name: str,
    passages: list[str],
    rng: np.random.Generator,
    rows: Rows,
) -> None:
    method, half = config.methods[name], len(passages) // 2
    weights = method.localizer == WEIGHTS
    own, others = (0.9, 0.02) if weights else (strength(method), harm(method))
    for index, passage in enumerate(passages):
        gone = (own if index < half else others) + 0.01 * rng.random()
        rows.setdefault("together", []).append(
            marks
            | {
                "method": name, "passage": passage, "erased": index < half, "removed": 0.02,
                "accuracy_before": 1.0, "accuracy_after": 1 - gone, "distance_before": 0,
                "distance_after": round(90 * gone), "nll_before": 0.1, "nll_after": 0.1 + 3 * gone,
                "text_nll_before": 3.0, "text_nll_after": 3.1,
            }
        )  # fmt: skip
