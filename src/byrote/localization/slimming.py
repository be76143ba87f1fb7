"""Slimming: a factor for each neuron, trained to be small where it is not needed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from byrote._options import between
from byrote.localization.pruning import Pruning

__all__ = ["Slimming"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Slimming(Pruning):
    """Train factors m on the neurons with an L1 penalty (Chang et al. 2311.09060, section 4.2).

    The gate is clip(m, 0, 1), the penalty the mean of |m| over all neurons that are trained (the
    paper writes the sum; the λ of its code, and this one, belong to the mean), the score clip(m).
    After Liu et al. 1708.06519 (network slimming).

    Adam moves a factor by about `lr` in a step, so `lr` times `epochs` bounds how far one can get
    from `init`; many factors may end at the same value, and `select` then says so.

    Attributes:
        init: Factor at the start. None is 1 where `aim` is `keep`, 0 where it is `erase`: in both
            cases the whole model.
    """

    name: ClassVar[str] = "slimming"

    lr: float = 1e-2
    penalty: float = 30000.0
    epochs: int = 60
    init: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.init is not None:
            between(self._owner, "init", self.init, 0.0, 1.0)

    def first(self) -> float:
        """The factor at the start."""
        if self.init is None:
            return 1.0 if self.aim == "keep" else 0.0
        return self.init

    def gates(self, raw: Tensor, noise: Tensor | None) -> Tensor:
        """The factors within 0 to 1; there is no noise."""
        return raw.clamp(0.0, 1.0)

    def size(self, raw: Tensor) -> Tensor:
        """Mean of |m|, `[passages]`."""
        return raw.abs().mean(dim=(1, 2))

    def scores(self, raw: Tensor) -> Tensor:
        """The factors within 0 to 1."""
        return raw.clamp(0.0, 1.0)
