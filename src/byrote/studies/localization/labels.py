"""What charts and tables call methods, models and settings, and how methods look."""

from __future__ import annotations

from collections.abc import Sequence

from byrote.report.plotting import DASHES
from byrote.studies.localization.config import LocalizationConfig, Method
from byrote.studies.localization.methods import PARTS, names_of, part_of
from byrote.studies.localization.plan import model_names
from byrote.studies.localization.published import MODELS
from byrote.studies.looks import Look

__all__ = ["label", "looks", "model_label", "names", "percent"]

_CALLED = {
    **PARTS,
    "attribution": "Attribution",
    "integrated-attribution": "Integrated attribution",
    "screened-zero-out": "Zero-Out (shortlist)",
    "knowledge-neurons": "Knowledge neurons",
    "balanced-subnet": "BalancedSubnet (weights)",
}
_HUES = (
    ("chart-texts", "circle"),
    ("chart-control-1", "diamond"),
    ("chart-control-3", "square"),
    ("chart-control-2", "cross"),
    ("chart-step-5", "triangle-down"),
    ("chart-muted", "triangle-up"),
)


def names(config: LocalizationConfig) -> list[str]:
    """All methods that either benchmark runs: the paper's first, in the order of `PARTS`."""
    own = list(
        dict.fromkeys((*names_of(config.injection.groups), *names_of(config.deletion.groups)))
    )
    order = list(PARTS)

    def place(name: str) -> int:
        part = part_of(config.methods[name])
        return len(order) if part is None else order.index(part)

    plain = [name for name in own if part_of(config.methods[name]) not in (None, "random")]
    chance = [name for name in own if part_of(config.methods[name]) == "random"]
    rest = [name for name in own if part_of(config.methods[name]) is None]
    return [*sorted(plain, key=place), *rest, *chance]


def label(config: LocalizationConfig, name: str) -> str:
    """A method in words; two methods of a config never have one label."""
    labels = {each: _label(method) for each, method in config.methods.items()}
    same = [each for each, words in labels.items() if words == labels[name]]
    return labels[name] if same[0] == name else f"{labels[name]} ({name})"


def looks(config: LocalizationConfig, chosen: Sequence[str]) -> dict[str, Look]:
    """How the curves of some methods look."""
    found = {}
    for index, name in enumerate(chosen):
        colour, shape = _HUES[index % len(_HUES)]
        dash = tuple(DASHES[index // len(_HUES) % len(DASHES)])
        found[name] = Look(label(config, name), colour, shape, dash)
    return found


def model_label(config: LocalizationConfig, source: str) -> str:
    """A model as the paper calls it, or else by its short name."""
    return MODELS.get(source) or model_names(config.injection.models).get(source, source)


def percent(share: float) -> str:
    """A share in per cent, as short as can be."""
    return f"{100 * share:g} %"


def _label(method: Method) -> str:
    words = _CALLED.get(method.localizer, method.localizer)
    if method.options.get("order") == "mean-abs":
        words += ", |mean|"
    if method.contrast != "none":
        words += f", {method.contrast}"
        if method.references == "negatives":
            words += " to negatives"
    if method.retain:
        words += ", retaining"
    if method.spare_lead:
        words += ", BOS spared"
    return words
