"""Run folders: what was asked, where it came from, what was found; whole or resumable.

Knows nothing of models, texts or papers.
"""

from byrote._lazy import attach

_EXPORTS = {
    "Parts": "parts",
    "Run": "folder",
    "SCHEMA_VERSION": "folder",
    "config_hash": "folder",
    "hardware": "provenance",
    "now": "provenance",
    "replacing": "files",
    "versions": "provenance",
    "write_json": "files",
    "write_parquet": "files",
}

__getattr__, __dir__, __all__ = attach(__name__, _EXPORTS)
