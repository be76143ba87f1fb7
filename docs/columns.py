"""Write the tables in docs/run-folder.md from the code: `python docs/columns.py`.

A test compares the page with what this would write, so the page cannot go stale.
"""

from __future__ import annotations

from pathlib import Path

from byrote.recall import COLUMNS
from byrote.recall.measures import summary_measures
from byrote.recall.schemas import SCHEMAS

PAGE = Path(__file__).with_name("run-folder.md")

_TYPES = {
    "String": "string",
    "Boolean": "boolean",
    "Int32": "int32",
    "Int64": "int64",
    "Float32": "float32",
    "Float64": "float64",
}


def generated(page: str) -> str:
    """The page with what stands between each pair of markers written anew."""
    for table in SCHEMAS:
        page = _between(page, f"columns: {table}", _columns(table))
    return _between(page, "measures", _measures())


def _between(page: str, name: str, text: str) -> str:
    start, end = f"<!-- {name} -->", f"<!-- end {name} -->"
    if start not in page or end not in page:
        raise ValueError(f"{PAGE.name} lacks the markers {start} and {end}")
    before, _, rest = page.partition(start)
    return f"{before}{start}\n\n{text}\n\n{end}{rest.partition(end)[2]}"


def _measures() -> str:
    lines = ["| measure | in words | unit | kind | of the column |", "|---|---|---|---|---|"]
    for m in summary_measures(1000, 0.5):
        lines.append(f"| `{m.name}` | {m.label} | {m.unit} | {m.kind} | `{m.column}` |")
    return "\n".join(lines)


def _columns(table: str) -> str:
    lines = ["| column | type | meaning |", "|---|---|---|"]
    for name, kind in SCHEMAS[table].items():
        meaning = COLUMNS[f"{table}.{name}"].replace("|", "\\|")
        lines.append(f"| `{name}` | {_TYPES[str(kind)]} | {meaning} |")
    return "\n".join(lines)


if __name__ == "__main__":
    PAGE.write_text(generated(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
