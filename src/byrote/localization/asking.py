"""From what a user writes, a text or sources of texts, to the passages that are meant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

import numpy as np

from byrote._options import whole
from byrote.errors import InputError
from byrote.localization.memorised import collect_memorised
from byrote.models.loading import LoadedModel
from byrote.texts.passages import Passage
from byrote.texts.records import Record
from byrote.texts.sampling import draw
from byrote.texts.sources import open_source
from byrote.texts.windows import cut

__all__ = ["PREFIX_LEN", "SUFFIX_LEN", "asked_passages", "check_asked"]

PREFIX_LEN, SUFFIX_LEN = 16, 32
"""Lengths of windows, in tokens, where none are given."""

_SHORTEST = 8
# Windows that overlap by half, so that a recited stretch lies in one of them.
_STRIDE_SHARE = 2
_WINDOWS = 2000


def check_asked(
    text: Sequence[str], texts: Sequence[str], prefix_len: int | None, suffix_len: int | None
) -> None:
    """See that something is asked for and can be opened, before a model is loaded.

    Raises:
        InputError: It cannot.
    """
    if bool(text) == bool(texts):
        raise InputError(
            "Give the passages by --text (the text itself) or by --texts (sources, of which the "
            "recited windows are taken): one of the two."
        )
    for name, value in (("prefix_len", prefix_len), ("suffix_len", suffix_len)):
        if value is not None:
            whole("passages", name, value, 1)
    for source in texts:
        open_source(source).check()


def asked_passages(
    loaded: LoadedModel,
    text: Sequence[str] = (),
    texts: Sequence[str] = (),
    *,
    prefix_len: int | None = None,
    suffix_len: int | None = None,
    accuracy: float = 0.9,
    limit: int = 5,
    seed: int = 0,
    force: bool = False,
) -> list[Passage]:
    """Give the passages that are meant.

    Args:
        loaded: The model; it needs a tokenizer.
        text: Texts, each a passage as a whole: the first `prefix_len` tokens are given, the others
            asked, at most `suffix_len` of them.
        texts: Sources, of which the windows that the model recites are taken.
        prefix_len: Prefix tokens; None is `PREFIX_LEN`, for a text that is short a third of it.
        suffix_len: Suffix tokens; None is `SUFFIX_LEN` for windows, and all there are for a text.
        accuracy: Windows are taken where more than this share of the suffix is recited.
        limit: Most windows.
        seed: Of drawing windows, where there are many.
        force: Draw windows whether or not they are recited.

    Raises:
        InputError: A text is too short, nothing is recited, or the model has no tokenizer.
    """
    if loaded.tokenizer is None:
        raise InputError(
            f"{loaded.source} has no tokenizer, so texts cannot be given: load a model with one."
        )
    made = [
        _whole_text(loaded, words, f"text {number}", prefix_len, suffix_len)
        for number, words in enumerate(text, start=1)
    ]
    if not texts:
        return made
    prefix, suffix = prefix_len or PREFIX_LEN, suffix_len or SUFFIX_LEN
    if force:
        stream = cut(
            chain.from_iterable(open_source(source).records() for source in texts),
            loaded.tokenizer,
            prefix_len=prefix,
            suffix_len=suffix,
            vocab_size=loaded.vocab_size,
            max_len=loaded.max_len,
            lead=len(loaded.lead),
        )
        return [*made, *list(draw(stream, limit, seed))[:limit]]
    found = collect_memorised(
        loaded,
        list(texts),
        prefix=prefix,
        suffix=suffix,
        stride=max(1, (prefix + suffix) // _STRIDE_SHARE),
        windows=_WINDOWS,
        accuracy=accuracy,
        distinct=max(1, suffix // 3),
        limit=limit,
        dev=0,
        seed=seed,
    )
    return [*made, *found.test]


def _whole_text(
    loaded: LoadedModel, text: str, name: str, prefix_len: int | None, suffix_len: int | None
) -> Passage:
    tokenizer: Any = loaded.tokenizer
    ids = np.array(tokenizer(text, add_special_tokens=False)["input_ids"], dtype=np.int32)
    prefix = min(PREFIX_LEN, len(ids) // 3) if prefix_len is None else prefix_len
    if len(ids) < max(_SHORTEST, prefix + 1):
        raise InputError(
            f"{name} has {len(ids)} tokens; it takes at least {max(_SHORTEST, prefix + 1)}, of "
            f"which {prefix} are given and the others asked. Give a longer text."
        )
    if suffix_len is not None:
        ids = ids[: prefix + suffix_len]
    record = Record(id=name, source="--text", input_ids=ids, prefix_len=prefix)
    (passage,) = cut(
        [record],
        None,
        vocab_size=loaded.vocab_size,
        max_len=loaded.max_len,
        lead=len(loaded.lead),
    )
    return replace(passage, id=name)
