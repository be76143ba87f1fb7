"""What a study is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from byrote.studies.cells import Cell
from byrote.studies.claims import Claim

if TYPE_CHECKING:
    import polars as pl

    from byrote.report.page import Section
    from byrote.report.study import StudyData

__all__ = ["Paper", "Study"]


@dataclass(frozen=True)
class Paper:
    """Where the claims of a study come from.

    Attributes:
        arxiv: Its arXiv identifier, such as `2407.19262`.
        title: Its title.
    """

    arxiv: str
    title: str


def _no_check(_: Any) -> None:
    """Nothing to check beyond the types of the fields."""


def _nothing_needed(_: Any) -> dict[str, float]:
    return {}


def _nothing_derived(_: Any, __: Any) -> dict[str, pl.DataFrame]:
    return {}


def _no_notes(_: Any, __: Any) -> list[str]:
    return []


@dataclass(frozen=True)
class Study:
    """A study: how a config becomes cells, their tables further tables, and these verdicts.

    Attributes:
        name: As in the registry; the `kind` of its runs.
        title: What it shows, in a few words.
        paper: The paper whose claims it judges.
        config_type: A frozen dataclass, which may hold others; it has an integer field `seed`.
        presets: Named configs, the default one first.
        cells: From a config to its cells, in the order that the rows of the tables will have.
            It must be quick and must not load a model.
        claims: The published statements, in the order of the claims table.
        check: Raises `InputError` for a config that cannot work. It must be quick and must not
            look at a model.
        fit: Raises `InputError` for a config that its models cannot take, as their configurations
            and tokenizers tell; weights are not read. Gives the bytes of memory that cells need at
            least, by their ids, as far as it is known. Called once before a run; may take seconds.
        analyse: From the cells' tables (joined; each has a column `cell`) and the config to
            further tables by name. It is also called on what an earlier version measured, so it
            must bear missing tables.
        sections: From the finished run and the config to the sections of the report that stand
            between the claims and the provenance; None has the claims only.
        facts: From the finished run and the config to the tiles at the top of the report: value,
            label, what stands beside it; None counts the verdicts.
        notes: From all tables and the config to remarks that the report must show.
    """

    name: str
    title: str
    paper: Paper
    config_type: type
    presets: Mapping[str, Any]
    cells: Callable[[Any], Sequence[Cell]]
    claims: Sequence[Claim] = ()
    check: Callable[[Any], None] = _no_check
    fit: Callable[[Any], Mapping[str, float]] = _nothing_needed
    analyse: Callable[[Mapping[str, pl.DataFrame], Any], dict[str, pl.DataFrame]] = _nothing_derived
    sections: Callable[[StudyData, Any], Sequence[Section]] | None = None
    facts: Callable[[StudyData, Any], Sequence[tuple[str, str, str]]] | None = None
    notes: Callable[[Mapping[str, pl.DataFrame], Any], Sequence[str]] = _no_notes
