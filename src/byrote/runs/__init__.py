"""Run folders: what was asked, where it came from, what was found; whole or resumable.

Knows nothing of models, texts or papers.
"""

from typing import TYPE_CHECKING

from byrote._lazy import lazy

if TYPE_CHECKING:
    from byrote.runs.files import replacing, write_json, write_parquet
    from byrote.runs.folder import SCHEMA_VERSION, Run, config_hash
    from byrote.runs.parts import Parts
    from byrote.runs.provenance import hardware, now, versions

__getattr__, __dir__ = lazy(__name__)
__all__ = [
    "SCHEMA_VERSION",
    "Parts",
    "Run",
    "config_hash",
    "hardware",
    "now",
    "replacing",
    "versions",
    "write_json",
    "write_parquet",
]
