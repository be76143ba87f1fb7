"""Local prefix against global context: which cues recall needs (2407.19262, section 5).

A model that has learned a string `s` by rote says `s[i]` after `s[0:i]`. Which part of that prefix
does it use? The last k tokens before a position, `s[i-k:i]`, are its *local* prefix; those before
the cut at `i-k` are its *global* context. A condition puts other tokens in the place of the global
context, or none, and asks for `s[i]` again.

Two things save work. All k that share a cut share their input: the row `global[0:m] s[m:m+k]` for
the largest k holds the rows of the smaller ones. And where every cut takes its global context from
the same altered sequence, that sequence is run once (`byrote.recall.context_reader`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from byrote.errors import InputError
from byrote.models.loading import LoadedModel
from byrote.progress import task
from byrote.recall.context_reader import ContextReader, Cut, Readings
from byrote.texts.seeds import derive_seed

__all__ = [
    "CONTEXT_CONDITIONS",
    "CONTEXT_SCHEMA",
    "ContextSources",
    "context_recall",
    "ordinary_tokens",
]

CONTEXT_CONDITIONS: Mapping[str, str] = {
    "intact": "the true global context, that is the whole prefix",
    "truncate": "no global context; the local prefix then stands at the start of the text",
    "shuffle": "the true global tokens in random order, drawn anew for every cut",
    "other": "another string of the same source",
    "fresh": "a fresh draw from the source",
    "constant": "one letter of the string's alphabet, repeated",
    "other-alphabet": "letters of another alphabet, uniform",
    "random-vocab": "tokens of the whole vocabulary, uniform",
}
"""What stands in the place of the global context, by the condition's name."""

CONTEXT_SCHEMA = {
    "condition": pl.String(),
    "k": pl.Int32(),
    "draw": pl.Int32(),
    "position": pl.Int32(),
    "hit": pl.Boolean(),
    "nll": pl.Float64(),
}
"""Columns of `context_recall`."""

# These say the same whatever the draw.
_WITHOUT_DRAWS = ("intact", "truncate")

Ids = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ContextSources:
    """What altered global contexts are made of; only what the conditions asked for need is needed.

    Attributes:
        fresh: `fresh(n, seed)` draws n token ids from the string's source: a `StringSource.draw`.
            For the paper's sources that is i.i.d. from the letter distribution.
        other: Other strings of the same source, as ids, each at least as long as the string less
            the shortest local prefix. Draw d takes the d-th.
        alphabet: Ids of the string's letters. `constant` repeats one, another one in each draw
            until all have been taken.
        other_alphabet: Ids of the letters of another alphabet, none of them in the string.
        vocabulary: The ids of `random-vocab`: see `ordinary_tokens`.
    """

    fresh: Callable[[int, int], ArrayLike] | None = None
    other: Sequence[ArrayLike] = ()
    alphabet: Sequence[int] = ()
    other_alphabet: Sequence[int] = ()
    vocabulary: ArrayLike = ()


def ordinary_tokens(loaded: LoadedModel) -> Ids:
    """Give all token ids of a model but the special ones of its tokenizer, in ascending order."""
    ids = np.arange(loaded.vocab_size)
    if loaded.tokenizer is None:
        return ids
    # A model's embeddings may have rows beyond the tokenizer's last token, which no text uses.
    known = ids[: min(len(loaded.tokenizer), len(ids))]
    return np.setdiff1d(known, np.asarray(loaded.tokenizer.all_special_ids, dtype=np.int64))


def context_recall(
    loaded: LoadedModel,
    ids: ArrayLike,
    *,
    bos_id: int | None,
    k: Sequence[int],
    conditions: Sequence[str] = tuple(CONTEXT_CONDITIONS),
    sources: ContextSources | None = None,
    positions: ArrayLike | None = None,
    shuffle_positions: int | None = None,
    seed: int = 0,
    draws: int = 1,
    batch_rows: int | None = None,
) -> pl.DataFrame:
    """Ask for the tokens of a string after their local prefix, with the global context altered.

    For a condition with the altered sequence g, the token at position i (from 0) is predicted from
    `[BOS] g[0:i-k] s[i-k:i]`, so that every token keeps its place; only `truncate` gives
    `[BOS] s[i-k:i]`, which moves the local prefix to the front. `intact` has nothing to do with k:
    its k is null. `shuffle` permutes exactly `s[0:i-k]`, by a permutation that depends on the seed,
    the draw and the cut `i-k`; it therefore needs a row of its own for every cut, about n/2 tokens
    each, and `shuffle_positions` bounds how many. All other conditions share one g per draw.

    Args:
        loaded: The model; it is evaluated without dropout, and then left in the mode it was in.
        ids: The string `s`, `[n]` token ids, without BOS.
        bos_id: What stood before the string when it was learned; None for nothing.
        k: Lengths of the local prefix, tokens; each once.
        conditions: Names from `CONTEXT_CONDITIONS`, in the order of the result.
        sources: What the altered contexts are made of.
        positions: Which positions to ask for; by default all above the largest k, so that every
            one has a global context for every k.
        shuffle_positions: At most so many positions, drawn at random, for `shuffle`; None for all.
        seed: Of every draw; the global random state is neither read nor changed.
        draws: Altered contexts a condition; `intact` and `truncate` have one.
        batch_rows: Rows in a forward pass; None fills it to a number of tokens. It does not matter
            for the result but for rounding of the nll.

    Returns:
        One row for each condition, k, draw and position, in that order, with the columns of
        `CONTEXT_SCHEMA`: `hit`, whether the token is the argmax over the whole vocabulary, and
        `nll` in nats.

    Raises:
        InputError: An unknown condition, something that a condition needs is missing or too short,
            ids outside the vocabulary, a k or a position that the string has no room for, or a
            string longer than the model's context.
    """
    string = _ids(ids, "the string", loaded.vocab_size)
    ks = _checked_ks(k, len(string))
    asked = _checked_positions(positions, ks, len(string))
    lead = () if bos_id is None else (bos_id,)
    if bos_id is not None:
        _ids([bos_id], "BOS", loaded.vocab_size)
    _check_context(loaded, len(lead) + int(asked.max()))
    if draws < 1 or (batch_rows is not None and batch_rows < 1):
        raise InputError(f"draws={draws}, batch_rows={batch_rows}: both must be at least 1.")
    makers = _Makers(string, sources or ContextSources(), loaded.vocab_size, draws, seed)
    makers.check(conditions, int(asked.max()) - ks[0])
    reader = ContextReader(loaded, string, lead, batch_rows=batch_rows)
    fewer = _subsample(asked, shuffle_positions, seed)
    plan = [
        (condition, draw)
        for condition in conditions
        for draw in range(1 if condition in _WITHOUT_DRAWS else draws)
    ]
    # The first shared context is also the one that sharing is tried on, and in a constant one a
    # mistake could hide; the table is put in order afterwards.
    plan.sort(key=lambda step: step[0] == "constant")
    frames = []
    with reader.evaluating(), task("Local and global context", len(plan)) as advance:
        for condition, draw in plan:
            wanted = fewer if condition == "shuffle" else asked
            readings = _read(reader, makers, condition, draw, _cuts(wanted, ks), wanted)
            frames.append(_frame(condition, draw, readings))
            advance(1)
    order = {condition: place for place, condition in enumerate(conditions)}
    table = pl.concat(frames)
    place = pl.col("condition").replace_strict(order, return_dtype=pl.Int32)
    return table.sort(place, "k", "draw", "position")


def _read(
    reader: ContextReader,
    makers: _Makers,
    condition: str,
    draw: int,
    cuts: Sequence[Cut],
    positions: Ids,
) -> Readings:
    if condition == "intact":
        return reader.whole(positions)
    if condition == "truncate":
        return reader.rows(cuts, [makers.string[:0]] * len(cuts))
    if condition == "shuffle":
        return reader.rows(cuts, [makers.shuffled(draw, cut.at) for cut in cuts])
    return reader.shared(cuts, makers.altered(condition, draw, max(cut.at for cut in cuts)))


def _frame(condition: str, draw: int, readings: Readings) -> pl.DataFrame:
    whole = condition == "intact"
    return pl.DataFrame(
        {
            "condition": [condition] * len(readings.position),
            "k": [None] * len(readings.position) if whole else readings.k,
            "draw": np.full(len(readings.position), draw),
            "position": readings.position,
            "hit": readings.hit,
            "nll": readings.nll,
        },
        schema=CONTEXT_SCHEMA,
    )


def _cuts(positions: Ids, ks: Sequence[int]) -> list[Cut]:
    """Gather what is asked by cut: position i with k tokens is at the cut i - k."""
    by_cut: dict[int, list[int]] = {}
    for length in ks:
        for position in positions.tolist():
            by_cut.setdefault(position - length, []).append(length)
    return [Cut(at, tuple(by_cut[at])) for at in sorted(by_cut)]


@dataclass(frozen=True, slots=True)
class _Makers:
    """Makes the altered sequences of one string; each depends on its own names and the seed."""

    string: Ids
    sources: ContextSources
    vocab_size: int
    draws: int
    seed: int

    def check(self, conditions: Sequence[str], longest: int) -> None:
        """See that every condition can be made, before any of them is.

        Raises:
            InputError: One cannot.
        """
        if not conditions or len(set(conditions)) != len(conditions):
            raise InputError(f"conditions={list(conditions)}: name at least one, each once.")
        for condition in conditions:
            if condition not in CONTEXT_CONDITIONS:
                known = ", ".join(CONTEXT_CONDITIONS)
                raise InputError(f"There is no condition {condition!r}. There are: {known}.")
            if condition not in (*_WITHOUT_DRAWS, "shuffle"):
                for draw in range(self.draws):
                    self.altered(condition, draw, longest)

    def altered(self, condition: str, draw: int, n: int) -> Ids:
        """The altered sequence g of a draw, at least its first n tokens."""
        # As long as the string whatever is asked: so g does not depend on k or on the positions.
        size = len(self.string)
        seed = derive_seed(self.seed, "context", condition, str(draw))
        rng = np.random.default_rng(seed)
        sources = self.sources
        if condition == "other":
            if draw >= len(sources.other):
                raise InputError(
                    f"condition 'other' has {len(sources.other)} other strings for {self.draws} "
                    "draws. Give one for each draw in `ContextSources.other`, or ask for fewer."
                )
            made = self._ids(sources.other[draw], f"other string {draw}")
        elif condition == "fresh":
            if sources.fresh is None:
                raise InputError("condition 'fresh' needs `ContextSources.fresh`, which draws it.")
            made = self._ids(sources.fresh(size, seed), "the fresh string")
        elif condition == "constant":
            letters = self._letters("constant", "alphabet", sources.alphabet)
            order = np.random.default_rng(derive_seed(self.seed, "context", "constant"))
            made = np.full(size, order.permutation(letters)[draw % len(letters)])
        elif condition == "other-alphabet":
            letters = self._letters("other-alphabet", "other_alphabet", sources.other_alphabet)
            shared = np.intersect1d(letters, self.string)
            if len(shared):
                raise InputError(
                    f"condition 'other-alphabet': token {shared[0]} is also in the string. "
                    "Give `ContextSources.other_alphabet` without the string's letters."
                )
            made = rng.choice(letters, size)
        else:
            made = rng.choice(self._letters("random-vocab", "vocabulary", sources.vocabulary), size)
        if len(made) < n:
            raise InputError(
                f"condition {condition!r}: its sequence has {len(made)} tokens, but the longest "
                f"global context asked for has {n}. Give longer ones."
            )
        return made

    def shuffled(self, draw: int, cut: int) -> Ids:
        seed = derive_seed(self.seed, "context", "shuffle", str(draw), str(cut))
        return np.random.default_rng(seed).permutation(self.string[:cut])

    def _letters(self, condition: str, field: str, ids: ArrayLike) -> Ids:
        if np.size(ids) == 0:
            raise InputError(f"condition {condition!r} needs `ContextSources.{field}`.")
        return self._ids(ids, f"`{field}`")

    def _ids(self, ids: ArrayLike, name: str) -> Ids:
        return _ids(ids, name, self.vocab_size)


def _ids(ids: ArrayLike, name: str, vocab_size: int) -> Ids:
    """Token ids as `[n]` int64.

    Raises:
        InputError: They are no such thing, or not in the vocabulary.
    """
    array = np.asarray(ids)
    if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer) or not len(array):
        raise InputError(
            f"{name}: {array.dtype} numbers of shape {array.shape}; give a flat, non-empty list of "
            "token ids."
        )
    if array.min() < 0 or array.max() >= vocab_size:
        bad = array.min() if array.min() < 0 else array.max()
        raise InputError(f"{name}: token id {bad} is outside the vocabulary 0 … {vocab_size - 1}.")
    return array.astype(np.int64)


def _checked_ks(k: Sequence[int], n: int) -> list[int]:
    ks = sorted(int(length) for length in k)
    if not ks or len(set(ks)) != len(ks) or ks[0] < 1:
        raise InputError(f"k={list(k)}: give lengths of the local prefix, at least 1, each once.")
    if ks[-1] >= n:
        raise InputError(
            f"k={ks[-1]}: a string of {n} tokens has no position after so long a local prefix. "
            "Give a smaller k or a longer string."
        )
    return ks


def _checked_positions(positions: ArrayLike | None, ks: Sequence[int], n: int) -> Ids:
    first = ks[-1] + 1
    chosen = np.arange(first, n) if positions is None else np.unique(np.asarray(positions))
    if not len(chosen):
        raise InputError(
            f"No positions: a string of {n} tokens has none above k={ks[-1]}. "
            "Give a smaller k or a longer string."
        )
    if chosen[0] < ks[-1] or chosen[-1] >= n:
        raise InputError(
            f"positions {chosen[0]} … {chosen[-1]}: with k up to {ks[-1]} and {n} tokens, "
            f"they lie in {ks[-1]} … {n - 1}."
        )
    return chosen.astype(np.int64)


def _check_context(loaded: LoadedModel, longest: int) -> None:
    if loaded.max_len is not None and longest > loaded.max_len:
        raise InputError(
            f"The longest prefix has {longest} tokens, but the context of {loaded.source} holds "
            f"{loaded.max_len}. Use a shorter string, or ask for earlier positions."
        )


def _subsample(positions: Ids, limit: int | None, seed: int) -> Ids:
    if limit is None or limit >= len(positions):
        return positions
    if limit < 1:
        raise InputError(f"shuffle_positions={limit}: it must be at least 1, or left out.")
    rng = np.random.default_rng(derive_seed(seed, "context", "shuffle positions"))
    return np.sort(rng.choice(positions, limit, replace=False))
