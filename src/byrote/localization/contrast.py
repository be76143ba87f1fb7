"""Contrast: what a neuron does for a passage, against what it does for others.

The neurons that any localizer scores highest are often those that serve every text (attention
sinks, massive activations), and erasing them wrecks the model. A wrapper around any localizer
compares a passage's scores with those of references: the other passages, or texts given once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from byrote._options import between, one_of
from byrote.errors import InputError
from byrote.localization.base import Localizer, Told, _unheard
from byrote.models.loading import LoadedModel
from byrote.texts.passages import Passage

__all__ = ["CONTRASTS", "Background", "Contrast", "contrasted"]

CONTRASTS = ("difference", "ratio", "z")
"""A − mean A of the references; A / mean |A|; (A − mean A) / standard deviation."""

_FEWEST = {"difference": 1, "ratio": 1, "z": 2}
# References scored together: their scores are not kept.
_TOGETHER = 32


@dataclass(slots=True)
class Background:
    """The references' scores, summed up; float64 `[layers, width]` each.

    Attributes:
        count: How many references.
        mean: Their mean score.
        size: The mean of its absolute value.
        squares: The sum of squared deviations from the mean.
    """

    count: int
    mean: Tensor
    size: Tensor
    squares: Tensor

    @classmethod
    def empty(cls, layers: int, width: int) -> Background:
        """Of no references yet."""
        return cls(0, *(torch.zeros(layers, width, dtype=torch.float64) for _ in range(3)))

    def add(self, scores: Tensor) -> None:
        """Take in one more reference (Welford's update).

        Args:
            scores: `[layers, width]`; -inf, of layers that are skipped, counts as 0.
        """
        values = _finite(scores)
        self.count += 1
        before = values - self.mean
        self.mean = self.mean + before / self.count
        self.size = self.size + (values.abs() - self.size) / self.count
        self.squares = self.squares + before * (values - self.mean)

    def without(self, scores: Tensor) -> Background:
        """The background of all but one of its references, from that one's scores."""
        values, rest = _finite(scores), self.count - 1
        if rest < 1:
            return Background.empty(*scores.shape)
        mean = self.mean + (self.mean - values) / rest
        size = self.size + (self.size - values.abs()) / rest
        squares = self.squares - (values - self.mean) * (values - mean)
        return Background(rest, mean, size.clamp(min=0.0), squares.clamp(min=0.0))

    def deviation(self) -> Tensor:
        """Standard deviation over the references, with n − 1."""
        return (self.squares / (self.count - 1)).sqrt()


def contrasted(scores: Tensor, background: Background, kind: str, floor: float = 0.1) -> Tensor:
    """Compare one passage's scores with those of references.

    Args:
        scores: `[layers, width]`; -inf stays -inf.
        background: Of the references, in the same shape.
        kind: One of `CONTRASTS`.
        floor: The least divisor of `ratio` and `z`, as a share of its mean over the layer's
            neurons: a neuron that the references hardly use has a large ratio, however little it
            does for the passage.

    Returns:
        float32 `[layers, width]`.

    Raises:
        InputError: There are too few references: one at least, for `z` two.
    """
    one_of("contrast", "kind", kind, CONTRASTS)
    between("contrast", "floor", floor, 0.0, math.inf)
    if background.count < _FEWEST[kind]:
        raise InputError(
            f"The contrast {kind!r} needs at least {_FEWEST[kind]} references for each passage, "
            f"other than the passage itself; there are {background.count}."
        )
    values = _finite(scores)
    if kind == "ratio":
        values = values / _divisor(background.size, floor)
    else:
        values = values - background.mean
        if kind == "z":
            values = values / _divisor(background.deviation(), floor)
    return torch.where(scores == -torch.inf, -torch.inf, values).float()


def _finite(scores: Tensor) -> Tensor:
    return torch.where(scores == -torch.inf, 0.0, scores.double())


def _divisor(sizes: Tensor, floor: float) -> Tensor:
    least = floor * sizes.mean(dim=-1, keepdim=True)
    divisor = torch.maximum(sizes, least)
    # Where nothing is ever scored there is nothing to be compared with.
    return torch.where(divisor > 0.0, divisor, 1.0)


@dataclass(frozen=True, eq=False)
class Contrast(Localizer):
    """Another localizer's scores against those that it gives to references.

    Not in the paper. The references are given once, or are, for each passage, the others that are
    scored with it (the benchmark's negatives, leave-one-out). Each is scored once, whatever the
    number of passages; a passage is never a reference of its own, by its id.

    With no references given, the scores of a passage do depend on which others are scored with it:
    that is their meaning.

    Attributes:
        localizer: Whose scores are compared.
        kind: One of `CONTRASTS`.
        references: Other passages; None takes the others of the call.
        floor: As for `contrasted`.
    """

    name: ClassVar[str] = "contrast"

    localizer: Localizer
    kind: str = "difference"
    references: Sequence[Passage] | None = None
    floor: float = 0.1

    def __post_init__(self) -> None:
        one_of("contrast", "kind", self.kind, CONTRASTS)
        between("contrast", "floor", self.floor, 0.0, math.inf)
        if self.references is not None and len(self.references) < _FEWEST[self.kind]:
            raise InputError(
                f"The contrast {self.kind!r} needs at least {_FEWEST[self.kind]} references; "
                f"{len(self.references)} were given."
            )

    def check(self, loaded: LoadedModel) -> None:
        """See that the localizer can serve the model; see `Localizer.check`."""
        self.localizer.check(loaded)

    def score(
        self,
        loaded: LoadedModel,
        passages: Sequence[Passage],
        told: Told = _unheard,
        *,
        references: Sequence[Passage] | None = None,
    ) -> Tensor:
        """Score the passages, and the references where they are others; see `Localizer.score`.

        Args:
            loaded: The model.
            passages: What was recited.
            told: Hears of the progress.
            references: In the place of those given when the contrast was made.

        Raises:
            InputError: A passage has too few references.
        """
        if references is None:
            references = self.references
        compared = list(passages if references is None else references)
        self._check_counts(passages, compared)
        own = {passage.id: row for row, passage in enumerate(passages)}
        others = [reference for reference in compared if reference.id not in own]
        total = len(passages) + len(others)
        scores = self.localizer.score(
            loaded, passages, lambda done: told(done * len(passages) / total)
        )
        background = Background.empty(loaded.neurons.layers, loaded.neurons.width)
        for reference in compared:
            if reference.id in own:
                background.add(scores[own[reference.id]])
        for start in range(0, len(others), _TOGETHER):
            some, before = others[start : start + _TOGETHER], len(passages) + start
            share = len(some) / total
            for row in self.localizer.score(
                loaded, some, lambda done, n=share, at=before / total: told(at + done * n)
            ):
                background.add(row)
        shared = {reference.id for reference in compared}
        out = torch.empty_like(scores, dtype=torch.float32)
        for row, passage in enumerate(passages):
            against = background.without(scores[row]) if passage.id in shared else background
            out[row] = contrasted(scores[row], against, self.kind, self.floor)
        return out

    def _check_counts(self, passages: Sequence[Passage], compared: Sequence[Passage]) -> None:
        """See, before anything is scored, that every passage has references enough."""
        ids = [reference.id for reference in compared]
        if len(set(ids)) != len(ids):
            twice = next(name for name in ids if ids.count(name) > 1)
            raise InputError(f"The contrast: {twice!r} is the id of more than one reference.")
        for passage in passages:
            count = len(ids) - (passage.id in ids)
            if count < _FEWEST[self.kind]:
                raise InputError(
                    f"The contrast {self.kind!r} needs at least {_FEWEST[self.kind]} references "
                    f"other than the passage itself; {passage.id!r} has {count}: score more "
                    "passages together, or give references."
                )
