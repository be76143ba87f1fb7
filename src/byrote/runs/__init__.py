"""Run folders: what was asked, where it came from, what was found; whole or resumable.

Knows nothing of models, texts or papers.
"""

from typing import TYPE_CHECKING

from byrote._lazy import lazy

if TYPE_CHECKING:
    from byrote.runs.engines import ENGINES, check_engine, default_workers, run_works
    from byrote.runs.files import replacing, write_json, write_parquet
    from byrote.runs.folder import SCHEMA_VERSION, Run, config_hash
    from byrote.runs.parts import Parts
    from byrote.runs.provenance import cores, hardware, now, versions
    from byrote.runs.results import Results
    from byrote.runs.tasks import CellContext, Failure, Work

__getattr__, __dir__ = lazy(__name__)
__all__ = [
    "ENGINES",
    "SCHEMA_VERSION",
    "CellContext",
    "Failure",
    "Parts",
    "Results",
    "Run",
    "Work",
    "check_engine",
    "config_hash",
    "cores",
    "default_workers",
    "hardware",
    "now",
    "replacing",
    "run_works",
    "versions",
    "write_json",
    "write_parquet",
]
