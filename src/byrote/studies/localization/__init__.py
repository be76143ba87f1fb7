"""Study `localization`: where a memorised sequence is held, and erasing it (2311.09060)."""

from byrote.studies.base import Paper, Study
from byrote.studies.localization.analysis import analyse
from byrote.studies.localization.checks import check
from byrote.studies.localization.claims import CLAIMS
from byrote.studies.localization.config import LocalizationConfig
from byrote.studies.localization.fitting import fit
from byrote.studies.localization.notes import notes
from byrote.studies.localization.plan import cells
from byrote.studies.localization.presets import PRESETS
from byrote.studies.localization.sections import facts, sections

__all__ = ["STUDY"]

STUDY = Study(
    name="localization",
    title="Where a memorised sequence is held, and erasing it",
    paper=Paper(
        "2311.09060",
        "Do Localization Methods Actually Localize Memorized Data in LLMs? "
        "A Tale of Two Benchmarks",
    ),
    config_type=LocalizationConfig,
    presets=PRESETS,
    check=check,
    fit=fit,
    cells=cells,
    analyse=analyse,
    claims=CLAIMS,
    notes=notes,
    sections=sections,
    facts=facts,
)
