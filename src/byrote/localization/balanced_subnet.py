"""BalancedSubnet: take single weights out, not whole neurons, so that passages are forgotten.

Sakarvadia et al. 2410.02159 (ICLR 2025), section 4: every weight of the feed-forward maps has a
score; the lowest share of each matrix is removed; the scores are learned by SGD, straight through
the removal, on loss(clean) - loss(memorised). It serves here as the comparator that works on
weights. The official code begins with random scores, so that a mask that has learned nothing
already removes weights; here nothing is removed before it was judged.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from byrote._options import above, between, whole
from byrote.errors import ByroteError, InputError
from byrote.localization.base import Told, _unheard
from byrote.localization.passes import check_passages, lay_out, suffix_nll
from byrote.models.head import OutputHead, split_head
from byrote.models.loading import LoadedModel
from byrote.models.modes import evaluating
from byrote.texts.passages import Passage

__all__ = ["BalancedSubnet", "RemovedWeights"]

_OWNER = "balanced subnet"


@dataclass(frozen=True, slots=True, eq=False)
class RemovedWeights:
    """Weights without which passages are forgotten.

    Attributes:
        loaded: The model, as it was.
        removed: For each matrix's name, bool in its shape, True where a weight is taken out.
        history: One row a step: `step`, `memorised` and `clean` (losses before it, nats per token),
            `removed` (weights that were out).
    """

    loaded: LoadedModel
    removed: dict[str, Tensor]
    history: pl.DataFrame

    def __len__(self) -> int:
        """How many weights are removed."""
        return sum(int(mask.sum()) for mask in self.removed.values())

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Have these weights at zero inside the block; bit for bit as before when it ends."""
        weights = dict(self.loaded.model.named_parameters())
        before = {name: weights[name].detach()[mask].clone() for name, mask in self.removed.items()}
        try:
            for name, mask in self.removed.items():
                weights[name].data.masked_fill_(mask, 0.0)
            yield
        finally:
            for name, mask in self.removed.items():
                weights[name].data[mask] = before[name]

    def write(self, folder: Path | str) -> Path:
        """Write the edited model to a new folder that plain transformers loads.

        Raises:
            InputError: The folder exists.
            ByroteError: The disk has no room for the weights.
        """
        from byrote.localization.erased_folder import save_model, written_model

        what = f"{len(self):,} weights of the feed-forward maps were set to zero."
        with written_model(self.loaded, Path(folder), what) as temporary, self.applied():
            save_model(self.loaded, temporary)
        return Path(folder)


@dataclass(frozen=True, slots=True)
class BalancedSubnet:
    """Learn which weights to remove.

    Attributes:
        ratio: The share of each matrix that is removed.
        lr: Of SGD.
        momentum: Of SGD.
        weight_decay: Of SGD, on the scores.
        steps: Steps, each over all passages and texts.
        batch_size: Passages or texts in a pass; it changes nothing but rounding.
    """

    ratio: float = 0.01
    lr: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    steps: int = 10
    batch_size: int = 16

    def __post_init__(self) -> None:
        above(_OWNER, "ratio", self.ratio, 0.0)
        between(_OWNER, "ratio", self.ratio, 0.0, 1.0)
        above(_OWNER, "lr", self.lr, 0.0)
        between(_OWNER, "momentum", self.momentum, 0.0, 1.0)
        between(_OWNER, "weight_decay", self.weight_decay, 0.0, float("inf"))
        whole(_OWNER, "steps", self.steps, 1)
        whole(_OWNER, "batch_size", self.batch_size, 1)

    def remove(
        self,
        loaded: LoadedModel,
        passages: Sequence[Passage],
        clean: Sequence[ArrayLike],
        told: Told = _unheard,
    ) -> RemovedWeights:
        """Find weights whose loss makes passages be forgotten and leaves clean texts as they were.

        The scores start at zero; a weight whose removal would lower the loss (to first order) sinks
        below zero, others rise. From the first step on the lowest share of each matrix is out; only
        weights that sank are ever removed, so a matrix may lose fewer.

        Args:
            loaded: The model; left as it was.
            passages: What is to be forgotten, all by one mask.
            clean: Token ids of texts that are to stay, without any BOS.
            told: Hears of the progress.

        Raises:
            InputError: There is nothing to forget or to keep, or there are no matrices to be found.
            ByroteError: A loss is not finite.
        """
        if not passages or not len(clean):
            raise InputError(
                "The balanced subnet: it takes passages to forget and clean texts to keep; one of "
                "them is missing."
            )
        kept = _as_passages(loaded, clean)
        check_passages(loaded, [*passages, *kept])
        matrices = feed_forward_matrices(loaded)
        head = split_head(loaded.model)
        scores = {name: torch.zeros_like(weight) for name, weight in matrices.items()}
        pace = {name: torch.zeros_like(weight) for name, weight in matrices.items()}
        masks = {name: torch.zeros_like(w, dtype=torch.bool) for name, w in matrices.items()}
        rows = []
        with _trained(loaded.model, matrices) as original:
            for step in range(self.steps):
                losses = (
                    self._pull(loaded, head, passages, -1.0),
                    self._pull(loaded, head, kept, 1.0),
                )
                if not np.isfinite(losses).all():
                    raise ByroteError(
                        f"The balanced subnet: the losses {losses} of step {step} are not finite. "
                        "Give a smaller lr, or fewer steps."
                    )
                out = sum(int(mask.sum()) for mask in masks.values())
                rows.append((step, *losses, out))
                for name, weight in matrices.items():
                    masks[name] = self._step(weight, original[name], scores[name], pace[name])
                told((step + 1) / self.steps)
        schema: dict[str, Any] = {
            "step": pl.Int64, "memorised": pl.Float64, "clean": pl.Float64, "removed": pl.Int64
        }  # fmt: skip
        history = pl.DataFrame(rows, schema=schema, orient="row")
        return RemovedWeights(loaded, masks, history)

    def _pull(
        self,
        loaded: LoadedModel,
        head: OutputHead | None,
        passages: Sequence[Passage],
        sign: float,
    ) -> float:
        """Add the gradient of ± the mean loss; give the loss, nats per token."""
        total = 0.0
        for start in range(0, len(passages), self.batch_size):
            layout = lay_out(loaded, passages[start : start + self.batch_size])
            losses = layout.means(suffix_nll(loaded, head, layout)).sum() / len(passages)
            (sign * losses).backward()
            total += float(losses.detach())
        return total

    @torch.no_grad()
    def _step(self, weight: nn.Parameter, original: Tensor, scores: Tensor, pace: Tensor) -> Tensor:
        """One step of SGD on the scores of a matrix, and its weights by the new mask."""
        assert weight.grad is not None
        # Straight through: d loss / d score = d loss / d (weight · mask) · weight.
        gradient = weight.grad * original + self.weight_decay * scores
        pace.mul_(self.momentum).add_(gradient)
        scores.sub_(self.lr * pace)
        mask = lowest(scores, self.ratio)
        weight.copy_(torch.where(mask, 0.0, original))
        weight.grad = None
        return mask


def lowest(scores: Tensor, ratio: float) -> Tensor:
    """Mark the lowest share of a matrix, as far as it is below zero; bool in its shape."""
    count = int(scores.numel() * ratio * (1 + 1e-12))
    mask = torch.zeros(scores.numel(), dtype=torch.bool, device=scores.device)
    if count:
        flat = scores.flatten()
        places = flat.topk(count, largest=False).indices
        mask[places[flat[places] < 0]] = True
    return mask.view(scores.shape)


def feed_forward_matrices(loaded: LoadedModel) -> dict[str, nn.Parameter]:
    """Find the weights of the feed-forward maps, by name.

    They are the down-projections and the other linear maps that stand directly beside one in its
    module (up, gate).

    Raises:
        InputError: The model is a mixture of experts, or its weights are not matrices of numbers.
    """
    found: dict[str, nn.Parameter] = {}
    for site in loaded.neurons.sites:
        if site.experts is not None:
            raise InputError(
                f"The balanced subnet cannot serve {loaded.source}: its feed-forward layers are a "
                "mixture of experts. Erase neurons instead."
            )
        parent, _, _ = site.module.rpartition(".")
        for name, module in loaded.model.get_submodule(parent).named_children():
            weight = getattr(module, "weight", None)
            if isinstance(module, nn.Linear | Conv1D) and isinstance(weight, nn.Parameter):
                found[f"{parent}.{name}.weight" if parent else f"{name}.weight"] = weight
        if f"{site.module}.weight" not in found:
            raise InputError(
                f"The balanced subnet: the weights of {site.module} are not a matrix of numbers; "
                "load the model without quantization."
            )
    return found


@contextmanager
def _trained(model: nn.Module, matrices: dict[str, nn.Parameter]) -> Iterator[dict[str, Tensor]]:
    """Have gradients for some matrices only; give copies of them, which come back at the end."""
    before = [(p, p.requires_grad, p.grad) for p in model.parameters()]
    original = {name: weight.detach().clone() for name, weight in matrices.items()}
    with evaluating(model), torch.inference_mode(False), torch.enable_grad():
        try:
            for parameter, _, _ in before:
                parameter.requires_grad_(False)
                parameter.grad = None
            for weight in matrices.values():
                weight.requires_grad_(True)
            yield original
        finally:
            for parameter, wanted, gradient in before:
                parameter.requires_grad_(wanted)
                parameter.grad = gradient
            with torch.no_grad():
                for name, weight in matrices.items():
                    weight.copy_(original[name])


def _as_passages(loaded: LoadedModel, rows: Sequence[ArrayLike]) -> list[Passage]:
    first = 0 if loaded.lead else 1
    return [
        Passage(f"text {i}", "texts", str(i), 0, np.asarray(row).astype(np.int32), first)
        for i, row in enumerate(rows)
    ]
