"""Which arm plays which part, read from the fields of the arms and not from their names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from byrote.report.plotting import DASHES
from byrote.studies.goldfish.config import Arm, GoldfishConfig
from byrote.studies.looks import Look, ordered_looks

__all__ = [
    "CONTROL",
    "MASKS",
    "STANDARD",
    "Cast",
    "label_of",
]

CONTROL = Look("control", "chart-muted", "triangle-right", (2, 2))
STANDARD = Look("standard", "chart-control-1", "diamond", (6, 3))
MASKS = {
    "hash": Look("hash mask", "chart-texts"),
    "static": Look("static mask", "chart-control-2", "cross", (6, 3)),
    "random": Look("random mask", "chart-control-3", "square", (2, 2)),
    "official": Look("reference's hash", "chart-step-2", "triangle-up", (8, 3, 2, 3)),
    "text": Look("mask of the text", "chart-step-5", "triangle-down", (6, 3)),
}
"""Masks look the same in every chart: by strategy, and the hash of the normalised text."""

_OBJECTIVES = {
    "next-token": "standard",
    "mile": "MiLe",
    "focal": "focal loss",
    "self-contrastive": "self-contrastive",
    "patch-level": "patch-level",
    "dp-sgd": "DP-SGD",
}
_WAYS = {True: "larger batch", False: "more steps"}


@dataclass(frozen=True)
class Cast:
    """The arms of a setting by the part that they play.

    Attributes:
        arms: Names in the order of the setting, with their fields.
        ks: Every k of the study's masks, so that a k has one shade in all charts.
    """

    arms: dict[str, Arm]
    ks: tuple[int, ...] = ()

    @classmethod
    def of(cls, config: GoldfishConfig, names: Sequence[str]) -> Cast:
        """Those of some names that the config has."""
        ks = {arm.k for arm in config.arms.values() if arm.objective == "goldfish"}
        arms = {name: config.arms[name] for name in names if name in config.arms}
        return cls(arms, tuple(sorted(ks)))

    @property
    def control(self) -> str | None:
        """Training without the documents."""
        return self._first(lambda arm: arm.objective == "next-token" and arm.copies == "none")

    @property
    def standard(self) -> str | None:
        """Ordinary training with exact copies."""
        return self._first(lambda arm: arm.objective == "next-token" and _plain(arm))

    @property
    def width(self) -> int:
        """The h of most hash masks."""
        widths = Counter(arm.h for arm in self.arms.values() if _hashed(arm))
        return widths.most_common(1)[0][0] if widths else Arm().h

    def ladder(self, strategy: str = "hash") -> dict[int, str]:
        """Arms of one strategy that differ in k alone, by k in rising order."""
        found = {
            arm.k: name
            for name, arm in reversed(self.arms.items())
            if arm.objective == "goldfish"
            and arm.strategy == strategy
            and not arm.normalize
            and _plain(arm)
            and (strategy not in ("hash", "official") or arm.h == self.width)
        }
        return dict(sorted(found.items()))

    def widths(self) -> tuple[int, dict[int, str]]:
        """The k that has most values of h under the hash mask, and its arms by h."""
        found: dict[int, dict[int, str]] = {}
        for name, arm in reversed(self.arms.items()):
            if _hashed(arm) and not arm.normalize and _plain(arm):
                found.setdefault(arm.k, {})[arm.h] = name
        if not found:
            return 0, {}
        k = max(found, key=lambda each: len(found[each]))
        return k, dict(sorted(found[k].items()))

    def scaled(self) -> dict[str, str]:
        """Arms with more input than others, by how they come to it."""
        return {
            _WAYS[arm.batch_factor != 1]: name
            for name, arm in self.arms.items()
            if arm.objective == "goldfish" and arm.input_factor != 1
        }

    def near_duplicates(self) -> dict[str, dict[str, str]]:
        """Arms by treatment (`standard`, `tokens`, `text`) and by how copies differ.

        Only where some copies differ; masks have the k of those that were tried with such copies.
        """
        tried = [arm for arm in self.arms.values() if arm.copies in ("edited", "reformatted")]
        if not tried:
            return {}
        ks = Counter(arm.k for arm in tried if _hashed(arm))
        k = ks.most_common(1)[0][0] if ks else None
        found: dict[str, dict[str, str]] = {"standard": {}, "tokens": {}, "text": {}}
        for name, arm in reversed(self.arms.items()):
            if arm.copies == "none" or arm.input_factor != 1 or arm.batch_factor != 1:
                continue
            if arm.objective == "next-token":
                found["standard"][arm.copies] = name
            elif _hashed(arm) and arm.k == k and arm.h == self.width:
                found["text" if arm.normalize else "tokens"][arm.copies] = name
        return {treatment: by_copies for treatment, by_copies in found.items() if by_copies}

    def objectives(self) -> list[str]:
        """Control, standard, the mask that is compared with other objectives, and these."""
        masks = self.ladder()
        mask = masks.get(4) or next(iter(masks.values()), None)
        others = [
            name
            for name, arm in self.arms.items()
            if arm.objective not in ("next-token", "goldfish")
        ]
        return [name for name in (self.control, self.standard, mask, *others) if name]

    def label(self, name: str) -> str:
        """What charts and tables call an arm; two arms never have one label."""
        labels = {each: label_of(arm, self.width) for each, arm in self.arms.items()}
        same = [each for each, label in labels.items() if label == labels[name]]
        return labels[name] if same[0] == name else f"{labels[name]} ({name})"

    def looks(self, names: Sequence[str]) -> list[Look]:
        """How curves of arms look: masks in shades by k, further masks of the same k in hues."""
        ks = self.ks or sorted({self.arms[name].k for name in names})
        shades = {
            k: look.colour for k, look in zip(ks, ordered_looks([str(k) for k in ks]), strict=True)
        }
        shapes = ("circle", "square", "triangle-up", "cross")
        hues = ("chart-control-3", "chart-control-2", "chart-muted")
        seen: Counter[int] = Counter()
        found = []
        for name in names:
            arm, label = self.arms[name], self.label(name)
            if name == self.control:
                found.append(Look(label, CONTROL.colour, CONTROL.shape, CONTROL.dash))
            elif arm.objective == "goldfish":
                place = seen[arm.k] % len(shapes)
                seen[arm.k] += 1
                colour = shades[arm.k] if not place else hues[place - 1]
                found.append(Look(label, colour, shapes[place], tuple(DASHES[place])))
            elif name == self.standard:
                found.append(Look(label, STANDARD.colour, STANDARD.shape, STANDARD.dash))
            else:
                found.append(Look(label, "chart-control-2", "cross", (8, 3, 2, 3)))
        return found

    def _first(self, fits: Callable[[Arm], bool]) -> str | None:
        return next((name for name, arm in self.arms.items() if fits(arm)), None)


def label_of(arm: Arm, width: int) -> str:
    """What an arm is, in a few words.

    Args:
        arm: Its fields.
        width: The h that need not be said.
    """
    if arm.copies == "none" and arm.objective == "next-token":
        return CONTROL.name
    words = []
    if arm.objective == "goldfish":
        if arm.strategy != "hash":
            words.append(arm.strategy)
        words.append(f"k = {arm.k}")
        if arm.strategy in ("hash", "official") and arm.h != width:
            words.append(f"h = {arm.h}")
        if arm.normalize:
            words.append("of the text")
    else:
        words.append(_OBJECTIVES.get(arm.objective, arm.objective))
    if arm.copies != "exact":
        words.append(f"{arm.copies} copies")
    if arm.batch_factor != 1:
        words.append(_WAYS[True])
    elif arm.input_factor != 1:
        words.append(_WAYS[False])
    return ", ".join(words)


def _hashed(arm: Arm) -> bool:
    return arm.objective == "goldfish" and arm.strategy == "hash"


def _plain(arm: Arm) -> bool:
    """Exact copies, and as much input as the others."""
    return arm.copies == "exact" and arm.input_factor == 1 and arm.batch_factor == 1
