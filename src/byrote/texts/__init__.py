"""Texts that models are shown or asked for: sources, records, passages, controls.

`open_source` finds texts, `cut` makes passages of them, `draw` takes a few, and `CONTROLS` makes
what they are compared with.
"""

from typing import TYPE_CHECKING

from byrote._lazy import lazy

if TYPE_CHECKING:
    from byrote.texts.base import TextSource
    from byrote.texts.controls import CONTROLS, make_controls, mismatched, shuffled
    from byrote.texts.ids import UniqueIds
    from byrote.texts.passages import Passage
    from byrote.texts.records import Record
    from byrote.texts.sampling import draw
    from byrote.texts.seeds import derive_seed
    from byrote.texts.sources import CORPORA, FORMATS, open_source
    from byrote.texts.windows import CutStats, cut, prefix_sweep, with_prefix_len

__getattr__, __dir__ = lazy(__name__)
__all__ = [
    "CONTROLS",
    "CORPORA",
    "FORMATS",
    "CutStats",
    "Passage",
    "Record",
    "TextSource",
    "UniqueIds",
    "cut",
    "derive_seed",
    "draw",
    "make_controls",
    "mismatched",
    "open_source",
    "prefix_sweep",
    "shuffled",
    "with_prefix_len",
]
