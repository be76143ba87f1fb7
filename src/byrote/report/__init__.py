"""The one-file HTML report of a run and its charts.

`write_report` turns a run folder into `report.html` and `charts/`. The page frame (`Page`,
`Section` and the blocks) knows nothing of audits: a study builds its own sections and figures and
hands them to `render_page` and `save_figures`.
"""

from typing import TYPE_CHECKING

from byrote._lazy import lazy

if TYPE_CHECKING:
    from byrote.report.audit import audit_page
    from byrote.report.data import ReportData, load_report_data
    from byrote.report.figures import Figure, audit_figures, save_charts, save_figures
    from byrote.report.html import render_page, write_page, write_report, write_run_page
    from byrote.report.page import (
        Cell,
        ChartBlock,
        ExplorerBlock,
        HtmlBlock,
        Page,
        ProseBlock,
        Section,
        TableBlock,
    )
    from byrote.report.plotting import chart_png, chart_svg
    from byrote.report.study import StudyData, load_study_data, study_page

__getattr__, __dir__ = lazy(__name__)
__all__ = [
    "Cell",
    "ChartBlock",
    "ExplorerBlock",
    "Figure",
    "HtmlBlock",
    "Page",
    "ProseBlock",
    "ReportData",
    "Section",
    "StudyData",
    "TableBlock",
    "audit_figures",
    "audit_page",
    "chart_png",
    "chart_svg",
    "load_report_data",
    "load_study_data",
    "render_page",
    "save_charts",
    "save_figures",
    "study_page",
    "write_page",
    "write_report",
    "write_run_page",
]
