"""What a report is made of: a page has sections, a section has blocks. No paper, no audit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from markupsafe import Markup

from byrote.report.figures import Figure

__all__ = [
    "Block",
    "Cell",
    "ChartBlock",
    "ExplorerBlock",
    "HtmlBlock",
    "Page",
    "ProseBlock",
    "Section",
    "TableBlock",
]


@dataclass(frozen=True, slots=True)
class ProseBlock:
    """Paragraphs of plain text; escaped.

    Attributes:
        paragraphs: One string each.
        tone: "lead" for the sentence that a reader must not miss, "note" for a remark.
    """

    paragraphs: Sequence[str]
    tone: Literal["plain", "lead", "note"] = "plain"
    kind: Literal["prose"] = "prose"


@dataclass(frozen=True, slots=True)
class HtmlBlock:
    """Markup that its maker has escaped; for what the other blocks cannot say."""

    html: Markup
    kind: Literal["html"] = "html"


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a table.

    Attributes:
        text: What it says; escaped.
        small: Shown below in small print, such as an interval.
        number: Whether it is a number, and so aligned to the right.
        heading: Whether it names its row.
        rows: How many rows it spans.
        mark: "good", "bad" or "open" sets a verdict apart by colour; the text must say it too.
    """

    text: str
    small: str = ""
    number: bool = False
    heading: bool = False
    rows: int = 1
    mark: Literal["", "good", "bad", "open"] = ""


@dataclass(frozen=True, slots=True)
class TableBlock:
    """A table.

    Attributes:
        caption: What it shows.
        header: Column heads.
        rows: Cells row by row; a row is shorter where a cell above spans it.
        narrow: Two columns of names and values, not wider than needed.
        collapsed: Put behind a heading that opens it.
        sentences: Cells hold sentences: they wrap, and on a narrow screen each row is a card.
    """

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    narrow: bool = False
    collapsed: bool = False
    sentences: bool = False
    kind: Literal["table"] = "table"


@dataclass(frozen=True, slots=True)
class ChartBlock:
    """Charts side by side (below each other on a narrow screen) and how to read them.

    Attributes:
        figures: The charts.
        reading: One or two sentences on how to read them.
    """

    figures: Sequence[Figure]
    reading: str
    kind: Literal["chart"] = "chart"


@dataclass(frozen=True, slots=True)
class ExplorerBlock:
    """The passages themselves, token by token; drawn by the page's script.

    Attributes:
        payload: What `byrote.report.passages.explorer_payload` gives.
        notice: Which passages are here, and where the others are.
    """

    payload: dict[str, Any]
    notice: str
    kind: Literal["explorer"] = "explorer"


Block = ProseBlock | HtmlBlock | TableBlock | ChartBlock | ExplorerBlock


@dataclass(frozen=True, slots=True)
class Section:
    """One part of a page.

    Attributes:
        id: Its anchor: letters, digits, hyphens.
        title: Its heading.
        blocks: What it holds, in order.
        short: A short form of the heading for the page's contents.
    """

    id: str
    title: str
    blocks: Sequence[Block]
    short: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """A whole report.

    Attributes:
        title: Heading and title of the document.
        subtitle: One line below it: model, date.
        sections: In order.
        footer: The last line.
        facts: Name and value pairs shown as tiles below the title, such as headline numbers.
    """

    title: str
    subtitle: str
    sections: Sequence[Section]
    footer: str = ""
    facts: Sequence[tuple[str, str, str]] = field(default_factory=tuple)
