"""What a forward pass over random strings already holds: loss, hits and the letters' distribution.

The measures of 2407.19262, section 2, read in few passes over logits that are there anyway. The
argmax, the mass and the entropy are over the whole vocabulary V; the divergences compare with a
distribution over the alphabet A only.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from byrote.errors import InputError

__all__ = ["LetterMeasures", "letter_measures"]

# Logits that are reduced together: few enough to stay in a processor's cache from pass to pass. An
# accelerator wants many.
_LOGITS_AT_ONCE = 2**17
_LOGITS_AT_ONCE_ELSEWHERE = 2**26
_FEW_ROWS = 16

_Float = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LetterMeasures:
    """Numbers of each position, of the shape of the targets (such as `[batch, positions]`).

    P_M is the model's distribution, P_A the source's, both given the true tokens before. float64 in
    nats where nothing else is said; NaN (and no hit) where nothing was asked.

    Attributes:
        asked: bool, whether the position has a target.
        loss: -log P_M(target) over V.
        hit: bool, whether the target is the argmax over V; ties go to the lowest id.
        mass: Σ P_M over A, a probability.
        entropy: Entropy of P_M over V.
        entropy_letters: Entropy of P_M renormalised on A.
        kl_model_source: KL(P_M ‖ P_A), P_M renormalised on A; infinite where P_A excludes a letter.
        kl_source_model: KL(P_A ‖ P_M), P_M over V; so it holds -log(mass) as well.
        kl_model_empirical: As `kl_model_source`, for the letter frequencies of the string itself;
            infinite where a letter of A does not occur in the string.
        kl_empirical_model: As `kl_source_model`, for the letter frequencies.
    """

    asked: NDArray[np.bool_]
    loss: _Float
    hit: NDArray[np.bool_]
    mass: _Float
    entropy: _Float
    entropy_letters: _Float
    kl_model_source: _Float
    kl_source_model: _Float
    kl_model_empirical: _Float
    kl_empirical_model: _Float

    def mean(self) -> dict[str, float]:
        """Mean over the positions asked; `hit` becomes "accuracy". NaN where nothing was asked.

        The keys: loss, accuracy, mass, entropy, entropy_letters, kl_model_source, kl_source_model,
        kl_model_empirical, kl_empirical_model.
        """
        n = int(self.asked.sum())
        result: dict[str, float] = {}
        for name in self.__slots__:
            if name != "asked":
                values = getattr(self, name)[self.asked]
                key = "accuracy" if name == "hit" else name
                result[key] = float(values.mean()) if n else math.nan
        return result

    def each(self) -> list[LetterMeasures]:
        """Split along the first axis: one for each sequence of a batch."""
        return [
            LetterMeasures(**{name: getattr(self, name)[row] for name in self.__slots__})
            for row in range(len(self.asked))
        ]


class _Reduced(NamedTuple):
    """Of each row of logits z, on the CPU and in float64: everything that needs the whole row.

    Attributes:
        top: The maximum m.
        hit: bool, whether the target is the argmax.
        log_mass: log Σ exp(z - m).
        mean: Mean of z - m under the softmax.
    """

    top: torch.Tensor
    hit: torch.Tensor
    log_mass: torch.Tensor
    mean: torch.Tensor


@torch.no_grad()
def letter_measures(
    logits: torch.Tensor,
    targets: torch.Tensor | ArrayLike,
    alphabet_ids: Sequence[int],
    source_probs: ArrayLike,
    empirical_probs: ArrayLike,
    *,
    chunk_rows: int | None = None,
) -> LetterMeasures:
    """Read all measures from the logits of a forward pass; the logits are left as they are.

    Args:
        logits: `[..., V]`, of any floating type, already shifted to predict `targets`.
        targets: `[...]`, the true token ids; a negative one (-100) says that nothing is asked.
        alphabet_ids: The letters' token ids, `[ℓ]`.
        source_probs: P_A, which broadcasts against `[..., ℓ]`: `[ℓ]` for one distribution, or a row
            for each position where letters depend on those before them.
        empirical_probs: Letter frequencies of the string, likewise: `[ℓ]` for one string,
            `[batch, 1, ℓ]` for a batch of them.
        chunk_rows: Rows of logits that are reduced together; None takes what fits into a cache. It
            does not change the numbers by more than rounding.

    Raises:
        InputError: Shapes do not go together, or an id is outside the vocabulary.
    """
    vocab = logits.shape[-1]
    ids, wanted = _checked(logits, targets, alphabet_ids)
    size = len(ids)
    at_once = _LOGITS_AT_ONCE if logits.device.type == "cpu" else _LOGITS_AT_ONCE_ELSEWHERE
    few = chunk_rows or max(1, at_once // vocab)
    letters = logits.index_select(-1, ids).reshape(-1, size)
    target = logits.gather(-1, wanted.clamp_min(0).unsqueeze(-1)).reshape(-1)
    row = _reduce(logits, wanted.reshape(-1), target, few)
    shape = tuple(wanted.shape)
    asked = (wanted >= 0).cpu().numpy()

    # From here on everything is small, [rows, ℓ], and in float64.
    below = letters.to("cpu", torch.float64) - row.top[:, None]
    logp = (below - row.log_mass[:, None]).numpy().reshape(*shape, size)
    on_letters = torch.log_softmax(below, 1).numpy().reshape(*shape, size)
    q = np.exp(on_letters)
    loss = row.log_mass - (target.to("cpu", torch.float64) - row.top)
    values = {
        "loss": loss.clamp_min_(0.0).numpy(),
        "mass": np.minimum(np.exp(logp).sum(-1), 1.0),
        "entropy": (row.log_mass - row.mean).clamp_min_(0.0).numpy(),
        "entropy_letters": -_times(q, on_letters).sum(-1) + 0.0,
    }
    for name, given in (("source", source_probs), ("empirical", empirical_probs)):
        p = _distribution(given, size, shape, name)
        with np.errstate(divide="ignore"):
            log_p = np.log(p)
        values[f"kl_model_{name}"] = _times(q, on_letters - log_p).sum(-1)
        values[f"kl_{name}_model"] = _entropy_terms(p) - _times(p, logp).sum(-1)
    values = {name: np.where(asked, value.reshape(shape), np.nan) for name, value in values.items()}
    return LetterMeasures(asked=asked, hit=row.hit.numpy().reshape(shape) & asked, **values)


def _reduce(
    logits: torch.Tensor, targets: torch.Tensor, target_logits: torch.Tensor, few: int
) -> _Reduced:
    """Reduce each row in passes over a few rows at a time, which stay in cache."""
    vocab = logits.shape[-1]
    working = torch.float64 if logits.dtype == torch.float64 else torch.float32
    few = max(1, min(few, len(targets)))
    z_buffer = torch.empty(few, vocab, dtype=working, device=logits.device)
    e_buffer = torch.empty_like(z_buffer)
    reach = int(targets.max()) if len(targets) else 0
    parts: list[tuple[torch.Tensor, ...]] = []
    done = 0
    for block in _matrices(logits):
        for rows in block.split(few):
            n = len(rows)
            some = slice(done, done + n)
            done += n
            top = rows.amax(1, keepdim=True)
            hit = target_logits[some] == top.squeeze(1)
            if hit.any():
                hit &= ~_found_before(rows[:, :reach], top, targets[some])
            z, e = z_buffer[:n], e_buffer[:n]
            if rows.dtype == working:
                torch.sub(rows, top, out=z)
            else:
                top = top.to(working)
                z.copy_(rows).sub_(top)
            mass = torch.exp(z, out=e).sum(1)
            mean = e.mul_(z).sum(1) / mass
            if mean.isnan().any():
                # A token that is excluded (z = -inf, e = 0) adds nothing to the mean.
                mean = e.nansum(1) / mass
            parts.append((top.squeeze(1), hit, mass.log(), mean))
    if not parts:
        empty = z_buffer.new_empty(0)
        parts.append((empty, empty.bool(), empty, empty))
    top, hit, log_mass, mean = (torch.cat(column).cpu() for column in zip(*parts, strict=True))
    return _Reduced(top.double(), hit, log_mass.double(), mean.double())


def _found_before(rows: torch.Tensor, top: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Whether a row has its maximum at an id below the target's: then the target is no argmax."""
    if len(rows) > _FEW_ROWS:
        columns = torch.arange(rows.shape[1], dtype=torch.int32, device=rows.device)
        return (rows == top).logical_and_(columns < targets[:, None].int()).any(1)
    # Long rows: the maximum of what stands before the target is much faster than comparing it all.
    before = [row[:target] for row, target in zip(rows, targets.tolist(), strict=True)]
    tops = [part.amax() if len(part) else part.new_tensor(-torch.inf) for part in before]
    return torch.stack(tops) >= top.squeeze(1)


def _matrices(logits: torch.Tensor) -> Iterator[torch.Tensor]:
    """The logits as matrices `[rows, V]`, in order and without a copy."""
    if logits.ndim == 1:
        yield logits[None]
    elif logits.ndim == 2:
        yield logits
    elif logits.is_contiguous():
        yield logits.view(-1, logits.shape[-1])
    else:
        for part in logits.unbind(0):
            yield from _matrices(part)


def _checked(
    logits: torch.Tensor, targets: torch.Tensor | ArrayLike, alphabet_ids: Sequence[int]
) -> tuple[torch.Tensor, torch.Tensor]:
    vocab = logits.shape[-1]
    wanted = torch.as_tensor(targets, device=logits.device).long()
    if wanted.shape != logits.shape[:-1]:
        raise InputError(
            f"Targets of shape {list(wanted.shape)} for logits of shape {list(logits.shape)}; give "
            "one target for each row of logits."
        )
    ids = torch.as_tensor(list(alphabet_ids), dtype=torch.long)
    for what, values in (("A letter's id", ids), ("A target", wanted)):
        if values.numel() and int(values.max()) >= vocab:
            raise InputError(f"{what} is {int(values.max())}: the logits are of {vocab} tokens.")
    if not ids.numel() or int(ids.min()) < 0:
        raise InputError("The alphabet's ids must be 0 or more, and at least one.")
    return ids.to(logits.device), wanted


def _distribution(given: ArrayLike, size: int, shape: tuple[int, ...], name: str) -> _Float:
    p = np.asarray(given, dtype=np.float64)
    try:
        np.broadcast_shapes(p.shape, (*shape, size))
    except ValueError:
        fits = False
    else:
        fits = p.ndim > 0 and p.shape[-1] == size and p.ndim <= len(shape) + 1
    if not fits:
        raise InputError(
            f"{name} probabilities of shape {list(p.shape)} do not broadcast against "
            f"{[*shape, size]}, the positions and the letters."
        )
    return p


def _times(p: _Float, x: _Float) -> _Float:
    """p·x with 0 times infinity = 0."""
    p, x = np.broadcast_arrays(p, x)
    return np.multiply(p, x, out=np.zeros(p.shape), where=p > 0)


def _entropy_terms(p: _Float) -> _Float:
    """Σ p log p over the letters, with 0 log 0 = 0."""
    logs = np.log(p, out=np.zeros(p.shape), where=p > 0)
    return (p * logs).sum(-1)
