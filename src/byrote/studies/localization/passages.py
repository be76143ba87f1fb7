"""The passages of a setting of DEL: found in what a model recites, or shown to it until it does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from byrote.errors import InputError
from byrote.exposure import ExposureConfig, Sequences, expose
from byrote.localization.memorised import Memorised, collect_memorised
from byrote.localization.references import general_references
from byrote.models import LoadedModel
from byrote.studies.localization.tables import table_of
from byrote.studies.watching import Progress
from byrote.texts.passages import Passage
from byrote.texts.seeds import derive_seed

__all__ = ["Texts", "passages_table", "texts_of"]

_LEAST = 2


@dataclass(frozen=True, eq=False)
class Texts:
    """All that a setting is measured on.

    Attributes:
        dev: Passages that the methods are tuned on.
        test: Passages that are deleted, each a negative of the others.
        held_out: What contrasts compare with: the dev split and windows of general text.
        rows: int32 `[tokens]` each, general text for the perplexity.
        found: How the passages came to be chosen.
    """

    dev: list[Passage]
    test: list[Passage]
    held_out: list[Passage]
    rows: list[NDArray[np.int32]]
    found: Memorised


def texts_of(
    loaded: LoadedModel, params: Mapping[str, Any], told: Callable[[float], None]
) -> Texts:
    """Find or expose the passages of a setting, the same in each of its cells.

    Args:
        loaded: The model; an exposure changes its weights.
        params: Of the cell.
        told: Hears of the progress.

    Raises:
        InputError: Fewer than two passages are recited, or a source has too little text.
    """
    setting, seed = params["setting"], params["seed"]
    if setting["how"] == "exposed":
        given: Any = _exposed(loaded, setting, seed, told)
        windows = None
    else:
        given, windows = list(setting["sources"]), setting["windows"] or None
    found = collect_memorised(
        loaded,
        given,
        prefix=setting["prefix"],
        suffix=setting["suffix"],
        stride=setting["stride"] or None,
        windows=windows,
        accuracy=setting["accuracy"],
        distance=setting["distance"],
        distinct=setting["distinct"],
        limit=setting["passages"] + setting["dev"],
        dev=setting["dev"],
        seed=derive_seed(seed, "dev split") % 2**32,
        cache=setting["how"] == "found",
    )
    test = list(found.test[: setting["passages"]])
    if len(test) < _LEAST:
        raise InputError(
            f"{loaded.source} recites {len(found.passages)} of the passages well enough; a "
            f"negative takes {_LEAST} in the test split. Give more sources or windows"
            + (", or more epochs" if setting["how"] == "exposed" else ", or looser filters")
        )
    rows = _general(loaded, params, "text", params["text_rows"], 1, params["text_tokens"] - 1)
    others = _general(
        loaded,
        params,
        "references",
        params["references"],
        setting["prefix"],
        setting["suffix"],
        avoid=[*rows, *found.passages],
    )
    return Texts(
        list(found.dev),
        test,
        [*found.dev, *others],
        [row.input_ids for row in rows],
        found,
    )


def _exposed(
    loaded: LoadedModel, setting: Mapping[str, Any], seed: int, told: Callable[[float], None]
) -> list[Passage]:
    """Show windows of the sources to the model, all in every step."""
    windows = [
        window
        for source in setting["sources"]
        for window in general_references(
            loaded.tokenizer,
            source,
            count=setting["windows"],
            prefix_len=setting["prefix"],
            suffix_len=setting["suffix"],
            seed=derive_seed(seed, "windows") % 2**32,
            vocab_size=loaded.vocab_size,
        )
    ]
    expose(
        loaded,
        Sequences.from_ids([window.input_ids for window in windows], bos_id=loaded.bos_id),
        ExposureConfig(
            epochs=setting["epochs"],
            lr=setting["lr"],
            batch_size=len(windows),
            seed=derive_seed(seed, "exposure") % 2**63,
        ),
        observers=[Progress(told, setting["epochs"])],
        description=None,
    )
    return windows


def _general(
    loaded: LoadedModel,
    params: Mapping[str, Any],
    what: str,
    count: int,
    prefix: int,
    suffix: int,
    avoid: Sequence[Passage] = (),
) -> list[Passage]:
    if not count:
        return []
    return general_references(
        loaded.tokenizer,
        params["text"],
        count=count,
        prefix_len=prefix,
        suffix_len=suffix,
        seed=derive_seed(params["seed"], what) % 2**32,
        avoid=avoid,
        vocab_size=loaded.vocab_size,
    )


def passages_table(loaded: LoadedModel, texts: Texts, name: str) -> pl.DataFrame:
    """The passages as the table `passages`."""
    tokenizer: Any = loaded.tokenizer
    known = {row["passage"]: row for row in texts.found.table.iter_rows(named=True)}
    rows = []
    for split, passages in (("test", texts.test), ("dev", texts.dev)):
        for passage in passages:
            row = known[passage.id]
            rows.append(
                {
                    "setting": name,
                    "model": loaded.source,
                    "passage": passage.id,
                    "split": split,
                    "source": passage.source,
                    "record": passage.record,
                    "category": passage.category,
                    "prefix_text": tokenizer.decode(passage.prefix_ids.tolist()),
                    "suffix_text": tokenizer.decode(passage.suffix_ids.tolist()),
                    "tokens": passage.suffix_len,
                    **{key: row[key] for key in ("accuracy", "distance", "nll")},
                }
            )
    return table_of("passages", rows)
