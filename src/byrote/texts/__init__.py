"""Texts that models are shown or asked for: sources, records, passages, controls.

`open_source` finds texts, `cut` makes passages of them, `draw` takes a few, and `CONTROLS` makes
what they are compared with. Random strings come from an `Alphabet` and a `StringSource`: `uniform`,
`skewed` to an entropy, of given probabilities, or `markov`.
"""

from typing import TYPE_CHECKING

from byrote._lazy import lazy

if TYPE_CHECKING:
    from byrote.texts.alphabets import (
        Alphabet,
        letters_alphabet,
        random_token_alphabet,
        token_alphabet,
    )
    from byrote.texts.base import TextSource
    from byrote.texts.controls import CONTROLS, make_controls, mismatched, shuffled
    from byrote.texts.ids import UniqueIds
    from byrote.texts.markov_chains import MarkovSource, markov
    from byrote.texts.passages import Passage
    from byrote.texts.records import Record
    from byrote.texts.sampling import draw
    from byrote.texts.seeds import derive_seed
    from byrote.texts.sources import CORPORA, FORMATS, open_source
    from byrote.texts.strings import (
        IidSource,
        StringSource,
        distribution_entropy,
        from_probabilities,
        skewed,
        uniform,
    )
    from byrote.texts.windows import CutStats, cut, prefix_sweep, with_prefix_len

__getattr__, __dir__ = lazy(__name__)
__all__ = [
    "CONTROLS",
    "CORPORA",
    "FORMATS",
    "Alphabet",
    "CutStats",
    "IidSource",
    "MarkovSource",
    "Passage",
    "Record",
    "StringSource",
    "TextSource",
    "UniqueIds",
    "cut",
    "derive_seed",
    "distribution_entropy",
    "draw",
    "from_probabilities",
    "letters_alphabet",
    "make_controls",
    "markov",
    "mismatched",
    "open_source",
    "prefix_sweep",
    "random_token_alphabet",
    "shuffled",
    "skewed",
    "token_alphabet",
    "uniform",
    "with_prefix_len",
]
