"""Studies: a frozen config, the cells it splits into, its tables, charts and claims.

A study lives in a package of its own below this one and is named in `registry.py`.
"""

from typing import TYPE_CHECKING

from byrote._lazy import lazy

if TYPE_CHECKING:
    from byrote.studies.base import Paper, Study
    from byrote.studies.cells import Cell, CellContext
    from byrote.studies.claims import (
        Claim,
        Judgement,
        NotTested,
        Tables,
        at_least,
        claims_markdown,
        decide,
        judge_all,
    )
    from byrote.studies.config import flat_fields, from_json, load_config, override, to_json
    from byrote.studies.errors import CellsFailedError
    from byrote.studies.job import (
        judge_again,
        judged,
        open_study_run,
        plan_cells,
        resume_study,
        run_study,
        write_study_report,
    )
    from byrote.studies.registry import STUDIES, get_study

__getattr__, __dir__ = lazy(__name__)
__all__ = [
    "STUDIES",
    "Cell",
    "CellContext",
    "CellsFailedError",
    "Claim",
    "Judgement",
    "NotTested",
    "Paper",
    "Study",
    "Tables",
    "at_least",
    "claims_markdown",
    "decide",
    "flat_fields",
    "from_json",
    "get_study",
    "judge_again",
    "judge_all",
    "judged",
    "load_config",
    "open_study_run",
    "override",
    "plan_cells",
    "resume_study",
    "run_study",
    "to_json",
    "write_study_report",
]
