"""Localizers by name. A new one is one file and one line here."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from byrote._registry import bind, lookup
from byrote.localization.base import Localizer

__all__ = ["LOCALIZERS", "find_localizer"]

LOCALIZERS: dict[str, str] = {
    "zero-out": "byrote.localization.zero_out:ZeroOut",
    "screened-zero-out": "byrote.localization.screened:ScreenedZeroOut",
    "integrated-gradients": "byrote.localization.integrated_gradients:IntegratedGradients",
    "activations": "byrote.localization.activations:ActivationSize",
    "attribution": "byrote.localization.attribution:Attribution",
    "integrated-attribution": "byrote.localization.integrated_attribution:IntegratedAttribution",
    "slimming": "byrote.localization.slimming:Slimming",
    "hard-concrete": "byrote.localization.hard_concrete:HardConcrete",
    "knowledge-neurons": "byrote.localization.knowledge_neurons:KnowledgeNeurons",
    "random": "byrote.localization.random_scores:RandomScores",
}
"""Module and class of each; options are the class's fields."""


def find_localizer(name: str, options: Mapping[str, Any] | None = None) -> Localizer:
    """Make a localizer by name.

    Args:
        name: One of `LOCALIZERS`.
        options: Its own, by name; those left out have their defaults.

    Raises:
        InputError: There is none of that name, or it has no such option or cannot use its value.
    """
    found = lookup("localizer", name, LOCALIZERS)
    own = dict(options or {})
    bind("localizer", name, inspect.signature(found).parameters.values(), own)
    return found(**own)
