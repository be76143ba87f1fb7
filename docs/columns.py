"""Write the documentation's tables of columns and claims from the code: `python docs/columns.py`.

A test compares the pages with what this would write, so they cannot go stale.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from byrote.recall import schemas as audit
from byrote.recall.measures import summary_measures
from byrote.studies import get_study
from byrote.studies import schemas as frame
from byrote.studies.dynamics import schemas as dynamics
from byrote.studies.goldfish import schemas as goldfish
from byrote.studies.localization import schemas as localization

DOCS = Path(__file__).parent

PAGES: dict[str, tuple[ModuleType, ...]] = {
    "run-folder.md": (audit, frame),
    "studies/dynamics-tables.md": (dynamics,),
    "studies/dynamics.md": (),
    "studies/goldfish-tables.md": (goldfish,),
    "studies/goldfish.md": (),
    "studies/localization-tables.md": (localization,),
    "studies/localization.md": (),
}
"""Page -> modules with `SCHEMAS`, `COLUMNS` and perhaps `ABOUT`, whose tables it describes."""

CLAIMS: dict[str, str] = {
    "studies/dynamics.md": "dynamics",
    "studies/goldfish.md": "goldfish",
    "studies/localization.md": "localization",
}
"""Page -> study whose claims it lists."""

_TYPES = {
    "String": "string",
    "Boolean": "boolean",
    "Int32": "int32",
    "Int64": "int64",
    "UInt64": "uint64",
    "Float32": "float32",
    "Float64": "float64",
    "List(Int64)": "list of int64",
    "List(Float64)": "list of float64",
}


def generated(name: str, page: str) -> str:
    """A page with what stands between each pair of markers written anew."""
    for module in PAGES[name]:
        for table, schema in module.SCHEMAS.items():
            rows = _columns(table, schema, module.COLUMNS)
            about = getattr(module, "ABOUT", {}).get(table)
            text = f"{about}\n\n{rows}" if about else rows
            page = _between(name, page, f"columns: {table}", text)
    if audit in PAGES[name]:
        page = _between(name, page, "measures", _measures())
    if name in CLAIMS:
        page = _between(name, page, "claims", _claims(CLAIMS[name]))
    return page


def _claims(study: str) -> str:
    lines = ["| claim | statement | published | measured here |", "|---|---|---|---|"]
    for claim in get_study(study).claims:
        statement = f"{claim.statement} ({claim.section}) [{claim.provenance}]"
        cells = (f"`{claim.id}`", statement, claim.published, claim.measured)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


def _between(name: str, page: str, marker: str, text: str) -> str:
    start, end = f"<!-- {marker} -->", f"<!-- end {marker} -->"
    if start not in page or end not in page:
        raise ValueError(f"{name} lacks the markers {start} and {end}")
    before, _, rest = page.partition(start)
    return f"{before}{start}\n\n{text}\n\n{end}{rest.partition(end)[2]}"


def _measures() -> str:
    lines = ["| measure | in words | unit | kind | of the column |", "|---|---|---|---|---|"]
    for m in summary_measures(1000, 0.5):
        lines.append(f"| `{m.name}` | {m.label} | {m.unit} | {m.kind} | `{m.column}` |")
    return "\n".join(lines)


def _columns(table: str, schema: Mapping[str, Any], meanings: Mapping[str, str]) -> str:
    lines = ["| column | type | meaning |", "|---|---|---|"]
    for name, kind in schema.items():
        meaning = meanings[f"{table}.{name}"].replace("|", "\\|")
        lines.append(f"| `{name}` | {_TYPES[str(kind)]} | {meaning} |")
    return "\n".join(lines)


if __name__ == "__main__":
    for name in PAGES:
        path = DOCS / name
        path.write_text(generated(name, path.read_text(encoding="utf-8")), encoding="utf-8")
