"""Alphabets of random strings: sets of single tokens, one token a letter.

Strings over an alphabet are drawn as token ids and never tokenized as a text, so that no merge of
the tokenizer can join two letters (2407.19262, section 2).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from string import ascii_lowercase
from typing import Any, TypeVar

import numpy as np

from byrote.errors import InputError

__all__ = ["Alphabet", "letters_alphabet", "random_token_alphabet", "token_alphabet"]

T = TypeVar("T", int, str)

# How tokenizers write a space at the start of a token: SentencePiece, byte-level BPE, plainly.
_SPACES = "▁Ġ "


@dataclass(frozen=True, slots=True)
class Alphabet:
    """The tokens that a string is made of.

    Attributes:
        ids: Their ids in the model's vocabulary, distinct, `[size]`.
        letters: How each is shown, distinct, `[size]`.
    """

    ids: tuple[int, ...]
    letters: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.ids) != len(self.letters):
            raise InputError(f"{len(self.ids)} ids and {len(self.letters)} letters; give one each.")
        if len(self.ids) < 2:
            raise InputError(f"An alphabet has at least 2 tokens; this one has {len(self.ids)}.")
        if repeated := _first_repeated(self.ids):
            raise InputError(
                f"Token id {repeated[0]} stands more than once in the alphabet; its tokens must be "
                "distinct."
            )
        if repeated := _first_repeated(self.letters):
            raise InputError(
                f"The letter {repeated[0]!r} stands for more than one token of the alphabet; "
                "letters must be distinct."
            )
        if min(self.ids) < 0:
            raise InputError(f"{min(self.ids)} is no token id; ids are 0 or more.")

    @property
    def size(self) -> int:
        """Number of letters, ℓ."""
        return len(self.ids)


def letters_alphabet(tokenizer: Any, size: int) -> Alphabet:
    """Take the first lowercase Latin letters, each of which must be a single token.

    A letter's token is what the tokenizer makes of the letter alone, without special tokens. Where
    that is a piece for the leading space and a piece for the letter, as with SentencePiece, it is
    the last piece.

    Args:
        tokenizer: Any Hugging Face tokenizer.
        size: Number of letters, 2 to 26.

    Raises:
        InputError: The size is outside 2 to 26 or exceeds the vocabulary, there is no tokenizer, a
            letter is not a single token of this tokenizer, or two letters share a token.
    """
    if not 2 <= size <= len(ascii_lowercase):
        raise InputError(
            f"An alphabet of {size} letters: there are 2 to {len(ascii_lowercase)} Latin letters. "
            'Use the alphabet "tokens" for other sizes.'
        )
    if tokenizer is None:
        raise InputError(
            'This model has no tokenizer, so it has no letters; use the alphabet "tokens".'
        )
    if size > len(tokenizer):
        raise InputError(
            f"An alphabet of {size} letters does not fit in the tokenizer's vocabulary of "
            f"{len(tokenizer)} tokens; choose a smaller one."
        )
    letters = ascii_lowercase[:size]
    ids = [_letter_id(tokenizer, letter) for letter in letters]
    if repeated := _first_repeated(ids):
        same = [letter for letter, id_ in zip(letters, ids, strict=True) if id_ == repeated[0]]
        raise InputError(
            f"The letters {', '.join(same)} are all token {repeated[0]} of {_name(tokenizer)}; use "
            'the alphabet "tokens".'
        )
    return Alphabet(tuple(ids), tuple(letters))


def token_alphabet(ids: Iterable[int], vocab_size: int, tokenizer: Any = None) -> Alphabet:
    """Take any given tokens as the alphabet.

    Args:
        ids: Their ids, in the alphabet's order.
        vocab_size: Number of ids in the model's vocabulary.
        tokenizer: Where given, the letters are the tokens' texts; otherwise `<id>`.

    Raises:
        InputError: There are fewer than 2 ids, more than the vocabulary has, one outside of it, or
            one twice.
    """
    chosen = tuple(int(i) for i in ids)
    if len(chosen) > vocab_size:
        raise InputError(
            f"An alphabet of {len(chosen)} tokens does not fit in a vocabulary of {vocab_size}; "
            "choose a smaller one."
        )
    for id_ in chosen:
        if not 0 <= id_ < vocab_size:
            raise InputError(
                f"Token id {id_} of the alphabet is outside the model's vocabulary of {vocab_size} "
                f"ids (0 to {vocab_size - 1})."
            )
    return Alphabet(chosen, _shown(chosen, tokenizer))


def random_token_alphabet(
    vocab_size: int,
    size: int,
    seed: int,
    exclude: Iterable[int] = (),
    tokenizer: Any = None,
) -> Alphabet:
    """Draw single tokens at random from the vocabulary.

    Args:
        vocab_size: Number of ids in the model's vocabulary.
        size: Number of tokens, at least 2.
        seed: The alphabet depends on this and on what is excluded, on nothing else.
        exclude: Ids never to take, such as another alphabet's.
        tokenizer: Where given, its special tokens and the ids that it has no token for are never
            taken either, and the letters are the tokens' texts.

    Raises:
        InputError: There are fewer than `size` tokens to take, or the seed is negative.
    """
    if seed < 0:
        raise InputError(f"seed is {seed}; it must be 0 or more.")
    upper = vocab_size if tokenizer is None else min(vocab_size, len(tokenizer))
    barred = set(exclude) | set(getattr(tokenizer, "all_special_ids", ()))
    free = np.array([i for i in range(upper) if i not in barred], dtype=np.int64)
    if size > len(free):
        raise InputError(
            f"An alphabet of {size} tokens: the vocabulary of {vocab_size} leaves {len(free)} to "
            "choose from; choose a smaller alphabet."
        )
    # The smallest of random keys: a draw without replacement that no version of NumPy changes.
    order = np.argsort(np.random.default_rng(seed).random(len(free)), kind="stable")
    chosen = tuple(free[order[:size]].tolist())
    return Alphabet(chosen, _shown(chosen, tokenizer))


def _letter_id(tokenizer: Any, letter: str) -> int:
    ids = tokenizer(letter, add_special_tokens=False)["input_ids"]
    pieces = tokenizer.convert_ids_to_tokens(ids)
    # All but the last piece may only be space; the last is the letter, with or without a space.
    whole = ids and "".join(pieces[:-1]).strip(_SPACES) == ""
    if not whole or pieces[-1].strip(_SPACES) != letter:
        raise InputError(
            f"The letter {letter!r} is {len(ids)} pieces of {_name(tokenizer)}: {pieces}. A random "
            'string needs one token a letter; use the alphabet "tokens", which takes arbitrary '
            "single tokens."
        )
    return int(ids[-1])


def _shown(ids: Sequence[int], tokenizer: Any) -> tuple[str, ...]:
    """The text of each token where texts are distinct and printable; `<id>` otherwise."""
    if tokenizer is None:
        return tuple(f"<{id_}>" for id_ in ids)
    texts = [tokenizer.decode([id_]) for id_ in ids]
    # A token may be written like another one's id.
    numbered = {f"<{id_}>" for id_ in ids}
    return tuple(
        text
        if text.strip()
        and text.isprintable()
        and "\ufffd" not in text
        and texts.count(text) == 1
        and text not in numbered
        else f"<{id_}>"
        for text, id_ in zip(texts, ids, strict=True)
    )


def _first_repeated(items: Sequence[T]) -> tuple[T] | None:
    seen: set[T] = set()
    for item in items:
        if item in seen:
            return (item,)
        seen.add(item)
    return None


def _name(tokenizer: Any) -> str:
    where = getattr(tokenizer, "name_or_path", "")
    kind = type(tokenizer).__name__
    return f"the tokenizer {where} ({kind})" if where else f"this tokenizer ({kind})"
