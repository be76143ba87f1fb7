"""Study `goldfish`: training that does not memorise (2406.10209)."""

from byrote.studies.base import Paper, Study
from byrote.studies.goldfish.analysis import analyse
from byrote.studies.goldfish.checks import check
from byrote.studies.goldfish.claims import CLAIMS
from byrote.studies.goldfish.config import GoldfishConfig
from byrote.studies.goldfish.fitting import fit
from byrote.studies.goldfish.notes import notes
from byrote.studies.goldfish.plan import cells
from byrote.studies.goldfish.presets import PRESETS
from byrote.studies.goldfish.sections import facts, sections

__all__ = ["STUDY"]

STUDY = Study(
    name="goldfish",
    title="Training that does not memorise",
    paper=Paper(
        "2406.10209",
        "Be like a Goldfish, Don't Memorize! Mitigating Memorization in Generative LLMs",
    ),
    config_type=GoldfishConfig,
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
