"""Self-contrastive training: make up for what a premature model repeats (2307.01542)."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from byrote.errors import InputError
from byrote.exposure.batches import Batch
from byrote.exposure.objectives.base import Objective, Setting, between, whole
from byrote.exposure.sequences import IGNORED
from byrote.models.loading import load
from byrote.models.weights import hash_weights

__all__ = ["SelfContrastive", "repeats"]

_INITIAL = "initial"


@dataclass(eq=False)
class SelfContrastive(Objective):
    """Add a premature model's logits to the model's own where the premature one repeats wrongly.

    That is where the premature model's argmax is among the last `window` tokens and the label is
    not. There the sum of both is trained, so the model itself learns to give less to the repetition
    than the premature one. The premature model is frozen, is no part of checkpoints and costs a
    forward pass per batch. What is measured and what is generated later is the model alone.

    Source: Guan and Huang, 2307.01542; window 64 and factor 4 are from the authors'
    code. It begins the second stage from the premature checkpoint, as `premature="initial"` does.

    Attributes:
        premature: `initial` for the model as it is before this exposure, or what
            `byrote.models.load` takes: a folder, a GGUF file, `bundled:NAME`, …
        factor: How many times its logits are added.
        window: Tokens in which a repetition is looked for, the latest included.
    """

    premature: str = _INITIAL
    factor: float = 4.0
    window: int = 64
    _model: Any = field(default=None, init=False, repr=False)
    _hash: str = field(default="", init=False, repr=False)
    _bf16: bool = field(default=False, init=False, repr=False)

    def __post_init__(self) -> None:
        between("self-contrastive", "factor", self.factor, 0.0, float("inf"))
        whole("self-contrastive", "window", self.window, 1)
        if not isinstance(self.premature, str):
            raise InputError(
                f"The objective 'self-contrastive': premature={self.premature!r} must be the "
                f"source of a model, or {_INITIAL!r} for the model as it is before the exposure."
            )

    def begin(self, setting: Setting) -> None:
        """Load the premature model, or copy the model."""
        loaded = setting.loaded
        if self.premature == _INITIAL:
            model: Any = copy.deepcopy(loaded.model)
        else:
            # Ids are all that it is given: it needs no tokenizer of its own.
            other = load(
                self.premature,
                device=loaded.device,
                dtype=loaded.dtype,
                tokenizer=loaded.tokenizer,
            )
            if other.vocab_size != loaded.vocab_size:
                raise InputError(
                    f"The premature model {self.premature} has {other.vocab_size} token ids, the "
                    f"model that learns {loaded.vocab_size}. Take one with the same tokenizer."
                )
            setting.sequences.check(other.vocab_size, other.max_len)
            model = other.model
        self._model = model.eval().requires_grad_(False)
        self._bf16 = setting.precision == "bf16"

    def identity(self) -> dict[str, str]:
        """Give the premature model's weights."""
        if not self._hash:
            self._hash = hash_weights(self._model)
        return {"premature": self._hash}

    def __call__(self, logits: Tensor, batch: Batch) -> tuple[Tensor, float]:
        """Sum the cross-entropies, under the sum of both models' logits where one repeats."""
        ids, labels = batch.input_ids, batch.labels
        with (
            torch.no_grad(),
            torch.autocast(ids.device.type, torch.bfloat16, enabled=self._bf16),
        ):
            other = self._model(input_ids=ids, use_cache=False).logits.float()
        wrongly = (
            repeats(ids, other.argmax(-1), self.window)
            & ~repeats(ids, labels, self.window)
            & (labels != IGNORED)
        )
        if bool(wrongly.any()):
            # Only there: a logit of minus infinity times 0 would be no number elsewhere.
            logits = logits.index_put(
                torch.where(wrongly), self.factor * other[wrongly], accumulate=True
            )
        flat = labels.reshape(-1)
        loss = functional.cross_entropy(
            logits.reshape(-1, logits.shape[-1]), flat, ignore_index=IGNORED, reduction="sum"
        )
        return loss, int((flat != IGNORED).sum())


def repeats(ids: Tensor, tokens: Tensor, window: int) -> Tensor:
    """Say whether a token is among the last ones before it.

    Args:
        ids: int64 `[batch, positions]`, the model's input.
        tokens: int64 `[batch, positions]`; that of position p would follow `ids[:, p]`.
        window: How many tokens are looked at, `ids[:, p]` included.

    Returns:
        bool `[batch, positions]`.
    """
    width = min(window, ids.shape[1])
    before = functional.pad(ids, (width - 1, 0), value=-1).unfold(1, width, 1)
    return (before == tokens[..., None]).any(-1)
