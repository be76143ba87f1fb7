"""The sections of an audit's report: what was found, how to read it, how it was made."""

from __future__ import annotations

from collections.abc import Sequence

from byrote.report.data import ReportData
from byrote.report.definitions import definitions
from byrote.report.figures import Figure, audit_figures, shown_sources
from byrote.report.findings import facts, summary_blocks, texts_in_words
from byrote.report.page import ChartBlock, ExplorerBlock, Page, ProseBlock, Section
from byrote.report.passages import choose, explorer_payload
from byrote.report.provenance import provenance_blocks

__all__ = ["audit_page"]

_READING = {
    "headline": (
        "Each dot is a group of passages, the line through it its interval; blue dots are the "
        "texts, the others their controls. A group recites more than chance where its line lies "
        "to the right of its control's."
    ),
    "longest-run": (
        "How long the recited stretches are: at L tokens, the height is the share of passages "
        "that hold a verbatim stretch of L or more tokens. The right end is what is recited in "
        "full. The height is on a square-root scale, so that rare recitals stay visible."
    ),
    "token-accuracy": (
        "How close to a recital the model comes: the share of passages of which at least so many "
        "suffix tokens are the model's first choice, each given the true text before it."
    ),
    "suffix-probability": (
        "How probable the model finds the true suffix as a whole. A text that reaches far to the "
        "right would appear after few draws; 1e-2 means about once in a hundred. The axis is "
        "stretched towards its right end."
    ),
    "discoverable": (
        "What many tries yield: the share of passages that would appear at least once in n draws, "
        "with the stated probability, under the sampling scheme of this run. Greedy decoding, "
        "by contrast, has one try."
    ),
    "prefix-length": (
        "How recall grows as the model is given more of the text. On this logarithmic axis a "
        "log-linear law is a straight line."
    ),
    "count": (
        "How recall grows with the number of times a text was in training, as far as the texts "
        "say so themselves."
    ),
    "coverage": (
        "How much of each document lies in spans that the model gives back with at least the "
        "stated probability, whichever window they were asked in."
    ),
}
_TITLES = {
    "headline": ("groups", "Groups side by side", "Groups"),
    "longest-run": ("stretches", "How long the recited stretches are", "Stretches"),
    "token-accuracy": ("accuracy", "How many tokens are right", "Tokens right"),
    "suffix-probability": ("probability", "How probable the suffixes are", "Probability"),
    "discoverable": ("draws", "What many draws yield", "Draws"),
    "prefix-length": ("prefix-length", "Recall against prefix length", "Prefix length"),
    "count": ("count", "Recall against the count in training", "Count"),
    "coverage": ("coverage", "Coverage of documents", "Coverage"),
}
_NOTHING = {
    "discoverable": (
        "No passage and no control would be extracted with any of the probabilities and numbers of "
        "draws in tables/discoverable.parquet, so there is nothing to draw."
    ),
    "coverage": (
        "No document has a token that lies in a recited span, at any threshold in "
        "tables/coverage.parquet, so there is nothing to draw."
    ),
}


def audit_page(data: ReportData) -> Page:
    """Build the report of an audit.

    Args:
        data: The run.
    """
    run = data.run
    model = str(run.get("model", {}).get("source") or run.get("config", {}).get("model") or "model")
    date = str(run.get("end") or run.get("start") or "")[:10]
    sections = [Section("summary", "What the model recites", summary_blocks(data), "Summary")]
    sections += _chart_sections(data, audit_figures(data))
    chosen, notice = choose(data)
    sections.append(
        Section(
            "passages",
            "The passages",
            [ExplorerBlock(explorer_payload(data, chosen), notice)],
            "Passages",
        )
    )
    sections.append(Section("run", "What was run", provenance_blocks(data), "The run"))
    sections.append(Section("how", "How these numbers were made", definitions(data), "Method"))
    version = run.get("versions", {}).get("byrote", "")
    return Page(
        title=f"What {model} recites",
        subtitle=f"{texts_in_words(data)} · {date}" if date else texts_in_words(data),
        sections=sections,
        footer=f"Made by byrote {version}. This file needs no network and makes no requests.",
        facts=facts(data),
    )


def _chart_sections(data: ReportData, figures: Sequence[Figure]) -> list[Section]:
    left_out = ""
    if None in shown_sources(data) and len(data.sources) > 1:
        shown = len(shown_sources(data)) - 1
        left_out = f" Of {len(data.sources)} sources, the pool and the {shown} largest are drawn."
    sections = []
    for family, (anchor, title, short) in _TITLES.items():
        own = [figure for figure in figures if figure.family == family]
        if not own and family in _NOTHING and getattr(data, family) is not None:
            sections.append(Section(anchor, title, [ProseBlock([_NOTHING[family]])], short))
        elif own:
            more = left_out if family not in ("headline", "coverage") else ""
            sections.append(
                Section(anchor, title, [ChartBlock(own, _READING[family] + more)], short)
            )
    return sections
