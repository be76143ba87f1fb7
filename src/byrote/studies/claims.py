"""Claims: published statements, judged on the tables that a study has just measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import polars as pl

__all__ = [
    "CLAIM_SCHEMA",
    "PROVENANCE",
    "Claim",
    "Judgement",
    "NotTested",
    "Tables",
    "Verdict",
    "at_least",
    "claims_markdown",
    "decide",
    "judge_all",
]

Verdict = Literal["holds", "fails", "not tested"]

PROVENANCE = {
    "F": "the paper's full text",
    "N": "another paper, which is named",
    "T": "the paper's own opening page",
    "R": "public reviews of its predecessor",
    "A": "a third party's audit of paper and code",
    "S": "summaries written by machine",
    "C": "sibling code of the authors",
    "D": "logs of the authors",
    "P": "our derivation",
    "M": "from memory, unverified",
    "beyond": "ours, the paper does not say it",
}
"""Where a published statement or number was found."""

CLAIM_SCHEMA: dict[str, Any] = {
    "id": pl.String,
    "section": pl.String,
    "statement": pl.String,
    "published": pl.String,
    "provenance": pl.String,
    "measured": pl.String,
    "verdict": pl.String,
    "value": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "n": pl.Int64,
    "text": pl.String,
    "why": pl.String,
}
"""Columns of `tables/claims.parquet`."""


class NotTested(Exception):
    """Raised by a judge that cannot decide; its message is the reason given to the reader."""


class Tables(dict[str, pl.DataFrame]):
    """Tables by name; asking for one that is missing or empty ends a judge as not tested."""

    def __getitem__(self, name: str) -> pl.DataFrame:
        """The table of that name, with at least one row.

        Raises:
            NotTested: It is missing or has no rows.
        """
        table = self.get(name)
        if table is None:
            raise NotTested(f"this run has no table `{name}`")
        if table.is_empty():
            raise NotTested(f"the table `{name}` of this run has no rows")
        return table


@dataclass(frozen=True)
class Judgement:
    """What the tables say about a claim.

    Attributes:
        verdict: `holds`, `fails` or `not tested`; never a guess.
        text: Our number in words, with its unit.
        why: What decided, or why nothing could be decided.
        value: Our number.
        low: Lower end of its interval.
        high: Upper end of its interval.
        n: Over how many strings (or whatever is independent) it was taken.
    """

    verdict: Verdict
    text: str = ""
    why: str = ""
    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int | None = None


@dataclass(frozen=True)
class Claim:
    """A published statement and how it is judged.

    Attributes:
        id: Short name, such as `two-phases`.
        statement: What was published, in one sentence.
        section: Where in the paper, and by which experiment here.
        published: The published number, or `not published`.
        provenance: A key of `PROVENANCE`; several are joined by commas.
        measured: What is measured here, in words.
        judge: From all tables of the run (those of the cells and those derived from them) and the
            config to a judgement. It may raise `NotTested`.
    """

    id: str
    statement: str
    section: str
    published: str
    provenance: str
    measured: str
    judge: Callable[[Tables, Any], Judgement]

    def __post_init__(self) -> None:
        if unknown := [p for p in self.provenance.split(",") if p.strip() not in PROVENANCE]:
            raise ValueError(f"claim {self.id}: provenance {unknown} is none of {list(PROVENANCE)}")


def decide(holds: bool, text: str, why: str, **numbers: Any) -> Judgement:
    """A judgement that holds or fails.

    Args:
        holds: Whether the claim's predicate is true of our tables.
        text: Our number in words.
        why: The predicate, in words.
        **numbers: `value`, `low`, `high`, `n` where there are such.
    """
    return Judgement("holds" if holds else "fails", text, why, **numbers)


def at_least(n: int, least: int, what: str) -> None:
    """Refuse to judge on too little.

    Args:
        n: How many there are.
        least: How many a verdict needs.
        what: Of what, in the plural, such as "strings".

    Raises:
        NotTested: `n` is below `least`.
    """
    if n < least and n == 1:
        raise NotTested(f"one alone is too few: a verdict needs at least {least} {what}")
    if n < least:
        raise NotTested(f"{n} {what} are too few for a verdict, which needs at least {least}")


def judge_all(
    claims: Sequence[Claim], tables: Mapping[str, pl.DataFrame], config: Any
) -> pl.DataFrame:
    """Judge every claim.

    Args:
        claims: In the order of the table.
        tables: All tables of the run by name.
        config: The study's config.

    Returns:
        One row per claim; columns as in `CLAIM_SCHEMA`.

    Raises:
        ValueError: Two claims have the same id.
    """
    names = [claim.id for claim in claims]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"two claims have the id {twice[0]!r}")
    asked = Tables(tables)
    rows = []
    for claim in claims:
        try:
            found = claim.judge(asked, config)
        except NotTested as reason:
            found = Judgement("not tested", why=str(reason))
        except pl.exceptions.ColumnNotFoundError as error:
            missing = str(error).splitlines()[0]
            raise ValueError(
                f"claim {claim.id} asks for a column that is not there: {missing}"
            ) from error
        rows.append(
            {
                "id": claim.id,
                "section": claim.section,
                "statement": claim.statement,
                "published": claim.published,
                "provenance": claim.provenance,
                "measured": claim.measured,
                "verdict": found.verdict,
                "value": found.value,
                "low": found.low,
                "high": found.high,
                "n": found.n,
                "text": found.text,
                "why": found.why,
            }
        )
    return pl.DataFrame(rows, schema=CLAIM_SCHEMA)


def claims_markdown(claims: pl.DataFrame) -> str:
    """The claims table for a page of documentation (Markdown)."""
    lines = [
        "| claim | published | measured here | verdict |",
        "|---|---|---|---|",
    ]
    for row in claims.iter_rows(named=True):
        ours = ". ".join(part.rstrip(".") for part in (row["text"], row["why"]) if part)
        cells = [
            f"{row['statement']} ({row['section']}) [{row['provenance']}]",
            row["published"],
            ours,
            f"**{row['verdict']}**",
        ]
        lines.append("| " + " | ".join(_escaped(cell) for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    """Text that Markdown and HTML take as it stands, on one line."""
    for sign, instead in (("&", "&amp;"), ("<", "&lt;"), ("|", "\\|"), ("\n", " ")):
        text = text.replace(sign, instead)
    return text
