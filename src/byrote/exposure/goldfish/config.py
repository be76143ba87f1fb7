"""Which tokens a goldfish mask drops."""

from __future__ import annotations

from dataclasses import dataclass, fields

from byrote.errors import InputError

__all__ = ["MIN_CONTEXT", "STRATEGIES", "Goldfish", "Normalization"]

STRATEGIES: dict[str, str] = {
    "hash": "a keyed hash of the h preceding tokens decides; one passage, one mask, anywhere",
    "static": "every k-th token of a document",
    "random": "a draw for every token, fresh in every step",
    "official": "the reference's hash, bit for bit, with its defects",
}
"""What decides, by name."""

MIN_CONTEXT = 4
"""Preceding tokens from which on a token at the start of a document can be dropped."""


@dataclass(frozen=True, slots=True)
class Normalization:
    """What two copies of a text may differ in and still drop the same characters.

    Attributes:
        unicode: Compatibility forms (ligatures, full-width letters, NBSP, composed accents): NFKC.
        case: Capitals.
        space: How much white space stands between words, and of which kind.
        line_breaks: Where lines end; a word hyphenated at the end of a line is one word. Without it
            line breaks count even where other white space does not.
        invisible: Soft hyphens, zero-width characters and byte order marks.
        punctuation: Punctuation and symbols, such as curly quotation marks for straight ones.
    """

    unicode: bool = True
    case: bool = True
    space: bool = True
    line_breaks: bool = True
    invisible: bool = True
    punctuation: bool = True

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            # "false", from a file or a command line, would count as true.
            if not isinstance(value, bool):
                raise InputError(
                    f"goldfish normalize: {field.name} must be True or False, but it is {value!r}."
                )


@dataclass(frozen=True, slots=True)
class Goldfish:
    """A goldfish mask: of k tokens one is dropped on average, and never learned.

    Source: arXiv 2406.10209, section 3 (the masks) and 3.1 (hash). Most of its runs have h = 13.

    Attributes:
        k: One token in k is dropped; at least 2.
        h: How many tokens before a token decide whether it is dropped; at least 1. Under
            `official` the token itself is the last of them. Under `normalize` h counts words.
        strategy: `hash`, `static`, `random` or `official`; see `STRATEGIES`.
        seed: The key of `hash` (another key drops other tokens), the seed of `random`.
        start: Of `static`: the first dropped target of a document, from 0, which is its second
            token; then every k-th.
        min_context: Of `hash`: a token that has fewer tokens before it in its document is kept. One
            with fewer than h, but not fewer than this, is decided by those that there are. None
            is the smaller of h and 4; h itself is the paper's way, which never drops the first h
            tokens of a document.
        normalize: Of `hash`: decide by the words of the normalised text, so that reformatted or
            differently tokenized copies drop the same characters. True is `Normalization()`.
    """

    k: int = 4
    h: int = 13
    strategy: str = "hash"
    seed: int = 0
    start: int = 0
    min_context: int | None = None
    normalize: Normalization | bool | None = None

    @property
    def context(self) -> int:
        """How many tokens must precede one that is dropped."""
        return min(self.h, MIN_CONTEXT) if self.min_context is None else self.min_context

    @property
    def normalization(self) -> Normalization | None:
        """The normalisation, or None where tokens decide."""
        if isinstance(self.normalize, Normalization):
            return self.normalize
        return Normalization() if self.normalize else None

    def check(self) -> None:
        """See that the mask is one.

        Raises:
            InputError: A value makes no sense.
        """
        if self.strategy not in STRATEGIES:
            raise InputError(
                f"There is no goldfish strategy {self.strategy!r}. There are: "
                f"{', '.join(STRATEGIES)}."
            )
        for name in ("k", "h", "seed", "start", "min_context"):
            value = getattr(self, name)
            if name == "min_context" and value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int):
                raise InputError(f"goldfish {name} must be a whole number, but it is {value!r}.")
        if self.k < 2:
            raise InputError(
                f"goldfish k must be at least 2, but it is {self.k}: one token in k is dropped, "
                "and with k = 1 nothing would be left. To drop none, leave the mask out."
            )
        if self.h < 1:
            raise InputError(
                f"goldfish h must be at least 1, but it is {self.h}: it is the number of tokens "
                "that decide whether the next one is dropped. The paper uses 13."
            )
        if not 0 <= self.seed < 2**64:
            raise InputError(f"goldfish seed must be from 0 to 2**64 - 1, but it is {self.seed}.")
        if not 0 <= self.start < self.k:
            raise InputError(
                f"goldfish start must be from 0 to k - 1 = {self.k - 1}, but it is {self.start}."
            )
        if not 1 <= self.context <= self.h:
            raise InputError(
                f"goldfish min_context must be from 1 to h = {self.h}, but it is "
                f"{self.min_context}."
            )
        if not (self.normalize is None or isinstance(self.normalize, bool | Normalization)):
            raise InputError(
                f"goldfish normalize must be True, False or a Normalization, but it is "
                f"{self.normalize!r}."
            )
        if self.normalization is not None and self.strategy != "hash":
            raise InputError(
                f"goldfish normalize works with the strategy hash only, not with {self.strategy}."
            )
