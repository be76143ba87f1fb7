"""Patch-level training: predict the next patch from means of token embeddings (2407.12665)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.nn import functional

from byrote.exposure.batches import Batch
from byrote.exposure.objectives.base import Objective, above, between, whole
from byrote.exposure.objectives.next_token import next_token
from byrote.exposure.sequences import IGNORED

__all__ = ["PatchLevel"]


@dataclass(frozen=True)
class PatchLevel(Objective):
    """Train the first steps on patches of tokens, and the rest on tokens.

    A patch is the mean of the embeddings of `size` tokens in a row, counted from the beginning of a
    sequence, BOS included. After each patch the head predicts all tokens of the next one at once;
    the loss is the mean over them. The first patch is asked of nobody, so a sequence of at most
    `size` tokens teaches nothing. A patch at the end that is not full is a target, not an input.

    Patch steps cost 1 / `size` of the forward and backward pass; observers get a pass over tokens.
    The losses of patch steps are those of patches.

    Source: Shao, Meng, Zhou, 2407.12665; K = 4 and λ = 2/3 are theirs.

    Attributes:
        size: Tokens in a patch, K.
        share: Share of all steps that are on patches, λ; 1 never sees a token alone.
    """

    size: int = 4
    share: float = 2 / 3

    def __post_init__(self) -> None:
        whole("patch-level", "size", self.size, 2)
        above("patch-level", "share", self.share, 0.0)
        between("patch-level", "share", self.share, 0.0, 1.0)

    def forward(self, model: Any, batch: Batch) -> tuple[Tensor, float] | None:
        """Run the model on patches, in the first steps."""
        if batch.done >= self.share and self.share < 1:
            return None
        size, ids = self.size, batch.input_ids
        rows, positions = ids.shape
        # As many patches as are followed by a target; a row has one token more than positions.
        count = positions // size
        # labels[:, p] is token p + 1: the second patch begins at token `size`.
        labels = batch.labels[:, size - 1 :]
        labels = functional.pad(labels, (0, count * size - labels.shape[1]), value=IGNORED)
        labels = labels.reshape(rows, count, size)
        asked = labels != IGNORED
        targets = int(asked.sum())
        if not targets:
            return model.get_input_embeddings().weight.new_zeros(()), 0
        embedded = model.get_input_embeddings()(ids[:, : count * size])
        patches = embedded.reshape(rows, count, size, -1).mean(2)
        logits = model(inputs_embeds=patches, use_cache=False).logits.float()
        logprobs = logits.log_softmax(-1).gather(-1, labels.clamp(min=0))
        return -(logprobs.masked_fill(~asked, 0.0)).sum(), targets

    def __call__(self, logits: Tensor, batch: Batch) -> tuple[Tensor, float]:
        """Judge tokens, in the steps after those."""
        return next_token(logits, batch)
