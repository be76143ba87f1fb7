"""Run folders: what was asked, where it came from, what was found; whole or resumable.

Knows nothing of models, texts or papers.
"""

from typing import TYPE_CHECKING

from byrote._lazy import lazy

if TYPE_CHECKING:
    from byrote.runs.devices import Gpu, gpus, memory_bytes
    from byrote.runs.engines import (
        ENGINES,
        check_engine,
        default_workers,
        run_works,
        workers_of,
    )
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
    "Gpu",
    "Parts",
    "Results",
    "Run",
    "Work",
    "check_engine",
    "config_hash",
    "cores",
    "default_workers",
    "gpus",
    "hardware",
    "memory_bytes",
    "now",
    "replacing",
    "run_works",
    "versions",
    "workers_of",
    "write_json",
    "write_parquet",
]
