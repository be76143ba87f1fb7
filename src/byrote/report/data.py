"""A run folder as the report reads it: `run.json` and the Parquet tables, nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from byrote.errors import InputError
from byrote.runs import Run

__all__ = ["TEXTS", "ReportData", "load_report_data"]

TEXTS = "texts"
"""The group name of what was asked for; every other group is named after its control."""

_PASSAGE_COLUMNS = (
    "id",
    "source",
    "prefix_len",
    "suffix_len",
    "is_control",
    "prefix_text",
    "suffix_text",
    "extractable",
)
_SUMMARY_COLUMNS = (
    "source",
    "category",
    "prefix_len",
    "group",
    "measure",
    "n",
    "value",
    "low",
    "high",
)
# What a run may leave out (one that asked for the verdict only has no probabilities): the report
# then shows less.
_OPTIONAL_PASSAGE_COLUMNS: dict[str, pl.DataType | type[pl.DataType]] = {
    "nll": pl.Float64,
    "token_accuracy": pl.Float64,
    "longest_run": pl.Int32,
    "logprob": pl.Float64,
    "logprob_sampled": pl.Float64,
    "category": pl.String,
    "record": pl.String,
    "offset": pl.Int64,
    "control": pl.String,
    "control_of": pl.String,
    "count": pl.Int64,
    "member": pl.Boolean,
    "n_needed": pl.Float64,
    "entropy": pl.Float64,
}


@dataclass(frozen=True, slots=True)
class ReportData:
    """What the report knows of a run.

    Attributes:
        folder: The run folder.
        run: The content of `run.json`.
        passages: One row per passage and per control, with a `group` column added: "texts", or
            the name of the control.
        summary: The long table of measures with their intervals.
        tokens: One row per suffix token, read only for the passages that are shown; None where
            the run kept none.
        discoverable: The share that is extractable with n draws; None where not computed.
        survival: The share of passages with at least so much; None where not computed.
        counts: Recall by count in training; None where records have none.
        coverage: The share of each document covered by recited spans; None where not computed.
        fits: Log-linear fits of a sweep; None where there was none.
    """

    folder: Path
    run: dict[str, Any]
    passages: pl.DataFrame
    summary: pl.DataFrame
    tokens: pl.LazyFrame | None = None
    discoverable: pl.DataFrame | None = None
    coverage: pl.DataFrame | None = None
    fits: pl.DataFrame | None = None
    survival: pl.DataFrame | None = None
    counts: pl.DataFrame | None = None

    @property
    def level(self) -> str:
        """The confidence of the run's intervals, such as "95 %"."""
        return f"{100 * float(self.run.get('config', {}).get('confidence') or 0.95):g} %"

    @property
    def controls(self) -> list[str]:
        """The names of the control groups, in a fixed order."""
        return sorted(self.passages.filter(pl.col("is_control"))["group"].unique().to_list())

    @property
    def groups(self) -> list[str]:
        """The texts first, then the controls."""
        return [TEXTS, *self.controls]

    @property
    def sources(self) -> list[str]:
        """The sources of the texts, the one with most passages first."""
        return (
            self.passages.filter(~pl.col("is_control"))
            .group_by("source")
            .len()
            .sort(["len", "source"], descending=[True, False])["source"]
            .to_list()
        )

    @property
    def prefix_lens(self) -> list[int]:
        """The prefix lengths that were swept, in tokens, ascending; one where none was swept.

        Empty where records bring prefixes of their own length and the summary pools them.
        """
        return sorted(self._pool["prefix_len"].drop_nulls().to_list())

    @property
    def prefix_len(self) -> int | None:
        """The prefix length that the headline speaks of, in tokens.

        That of most passages; of a sweep, where all have as many, the longest: the strongest
        question. None where the summary pools several lengths.
        """
        found = self._pool.drop_nulls("prefix_len").sort("n", "prefix_len")["prefix_len"].to_list()
        return found[-1] if found else None

    @property
    def _pool(self) -> pl.DataFrame:
        return self.summary.filter(
            (pl.col("group") == TEXTS)
            & (pl.col("source") == "all")
            & (pl.col("category") == "all")
            & (pl.col("measure") == "extractable")
        )

    @property
    def asked(self) -> pl.DataFrame:
        """The passages and controls that the headline speaks of: those at `prefix_len`."""
        if len(self.prefix_lens) < 2:
            return self.passages
        return self.passages.filter(pl.col("prefix_len") == self.prefix_len)

    def source_name(self, source: str | None) -> str:
        """A source as titles name it; None is the pool, or the only source that there is."""
        if source is not None:
            return source
        return self.sources[0] if len(self.sources) == 1 else "All sources"

    def of_source(self, frame: pl.DataFrame, source: str | None) -> pl.DataFrame:
        """The rows of one source; a control that has none there (held-out texts) keeps its own.

        Args:
            frame: A frame with the columns `source` and `group`.
            source: The source; None keeps all rows, or the pool's where the frame has one.
        """
        pooled = "all" in frame["source"]
        if source is None:
            return frame.filter(pl.col("source") == "all") if pooled else frame
        own = frame.filter(pl.col("source") == source)
        lacking = [group for group in self.controls if group not in own["group"]]
        if not lacking:
            return own
        others = frame.filter(pl.col("group").is_in(lacking))
        return pl.concat([own, others.filter(pl.col("source") == "all") if pooled else others])

    @property
    def headline(self) -> pl.DataFrame:
        """The rows of the summary at `prefix_len`."""
        if self.prefix_len is None:
            return self.summary
        return self.summary.filter(pl.col("prefix_len") == self.prefix_len)


def load_report_data(folder: Path | str, *, require_done: bool = True) -> ReportData:
    """Read a run folder.

    Args:
        folder: The run folder.
        require_done: Refuse a run whose status is not "done". An audit that writes its own
            report as its last step passes False.

    Returns:
        The run's tables; optional tables that are missing or empty are None.

    Raises:
        InputError: There is no such folder, it is not a run folder, the run is of another schema
            version or unfinished, or a table cannot be read.
    """
    folder = Path(folder)
    run = Run.open(folder).info
    status = run.get("status")
    if require_done and status != "done":
        raise InputError(
            f"the run in {folder} is {status!r}, not done; continue it with "
            f"`byrote resume {folder}`, then draw its report"
        )
    passages = _required(folder, "passages", _PASSAGE_COLUMNS)
    missing = [
        pl.lit(None, dtype=dtype).alias(name)
        for name, dtype in _OPTIONAL_PASSAGE_COLUMNS.items()
        if name not in passages.columns
    ]
    passages = passages.with_columns(missing).with_columns(
        pl.when(pl.col("is_control"))
        .then(pl.col("control").fill_null("control"))
        .otherwise(pl.lit(TEXTS))
        .alias("group")
    )
    if passages.is_empty():
        raise InputError(f"{folder / 'tables' / 'passages.parquet'} has no rows: nothing to show")
    summary = _required(folder, "summary", _SUMMARY_COLUMNS)
    tokens = folder / "tables" / "tokens.parquet"
    return ReportData(
        folder=folder,
        run=run,
        passages=passages,
        summary=summary,
        tokens=pl.scan_parquet(tokens) if tokens.is_file() else None,
        discoverable=_optional(folder, "discoverable"),
        coverage=_optional(folder, "coverage"),
        fits=_optional(folder, "fits"),
        survival=_optional(folder, "survival"),
        counts=_optional(folder, "counts"),
    )


def _read(path: Path) -> pl.DataFrame:
    try:
        return pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(f"{path} cannot be read as Parquet: {error}") from error


def _required(folder: Path, name: str, columns: tuple[str, ...]) -> pl.DataFrame:
    path = folder / "tables" / f"{name}.parquet"
    if not path.is_file():
        raise InputError(f"{folder} has no tables/{name}.parquet; run `byrote resume {folder}`")
    frame = _read(path)
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        raise InputError(f"{path} lacks the columns {', '.join(missing)}")
    return frame


def _optional(folder: Path, name: str) -> pl.DataFrame | None:
    path = folder / "tables" / f"{name}.parquet"
    if not path.is_file():
        return None
    frame = _read(path)
    return None if frame.is_empty() else frame
