"""First-order attribution: what zeroing a neuron would do if the loss were linear in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from byrote._options import whole
from byrote.localization.base import Localizer, Told, _unheard
from byrote.localization.passes import (
    check_finite,
    check_passages,
    frozen,
    lay_out,
    suffix_nll,
)
from byrote.models.head import OutputHead, split_head
from byrote.models.loading import LoadedModel
from byrote.recall.scoring import batches_by_length
from byrote.texts.passages import Passage

__all__ = ["Attribution", "mask_gradients", "passage_batches"]

# Numbers that a backward pass keeps of one batch.
_KEPT = 2**28


@dataclass(frozen=True, slots=True)
class Attribution(Localizer):
    """Minus activation times gradient, summed over positions: `-Σ_t h_i,t · ∂ℓ/∂h_i,t`.

    The first-order term of what Zero-Out measures (attribution patching towards zero: Syed et al.
    2310.10348, section 3), for all neurons and a whole batch of passages in one forward and one
    backward pass. `ℓ` is the mean loss over the suffix; positive means that the neuron helps to
    recite. Works with every model whose neurons can be found, mixtures of experts included.

    Attributes:
        spare_lead: Leave out the positions of `loaded.lead` (the BOS), where a few neurons make
            the attention sink.
        batch_size: Passages in a pass; None takes as many as fit some gigabyte of activations.
    """

    name: ClassVar[str] = "attribution"

    spare_lead: bool = False
    batch_size: int | None = None

    def __post_init__(self) -> None:
        if self.batch_size is not None:
            whole("localizer 'attribution'", "batch_size", self.batch_size, 1)

    def score(
        self, loaded: LoadedModel, passages: Sequence[Passage], told: Told = _unheard
    ) -> Tensor:
        """Score every neuron for every passage: see `Localizer.score`."""
        self.check(loaded)
        check_passages(loaded, passages)
        neurons, head = loaded.neurons, split_head(loaded.model)
        scores = torch.empty(len(passages), neurons.layers, neurons.width)
        spare = len(loaded.lead) if self.spare_lead else 0
        done = 0
        for indices in passage_batches(loaded, passages, self.batch_size):
            batch = [passages[i] for i in indices]
            mask = torch.ones(len(batch), neurons.layers, neurons.width)
            scores[indices] = -mask_gradients(loaded, head, batch, mask, spare)
            done += len(batch)
            told(done / len(passages))
        return scores


def passage_batches(
    loaded: LoadedModel, passages: Sequence[Passage], batch_size: int | None
) -> Iterator[list[int]]:
    """Batches of passages of similar length that a backward pass has room for.

    Yields:
        Indices into `passages`; each appears once.
    """
    if not passages:
        return
    lengths = [len(passage.input_ids) + len(loaded.lead) for passage in passages]
    hidden = int(loaded.model.get_input_embeddings().weight.shape[1])  # pyright: ignore
    kept = sum(8 * width + 16 * hidden for width in loaded.neurons.widths)
    room = max(1, _KEPT // (kept * max(lengths)))
    for group in batches_by_length(lengths, batch_size):
        for start in range(0, len(group), room):
            yield group[start : start + room]


@torch.inference_mode(False)
@torch.enable_grad()
def mask_gradients(
    loaded: LoadedModel,
    head: OutputHead | None,
    passages: Sequence[Passage],
    mask: Tensor,
    spare: int = 0,
) -> Tensor:
    """Differentiate each passage's loss with respect to factors on its neurons.

    By a factor m_i that multiplies h_i at all positions it is `Σ_t h_i,t · ∂ℓ/∂(m_i · h_i,t)`.

    Args:
        loaded: The model.
        head: Its output head, if it can be split off.
        passages: One batch.
        mask: `[passages, layers, width]`, the factors.
        spare: The first so many positions of each row are not multiplied.

    Returns:
        float32 on the CPU, `[passages, layers, width]`, nats per suffix token.

    Raises:
        ByroteError: A loss or a gradient is not finite.
    """
    factors = mask.clone().to(loaded.device).requires_grad_(True)
    layout = lay_out(loaded, passages)
    with frozen(loaded.model), loaded.neurons.scale(loaded.model, factors, spare=spare):
        losses = layout.means(suffix_nll(loaded, head, layout))
        check_finite(loaded, passages, losses)
        (gradient,) = torch.autograd.grad(losses.sum(), factors)
    check_finite(loaded, passages, gradient)
    return gradient.float().cpu()
