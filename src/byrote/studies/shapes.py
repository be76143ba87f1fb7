"""A model as the checks of a study see it: configuration and tokenizer, no weights."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from byrote.errors import InputError
from byrote.exposure.partial import select
from byrote.models.outline import Outline, outline

__all__ = ["Shape", "shape_of"]

# Bytes: a weight in float32; its gradient and two moments; a logit, its gradient, its softmax.
_WEIGHT, _LEARNING, _LOGIT = 4, 12, 12


@dataclass(frozen=True)
class Shape:
    """A model without weights.

    Attributes:
        source: Where it comes from.
        outline: Its tokenizer and its configuration.
    """

    source: str
    outline: Outline

    @cached_property
    def skeleton(self) -> Any:
        """Its modules, with parameters that have shapes only; None where there is no code."""
        return self.outline.skeleton()

    @cached_property
    def parameters(self) -> int:
        """How many numbers its weights are; 0 where that cannot be told."""
        return 0 if self.skeleton is None else sum(p.numel() for p in self.skeleton.parameters())

    @property
    def weight_bytes(self) -> int:
        """Of its weights in float32; 0 where that cannot be told."""
        return _WEIGHT * self.parameters

    def trained(self, part: str) -> int:
        """How many of its numbers learn, at least.

        Raises:
            InputError: The model has no such part.
        """
        if part not in self._trained:
            self._trained[part] = self._count_trained(part)
        return self._trained[part]

    @cached_property
    def _trained(self) -> dict[str, int]:
        return {}

    def _count_trained(self, part: str) -> int:
        if self.skeleton is None:
            return 0
        name, _, index = part.partition(":")
        if name in ("mlp", "attention"):
            # What is which shows in a forward pass, for which there are no numbers.
            if index:
                select(self.skeleton, f"layer:{index}")
            return 0
        return select(self.skeleton, part).parameters

    def check_length(self, n: int, bos: bool, what: str) -> None:
        """See that so many tokens, and a BOS in front, fit in the context.

        Raises:
            InputError: They do not.
        """
        longest, most = n + bos, self.outline.max_len
        if most is not None and longest > most:
            begins = " (BOS included)" if bos else ""
            raise InputError(
                f"{what} of {longest} tokens{begins} are longer than the context of {self.source}, "
                f"{most} tokens; shorten them, or take a model with a longer context"
            )

    def training_bytes(self, part: str, tokens: int) -> float:
        """Memory that training needs at least: weights, gradients, moments and logits in float32.

        Args:
            part: What learns, as in `ExposureConfig.trainable`.
            tokens: That go through the model at a time.

        Returns:
            Bytes, without other activations and libraries; 0 where nothing is known.
        """
        if not self.parameters:
            return 0.0
        logits = _LOGIT * tokens * (self.outline.vocab_size or 0)
        return float(self.weight_bytes + _LEARNING * self.trained(part) + logits)


def shape_of(source: str) -> Shape:
    """Look at a model, see `outline`.

    Raises:
        InputError: It cannot be found.
        ByroteError: It could not be converted.
    """
    return Shape(source, outline(source))
