"""Goldfish loss: never learn some tokens of a passage, always the same ones (2406.10209)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from byrote.errors import InputError
from byrote.exposure.batches import Batch
from byrote.exposure.goldfish import Goldfish, Normalization, keep_mask
from byrote.exposure.objectives.base import Objective, Setting
from byrote.exposure.sequences import IGNORED

__all__ = ["GoldfishLoss"]


@dataclass(eq=False)
class GoldfishLoss(Objective):
    """Mean cross-entropy over the tokens that the goldfish mask keeps.

    A sequence is a document. Its BOS and the tokenizer's special tokens are exempt; tokens that are
    not asked for are context. The mask is made once for all sequences; that of `random` anew in
    each step, for a sequence and a step. Observers see the labels without the mask.

    Source: Hans et al., 2406.10209, section 3.

    Attributes:
        k: One token in k is dropped; this and what follows as in `byrote.exposure.goldfish`.
        h: How many tokens before a token decide.
        strategy: `hash`, `static`, `random` or `official`.
        seed: The key of `hash`, the seed of `random`.
        start: Of `static`: the first dropped target.
        min_context: Of `hash`: tokens that have to be before one that is dropped.
        normalize: Of `hash`: decide by the normalised text. True, or a mapping of what
            `Normalization` takes.
    """

    k: int = 4
    h: int = 13
    strategy: str = "hash"
    seed: int = 0
    start: int = 0
    min_context: int | None = None
    normalize: bool | Mapping[str, bool] = False
    _goldfish: Goldfish = field(init=False, repr=False)
    _ids: np.ndarray = field(init=False, repr=False)
    _exempt: tuple[int, ...] = field(init=False, repr=False)
    _keep: np.ndarray | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        self._goldfish = Goldfish(
            k=self.k,
            h=self.h,
            strategy=self.strategy,
            seed=self.seed,
            start=self.start,
            min_context=self.min_context,
            normalize=_normalization(self.normalize),
        )
        self._goldfish.check()

    def begin(self, setting: Setting) -> None:
        """Make the mask of every sequence."""
        sequences, tokenizer = setting.sequences, setting.loaded.tokenizer
        if self._goldfish.normalization is not None and tokenizer is None:
            raise InputError(
                f"The objective 'goldfish' with normalize needs the text of the sequences, but "
                f"{setting.loaded.source} has no tokenizer. Take a model that has one, or leave "
                "normalize out."
            )
        exempt = set() if tokenizer is None else set(tokenizer.all_special_ids)
        if sequences.bos_id is not None:
            exempt.add(sequences.bos_id)
        self._exempt = tuple(sorted(exempt))
        columns = np.arange(sequences.input_ids.shape[1])
        self._ids = np.where(columns < sequences.lengths[:, None], sequences.input_ids, -1)
        if self.strategy != "random":
            self._keep = keep_mask(
                self._ids, self._goldfish, exempt_ids=self._exempt, tokenizer=tokenizer
            )

    def __call__(self, logits: Tensor, batch: Batch) -> tuple[Tensor, float]:
        """Sum the cross-entropies of what is kept."""
        rows = batch.indices
        if self._keep is not None:
            keep = self._keep[rows]
        else:
            keep = keep_mask(
                self._ids[rows],
                self._goldfish,
                exempt_ids=self._exempt,
                step=batch.step,
                indices=rows,
            )
        # The label of a position is the token after it.
        kept = torch.from_numpy(keep[:, 1 : batch.labels.shape[1] + 1]).to(batch.labels.device)
        labels = batch.labels.masked_fill(~kept, IGNORED).reshape(-1)
        loss = functional.cross_entropy(
            logits.reshape(-1, logits.shape[-1]), labels, ignore_index=IGNORED, reduction="sum"
        )
        return loss, int((labels != IGNORED).sum())


def _normalization(value: bool | Mapping[str, bool]) -> Normalization | bool:
    if isinstance(value, bool):
        return value
    try:
        return Normalization(**value)
    except TypeError as error:
        known = ", ".join(Normalization.__dataclass_fields__)
        raise InputError(
            f"The objective 'goldfish': normalize={value!r} must be True, False or a mapping of "
            f"these to True or False: {known}."
        ) from error
