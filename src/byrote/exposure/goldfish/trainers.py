"""Goldfish masks in a trainer that is there already, and in data sets made beforehand."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from byrote.errors import InputError
from byrote.exposure.goldfish.collator import GoldfishCollator, special_ids
from byrote.exposure.goldfish.config import Goldfish
from byrote.exposure.goldfish.documents import starts_from_lengths, starts_from_segment_ids
from byrote.exposure.goldfish.masks import mask_labels
from byrote.exposure.sequences import IGNORED

__all__ = ["attach_goldfish", "goldfish_map"]


def attach_goldfish(trainer: Any, goldfish: Goldfish, **options: Any) -> GoldfishCollator:
    """Let a trainer learn with a goldfish mask, and evaluate without.

    For transformers' `Trainer` and everything built on it, such as TRL's `SFTTrainer`, packed or
    not. Its collator is wrapped; evaluation and prediction go on with the one it had. A step of
    which every label is dropped has the loss 0 where the trainer counts the labels of a step, as
    it does for the models of transformers; for others one label is kept.

    Args:
        trainer: Not yet training.
        goldfish: What is dropped.
        options: Of `GoldfishCollator`; the tokenizer is the trainer's `processing_class` unless
            you give another.

    Returns:
        The collator, which counts.

    Raises:
        InputError: The trainer has no collator, or a goldfish mask already.
    """
    inner = getattr(trainer, "data_collator", None)
    if inner is None:
        raise InputError(
            f"{type(trainer).__name__} has no data_collator to put a goldfish mask around."
        )
    if isinstance(inner, GoldfishCollator):
        raise InputError(
            f"The collator of this {type(trainer).__name__} has a goldfish mask already."
        )
    own = getattr(trainer, "processing_class", None)
    options.setdefault("tokenizer", getattr(own, "tokenizer", own))
    counts = getattr(trainer, "model_accepts_loss_kwargs", False) or getattr(
        trainer, "compute_loss_func", None
    )
    options.setdefault("empty", "leave" if counts else "keep-one")
    collator = GoldfishCollator(inner, goldfish, **options)
    trainer.data_collator = collator
    for name in ("get_eval_dataloader", "get_test_dataloader"):
        if hasattr(trainer, name):
            setattr(trainer, name, _with_collator(trainer, getattr(trainer, name), inner))
    if hasattr(trainer, "get_batch_samples"):
        trainer.get_batch_samples = _never_zero(trainer.get_batch_samples)
    return collator


def _with_collator(trainer: Any, make: Callable[..., Any], collator: Any) -> Callable[..., Any]:
    """A loader keeps the collator it is made with, so it is enough to change it while it is."""

    def made(*args: Any, **options: Any) -> Any:
        masked, trainer.data_collator = trainer.data_collator, collator
        try:
            return make(*args, **options)
        finally:
            trainer.data_collator = masked

    return made


def _never_zero(count: Callable[..., Any]) -> Callable[..., Any]:
    """A trainer divides the sum over the labels of a step by their number: 0 / 1, not 0 / 0."""

    def counted(*args: Any, **options: Any) -> Any:
        batches, items = count(*args, **options)
        if hasattr(items, "clamp"):
            items = items.clamp(min=1)
        elif items is not None:
            items = max(items, 1)
        return batches, items

    return counted


def goldfish_map(
    goldfish: Goldfish,
    *,
    tokenizer: Any = None,
    exempt_ids: Iterable[int] | None = None,
    separators: Iterable[int] = (),
) -> Callable[[Mapping[str, Sequence]], dict[str, list[list[int]]]]:
    """Make a function for `dataset.map(…, batched=True)` that adds masked labels.

    Use it on the training split only, after tokenizing and before packing, for trainers whose
    collators take labels as they are. It reads `input_ids`, and `labels`, `attention_mask` (also
    one that numbers the documents of a packed row) and `seq_lengths` (their lengths) where there
    are such columns.

    Args:
        goldfish: What is dropped; `random` is refused, a column would hold one draw for ever.
        tokenizer: Its special tokens are exempt; `normalize` reads the text with it.
        exempt_ids: In place of the tokenizer's special tokens.
        separators: Ids that end a document.

    Raises:
        InputError: The mask makes no sense.
    """
    goldfish.check()
    if goldfish.strategy == "random":
        raise InputError(
            "The goldfish strategy random draws anew in every step, which a column of labels "
            "cannot do. Use GoldfishCollator."
        )
    if goldfish.normalization is not None and tokenizer is None:
        raise InputError(
            "goldfish normalize decides by the text: give goldfish_map(…, tokenizer=…)."
        )
    exempt = special_ids(tokenizer) if exempt_ids is None else tuple(exempt_ids)
    ends = tuple(separators)

    def masked(examples: Mapping[str, Sequence]) -> dict[str, list[list[int]]]:
        if "input_ids" not in examples:
            raise InputError(
                f"The data set has no column input_ids (it has: {', '.join(examples)}). Tokenize "
                "it first, and map with batched=True."
            )
        found = []
        for index, row in enumerate(examples["input_ids"]):
            ids = np.asarray(row, dtype=np.int64)
            if ids.ndim != 1:
                raise InputError("goldfish_map works on batches: say dataset.map(…, batched=True).")
            labels = np.asarray(examples["labels"][index]) if "labels" in examples else ids
            starts = None
            if "attention_mask" in examples:
                attended = np.asarray(examples["attention_mask"][index])
                if attended.max(initial=0) > 1:
                    starts = starts_from_segment_ids(attended)
                labels = np.where(attended == 0, IGNORED, labels)
                if goldfish.strategy != "official":
                    ids = np.where(attended == 0, -1, ids)
            if "seq_lengths" in examples:
                own = examples["seq_lengths"][index]
                starts = starts_from_lengths([own], (1, len(ids)))[0]
            labels = mask_labels(
                labels,
                ids,
                goldfish,
                starts=starts,
                exempt_ids=exempt,
                separators=ends,
                tokenizer=tokenizer,
            )
            found.append(labels.tolist())
        return {"labels": found}

    return masked
