"""From a method of the config to a localizer, and which part a method plays."""

from __future__ import annotations

import dataclasses
import inspect
import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from byrote._registry import lookup
from byrote.localization.base import Localizer, Told, _unheard
from byrote.localization.registry import LOCALIZERS, find_localizer
from byrote.studies.localization.config import LocalizationConfig, Method

if TYPE_CHECKING:
    from torch import Tensor

    from byrote.models.loading import LoadedModel
    from byrote.texts.passages import Passage

__all__ = [
    "PARTS",
    "PRUNING",
    "WEIGHTS",
    "Timed",
    "candidates",
    "localizer_of",
    "names_of",
    "part_of",
    "players",
    "special_options",
    "takes",
]

WEIGHTS = "balanced-subnet"
"""What removes weights, not neurons: it takes part in deleting several passages at once only."""

PRUNING = ("slimming", "hard-concrete")
"""Localizers that train gates."""

PARTS = {
    "hard-concrete": "Hard Concrete",
    "slimming": "Slimming",
    "zero-out": "Zero-Out",
    "integrated-gradients": "Integrated Gradients",
    "activations": "Activations",
    "random": "Random",
}
"""The paper's methods, best first by its tables, and what they are called."""

_SCREENED = "screened-zero-out"


def takes(localizer: str, option: str) -> bool:
    """Whether a localizer has an option of that name."""
    if localizer == WEIGHTS:
        return False
    return option in inspect.signature(lookup("localizer", localizer, LOCALIZERS)).parameters


def localizer_of(
    method: Method | Mapping[str, Any],
    options: Mapping[str, Any],
    references: Sequence[Passage] = (),
    *,
    skip_layers: Sequence[int] = (),
) -> Localizer:
    """Make the localizer of a method.

    Args:
        method: From the config, or as the parameters of a cell hold it.
        options: Go over those of the method.
        references: Those that are held out; not used where the method's are the negatives.
        skip_layers: Layers that a pruning method leaves alone.

    Raises:
        InputError: It has no such option, or cannot use a value.
    """
    fields = dataclasses.asdict(method) if isinstance(method, Method) else method
    name, own = fields["localizer"], {**fields["options"], **options}
    if fields["spare_lead"] and takes(name, "spare_lead"):
        own.setdefault("spare_lead", True)
    if name in PRUNING:
        if skip_layers:
            own.setdefault("skip_layers", tuple(skip_layers))
        if fields["retain"]:
            own.setdefault("retain", fields["retain"])
            own["references"] = tuple(references)
    if fields["contrast"] == "none":
        return find_localizer(name, own)
    compared = list(references) if fields["references"] == "held-out" else None
    return find_localizer(name, own, contrast=fields["contrast"], references=compared)


def candidates(method: Mapping[str, Any]) -> list[dict[str, Any]]:
    """All combinations of a method's grid, in order; a single empty one without a grid."""
    grid = method["grid"]
    return [
        dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())
    ] or [{}]


def special_options(
    tuned: Mapping[str, Mapping[str, Any]], name: str, *where: str
) -> dict[str, Any] | None:
    """What a config says was tuned elsewhere for a method.

    Args:
        tuned: By `METHOD`, `METHOD@WHERE` and so on.
        name: The method.
        where: From the general to the special, such as the model and the fraction.

    Returns:
        The options; None where nothing was said.
    """
    found: dict[str, Any] | None = None
    for depth in range(len(where) + 1):
        key = "@".join((name, *where[:depth]))
        if key in tuned:
            found = {**(found or {}), **tuned[key]}
    return found


def part_of(method: Method) -> str | None:
    """Which of the paper's methods this is; None where it is another, or is contrasted.

    Zero-Out on a shortlist plays the part of Zero-Out.
    """
    if not _plain(method):
        return None
    name = "zero-out" if method.localizer == _SCREENED else method.localizer
    # The code's order of mean and absolute value is another method than the paper's.
    if name == "activations" and method.options.get("order", "abs-mean") != "abs-mean":
        return None
    return name if name in PARTS else None


def players(config: LocalizationConfig, names: Sequence[str]) -> dict[str, str]:
    """The paper's methods among some: part -> name, the first of each, in the order of `PARTS`."""
    found: dict[str, str] = {}
    for name in names:
        part = part_of(config.methods[name])
        if part is not None:
            found.setdefault(part, name)
    return {part: found[part] for part in PARTS if part in found}


def _plain(method: Method) -> bool:
    return (
        method.contrast == "none"
        and not method.retain
        and not method.spare_lead
        and method.options.get("aim", "keep") == "keep"
    )


@dataclass(eq=False)
class Timed(Localizer):
    """Another localizer, with the time that it takes.

    Attributes:
        localizer: What is run.
        seconds: So far.
        passages: Scored so far.
    """

    name: ClassVar[str] = "timed"

    localizer: Localizer
    seconds: float = 0.0
    passages: int = 0

    def check(self, loaded: LoadedModel) -> None:
        """See that the localizer can serve the model."""
        self.localizer.check(loaded)

    def score(
        self, loaded: LoadedModel, passages: Sequence[Passage], told: Told = _unheard
    ) -> Tensor:
        """Score as the localizer does."""
        begun = time.perf_counter()
        found = self.localizer.score(loaded, passages, told)
        self.seconds += time.perf_counter() - begun
        self.passages += len(passages)
        return found


def names_of(groups: Mapping[str, Any]) -> Iterator[str]:
    """The methods of all groups, in order."""
    for group in groups.values():
        yield from group.methods
