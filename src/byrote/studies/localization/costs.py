"""Roughly how long cells take: passes of a model through a passage, times what a pass takes.

For the order in which cells start and the time left on the progress bar; no result depends on it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from byrote.studies.localization.methods import PRUNING, WEIGHTS
from byrote.studies.sizes import parameters_of

__all__ = ["deletion_seconds", "injection_seconds"]

# Rough speed of one core in the matrix products of a pass.
_FLOPS = 5e10
_START_SECONDS = 6.0
_SENTENCE = 34
# A pass forward and backward, with frozen weights, in passes forward.
_BOTH_WAYS = 2.5
_GUESSED_STEPS = 60


def injection_seconds(params: Mapping[str, Any]) -> float:
    """Core-seconds of a cell of INJ."""
    one_pass = _pass(params["model"], _SENTENCE)
    count = min(params["examples"], params["most"] or params["examples"])
    inject = min(params["steps"], _GUESSED_STEPS) * _BOTH_WAYS
    passes = count * inject
    for name, method in params["methods"].items():
        each = _passes(method, _SENTENCE, 1 + params["dev"])
        passes += count * each
        if method["grid"] and params["tuned"].get(name) is None:
            passes += params["dev"] * _combinations(method) * each
    if any(
        method["grid"] and params["tuned"].get(name) is None
        for name, method in params["methods"].items()
    ):
        passes += params["dev"] * inject
    return _START_SECONDS + passes * one_pass


def deletion_seconds(params: Mapping[str, Any]) -> float:
    """Core-seconds of a cell of DEL."""
    setting = params["setting"]
    tokens = setting["prefix"] + setting["suffix"]
    one_pass = _pass(setting["model"], tokens)
    everyone = setting["passages"]
    count = min(everyone, params["most"] or everyone)
    text = params["text_rows"] * params["text_tokens"] / tokens
    passes = setting["windows"] * (1.0 if setting["how"] == "found" else 3.0 * setting["epochs"])
    for name, method in params["methods"].items():
        if method["localizer"] != WEIGHTS:
            each = _passes(method, tokens, 1)
            # References are scored once for all passages.
            contrast = (method["contrast"] != "none") * params["references"]
            sets = len(params["fractions"]) * len(params["scopes"])
            passes += (count + contrast) * each + sets * count * (everyone + text)
            if method["grid"] and params["tuned"].get(name) is None:
                passes += setting["dev"] * _combinations(method) * (each + setting["dev"])
        if name in params["curve_methods"]:
            passes += len(params["curve"]) * count * everyone
        if name in params["one_layer"]:
            passes += (params["one_layer_layers"] or 24) * count * everyone
        if name in params["together"]:
            passes += count * _passes(method, tokens, 1)
    return _START_SECONDS + passes * one_pass


def _pass(model: str, tokens: int) -> float:
    return 2 * parameters_of(model) * tokens / _FLOPS


def _combinations(method: Mapping[str, Any]) -> int:
    return math.prod(len(values) for values in method["grid"].values())


def _passes(method: Mapping[str, Any], tokens: int, references: int) -> float:
    """Passes forward that scoring one passage comes to."""
    name, options = method["localizer"], method["options"]
    times = references if method["contrast"] != "none" else 1
    if name in PRUNING or name == WEIGHTS:
        epochs = options.get("epochs", max(method["grid"].get("epochs", (200,))))
        extra = 1 + options.get("per_step", 4) * bool(method["retain"])
        return times * epochs * _BOTH_WAYS * extra
    if name == "integrated-gradients":
        # A token is about a share of a pass, in each layer, with half of the layers above it.
        return times * options.get("steps", 20) * 25 * _BOTH_WAYS / 2
    if name == "zero-out":
        return times * 25_000.0
    if name == "screened-zero-out":
        return times * 25_000.0 * options.get("shortlist", 0.05)
    return times * {"random": 0.0, "activations": 1.0}.get(name, 10 * _BOTH_WAYS)
