"""Defences at the output: filters of n-grams, and decoding that never completes one of them.

`NGramSet` is exact, `BloomFilter` small; `build_filter` makes either from any texts, `load_filter`
reads one from disk. `MemFree` takes it to `generate`. `measure_evasion` tells what gets through.
"""

from typing import TYPE_CHECKING

from byrote._lazy import lazy

if TYPE_CHECKING:
    from byrote.decoding.base import NGramFilter, Origin
    from byrote.decoding.bloom import BloomFilter
    from byrote.decoding.building import build_filter
    from byrote.decoding.evasion import (
        EVASION_MEASURES,
        evasion_rows,
        measure_evasion,
        summarise_evasion,
    )
    from byrote.decoding.files import FILTERS, load_filter, read_header
    from byrote.decoding.identity import tokenizer_hash
    from byrote.decoding.memfree import MemFree, MemFreeCounts
    from byrote.decoding.sets import NGramSet
    from byrote.decoding.styles import STYLES

__getattr__, __dir__ = lazy(__name__)
__all__ = [
    "EVASION_MEASURES",
    "FILTERS",
    "STYLES",
    "BloomFilter",
    "MemFree",
    "MemFreeCounts",
    "NGramFilter",
    "NGramSet",
    "Origin",
    "build_filter",
    "evasion_rows",
    "load_filter",
    "measure_evasion",
    "read_header",
    "summarise_evasion",
    "tokenizer_hash",
]
