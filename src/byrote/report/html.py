"""Pages as one HTML file that needs nothing but itself.

No request leaves the page: a Content-Security-Policy forbids them all, and only the page's own
scripts run, each named by its hash, so that not even a flaw in escaping could start another one.
Vega runs with its expression interpreter, which needs no `eval`.
"""

from __future__ import annotations

import base64
import hashlib
import json
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, cast

import jinja2
import vl_convert
from markupsafe import Markup

from byrote.progress import task
from byrote.report.audit import audit_page
from byrote.report.data import load_report_data
from byrote.report.figures import Figure, draw, save_figures
from byrote.report.page import ChartBlock, ExplorerBlock, Page
from byrote.report.palette import DARK, LIGHT, css_variables, themed_spec, themed_svg
from byrote.runs import replacing

__all__ = ["embedded_json", "render_page", "write_page", "write_report", "write_run_page"]

# Before the first paint, so that a page opened in the dark does not flash.
_EARLY_SCRIPT = """(function () {
  var asked = /(?:^#|&)theme=(light|dark)/.exec(location.hash), kept = null;
  try { kept = localStorage.getItem("byrote-theme"); } catch (error) { kept = null; }
  var theme = asked ? asked[1] : kept;
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  document.documentElement.classList.add("scripted");
})();"""
_ESCAPES = {ord(c): f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"}


def write_report(run_folder: Path | str, *, require_done: bool = True) -> Path:
    """Draw the charts and the report of an audit run.

    Args:
        run_folder: The run folder; `charts/` and `report.html` are written or replaced in it.
        require_done: Refuse an unfinished run; an audit that draws its report as its last step
            passes False.

    Returns:
        The path of `report.html`.

    Raises:
        InputError: The folder is missing, not a run, of another schema version, or unfinished.
        ByroteError: The disk is full; an earlier report is left as it was.
    """
    folder = Path(run_folder)
    data = load_report_data(folder, require_done=require_done)
    return write_run_page(audit_page(data), folder)


def write_run_page(page: Page, run_folder: Path) -> Path:
    """Draw a page's charts and write them and the page into a run folder.

    Args:
        page: The report of the run.
        run_folder: `charts/` and `report.html` are written or replaced in it.

    Returns:
        The path of `report.html`.
    """
    figures = _figures(page)
    pictures = draw(figures)
    save_figures(figures, run_folder / "charts", pictures)
    return write_page(page, run_folder / "report.html", pictures)


def write_page(page: Page, path: Path, pictures: dict[str, str] | None = None) -> Path:
    """Render a page into a file, whole or not at all; see `render_page`."""
    with task("Writing the report") as advance, replacing(path) as temporary:
        temporary.write_text(render_page(page, pictures), encoding="utf-8", newline="\n")
        advance(1)
    return path


def render_page(page: Page, pictures: dict[str, str] | None = None) -> str:
    """Render a page as one self-contained HTML document.

    Args:
        page: What it says. All text is escaped; only `HtmlBlock` is taken as markup.
        pictures: The SVG of each figure by its name, where they are drawn already.
    """
    figures = _figures(page)
    pictures = draw(figures) if pictures is None else pictures
    explorers = [b for s in page.sections for b in s.blocks if isinstance(b, ExplorerBlock)]
    scripts = [_packaged("report.js")]
    if figures:
        scripts.insert(0, _vega())
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            page=page,
            policy=_policy([_EARLY_SCRIPT, *scripts]),
            css=Markup(_css()),
            early_script=Markup(_EARLY_SCRIPT),
            scripts=[Markup(script) for script in scripts],
            pictures={f.name: Markup(themed_svg(pictures[f.name], f.name)) for f in figures},
            specs=embedded_json({figure.name: _spec(figure) for figure in figures}),
            payload=embedded_json(explorers[0].payload) if explorers else None,
        )
    )


def embedded_json(value: Any) -> Markup:
    """A value as JSON that can stand in a script element: no character ends it or opens a tag."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    # A lone surrogate (half a character, from a token that ends within one) has no UTF-8 form.
    text = text.encode("utf-8", "replace").decode("utf-8")
    return Markup(text.translate(_ESCAPES))


def _figures(page: Page) -> list[Figure]:
    return [
        figure
        for section in page.sections
        for block in section.blocks
        if isinstance(block, ChartBlock)
        for figure in block.figures
    ]


def _spec(figure: Figure) -> dict[str, Any]:
    spec = themed_spec(cast("Any", figure.chart).to_dict())
    del spec["$schema"]
    return {**spec, "width": "container"}


def _policy(scripts: list[str]) -> str:
    hashes = " ".join(
        "'sha256-" + base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() + "'"
        for s in scripts
    )
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _css() -> str:
    themes = (
        f":root{{{css_variables(LIGHT)}color-scheme:light}}"
        f"@media (prefers-color-scheme:dark){{:root{{{css_variables(DARK)}color-scheme:dark}}}}"
        f':root[data-theme="light"]{{{css_variables(LIGHT)}color-scheme:light}}'
        f':root[data-theme="dark"]{{{css_variables(DARK)}color-scheme:dark}}'
        # Paper is white.
        f"@media print{{:root,:root[data-theme]{{{css_variables(LIGHT)}color-scheme:light}}}}"
    )
    return themes + _packaged("report.css")


@cache
def _vega() -> str:
    # `</script` within the libraries' strings would end the element that holds them.
    script = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    return script.replace("</script", "<\\/script").replace("<!--", "<\\!--").strip()


def _packaged(name: str) -> str:
    file = resources.files("byrote.report") / "templates" / name
    return file.read_text(encoding="utf-8").strip()


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("byrote.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
