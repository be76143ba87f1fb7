"""Study `dynamics`: how memorisation comes about under repeated exposure (2407.19262)."""

from byrote.studies.base import Paper, Study
from byrote.studies.dynamics.analysis import analyse
from byrote.studies.dynamics.checks import check
from byrote.studies.dynamics.claims import CLAIMS
from byrote.studies.dynamics.config import DynamicsConfig
from byrote.studies.dynamics.fitting import fit
from byrote.studies.dynamics.notes import notes
from byrote.studies.dynamics.plan import cells
from byrote.studies.dynamics.presets import PRESETS
from byrote.studies.dynamics.sections import facts, sections

__all__ = ["STUDY"]

STUDY = Study(
    name="dynamics",
    title="How memorisation comes about under repeated exposure",
    paper=Paper(
        "2407.19262",
        "Understanding Memorisation in LLMs: Dynamics, Influencing Factors, and Implications",
    ),
    config_type=DynamicsConfig,
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
