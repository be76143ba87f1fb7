"""What is learned from a sequence: one file per objective."""

from typing import TYPE_CHECKING

from byrote._lazy import lazy

if TYPE_CHECKING:
    from byrote.exposure.objectives.base import Objective, Setting
    from byrote.exposure.objectives.registry import OBJECTIVES, find_objective

__getattr__, __dir__ = lazy(__name__)
__all__ = ["OBJECTIVES", "Objective", "Setting", "find_objective"]
