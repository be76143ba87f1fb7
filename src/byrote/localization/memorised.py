"""Collect passages that a model really memorised, from any corpus.

The five filters are those by which Chang et al. (2311.09060, section 3.2, and their code) found
sequences that Pythia memorised. Here they run over a stream of windows, cheapest first, and what
the model said is kept in the cache, so that several processes that ask the same pay once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import polars as pl

from byrote._options import between, whole
from byrote.errors import InputError
from byrote.localization.cached import cached_table
from byrote.localization.copies import copy_groups
from byrote.localization.sieving import sieve
from byrote.models.loading import LoadedModel
from byrote.progress import task
from byrote.recall.extraction import nll, token_accuracy
from byrote.recall.generation import continuations
from byrote.recall.overlap import edit_distance
from byrote.recall.scoring import Scorer
from byrote.texts.base import TextSource
from byrote.texts.passages import Passage
from byrote.texts.sampling import draw
from byrote.texts.sources import open_source
from byrote.texts.windows import cut

__all__ = ["Memorised", "collect_memorised"]

# Raise this when the cached part of the work changes.
_VERSION = 1
_AT_ONCE = 512
_FILTERS = {
    "distinct": "the suffix has at least {distinct} distinct tokens",
    "accuracy": "more than {accuracy:.0%} of the suffix tokens are the argmax",
    "greedy-distinct": "the greedy suffix has at least {distinct} distinct tokens",
    "distance": "the greedy text is at most {distance} characters from the true one",
    "copies": "it is the nearest to its text among near copies (Jaccard above {overlap:g})",
    "limit": "it is among the {limit} nearest to their texts",
}
_FOUND = {"index": pl.Int64, "accuracy": pl.Float64, "nll": pl.Float64, "greedy": pl.List(pl.Int64)}


@dataclass(frozen=True, slots=True, eq=False)
class Memorised:
    """Passages that a model recites.

    Attributes:
        dev: A few, drawn at random, to choose options on.
        test: The others, nearest to their texts first.
        table: One row a passage that passed the filter of accuracy: `passage`, `source`, `record`,
            `category`, `accuracy`, `nll` (nats per token), `distance` (characters, or tokens
            without a tokenizer), `distinct`, `greedy_distinct`, `group` (of near copies), `fell`
            (the filter that it fell to; null if it was kept), `split` (dev, test or null).
        filters: One row a filter, in the order in which they run: `filter`, `meaning`, `before`,
            `fell`, `left`.
    """

    dev: tuple[Passage, ...]
    test: tuple[Passage, ...]
    table: pl.DataFrame
    filters: pl.DataFrame

    @property
    def passages(self) -> tuple[Passage, ...]:
        """All that were kept, those of the dev split first, as in the paper's code."""
        return self.dev + self.test


@dataclass(frozen=True, slots=True)
class _Options:
    accuracy: float
    distance: float
    distinct: int
    overlap: float
    limit: int | None
    dev: int
    seed: int

    def check(self) -> None:
        owner = "collection of memorised passages"
        between(owner, "accuracy", self.accuracy, 0.0, 1.0)
        if self.accuracy == 1.0:
            raise InputError(
                f"The {owner}: accuracy=1.0 must be exceeded, which nothing can; for passages that "
                "are recited in full give 0.999."
            )
        between(owner, "distance", self.distance, 0.0, float("inf"))
        between(owner, "overlap", self.overlap, 0.0, 1.0)
        whole(owner, "distinct", self.distinct, 1)
        whole(owner, "dev", self.dev, 0)
        if self.limit is not None:
            whole(owner, "limit", self.limit, 1)

    def meaning(self, name: str) -> str:
        values = {field: getattr(self, field) for field in self.__slots__}
        return _FILTERS[name].format(**values)


def collect_memorised(
    loaded: LoadedModel,
    texts: str | TextSource | Sequence[str | TextSource] | Sequence[Passage],
    *,
    prefix: int = 32,
    suffix: int = 48,
    stride: int | None = None,
    windows: int | None = None,
    accuracy: float = 0.9,
    distance: float = 20,
    distinct: int = 16,
    overlap: float = 0.05,
    limit: int | None = None,
    dev: int = 5,
    seed: int = 0,
    cache: bool = True,
) -> Memorised:
    """Collect passages that a model recites, by the filters of Chang et al. (2311.09060).

    A window is kept if (1) more than `accuracy` of its suffix tokens are the argmax given the true
    tokens before them, (2) its suffix and the one that greedy decoding writes have at least
    `distinct` distinct tokens each, (3) the two texts are at most `distance` characters apart
    (Levenshtein), (4) of a group of near copies it is the one with the lowest distance, and (5) it
    is among the `limit` with the lowest distance. Of what is left, `dev` are drawn for the dev
    split, but never more than a quarter.

    Args:
        loaded: The model; its lead stands before every window.
        texts: Sources as for `open_source`, or passages that have been cut.
        prefix: Tokens given; the paper's 32.
        suffix: Tokens asked; the paper's 48.
        stride: Tokens between the starts of two windows; None is `prefix + suffix`. The paper looks
            at the first window of each document only.
        windows: Windows drawn at random from each source; None takes all.
        accuracy: What the teacher-forced accuracy must exceed.
        distance: Most characters between the greedy and the true text (tokens where the model has
            no tokenizer).
        distinct: Fewest distinct tokens of a suffix.
        overlap: Jaccard index of runs of five tokens that makes two windows near copies.
        limit: Most passages to keep; the paper's code keeps 505.
        dev: Passages of the dev split.
        seed: Of drawing windows and the dev split.
        cache: Keep what the model said in `cache_dir()`, by the hash of weights and windows.

    Returns:
        The passages, and which filter the others fell to.

    Raises:
        InputError: An option is out of range, the texts cannot be used, or nothing is left.
        ByroteError: The model's logits are not finite.
    """
    options = _Options(accuracy, distance, distinct, overlap, limit, dev, seed)
    options.check()
    cut_ones = _windows(loaded, texts, prefix, suffix, stride, windows, seed)
    varied = [i for i, p in enumerate(cut_ones) if len(np.unique(p.suffix_ids)) >= distinct]

    def ask() -> pl.DataFrame:
        return _recited(loaded, cut_ones, varied, accuracy)

    key = _key(loaded, cut_ones, options)
    found = cached_table("memorised", key, _FOUND, ask) if cache else ask()
    table, rows = _judge(loaded, cut_ones, found, options)
    filters = _count(len(cut_ones), len(varied), table, options)
    if not rows:
        worst = filters.sort("fell", descending=True).row(0, named=True)
        raise InputError(
            f"{loaded.source} recites none of the {len(cut_ones):,} windows well enough: "
            f"{worst['fell']:,} fell to the filter {worst['filter']!r} ({worst['meaning']}). Give "
            "other texts, shorter prefixes and suffixes, or a looser filter."
        )
    chosen = np.random.RandomState(seed).permutation(len(rows))[: min(dev, len(rows) // 4)]
    split = {rows[i]: "dev" if i in chosen else "test" for i in range(len(rows))}
    names = pl.Series("split", [split.get(i) for i in table["index"]], pl.String)
    kept = {part: tuple(cut_ones[i] for i in rows if split[i] == part) for part in ("dev", "test")}
    return Memorised(kept["dev"], kept["test"], table.with_columns(names).drop("index"), filters)


def _windows(
    loaded: LoadedModel,
    texts: str | TextSource | Sequence[str | TextSource] | Sequence[Passage],
    prefix: int,
    suffix: int,
    stride: int | None,
    windows: int | None,
    seed: int,
) -> list[Passage]:
    given: Sequence[Any] = [texts] if isinstance(texts, str | TextSource) else texts
    if not given:
        raise InputError("No texts are given; name a source, such as corpus:wellknown.")
    if isinstance(given[0], Passage):
        return list(draw(given, windows, seed))
    sources = [open_source(source) if isinstance(source, str) else source for source in given]
    stream = cut(
        chain.from_iterable(source.records() for source in sources),
        loaded.tokenizer,
        prefix_len=prefix,
        suffix_len=suffix,
        stride=stride,
        vocab_size=loaded.vocab_size,
        max_len=loaded.max_len,
        lead=len(loaded.lead),
    )
    return list(draw(stream, windows, seed))


def _recited(
    loaded: LoadedModel, passages: Sequence[Passage], asked: Sequence[int], accuracy: float
) -> pl.DataFrame:
    """Ask the model: which are recited with more than this accuracy, and what it writes itself."""
    scorer = Scorer(loaded)
    rows: list[tuple[int, float, float, list[int]]] = []
    with task(f"Looking for passages that {loaded.source} recites", len(asked)) as advance:
        for start in range(0, len(asked), _AT_ONCE):
            part = asked[start : start + _AT_ONCE]
            left = [part[i] for i in sieve(loaded, [passages[i] for i in part], accuracy)]
            scored = zip(left, scorer.score([passages[i] for i in left]), strict=True)
            good = [(i, scores) for i, scores in scored if token_accuracy(scores) > accuracy]
            written = continuations(
                loaded,
                [passages[i] for i, _ in good],
                [scores for _, scores in good],
                lead=scorer.lead,
            )
            rows += [
                (i, token_accuracy(scores), nll(scores), text)
                for (i, scores), text in zip(good, written, strict=True)
            ]
            advance(len(part))
    return pl.DataFrame(rows, schema=_FOUND, orient="row")


def _judge(
    loaded: LoadedModel, passages: Sequence[Passage], found: pl.DataFrame, options: _Options
) -> tuple[pl.DataFrame, list[int]]:
    """The filters after the model was asked; the indices kept, nearest to their texts first."""
    rows = [_row(loaded, passages[row["index"]], row) for row in found.iter_rows(named=True)]
    for row in rows:
        if row["greedy_distinct"] < options.distinct:
            row["fell"] = "greedy-distinct"
        elif row["distance"] > options.distance:
            row["fell"] = "distance"
    left = sorted(
        (row for row in rows if row["fell"] is None),
        key=lambda row: (row["distance"], -row["accuracy"], row["nll"], row["index"]),
    )
    groups = copy_groups([passages[row["index"]] for row in left], options.overlap)
    first: set[int] = set()
    for row, group in zip(left, groups, strict=True):
        row["group"] = group
        if group in first:
            row["fell"] = "copies"
        first.add(group)
    kept = [row for row in left if row["fell"] is None]
    for row in kept[options.limit :] if options.limit is not None else ():
        row["fell"] = "limit"
    schema = {
        "index": pl.Int64, "passage": pl.String, "source": pl.String, "record": pl.String,
        "category": pl.String, "accuracy": pl.Float64, "nll": pl.Float64, "distance": pl.Int64,
        "distinct": pl.Int64, "greedy_distinct": pl.Int64, "group": pl.Int64, "fell": pl.String,
    }  # fmt: skip
    return pl.DataFrame(rows, schema=schema), [r["index"] for r in kept if r["fell"] is None]


def _row(loaded: LoadedModel, passage: Passage, found: dict[str, Any]) -> dict[str, Any]:
    true, greedy = passage.suffix_ids.tolist(), found["greedy"]
    if loaded.tokenizer is None:
        apart = edit_distance(true, greedy)
    else:
        # Each decoded whole with its prefix and by the same settings: decoding the two parts apart
        # gives differences that are none (defect 5 of the paper's code).
        texts = [_decode(loaded, [*passage.prefix_ids.tolist(), *ids]) for ids in (true, greedy)]
        apart = edit_distance(*texts)
    return {
        "index": found["index"],
        "passage": passage.id,
        "source": passage.source,
        "record": passage.record,
        "category": passage.category,
        "accuracy": found["accuracy"],
        "nll": found["nll"],
        "distance": apart,
        "distinct": len(set(true)),
        "greedy_distinct": len(set(greedy)),
        "group": None,
        "fell": None,
    }


def _decode(loaded: LoadedModel, ids: list[int]) -> str:
    tokenizer: Any = loaded.tokenizer
    return tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)


def _count(asked: int, varied: int, table: pl.DataFrame, options: _Options) -> pl.DataFrame:
    fell = {name: int((table["fell"] == name).sum()) for name in _FILTERS}
    fell |= {"distinct": asked - varied, "accuracy": varied - len(table)}
    rows, before = [], asked
    for name, count in fell.items():
        if name == "limit" and options.limit is None:
            continue
        rows.append((name, options.meaning(name), before, count, before - count))
        before -= count
    columns = {"filter": pl.String, "meaning": pl.String}
    counts = dict.fromkeys(("before", "fell", "left"), pl.Int64)
    return pl.DataFrame(rows, schema=columns | counts, orient="row")


def _key(loaded: LoadedModel, passages: Sequence[Passage], options: _Options) -> str:
    digest = hashlib.sha256()
    about = [_VERSION, loaded.weights_hash, str(loaded.dtype), list(loaded.lead)]
    digest.update(json.dumps([*about, options.accuracy, options.distinct]).encode())
    for passage in passages:
        ids = passage.input_ids.astype(np.int32)
        digest.update(f"{passage.prefix_len},{len(ids)};".encode() + ids.tobytes())
    return digest.hexdigest()[:32]
