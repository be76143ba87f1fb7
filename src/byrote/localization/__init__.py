"""Which neurons hold a memorised sequence, how well methods find them, and erasing it."""

from typing import TYPE_CHECKING

from byrote._lazy import lazy

if TYPE_CHECKING:
    from byrote.localization.base import Localizer
    from byrote.localization.registry import LOCALIZERS, find_localizer
    from byrote.localization.selection import SCOPES, Selection, jaccard, select

__getattr__, __dir__ = lazy(__name__)
__all__ = [
    "LOCALIZERS",
    "SCOPES",
    "Localizer",
    "Selection",
    "find_localizer",
    "jaccard",
    "select",
]
