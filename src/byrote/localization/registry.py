"""Localizers by name. A new one is one file and one line here."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from byrote._registry import bind, lookup
from byrote.errors import InputError
from byrote.localization.base import Localizer

if TYPE_CHECKING:
    from byrote.texts.passages import Passage

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

_CONTRAST = "contrast:"


def find_localizer(
    name: str,
    options: Mapping[str, Any] | None = None,
    *,
    contrast: str | None = None,
    floor: float | None = None,
    references: Sequence[Passage] | None = None,
) -> Localizer:
    """Make a localizer by name.

    Example:
        >>> find_localizer("activations?order=mean-abs").order
        'mean-abs'
        >>> find_localizer("contrast:activations?kind=ratio").kind
        'ratio'

    Args:
        name: One of `LOCALIZERS`, with options behind it where you like: `NAME?key=value&key=value`
            (values as in JSON; what is none is a word). `contrast:NAME?kind=…&floor=…&…` wraps it
            in a `Contrast`: `kind` and `floor` are the contrast's, the others the localizer's.
        options: The localizer's own, by name; those left out have their defaults.
        contrast: A kind of `CONTRASTS` to wrap it in; the same as `contrast:` before the name.
        floor: The contrast's, where it is not the default.
        references: What the contrast is to; None is the other passages that are scored with one.
            Without a contrast they go to a localizer that has references of its own (`retain` of
            the pruning methods), if they are not among its options.

    Raises:
        InputError: There is none of that name, or it has no such option or cannot use its value.
    """
    bare, _, query = name.partition("?")
    own = _parsed(name, query)
    for key in own.keys() & (options or {}).keys():
        raise InputError(f"The localizer {name!r}: {key} is given twice; give it once.")
    own |= options or {}
    if bare.startswith(_CONTRAST) or contrast is not None:
        bare = bare.removeprefix(_CONTRAST)
        settings: dict[str, Any] = {"kind": contrast, "floor": floor}
        for key in settings.keys() & own.keys():
            if settings[key] is not None:
                raise InputError(f"The localizer {name!r}: {key} is given twice; give it once.")
            settings[key] = own.pop(key)
        return _contrast(_plain(bare, own), settings, references)
    if floor is not None:
        raise InputError(f"The localizer {name!r}: floor={floor!r} is of a contrast; name a kind.")
    return _plain(bare, own, references)


def _plain(
    name: str, options: Mapping[str, Any], references: Sequence[Passage] | None = None
) -> Localizer:
    found = lookup("localizer", name, LOCALIZERS)
    parameters = inspect.signature(found).parameters
    own = dict(options)
    if references is not None:
        if "references" not in parameters:
            raise InputError(
                f"The localizer {name!r} takes no references: contrast it ({_CONTRAST}{name})."
            )
        own.setdefault("references", tuple(references))
    bind("localizer", name, parameters.values(), own)
    return found(**own)


def _contrast(
    localizer: Localizer, settings: Mapping[str, Any], references: Sequence[Passage] | None
) -> Localizer:
    from byrote.localization.contrast import Contrast

    given = {key: value for key, value in settings.items() if value is not None}
    return Contrast(localizer, references=references, **given)


def _parsed(name: str, query: str) -> dict[str, Any]:
    own: dict[str, Any] = {}
    for pair in filter(None, query.split("&")):
        key, equals, text = pair.partition("=")
        if not (key and equals and text):
            raise InputError(f"The localizer {name!r}: {pair!r} is no option; write key=value.")
        if key in own:
            raise InputError(f"The localizer {name!r}: {key} is given twice; give it once.")
        try:
            own[key] = json.loads(text)
        except json.JSONDecodeError:
            own[key] = text
    return own
