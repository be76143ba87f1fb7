"""Which studies there are. A new one is one package and one line here."""

from __future__ import annotations

import difflib
import importlib
from typing import TYPE_CHECKING

from byrote.errors import InputError

if TYPE_CHECKING:
    from byrote.studies.base import Study

__all__ = ["STUDIES", "get_study"]

STUDIES: dict[str, str] = {
    "dynamics": "byrote.studies.dynamics:STUDY",
    "goldfish": "byrote.studies.goldfish:STUDY",
    "localization": "byrote.studies.localization:STUDY",
}
"""Name of a study -> `module:object` of its `Study`, imported when it is asked for."""


def get_study(name: str) -> Study:
    """The study of that name.

    Raises:
        InputError: There is no such study.
    """
    if name not in STUDIES:
        near = difflib.get_close_matches(name, STUDIES, n=1)
        hint = f"; did you mean {near[0]}?" if near else f"; known are: {', '.join(STUDIES)}"
        raise InputError(f"there is no study {name!r}{hint}")
    module, _, attribute = STUDIES[name].partition(":")
    return getattr(importlib.import_module(module), attribute)
