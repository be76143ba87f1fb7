"""The documentation says what is true: columns, options, names and links."""

import ast
import importlib
import re
import runpy
from dataclasses import fields
from pathlib import Path

import pytest

from byrote.audit import AuditConfig
from byrote.cli import build_app
from byrote.exposure import OBJECTIVES, PARTS, SCHEDULES, ExposureConfig
from byrote.models import BUNDLED, RANDOM_FAMILIES
from byrote.recall import CONTEXT_CONDITIONS
from byrote.studies import STUDIES, get_study
from byrote.studies.claims import PROVENANCE
from byrote.texts import CONTROLS, CORPORA, FORMATS

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
COLUMNS = runpy.run_path(str(DOCS / "columns.py"))
TABLES = [
    (page, module, table)
    for page, modules in COLUMNS["PAGES"].items()
    for module in modules
    for table in module.SCHEMAS
]
PAGES = sorted([ROOT / "README.md", *DOCS.rglob("*.md")])
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
PUBLIC = (
    "audit",
    "decoding",
    "exposure",
    "exposure.goldfish",
    "localization",
    "models",
    "recall",
    "report",
    "runs",
    "studies",
    "texts",
)

_LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")
_PYTHON = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def _name(path):
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize(("page", "module", "table"), TABLES, ids=lambda x: str(x).split("'")[0])
def test_each_column_is_described(page, module, table):
    text = (DOCS / page).read_text(encoding="utf-8")
    section = text.split(f"<!-- columns: {table} -->")[1].split("<!-- end")[0]
    for column in module.SCHEMAS[table]:
        assert f"| `{column}` |" in section
        assert module.COLUMNS[f"{table}.{column}"].split("|")[0] in section
    assert len(module.COLUMNS) == sum(map(len, module.SCHEMAS.values()))


@pytest.mark.parametrize("page", COLUMNS["PAGES"])
def test_generated_tables_are_current(page):
    text = (DOCS / page).read_text(encoding="utf-8")
    assert COLUMNS["generated"](page, text) == text, "run `python docs/columns.py`"


@pytest.mark.parametrize("study", STUDIES)
def test_each_claim_and_preset_has_its_place(study):
    page = (DOCS / "studies" / f"{study}.md").read_text(encoding="utf-8")
    names = [claim.id for claim in get_study(study).claims] + list(get_study(study).presets)
    assert [name for name in names if f"`{name}`" not in page] == []


@pytest.mark.parametrize("field", [field.name for field in fields(AuditConfig)])
def test_each_option_is_described(field):
    if field != "model":
        assert f"`--{field.replace('_', '-')}`" in (DOCS / "audit.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("page", "names"),
    [
        ("audit.md", [f"`{ending}`" for ending in FORMATS]),
        ("audit.md", [f"`corpus:{name}`" for name in CORPORA]),
        ("audit.md", [f"`{name}`" for name in CONTROLS]),
        ("models.md", [f"`bundled:{name}`" for name in BUNDLED]),
        ("models.md", [model.install for model in BUNDLED.values()]),
        ("models.md", [f"`{family}`" for family in RANDOM_FAMILIES]),
        ("exposure.md", [f"`{objective}`" for objective in OBJECTIVES]),
        ("exposure.md", [f"`{schedule}`" for schedule in SCHEDULES]),
        ("exposure.md", [f"`{part}`" for part in PARTS]),
        ("exposure.md", [f"`{field.name}`" for field in fields(ExposureConfig)]),
        ("exposure.md", [f"`{condition}`" for condition in CONTEXT_CONDITIONS]),
        ("studies.md", [f"| {letter} |" for letter in PROVENANCE]),
        ("studies.md", [f"studies/{study}.md" for study in STUDIES]),
        ("api.md", [f"::: byrote.{package}\n" for package in PUBLIC]),
    ],
)
def test_names_are_listed(page, names):
    text = (DOCS / page).read_text(encoding="utf-8")
    assert [name for name in names if name not in text] == []


def test_readme_tours_every_command():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    commands = [name for name in build_app([]) if not name.startswith("-")]
    assert commands
    assert [name for name in commands if f"byrote {name} " not in text] == []


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_links_lead_somewhere(page):
    links = [link for link in _LINK.findall(_without_code(page)) if "://" not in link]
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_named_source_files_exist(page):
    named = re.findall(r"`((?:src/byrote|tests|examples|docs)/[\w./-]+)`", page.read_text("utf-8"))
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_every_page_is_in_the_navigation():
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    missing = [p for p in DOCS.rglob("*.md") if p.relative_to(DOCS).as_posix() not in navigation]
    assert missing == []


@pytest.mark.parametrize("example", EXAMPLES, ids=_name)
def test_examples_use_public_names_only(example):
    code = example.read_text(encoding="utf-8")
    compile(code, str(example), "exec")
    assert ast.get_docstring(ast.parse(code))
    assert _private_imports(code) == []


def test_readme_uses_public_names_only():
    blocks = _PYTHON.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    assert blocks
    assert [name for block in blocks for name in _private_imports(block)] == []


def test_private_imports_are_found():
    assert _private_imports("from byrote.recall.scoring import Scorer") == ["byrote.recall.scoring"]
    assert _private_imports("from byrote.recall import _head") == ["byrote.recall._head"]
    assert _private_imports("import byrote.cli.app") == ["byrote.cli.app"]
    assert _private_imports("from byrote.recall import Scorer\nimport json") == []


def _private_imports(code):
    """Imports of byrote that no package's `__all__` offers."""
    found = []
    public = {"byrote", *(f"byrote.{package}" for package in PUBLIC)}
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
            found += [n for n in names if n.split(".")[0] == "byrote" and n not in public]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "byrote":
            if node.module not in public:
                found.append(node.module)
                continue
            offered = importlib.import_module(node.module).__all__
            found += [f"{node.module}.{a.name}" for a in node.names if a.name not in offered]
    return found


def _without_code(page):
    return re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
