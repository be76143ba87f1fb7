"""Training by repetition: show a model chosen sequences a counted number of times, and watch."""

from typing import TYPE_CHECKING

from byrote._lazy import lazy

if TYPE_CHECKING:
    from byrote.exposure.batches import Batch
    from byrote.exposure.config import ExposureConfig, StopRule
    from byrote.exposure.errors import DivergedError
    from byrote.exposure.loop import Exposure, expose
    from byrote.exposure.objectives import OBJECTIVES, Objective, Setting, find_objective
    from byrote.exposure.observers import BatchView, EpochView, Observer, Recorder, StepView
    from byrote.exposure.partial import PARTS, Selection, select
    from byrote.exposure.processes import Processes, join_processes
    from byrote.exposure.schedules import SCHEDULES, learning_rate, warmup_steps
    from byrote.exposure.sequences import IGNORED, Sequences

__getattr__, __dir__ = lazy(__name__)
__all__ = [
    "IGNORED",
    "OBJECTIVES",
    "PARTS",
    "SCHEDULES",
    "Batch",
    "BatchView",
    "DivergedError",
    "EpochView",
    "Exposure",
    "ExposureConfig",
    "Objective",
    "Observer",
    "Processes",
    "Recorder",
    "Selection",
    "Sequences",
    "Setting",
    "StepView",
    "StopRule",
    "expose",
    "find_objective",
    "join_processes",
    "learning_rate",
    "select",
    "warmup_steps",
]
