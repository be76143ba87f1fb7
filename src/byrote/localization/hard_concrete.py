"""Hard Concrete: gates that are drawn anew at every step and learn to be open or shut."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from byrote._options import above, whole
from byrote.errors import InputError
from byrote.localization.pruning import Pruning

__all__ = ["HardConcrete"]

# The interval that the gates are stretched to, γ and ζ (1712.01312, section 4.1; 2311.09060).
_LOW, _HIGH = -0.1, 1.1
_NOISE = 1e-4


@dataclass(frozen=True, eq=False, kw_only=True)
class HardConcrete(Pruning):
    """Train random gates of the hard concrete distribution (Chang et al. 2311.09060, section 4.2).

    With s the parameter of a neuron and u uniform, one draw per step for all positions, the gate is
    clip(σ((log u − log(1 − u) + s) / β) · 1.2 − 0.1, 0, 1) and the penalty the mean over neurons of
    σ(s − β log(0.1 / 1.1)), the chance that a gate is not shut (Louizos et al. 1712.01312, equation
    12). The score is σ(s), without stretching and temperature.

    The draw of a step is the same for every passage: each starts with the same seed, as in the
    official code, which seeds anew for every example.

    Attributes:
        init: Expected gate at the start, p in the paper's code; above −0.1 and below 1.1. None is
            0.9 where `aim` is `keep`, 0 where it is `erase`.
        beta: Temperature β.
        seed: Of the draws.
        noisy_skipped: Whether gates of skipped layers are drawn as well, though not trained: what
            the official code does, by oversight, with layer 0. Else they are open.
    """

    name: ClassVar[str] = "hard-concrete"

    lr: float = 1e-3
    penalty: float = 1000.0
    epochs: int = 200
    init: float | None = None
    beta: float = 0.33
    seed: int = 0
    noisy_skipped: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        above(self._owner, "beta", self.beta, 0.0)
        whole(self._owner, "seed", self.seed, 0)
        if not _LOW < self._gate_at_start < _HIGH:
            raise InputError(f"The {self._owner}: init={self.init!r} must be between -0.1 and 1.1.")

    @property
    def _gate_at_start(self) -> float:
        if self.init is None:
            return 0.9 if self.aim == "keep" else 0.0
        return self.init

    def first(self) -> float:
        """The parameter at which a gate is expected to be `init`: logit((p + 0.1) / 1.2)."""
        share = (self._gate_at_start - _LOW) / (_HIGH - _LOW)
        return math.log(share / (1.0 - share))

    def draws(self, layers: int, width: int) -> Iterator[Tensor]:
        """The logit of u for every neuron, step after step; `[layers, width]`."""
        generator = torch.Generator().manual_seed(self.seed)
        while True:
            uniform = torch.rand(layers, width, generator=generator).clamp(_NOISE, 1.0 - _NOISE)
            yield uniform.log() - (1.0 - uniform).log()

    def gates(self, raw: Tensor, noise: Tensor | None) -> Tensor:
        """Gates from parameters and a draw."""
        shifted = raw if noise is None else raw + noise
        return (torch.sigmoid(shifted / self.beta) * (_HIGH - _LOW) + _LOW).clamp(0.0, 1.0)

    def skipped(self, noise: Tensor | None) -> Tensor | None:
        """Gates of layers that are not trained: open, or drawn as the others were at the start."""
        if noise is None or not self.noisy_skipped:
            return None
        return self.gates(torch.full_like(noise, self.first()), noise)

    def size(self, raw: Tensor) -> Tensor:
        """The mean chance that a gate is not shut, `[passages]`."""
        return torch.sigmoid(raw - self.beta * math.log(-_LOW / _HIGH)).mean(dim=(1, 2))

    def scores(self, raw: Tensor) -> Tensor:
        """σ(s)."""
        return torch.sigmoid(raw)
