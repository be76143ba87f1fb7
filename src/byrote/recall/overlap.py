"""How near a generated text comes to the true one, where the two may diverge.

Every function takes the reference first and the candidate second, each a string or a sequence of
token ids. Strings are cut into words as the field's own tools do (rouge-score for ROUGE,
sacrebleu's 13a for BLEU) or into characters (edit distance); ids are compared as they stand.
All values lie in 0..1 but `edit_distance`.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import LCSseq, Levenshtein

__all__ = ["RougeL", "Tokens", "bleu", "edit_distance", "edit_similarity", "rouge_l"]

Tokens = str | Sequence[Hashable] | NDArray[np.integer]

_WORD = re.compile(r"[a-z0-9]+")
_ENTITIES = (("&quot;", '"'), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">"))
# The rules of mteval-v13a, in its order. Each match uses up both of its characters, so a run of
# points is cut differently from single ones; that is part of the definition.
_RULES = (
    # ASCII punctuation but the apostrophe, full stop, comma and dash
    (re.compile(r"[!-&(-+/:-@\[-`{-~]"), r" \g<0> "),
    (re.compile(r"([^0-9])([.,])"), r"\1 \2 "),
    (re.compile(r"([.,])([^0-9])"), r" \1 \2"),
    (re.compile(r"(?<=[0-9])-"), " - "),
)


class RougeL(NamedTuple):
    """ROUGE-L (Lin 2004, section 3): the longest common subsequence over either length."""

    precision: float
    recall: float
    f1: float


def rouge_l(reference: Tokens, candidate: Tokens) -> RougeL:
    """ROUGE-L of a candidate, by words of a string (as rouge-score, no stemmer) or by token ids.

    Words are runs of a-z and 0-9 in lower case, so text in another script has none and scores zero;
    compare such text by ids.
    """
    a, b = _as_ids(_words(reference), _words(candidate))
    if not a or not b:
        return RougeL(0.0, 0.0, 0.0)
    common = LCSseq.similarity(a, b)
    precision, recall = common / len(b), common / len(a)
    f1 = 2 * precision * recall / (precision + recall) if common else 0.0
    return RougeL(precision, recall, f1)


def edit_distance(reference: Tokens, candidate: Tokens) -> int:
    """Levenshtein distance in characters of a string or in token ids."""
    return Levenshtein.distance(*_as_ids(_units(reference), _units(candidate)))


def edit_similarity(reference: Tokens, candidate: Tokens) -> float:
    """1 - distance / length of the longer one; 1 where both are empty."""
    return Levenshtein.normalized_similarity(*_as_ids(_units(reference), _units(candidate)))


def bleu(reference: Tokens, candidate: Tokens) -> float:
    """Sentence BLEU-4 in 0..1 (Papineni et al. 2002), by 13a words of a string or by token ids.

    As sacrebleu's `sentence_bleu` with its defaults: a precision without a match is smoothed
    exponentially (the i-th such counts as 2^-i matches; Chen and Cherry 2014, method 3), orders
    longer than the candidate are left out, and a candidate without any match scores zero.
    """
    ref, can = _bleu_words(reference), _bleu_words(candidate)
    smooth, logs = 1.0, []
    matched = 0
    for order in range(1, 5):
        total = len(can) - order + 1
        if total < 1:
            break
        hits = (_ngrams(can, order) & _ngrams(ref, order)).total()
        matched += hits
        if not hits:
            smooth *= 2
        logs.append(math.log((hits or 1 / smooth) / total))
    if not matched:
        return 0.0
    brevity = min(0.0, 1 - len(ref) / len(can))
    # The mean of equal logarithms may exceed zero by a rounding error.
    return min(1.0, math.exp(brevity + math.fsum(logs) / len(logs)))


def _ngrams(tokens: Sequence[Hashable], order: int) -> Counter[tuple[Hashable, ...]]:
    return Counter(zip(*(tokens[i:] for i in range(order)), strict=False))


def _units(tokens: Tokens) -> Sequence[Hashable]:
    return tokens.tolist() if isinstance(tokens, np.ndarray) else tokens


def _words(tokens: Tokens) -> Sequence[Hashable]:
    return _WORD.findall(tokens.lower()) if isinstance(tokens, str) else _units(tokens)


def _bleu_words(tokens: Tokens) -> Sequence[Hashable]:
    """Words of mteval-v13a: entities undone, punctuation set apart except inside numbers."""
    if not isinstance(tokens, str):
        return _units(tokens)
    line = tokens.rstrip().replace("<skipped>", "").replace("-\n", "").replace("\n", " ")
    for entity, char in _ENTITIES:
        line = line.replace(entity, char)
    line = f" {line} "
    for pattern, replacement in _RULES:
        line = pattern.sub(replacement, line)
    return line.split()


def _as_ids(a: Sequence[Hashable], b: Sequence[Hashable]) -> tuple[list[int], list[int]]:
    # rapidfuzz compares hashes; small numbers of our own make that exact for every kind of token.
    known: dict[Hashable, int] = {}
    first = [known.setdefault(token, len(known)) for token in a]
    return first, [known.setdefault(token, len(known)) for token in b]
