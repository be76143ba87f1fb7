"""What gets past MemFree: prompts in another style, and copies that are near but not the same.

Each passage's prefix is written in several styles, the model goes on greedily, with and without
MemFree, and the continuation is compared with the suffix twice: as it stands, which MemFree
prevents, and with case and white space undone, which is what somebody wants who evades it (Ippolito
et al. 2210.17546). Their measure of an approximate copy is a BLEU above 0.75.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from transformers import LogitsProcessor

from byrote.decoding.base import NGramFilter
from byrote.decoding.memfree import MemFree
from byrote.decoding.styles import STYLES, normalised, restyle
from byrote.decoding.writing import write_on
from byrote.errors import InputError
from byrote.models.loading import LoadedModel
from byrote.progress import task
from byrote.recall.intervals import Estimate, bootstrap_mean, rate
from byrote.recall.overlap import bleu, edit_similarity
from byrote.texts.passages import Passage

__all__ = [
    "APPROXIMATE_BLEU",
    "EVASION_MEASURES",
    "evasion_rows",
    "measure_evasion",
    "summarise_evasion",
]

APPROXIMATE_BLEU = 0.75

# Measure -> what it is.
EVASION_MEASURES: dict[str, str] = {
    "verbatim": "the continuation begins with the suffix, character by character",
    "recited": "the same with case and white space undone, word by word",
    "approximate": "BLEU with case and white space undone is above the threshold",
    "bleu": "mean BLEU with case and white space undone",
    "edit_similarity": "mean 1 - edit distance / length, in characters, the same undone",
}


def measure_evasion(
    loaded: LoadedModel,
    passages: Sequence[Passage],
    ngrams: NGramFilter | None,
    styles: Sequence[str] = tuple(STYLES),
    *,
    threshold: float = APPROXIMATE_BLEU,
    confidence: float = 0.95,
    seed: int = 0,
    batch_size: int = 16,
) -> pl.DataFrame:
    """Measure what a model recites in each style, plain and behind MemFree.

    Args:
        loaded: The model, with its tokenizer.
        passages: What is asked, and controls of it (`make_controls`, or passages that the model
            cannot have seen); each control is a group of its own.
        ngrams: The filter; None measures plain decoding only.
        styles: Names in `STYLES`.
        threshold: BLEU above which a copy counts as approximate.
        confidence: Of the intervals, which take the passages of a record together.
        seed: Of the bootstrap.
        batch_size: Prompts in a batch.

    Returns:
        One row for each style, decoding (`plain`, `memfree`), group (`texts` or the control) and
        measure: style, decoding, group, measure, n (passages), value, low, high, method.

    Raises:
        InputError: An unknown style, no tokenizer, a filter of another tokenizer, no passages, or
            passages that do not fit the context.
    """
    rows = evasion_rows(loaded, passages, ngrams, styles, batch_size=batch_size)
    return summarise_evasion(rows, threshold=threshold, confidence=confidence, seed=seed)


def evasion_rows(
    loaded: LoadedModel,
    passages: Sequence[Passage],
    ngrams: NGramFilter | None,
    styles: Sequence[str] = tuple(STYLES),
    *,
    batch_size: int = 16,
) -> pl.DataFrame:
    """What `measure_evasion` summarises: one row for each passage, style and decoding.

    Returns:
        passage, record, group, style, decoding, text (the continuation), verbatim, recited, bleu,
        edit_similarity.

    Raises:
        InputError: As `measure_evasion`.
    """
    tokenizer: Any = loaded.tokenizer
    if unknown := [style for style in styles if style not in STYLES]:
        raise InputError(f"There is no style {unknown[0]!r}; choose of {', '.join(STYLES)}.")
    if tokenizer is None:
        raise InputError(f"{loaded.source} has no tokenizer, and a style is one of text.")
    if not passages or not styles:
        raise InputError("There are no passages or no styles to measure evasion with.")
    if ngrams is not None:
        ngrams.check_tokenizer(tokenizer, "the filter")
    suffixes = [_decoded(tokenizer, passage.suffix_ids.tolist()) for passage in passages]
    prompts: list[list[int]] = []
    budgets: list[int] = []
    for style in styles:
        for passage, suffix in zip(passages, suffixes, strict=True):
            prefix = passage.prefix_ids.tolist()
            # In its own style a passage keeps its ids; only another one is tokenized anew.
            if style != "original":
                prefix = _encoded(tokenizer, restyle(_decoded(tokenizer, prefix), style))
            styled = len(_encoded(tokenizer, restyle(suffix, style)))
            prompts.append([*loaded.lead, *prefix])
            budgets.append(max(passage.suffix_len, styled if style != "original" else 0))
    decodings = ["plain"] if ngrams is None else ["plain", "memfree"]
    rows: list[dict[str, Any]] = []
    with task("Writing in other styles", len(prompts) * len(decodings)) as advance:
        for decoding in decodings:
            written = write_on(
                loaded,
                prompts,
                budgets,
                _guard(ngrams) if decoding == "memfree" and ngrams is not None else None,
                batch_size=batch_size,
                advance=advance,
            )
            texts = [_decoded(tokenizer, ids) for ids in written]
            for index, text in enumerate(texts):
                style = styles[index // len(passages)]
                passage = passages[index % len(passages)]
                rows.append(
                    {
                        "passage": passage.id,
                        "record": passage.record,
                        "group": passage.control or "texts",
                        "style": style,
                        "decoding": decoding,
                        "text": text,
                        **compare(suffixes[index % len(passages)], text),
                    }
                )
    return pl.DataFrame(rows)


def compare(suffix: str, text: str) -> dict[str, bool | float]:
    """Compare a continuation with the true suffix, as it stands and with its style undone.

    With the style undone, a continuation counts up to the number of words of the suffix: a style
    that takes more tokens must not make it longer.
    """
    true = normalised(suffix)
    said = normalised(text)[: len(true)]
    return {
        "verbatim": text.startswith(suffix),
        "recited": said == true,
        "bleu": bleu(" ".join(true), " ".join(said)),
        "edit_similarity": edit_similarity(" ".join(true), " ".join(said)),
    }


def summarise_evasion(
    rows: pl.DataFrame,
    *,
    threshold: float = APPROXIMATE_BLEU,
    confidence: float = 0.95,
    seed: int = 0,
) -> pl.DataFrame:
    """Rates and means with intervals, of what `evasion_rows` gave; see `measure_evasion`."""
    rows = rows.with_columns(approximate=pl.col("bleu") > threshold)
    keys = ["style", "decoding", "group"]
    made: list[dict[str, Any]] = []
    for names, part in rows.group_by(keys, maintain_order=True):
        clusters = part["record"].to_numpy()
        for measure in EVASION_MEASURES:
            values = part[measure].to_numpy()
            estimate: Estimate
            if values.dtype == np.bool_:
                estimate = rate(values, clusters=clusters, confidence=confidence)
            else:
                estimate = bootstrap_mean(
                    values, clusters=clusters, confidence=confidence, seed=seed
                )
            made.append(
                dict(zip(keys, names, strict=True))
                | {
                    "measure": measure,
                    "n": estimate.n,
                    "value": estimate.value,
                    "low": estimate.low,
                    "high": estimate.high,
                    "method": estimate.method,
                }
            )
    return pl.DataFrame(made)


def _guard(ngrams: NGramFilter) -> Any:
    def make(pad: int) -> LogitsProcessor:
        return MemFree(ngrams, pad_token_id=pad)

    return make


def _decoded(tokenizer: Any, ids: Sequence[int]) -> str:
    return tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False)


def _encoded(tokenizer: Any, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])
