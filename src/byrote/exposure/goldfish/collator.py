"""A goldfish mask around any data collator."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from byrote.errors import InputError
from byrote.exposure.goldfish.config import Goldfish
from byrote.exposure.goldfish.documents import (
    as_numpy,
    starts_from_cu_seqlens,
    starts_from_lengths,
    starts_from_position_ids,
    starts_from_segment_ids,
)
from byrote.exposure.goldfish.hashing import key
from byrote.exposure.goldfish.masks import mask_labels
from byrote.exposure.sequences import IGNORED

__all__ = ["EMPTY", "GoldfishCollator", "special_ids"]

EMPTY = ("keep-one", "leave")
"""What is done with a batch whose every label is dropped."""

# The names that trainers use. transformers, TRL, axolotl, litgpt: input_ids; torchtune: tokens.
_IDS = ("input_ids", "tokens")
_LABELS = ("labels", "shift_labels", "targets")
_POSITIONS = ("position_ids", "input_pos")
_SEGMENTS = ("seq_idx", "segment_ids", "document_ids")
_LENGTHS = ("cu_seq_lens_q", "cu_seqlens")
_AS_IS = "official"


class GoldfishCollator:
    """Collates as another collator does, then drops the labels that the goldfish forgets.

    It finds ids and labels by the names that trainers give them, sees whether labels are shifted,
    and resets at the documents of a packed batch where the batch tells of them: position ids that
    start again, segment numbers (axolotl numbers the attention mask), cumulated lengths, or TRL's
    `seq_lengths` of the examples. Where it does not, say `separators`.

    Validation must see every label: give this collator to training alone, or let
    `attach_goldfish` do so; `inner` is the collator without the mask.

    `random` draws by the number of the batch, counted from 0 in each process: a training that is
    resumed repeats the draws of its beginning, unless it is given another `seed`.

    Attributes:
        inner: The collator that it wraps.
        goldfish: What is dropped.
        batches: How many batches have gone through, in this process.
        empty_batches: Of how many of them every label was dropped.
    """

    def __init__(
        self,
        collator: Callable[..., Any],
        goldfish: Goldfish,
        *,
        tokenizer: Any = None,
        exempt_ids: Iterable[int] | None = None,
        separators: Iterable[int] = (),
        shifted: bool | None = None,
        empty: str = "keep-one",
    ) -> None:
        """Wrap a collator.

        Args:
            collator: Turns a list of examples into a batch, a mapping with ids and labels.
            goldfish: What is dropped.
            tokenizer: Its special tokens are exempt; `normalize` reads the text with it. None:
                the collator's own (`tokenizer` or `processing_class`), if it has one.
            exempt_ids: In place of the tokenizer's special tokens.
            separators: Ids that end a document, such as the EOS of rows that are packed without
                positions. In chats a turn often ends with EOS too, so none is taken by default.
            shifted: Whether the label at a position is the next token rather than the one there.
                None: seen from each batch.
            empty: What is done if every label of a batch is dropped. `keep-one` keeps the last of
                them, because many trainers divide by the number of labels, and a loss of 0 / 0
                would destroy the model; that token is learned each time the batch returns. `leave`
                is for losses that are 0 then: TRL's, `kept_token_loss`, and any trainer that
                `attach_goldfish` has seen.

        Raises:
            InputError: The mask makes no sense, or `normalize` has no tokenizer.
        """
        goldfish.check()
        if empty not in EMPTY:
            raise InputError(f"`empty` is {empty!r}; it can be: {', '.join(EMPTY)}.")
        self.inner = collator
        self.goldfish = goldfish
        self.batches = 0
        self.empty_batches = 0
        self._tokenizer = _own_tokenizer(collator) if tokenizer is None else tokenizer
        if goldfish.normalization is not None and self._tokenizer is None:
            raise InputError(
                "goldfish normalize decides by the text, and the collator has no tokenizer: give "
                "GoldfishCollator(…, tokenizer=…)."
            )
        given = None if exempt_ids is None else tuple(exempt_ids)
        self._exempt = special_ids(self._tokenizer, collator) if given is None else given
        self._separators = tuple(separators)
        self._shifted = shifted
        self._empty = empty

    def __call__(self, features: Any, *args: Any, **options: Any) -> Any:
        """Collate examples and drop labels.

        Returns:
            What the wrapped collator gave, with new labels.

        Raises:
            InputError: There are no ids or no labels, or they do not belong together.
        """
        batch = self.inner(features, *args, **options)
        if not isinstance(batch, Mapping):
            raise InputError(
                f"The collator {_name(self.inner)} gave a {type(batch).__name__}, not a mapping "
                "with ids and labels. Mask what it gives with mask_labels instead."
            )
        ids = self._rows(batch, self._find(batch, _IDS, "ids", required=True)[0])
        step, places = self._step(), self._starts(batch, ids, features)
        self.batches += 1
        changed: dict[str, Any] = {}
        for name in self._find(batch, _LABELS, "labels", required=True):
            labels = self._rows(batch, name)
            shifted = self._sees_shift(as_numpy(ids), as_numpy(labels), name)
            masked = mask_labels(
                labels,
                self._without_padding(ids, batch.get("attention_mask")),
                self.goldfish,
                shifted=shifted,
                starts=places,
                exempt_ids=self._exempt,
                separators=self._separators,
                step=step,
                tokenizer=self._tokenizer,
            )
            changed[name] = self._watch(labels, masked, shifted)
        # Collators give dictionaries, and BatchEncodings that trainers expect to stay so.
        batch.update(changed)  # pyright: ignore[reportAttributeAccessIssue]
        return batch

    def _rows(self, batch: Mapping, name: str) -> Any:
        """What a batch has under a name, if it is [batch, tokens]."""
        found = batch[name]
        shape = getattr(found, "shape", None)
        if shape is None or len(shape) != 2:
            what = f"a {type(found).__name__}" if shape is None else f"of shape {list(shape)}"
            raise InputError(
                f"The {name} of the collator {_name(self.inner)} are {what}; a goldfish mask needs "
                "a tensor or an array of [batch, tokens]."
            )
        return found

    def _without_padding(self, ids: Any, mask: Any) -> Any:
        """The ids, -1 where nothing is attended to: padding, whatever id it has."""
        # The reference multiplies the ids of padding in, and `official` is to be the reference.
        if mask is None or np.shape(mask) != tuple(ids.shape) or self.goldfish.strategy == _AS_IS:
            return ids
        absent = as_numpy(mask) == 0
        return np.where(absent, -1, as_numpy(ids)) if absent.any() else ids

    def _find(self, batch: Mapping, names: tuple[str, ...], what: str, required: bool) -> list[str]:
        found = [name for name in names if batch.get(name) is not None]
        if required and not found:
            hint = (
                " For transformers' DataCollatorForLanguageModeling say mlm=False."
                if what == "labels"
                else ""
            )
            raise InputError(
                f"The collator {_name(self.inner)} gives no {what} (looked for "
                f"{', '.join(names)}; there are: {', '.join(map(str, batch)) or 'none'}). A "
                f"goldfish mask needs a collator that makes {what}.{hint}"
            )
        return found

    def _starts(self, batch: Mapping, ids: Any, features: Any) -> NDArray[np.bool_] | None:
        """The starts of documents, from the first of the things that tell of them."""
        shape = tuple(ids.shape)
        for names, read in ((_POSITIONS, starts_from_position_ids), (_SEGMENTS, _segments)):
            for name in self._find(batch, names, "", required=False):
                if np.shape(batch[name]) == shape:
                    return read(batch[name])
        for name in self._find(batch, _LENGTHS, "", required=False):
            return starts_from_cu_seqlens(batch[name], shape)
        mask = batch.get("attention_mask")
        if mask is not None and np.shape(mask) == shape and int(as_numpy(mask).max(initial=0)) > 1:
            return starts_from_segment_ids(mask)
        told = [each.get("seq_lengths") for each in features if isinstance(each, Mapping)]
        if len(told) == shape[0] and all(lengths is not None for lengths in told):
            return starts_from_lengths([as_numpy(lengths) for lengths in told], shape)  # pyright: ignore[reportArgumentType]
        return None

    def _sees_shift(self, ids: NDArray[Any], labels: NDArray[Any], name: str) -> bool:
        if ids.shape != labels.shape:
            raise InputError(
                f"The collator {_name(self.inner)} gives ids of shape {list(ids.shape)} and "
                f"{name} of shape {list(labels.shape)}; they must be equal."
            )
        if self._shifted is not None:
            return self._shifted
        asked = labels != IGNORED
        if not ((labels != ids) & asked).any():
            return False
        if not ((labels[:, :-1] != ids[:, 1:]) & asked[:, :-1]).any():
            return True
        raise InputError(
            f"The {name} of the collator {_name(self.inner)} are neither the ids nor the ids "
            "shifted by one (masked language modelling?). A goldfish mask is for causal language "
            "models; if these are labels of one, say shifted=False or shifted=True."
        )

    def _step(self) -> int:
        """A number that no other batch of this training has, for fresh draws."""
        if self.goldfish.strategy != "random":
            return 0
        import torch

        # Each worker of a loader starts with a copy of this collator, in every epoch anew; its
        # seed tells it from the others and the epochs apart.
        worker = torch.utils.data.get_worker_info()
        base = 0 if worker is None else worker.seed
        rank = int(os.environ.get("RANK", "0"))
        return int(key((base + rank) % 2**64, self.batches)) if base or rank else self.batches

    def _watch(self, before: Any, after: Any, shifted: bool) -> Any:
        """See to batches of which nothing is left."""
        # What stands first in a row has nothing to predict it, unless labels are shifted already.
        first = 0 if shifted else 1
        left = as_numpy(after)[:, first:] != IGNORED
        asked = as_numpy(before)[:, first:] != IGNORED
        if left.any() or not asked.any():
            return after
        self.empty_batches += 1
        if self.empty_batches == 1:
            warnings.warn(
                f"Goldfish (k={self.goldfish.k}) dropped every label of a batch "
                f"({int(asked.sum())} labels); "
                + ("one is kept, so that the loss is a number. " if self._keeps else "")
                + "Larger batches make this rare. Further ones are counted in `empty_batches`.",
                stacklevel=3,
            )
        if self._keeps:
            row, column = np.argwhere(asked)[-1].tolist()
            after[row, column + first] = before[row, column + first]
        return after

    @property
    def _keeps(self) -> bool:
        return self._empty == "keep-one"


def special_ids(tokenizer: Any, collator: Any = None) -> tuple[int, ...]:
    """The ids that are no text: a tokenizer's special tokens, and what a collator pads with."""
    found = set(getattr(tokenizer, "all_special_ids", ()))
    found |= {getattr(tokenizer, "pad_token_id", None), getattr(collator, "pad_token_id", None)}
    return tuple(sorted(each for each in found if isinstance(each, int) and each >= 0))


def _own_tokenizer(collator: Any) -> Any:
    for name in ("tokenizer", "processing_class"):
        found = getattr(collator, name, None)
        if hasattr(found, "decode"):
            return found
    return None


def _segments(ids: Any) -> NDArray[np.bool_]:
    return starts_from_segment_ids(ids)


def _name(collator: Any) -> str:
    return getattr(collator, "__name__", type(collator).__name__)
