"""Markov strings: the same letters as often, yet each one is partly foretold by those before it.

A source of order k whose letters are uniform, and even uniform given any k - 1 of the letters
before: only all k together tell something, and how much is chosen. With it the entropy that a model
can reach by learning the rule is set apart from the size of the alphabet (beyond 2407.19262).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from byrote.errors import InputError
from byrote.texts.alphabets import Alphabet
from byrote.texts.strings import StringSource, distribution_entropy, skewed_probability

__all__ = ["MarkovSource", "markov"]

# One favoured letter is stored for each context.
_MOST_CONTEXTS = 1 << 22


class MarkovSource(StringSource):
    """Letters that depend on the `order` letters before them.

    After a context c the favoured letter f(c) has probability p, and the others share 1 - p. For
    each choice of the later k - 1 letters of the context, f is a permutation of the first. So the
    uniform distribution of contexts is stationary, every context leaves the same entropy H(p), and
    any k letters in a row are independent and uniform. The first k letters of a string are drawn
    uniformly, which is the stationary distribution.

    Attributes:
        order: k, letters that the next one depends on.
        favoured: int64 `[ℓ^k]`, the favoured letter after each context; a context's index has its
            latest letter as the lowest digit in base ℓ.
        p: Probability of the favoured letter.
    """

    def __init__(
        self, name: str, alphabet: Alphabet, order: int, favoured: NDArray[np.int64], p: float
    ) -> None:
        super().__init__(name, alphabet, np.full(alphabet.size, 1.0 / alphabet.size))
        self.order = order
        self.favoured = favoured
        self.favoured.setflags(write=False)
        self.p = p

    @property
    def entropy_rate(self) -> float:
        """Entropy of a letter given the `order` letters before it, in nats: H(p)."""
        return distribution_entropy(self._ranked())

    def next_probabilities(self, ids: ArrayLike) -> NDArray[np.float64]:
        """The true distribution of each token of a string given those before it, `[n, ℓ]`.

        Raises:
            InputError: A token is not in the alphabet.
        """
        letters = self.letter_indices(ids)
        n, size, k = len(letters), self.alphabet.size, self.order
        result = np.full((n, size), 1.0 / size)
        if n > k:
            contexts = np.zeros(n - k, dtype=np.int64)
            for place in range(k):
                contexts = contexts * size + letters[place : n - k + place]
            result[k:] = (1.0 - self.p) / (size - 1)
            result[np.arange(k, n), self.favoured[contexts]] = self.p
        return result

    def _ranked(self) -> NDArray[np.float64]:
        size = self.alphabet.size
        ranked = np.full(size, (1.0 - self.p) / (size - 1))
        ranked[0] = self.p
        return ranked

    def _letters(self, draws: NDArray[np.float64]) -> NDArray[np.int64]:
        size, k, p = self.alphabet.size, self.order, self.p
        letters = np.minimum((draws * size).astype(np.int64), size - 1)
        hits = draws < p
        # What is left of a draw above p says which of the others; it is skipped past f(c).
        rest = (draws - p) / (1.0 - p) if p < 1.0 else np.zeros_like(draws)
        other = np.clip((rest * (size - 1)).astype(np.int64), 0, size - 2).tolist()
        contexts, context = len(self.favoured), 0
        for letter in letters[:k].tolist():
            context = context * size + letter
        for at in range(k, len(draws)):
            letter = int(self.favoured[context])
            if not hits[at]:
                letter = other[at] + (other[at] >= letter)
            letters[at] = letter
            context = (context * size + letter) % contexts
        return letters


def markov(alphabet: Alphabet, order: int, entropy_rate: float, seed: int) -> MarkovSource:
    """Make a Markov source with a wanted conditional entropy and uniform letters.

    The rule (which letter is favoured after which context) is random; the entropy is not: it is
    exact, and the same after every context. At an entropy rate of zero the string repeats itself
    with some period from its first letters on; at ln ℓ there is no rule left.

    Args:
        alphabet: The letters, of size ℓ.
        order: k, letters that the next one depends on, at least 1.
        entropy_rate: Nats per letter given the k letters before it, from 0 to ln ℓ.
        seed: Chooses the rule; 0 or more.

    Raises:
        InputError: The alphabet cannot have this entropy, the order is below 1, ℓ^k contexts are
            too many to store, or the seed is negative.
    """
    size = alphabet.size
    if order < 1:
        raise InputError(f"A Markov string of order {order}: it is at least 1; 0 is uniform.")
    if seed < 0:
        raise InputError(f"seed is {seed}; it must be 0 or more.")
    if size**order > _MOST_CONTEXTS:
        raise InputError(
            f"Order {order} over {size} letters has {size**order:,} contexts, more than "
            f"{_MOST_CONTEXTS:,}; choose a lower order or a smaller alphabet."
        )
    p = skewed_probability(size, entropy_rate)
    # One permutation of the letters for each choice of the later k - 1 letters: [later, first].
    keys = np.random.default_rng(seed).random((size ** (order - 1), size))
    permutations = np.argsort(keys, axis=1, kind="stable")
    favoured = np.ascontiguousarray(permutations.T).ravel()
    return MarkovSource(f"markov{order}-{size}-H{entropy_rate:.4g}", alphabet, order, favoured, p)
