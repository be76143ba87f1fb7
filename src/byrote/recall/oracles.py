"""What can be had without a model: guessing, and the best predictor from the last k tokens.

Short prefixes of a random string are nearly unique, so a table of k-grams predicts it well; what a
model does with a local prefix means something only beside that (2407.19262, section 5).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from byrote.errors import InputError
from byrote.texts.strings import StringSource

__all__ = ["guess_accuracy", "kgram_ceiling", "modal_frequency"]


def kgram_ceiling(
    ids: ArrayLike,
    ks: Iterable[int],
    *,
    first: int | None = None,
    positions: Iterable[int] | None = None,
) -> dict[int, float]:
    """Accuracy of the best predictor of a string's tokens from the last k tokens alone.

    Position i (from 0) is scored where it has k tokens before it, so i ≥ k. For each distinct
    k-gram the best predictor says the token that most often follows it among the scored positions;
    the accuracy is Σ over k-grams of the largest follower count / number of scored positions. No
    function of the last k tokens can do better on this string. k = 0 gives the modal frequency.

    Args:
        ids: The string's token ids, `[n]`.
        ks: Lengths of the local prefix, each from 0 to n - 1.
        first: Score positions i ≥ `first` only, to compare all k on the same positions; it must be
            at least the largest k. None scores i ≥ k.
        positions: The accuracy is over those of the scored positions that are among these. The
            predictor is made from all scored ones; where it could as well say one of several
            tokens, each counts its part. None takes all.

    Returns:
        The accuracy of each k, in the order given.

    Raises:
        InputError: The string is not a vector of ids, or a k leaves no position to score.
    """
    tokens = _codes(ids)
    n = len(tokens)
    chosen = np.arange(n) if positions is None else np.unique(np.fromiter(positions, np.int64))
    wanted = list(ks)
    for k in wanted:
        start = k if first is None else first
        if not 0 <= k <= start < n:
            raise InputError(
                f"k is {k} and the first scored position {start}: a string of {n} tokens needs "
                f"0 ≤ k ≤ first ≤ {n - 1}."
            )
    results: dict[int, float] = {}
    # codes[j] numbers the k-gram that ends just before position j + k; it is grown token by token.
    codes = np.zeros(n, dtype=np.int64)
    for k in range(max(wanted, default=-1) + 1):
        if k > 0:
            grown = codes[:-1] * (n + 1) + tokens[k - 1 : n - 1]
            codes = np.unique(grown, return_inverse=True)[1].astype(np.int64)
        if k in wanted:
            skip = 0 if first is None else first - k
            right = _right(codes[skip:], tokens[k + skip :])
            here = chosen[(chosen >= k + skip) & (chosen < n)] - (k + skip)
            if not len(here):
                raise InputError(
                    f"k is {k} and none of the {len(chosen)} positions asked for is scored: the "
                    f"first one that is is {k + skip}."
                )
            results[k] = float(right[here].mean())
    return {k: results[k] for k in wanted}


def modal_frequency(ids: ArrayLike) -> float:
    """Share of the most frequent token in a string: what guessing one token gets right.

    Raises:
        InputError: The string is empty or not a vector of ids.
    """
    tokens = _codes(ids)
    return float(np.bincount(tokens).max() / len(tokens))


def guess_accuracy(what: StringSource | ArrayLike) -> float:
    """Accuracy of the best constant guess: of a source, or of one string.

    For a source it is the largest letter probability (1/ℓ where they are equal); for a string its
    modal frequency, which is higher, since the guess may be chosen after the string was seen.

    Raises:
        InputError: The string is empty or not a vector of ids.
    """
    if isinstance(what, StringSource):
        return float(what.probabilities.max())
    return modal_frequency(what)


def _right(contexts: NDArray[np.int64], followers: NDArray[np.int64]) -> NDArray[np.float64]:
    """At each position, how probably the best predictor is right: 1 / ties, or 0."""
    pairs, which, counts = np.unique(
        contexts * (int(followers.max()) + 1) + followers, return_inverse=True, return_counts=True
    )
    owners = pairs // (int(followers.max()) + 1)
    starts = np.flatnonzero(np.diff(owners, prepend=-1))
    sizes = np.diff(np.append(starts, len(pairs)))
    best = counts == np.repeat(np.maximum.reduceat(counts, starts), sizes)
    ties = np.repeat(np.add.reduceat(best.astype(np.int64), starts), sizes)
    return (best / ties)[which]


def _codes(ids: ArrayLike) -> NDArray[np.int64]:
    """Number the distinct tokens of a string from 0."""
    array = np.asarray(ids)
    if array.ndim != 1 or not array.size:
        raise InputError(f"A string is a vector of token ids; this has shape {list(array.shape)}.")
    return np.unique(array, return_inverse=True)[1].astype(np.int64)
