"""Random strings of known distribution and entropy: what a model can only learn by rote.

A source draws token ids over an `Alphabet`. Strings of one seed are the same everywhere, and a
shorter one is the start of a longer one (2407.19262, section 2).
"""

from __future__ import annotations

import math
import sys
from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq

from byrote.errors import InputError
from byrote.texts.alphabets import Alphabet

__all__ = [
    "IidSource",
    "StringSource",
    "distribution_entropy",
    "from_probabilities",
    "skewed",
    "skewed_probability",
    "uniform",
]

# A wanted entropy may leave its range by this much, relative to it, and still mean the end of it.
_ROUNDING = 1e-9


class StringSource(ABC):
    """Where random strings come from.

    Attributes:
        name: The distribution in a word, such as "uniform-26".
        alphabet: The tokens of the strings, of size ℓ.
        probabilities: The stationary distribution of one letter, float64 `[ℓ]`.
    """

    def __init__(self, name: str, alphabet: Alphabet, probabilities: NDArray[np.float64]) -> None:
        self.name = name
        self.alphabet = alphabet
        self.probabilities = probabilities
        self.probabilities.setflags(write=False)

    @property
    def entropy(self) -> float:
        """Entropy of one letter, in nats: H of `probabilities`."""
        return distribution_entropy(self.probabilities)

    @property
    def entropy_rate(self) -> float:
        """Entropy of a letter given all letters before it, in nats."""
        return self.entropy

    def draw(self, n: int, seed: int) -> NDArray[np.int32]:
        """Draw one string.

        Args:
            n: Its length in tokens.
            seed: The string depends on the source and on this; 0 or more.

        Returns:
            Token ids, int32 `[n]`.

        Raises:
            InputError: The length is below 1 or the seed negative.
        """
        if n < 1:
            raise InputError(f"A string of {n} tokens: it has at least 1.")
        if seed < 0:
            raise InputError(f"seed is {seed}; it must be 0 or more.")
        ids = np.array(self.alphabet.ids, dtype=np.int32)
        return ids[self._letters(np.random.default_rng(seed).random(n))]

    def letter_indices(self, ids: ArrayLike) -> NDArray[np.int64]:
        """Index into the alphabet of each token id; any shape.

        Raises:
            InputError: A token is not in the alphabet.
        """
        tokens = np.asarray(ids)
        table = np.array(self.alphabet.ids)
        order = np.argsort(table)
        places = np.minimum(np.searchsorted(table, tokens, sorter=order), len(table) - 1)
        found = order[places]
        outside = table[found] != tokens
        if outside.any():
            raise InputError(
                f"Token {tokens[outside].flat[0]} is not in the alphabet of {self.name}; the "
                "string was drawn from another source."
            )
        return found

    def empirical(self, ids: ArrayLike) -> NDArray[np.float64]:
        """Frequencies of the letters in a string, float64 `[ℓ]`, which sum to one.

        Raises:
            InputError: A token is not in the alphabet.
        """
        counts = np.bincount(self.letter_indices(ids).ravel(), minlength=self.alphabet.size)
        return counts / counts.sum()

    def next_probabilities(self, ids: ArrayLike) -> NDArray[np.float64]:
        """The true distribution of each token of a string given those before it.

        Args:
            ids: Token ids, `[n]`.

        Returns:
            float64 `[n, ℓ]`; row i is P(s_i | s_0 … s_{i-1}).

        Raises:
            InputError: A token is not in the alphabet.
        """
        n = len(self.letter_indices(ids))
        return np.broadcast_to(self.probabilities, (n, self.alphabet.size)).copy()

    @abstractmethod
    def _letters(self, draws: NDArray[np.float64]) -> NDArray[np.int64]:
        """Turn uniform draws from [0, 1), `[n]`, into indices into the alphabet, one for one."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"


class IidSource(StringSource):
    """Letters that are drawn independently of each other."""

    def _letters(self, draws: NDArray[np.float64]) -> NDArray[np.int64]:
        # Bounds up to the last letter that can occur: rounding must not draw one that cannot.
        last = int(np.flatnonzero(self.probabilities)[-1])
        bounds = np.cumsum(self.probabilities[:last])
        return np.searchsorted(bounds, draws, side="right")


def uniform(alphabet: Alphabet) -> StringSource:
    """Every letter is equally likely; the entropy is ln ℓ."""
    size = alphabet.size
    return IidSource(f"uniform-{size}", alphabet, np.full(size, 1.0 / size))


def skewed(alphabet: Alphabet, entropy: float, *, likely: int = 0) -> StringSource:
    """One letter has probability p and the others share 1 - p, so that the entropy is as wanted.

    H(p) = -p ln p - (1 - p) ln((1 - p) / (ℓ - 1)) falls from ln ℓ at p = 1/ℓ to 0 at p = 1, so
    every entropy in between has one p.

    Args:
        alphabet: The letters.
        entropy: Nats per letter, from 0 to ln ℓ.
        likely: Index of the letter that has p.

    Raises:
        InputError: The alphabet cannot have this entropy, or has no such letter.
    """
    size = alphabet.size
    if not 0 <= likely < size:
        raise InputError(f"likely is {likely}; the alphabet's letters are 0 to {size - 1}.")
    p = skewed_probability(size, entropy)
    probabilities = np.full(size, (1.0 - p) / (size - 1))
    probabilities[likely] = p
    return IidSource(f"skewed-{size}-H{entropy:.4g}", alphabet, probabilities)


def from_probabilities(alphabet: Alphabet, probabilities: ArrayLike) -> StringSource:
    """Letters of a given distribution.

    Args:
        alphabet: The letters.
        probabilities: `[ℓ]`, not negative, with sum one (to 1e-6; they are then normalised).

    Raises:
        InputError: The probabilities are no distribution over the alphabet.
    """
    p = np.array(probabilities, dtype=np.float64)
    if p.shape != (alphabet.size,):
        raise InputError(
            f"Probabilities of shape {list(p.shape)} for {alphabet.size} letters; give one each."
        )
    if not np.isfinite(p).all() or (p < 0).any() or abs(p.sum() - 1) > 1e-6:
        raise InputError(
            f"The probabilities {p.tolist()} are no distribution: they must be 0 or more and sum "
            "to 1."
        )
    return IidSource(f"given-{alphabet.size}", alphabet, p / p.sum())


def skewed_probability(size: int, entropy: float) -> float:
    """Solve H(p) = `entropy` (nats) for p from 1/size to 1, see `skewed`.

    Raises:
        InputError: The entropy is outside 0 to ln(size).
    """
    most = math.log(size)
    if not -_ROUNDING * most <= entropy <= most * (1 + _ROUNDING):
        raise InputError(
            f"An alphabet of {size} letters cannot have an entropy of {entropy:g} nats a letter: "
            f"it has 0 to {most:.4f}. Choose a larger alphabet or a lower entropy."
        )

    # In q = 1 - p, which keeps its digits where the entropy is low.
    def excess(q: float) -> float:
        others = -q * math.log(q / (size - 1)) if q > 0 else 0.0
        return others - (1 - q) * math.log1p(-q) - entropy

    widest = 1 - 1 / size
    if entropy <= 0:
        return 1.0
    if excess(widest) <= 0:
        return 1.0 / size
    root = brentq(excess, 0.0, widest, xtol=sys.float_info.min, maxiter=1000)
    return 1.0 - float(root)  # type: ignore[arg-type]


def distribution_entropy(probabilities: ArrayLike) -> float:
    """Entropy of a distribution in nats, with 0 log 0 = 0."""
    p = np.asarray(probabilities, dtype=np.float64)
    p = p[p > 0]
    # Adding zero turns the minus zero of a certain letter into zero.
    return float(-(p * np.log(p)).sum() + 0.0)
