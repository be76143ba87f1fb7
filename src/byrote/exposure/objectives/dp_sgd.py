"""DP-SGD: clip what each sequence asks for, and add noise (1607.00133)."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from byrote.errors import InputError
from byrote.exposure.batches import Batch
from byrote.exposure.objectives.base import Objective, Setting, above, between
from byrote.exposure.sequences import IGNORED
from byrote.texts.seeds import derive_seed

__all__ = ["ACCOUNTANTS", "DpSgd", "privacy_spent"]

ACCOUNTANTS = ("rdp", "prv")
"""How opacus adds up privacy: by Rényi divergences, or by the distribution of the privacy loss."""


@dataclass(eq=False)
class DpSgd(Objective):
    """Learn next tokens such that no one sequence changes much.

    A sequence's loss is the mean over its own targets. Its gradient, over all parameters that
    learn, is scaled down to a norm of `max_norm` if it is longer; to the sum over the step's
    sequences comes Gaussian noise with a standard deviation of `noise_multiplier × max_norm` in
    every parameter; then it is divided by the number of sequences. Sequences go through the model
    one by one. The noise is drawn from the config's seed and the step, the same for any number of
    processes; who knows the seed can take it off, so keep it secret where privacy is the purpose.

    The privacy unit is a sequence as given: one that stands twice in the set is two. Losses, what
    observers see and an end by `stop_when` are not private.

    Source: Abadi et al., 1607.00133, algorithm 1.

    Attributes:
        max_norm: Largest norm of a sequence's gradient, C.
        noise_multiplier: σ; 0 clips only and is not private.
        delta: δ of the (ε, δ) that the exposure reports; None reports none.
        accountant: One of `ACCOUNTANTS`.
    """

    per_sequence: ClassVar[bool] = True
    own_gradients: ClassVar[bool] = True

    max_norm: float = 1.0
    noise_multiplier: float = 1.0
    delta: float | None = 1e-5
    accountant: str = "rdp"
    _setting: Setting | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        above("dp-sgd", "max_norm", self.max_norm, 0.0)
        between("dp-sgd", "noise_multiplier", self.noise_multiplier, 0.0, float("inf"))
        if self.delta is not None:
            _check_accounting(self.delta, self.accountant)

    def begin(self, setting: Setting) -> None:
        """Take the seed and the number of sequences."""
        self._setting = setting

    def __call__(self, logits: Tensor, batch: Batch) -> tuple[Tensor, float]:
        """Sum the sequences' mean cross-entropies, and count the sequences."""
        labels = batch.labels
        losses = functional.cross_entropy(
            logits.transpose(1, 2), labels, ignore_index=IGNORED, reduction="none"
        )
        targets = (labels != IGNORED).sum(1)
        return (losses.sum(1) / targets.clamp(min=1)).sum(), int((targets > 0).sum())

    def backward(self, loss: Tensor, parameters: Sequence[nn.Parameter]) -> None:
        """Add one sequence's gradient, clipped."""
        gradients = torch.autograd.grad(loss, list(parameters), allow_unused=True)
        there = [gradient for gradient in gradients if gradient is not None]
        norm = nn.utils.get_total_norm(there)
        # As opacus: the small number keeps a gradient of 0 from being divided by itself.
        scale = (self.max_norm / (norm + 1e-6)).clamp(max=1.0)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            if gradient is None:
                continue
            if parameter.grad is None:
                parameter.grad = gradient * scale
            else:
                parameter.grad += gradient * scale

    def finish(self, parameters: Sequence[nn.Parameter], weight: float, step: int) -> None:
        """Add the noise and divide by the number of sequences."""
        assert self._setting is not None
        deviation = self.noise_multiplier * self.max_norm
        # Drawn on the CPU, so that it does not depend on the device.
        generator = torch.Generator().manual_seed(
            derive_seed(self._setting.seed, "dp-sgd", str(step))
        )
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            if deviation:
                noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float32)
                parameter.grad += deviation * noise.to(parameter.grad)
            parameter.grad /= weight

    def report(self, epochs: int, steps: int) -> Mapping[str, Any]:
        """Say how much privacy was spent.

        Returns:
            `epsilon` at `delta`: each sequence is in exactly one step of an epoch, which counts as
            one release of the whole set however many steps there are. `epsilon_if_sampled` is what
            the usual accounting would say, for batches that were drawn at random for every step;
            ours are not, so it is for comparison only.
        """
        if self.delta is None or self._setting is None:
            return {}
        rate = min(1.0, self._setting.step_size / len(self._setting.sequences))
        sigma, how = self.noise_multiplier, self.accountant
        return {
            "epsilon": privacy_spent(sigma, epochs, self.delta, accountant=how),
            "delta": self.delta,
            "epsilon_if_sampled": privacy_spent(
                sigma, steps, self.delta, sample_rate=rate, accountant=how
            ),
        }


def privacy_spent(
    noise_multiplier: float,
    releases: int,
    delta: float,
    *,
    sample_rate: float = 1.0,
    accountant: str = "rdp",
) -> float:
    """Give the ε that DP-SGD has spent, by opacus.

    Neighbouring sets differ in one sequence that is there or not, with the batches and their sizes
    the same.

    Args:
        noise_multiplier: σ, the noise's standard deviation over the largest norm.
        releases: Noisy sums that were released.
        delta: δ.
        sample_rate: Share of the sequences that was drawn, each by itself, for a release.
        accountant: One of `ACCOUNTANTS`.

    Returns:
        ε; 0 if nothing was released, infinity without noise.

    Raises:
        InputError: δ or the accountant cannot be used, or opacus is not installed.
    """
    _check_accounting(delta, accountant)
    if not releases:
        return 0.0
    if not noise_multiplier:
        return math.inf
    from opacus.accountants import create_accountant

    spent = create_accountant(accountant)
    spent.history = [(noise_multiplier, sample_rate, releases)]
    # Without sampling, `prv` takes the logarithm of 0, and rightly goes on with minus infinity.
    with np.errstate(divide="ignore"):
        return float(spent.get_epsilon(delta=delta))


def _check_accounting(delta: float, accountant: str) -> None:
    above("dp-sgd", "delta", delta, 0.0)
    if delta >= 1:
        raise InputError(f"The objective 'dp-sgd': delta={delta!r} must be below 1.")
    if accountant not in ACCOUNTANTS:
        raise InputError(
            f"The objective 'dp-sgd': accountant={accountant!r} is not known. Choose one of "
            f"{', '.join(ACCOUNTANTS)}."
        )
    if importlib.util.find_spec("opacus") is None:
        raise InputError(
            "The objective 'dp-sgd' reckons ε with opacus, which is not installed. Run "
            "`pip install byrote[opacus]`, or set delta=None to train without ε."
        )
