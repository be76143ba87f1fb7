"""What one teacher-forced pass says of each suffix token of a passage."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from byrote.errors import InputError

__all__ = ["SamplingScheme", "Scores"]


@dataclass(frozen=True, slots=True)
class SamplingScheme:
    """How a text would be drawn from the model: temperature, then top-k, then top-p.

    The order is that of transformers' `generate`. The default is the scheme of Hayes et al.
    (2410.19482), top-k 40 at temperature 1.

    Attributes:
        temperature: Divides the logits; greater than zero.
        top_k: Keep the k likeliest tokens; None keeps all.
        top_p: Keep the smallest set of likeliest tokens whose mass reaches p; None keeps all.
    """

    temperature: float = 1.0
    top_k: int | None = 40
    top_p: float | None = None

    def check(self) -> None:
        """Check the values.

        Raises:
            InputError: A value is outside its range.
        """
        if not self.temperature > 0:
            raise InputError(
                f"temperature {self.temperature}: it must be greater than 0 "
                "(greedy decoding is what `extractable` measures)"
            )
        if self.top_k is not None and self.top_k < 1:
            raise InputError(f"top-k {self.top_k}: it must be at least 1, or left out")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise InputError(f"top-p {self.top_p}: it must lie in (0, 1], or be left out")


@dataclass(frozen=True, slots=True)
class Scores:
    """Per suffix token of one passage; every array has the shape `[suffix]`.

    Attributes:
        logprob: float32, log-probability of the true token in nats, given the true prefix.
        rank: int32, how many tokens have a larger logit than the true one.
        hit: bool, whether the true token is the argmax, as greedy decoding breaks ties.
        argmax: int32, the id of the likeliest token.
        entropy: float32, entropy of the next-token distribution in nats.
        logprob_var: float32, variance of the log-probability under the model's own distribution,
            in nats². Its mean is minus the entropy (see `logprob_mean`).
        logprob_sampled: float32, log-probability of the true token under a sampling scheme, minus
            infinity where the scheme can never draw it.
    """

    logprob: NDArray[np.float32]
    rank: NDArray[np.int32]
    hit: NDArray[np.bool_]
    argmax: NDArray[np.int32]
    entropy: NDArray[np.float32]
    logprob_var: NDArray[np.float32]
    logprob_sampled: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.logprob)

    @property
    def logprob_mean(self) -> NDArray[np.float32]:
        """Mean of the log-probability under the model's own distribution: minus the entropy."""
        return -self.entropy
