"""The one-file HTML report of a run and its charts.

`write_report` turns a finished run folder into `report.html` and `charts/`. The page frame
(`Page`, `Section` and the blocks in `byrote.report.page`) knows nothing of audits: a study builds
its own sections and hands them to `render_page`.
"""

from byrote._lazy import attach

_EXPORTS = {
    "ChartBlock": "page",
    "Figure": "figures",
    "HtmlBlock": "page",
    "Page": "page",
    "ProseBlock": "page",
    "ReportData": "data",
    "Section": "page",
    "TableBlock": "page",
    "audit_figures": "figures",
    "audit_page": "audit",
    "chart_png": "plotting",
    "chart_svg": "plotting",
    "load_report_data": "data",
    "render_page": "html",
    "save_charts": "figures",
    "save_figures": "figures",
    "write_report": "html",
}

__getattr__, __dir__, __all__ = attach(__name__, _EXPORTS)
