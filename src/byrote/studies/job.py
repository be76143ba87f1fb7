"""Running a study: cells, joined tables, derived tables, verdicts, report; resumable throughout."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from byrote import progress
from byrote.errors import InputError
from byrote.runs import Failure, Results, Run, Work, now, write_parquet
from byrote.runs.engines import check_engine, run_works, workers_of
from byrote.studies.base import Study
from byrote.studies.cells import Cell, seeded
from byrote.studies.claims import PROVENANCE, judge_all
from byrote.studies.config import from_json, to_json
from byrote.studies.errors import CellsFailedError
from byrote.studies.registry import STUDIES, get_study
from byrote.studies.room import check_room

__all__ = [
    "judge_again",
    "judged",
    "open_study_run",
    "plan_cells",
    "resume_study",
    "run_study",
    "write_study_report",
]

# Tables that the frame makes itself, whatever the study.
_CELLS, _CLAIMS = "cells", "claims"
_SAVE_EVERY_SECONDS = 5.0
# A remark names so many of the cells that failed.
_NAMED = 5


def plan_cells(study: Study, config: Any) -> list[Cell]:
    """The cells of a config, checked; nothing is run.

    Raises:
        InputError: The config cannot work.
    """
    study.check(config)
    cells = list(study.cells(config))
    seeded(cells, config.seed)
    return cells


def run_study(
    study: Study,
    config: Any,
    *,
    out: Path | None = None,
    preset: str | None = None,
    engine: str = "processes",
    workers: int | None = None,
    threads: int = 1,
) -> Run:
    """Run a study; continue if `out` holds an unfinished run of the same config.

    Args:
        study: What to run.
        config: The question; an instance of the study's `config_type`.
        out: The run folder; None makes `byrote-runs/DATE-STUDY`.
        preset: Name of the preset that the config comes from, to be remembered.
        engine: `processes`, `inline` or `ray`.
        workers: Cells at a time; None takes the number of GPUs, cores // threads where there is
            none, and what the cluster has room for with `ray`. It changes no result.
        threads: Threads of each worker. Float sums depend on it, so a run keeps to one number.

    Returns:
        The finished run: its tables, claims, charts and report are in `run.folder`.

    Raises:
        InputError: The config or an option cannot be used.
        CellsFailedError: Cells failed. The others are kept, joined, analysed and judged, and
            `byrote resume` tries these again.
        ByroteError: Something else did.
    """
    if not isinstance(config, study.config_type):
        raise InputError(
            f"study {study.name} takes a {study.config_type.__name__}, "
            f"not a {type(config).__name__}"
        )
    check_engine(engine, workers, threads)
    works = seeded(plan_cells(study, config), config.seed)
    at_once = workers_of(engine, workers, threads)
    if out is None or not (out / "run.json").exists() or not Run.open(out).done:
        with progress.task("Looking at the models"):
            needed = study.fit(config)
        progress.say(check_room(needed, engine=engine, workers=at_once))
    folder = out or _new_folder(study.name)
    run = Run.start(
        folder,
        study.name,
        to_json(config),
        preset=preset,
        seed=config.seed,
        study={
            "title": study.title,
            "arxiv": study.paper.arxiv,
            "paper": study.paper.title,
        },
        cells={"total": len(works), "done": 0, "cost": sum(work.cost for work in works)},
        cell_seconds=0.0,
        execution={"engine": engine, "workers": workers, "threads": threads},
        failures=[],
        tables=None,
    )
    begun = run.info["execution"]["threads"]
    if begun != threads:
        raise InputError(
            f"{folder} was begun with --threads {begun}, on which the last digits of its numbers "
            f"depend; continue with --threads {begun}, or give another --out folder"
        )
    with run.locked():
        if not run.done:
            _work(run, study, config, works, engine, at_once)
        _tidy(run, study, config)
    return run


def resume_study(folder: Path, *, workers: int | None = None, engine: str | None = None) -> Run:
    """Continue the study run in `folder` with the config that it was started with.

    Args:
        folder: The run folder.
        workers: Cells at a time; None as in `run_study`.
        engine: None takes the one that the run was begun with.

    Raises:
        InputError: There is no run of a study in `folder`.
        CellsFailedError: Cells failed again.
    """
    run, study, config = open_study_run(folder)
    execution = run.info["execution"]
    return run_study(
        study,
        config,
        out=folder,
        preset=run.info["preset"],
        engine=engine or execution["engine"],
        workers=workers,
        threads=execution["threads"],
    )


def open_study_run(folder: Path) -> tuple[Run, Study, Any]:
    """Open a run of a study: the run, its study, its config.

    Raises:
        InputError: There is none in `folder`, or it is of a study that this byrote lacks.
    """
    run = Run.open(folder)
    kind = run.info["kind"]
    if kind not in STUDIES:
        raise InputError(
            f"{folder} is a run of kind {kind!r}, which is no study that this byrote knows"
        )
    study = get_study(kind)
    return run, study, from_json(study.config_type, run.info["config"])


def judge_again(folder: Path) -> Run:
    """Derive the tables and judge the claims of a run again, from the cells' tables.

    For a run whose study has since learned to analyse or to judge better: nothing is run again.

    Raises:
        InputError: There is no run of a study in `folder`, or none that has been judged.
    """
    run, study, config = open_study_run(folder)
    _require_judged(run)
    with run.locked():
        names = run.info["tables"]["cells"]
        tables = {name: pl.read_parquet(run.table(name)) for name in names}
        _derive(run, study, config, tables)
        write_study_report(folder)
    return run


def write_study_report(folder: Path) -> Path:
    """Draw the charts and the report of a run of a study that has been judged.

    Returns:
        The path of `report.html`.

    Raises:
        InputError: There is no run of a study in `folder`, or none that has been judged.
    """
    run, study, config = open_study_run(folder)
    _require_judged(run)
    return _draw(run, study, config)


def _work(
    run: Run, study: Study, config: Any, works: Sequence[Work], engine: str, workers: int | None
) -> None:
    execution = run.info["execution"]
    run.clean()
    # Verdicts of an attempt in which cells failed are not those of this one.
    (run.folder / "report.html").unlink(missing_ok=True)
    for name in _names_of_tables(run):
        run.table(name).unlink(missing_ok=True)
    run.update(
        status="running",
        end=None,
        failures=[],
        tables=None,
        cells={**run.info["cells"], "total": len(works), "cost": sum(w.cost for w in works)},
        execution={**execution, "engine": engine, "workers": workers},
    )
    results = Results(run.folder)
    clock = _Clock(run, works, results)
    try:
        with progress.weighted("Running cells", len(works), clock.weight) as show:
            clock.start(show)
            failures = run_works(
                works,
                run.folder,
                engine=engine,
                workers=workers,
                threads=execution["threads"],
                on_done=clock.done,
                on_progress=clock.advance,
                on_failed=lambda failure: progress.say(
                    f"failed: {failure.cell}: {failure.message}"
                ),
            )
        kept = [{"cell": failure.cell, "message": failure.message} for failure in failures]
        run.update(failures=kept)
        if failures:
            run.update(status="failed", end=now())
            raise _failed(run, failures, len(works), _judge_rest(run, study, config, works))
        _judge(run, study, config, works)
    finally:
        clock.save()
    run.update(status="done", end=now())


def _judge(run: Run, study: Study, config: Any, works: Sequence[Work]) -> None:
    """Join the tables of finished cells, and judge."""
    with progress.task("Joining tables"):
        tables = Results(run.folder).join(works)
        for name, table in tables.items():
            write_parquet(run.table(name), table)
    run.update(tables={"cells": list(tables), "derived": []})
    with progress.task("Judging the claims"):
        _derive(run, study, config, tables)


def _judge_rest(run: Run, study: Study, config: Any, works: Sequence[Work]) -> str:
    """Judge on what is finished although cells failed; say what is to be said of that."""
    results = Results(run.folder)
    finished = [work for work in works if results.read(work) is not None]
    if not finished:
        return ""
    try:
        _judge(run, study, config, finished)
        _draw(run, study, config)
    # Analyses are written for whole tables; whatever they do with a part, it must not hide why the
    # rest is missing.
    except Exception as error:  # noqa: BLE001
        return f" and could not be judged alone ({type(error).__name__}: {error})"
    return " and have been judged"


def _derive(run: Run, study: Study, config: Any, tables: Mapping[str, pl.DataFrame]) -> None:
    """Write the derived tables and the claims, and keep the study's remarks."""
    derived = study.analyse(tables, config)
    if taken := sorted(derived.keys() & {*tables, _CLAIMS}):
        raise ValueError(f"study {study.name} derives a table {taken[0]!r} that is there already")
    whole = {**tables, **derived}
    claims = judge_all(study.claims, whole, config)
    for name, table in {**derived, _CLAIMS: claims}.items():
        write_parquet(run.table(name), table)
    before = _names_of_tables(run)
    notes = [*_missing(run), *study.notes({**whole, _CLAIMS: claims}, config)]
    run.update(
        tables={"cells": list(tables), "derived": [*derived, _CLAIMS]},
        notes=list(dict.fromkeys(notes)),
    )
    for name in set(before) - {*whole, _CLAIMS}:
        run.table(name).unlink(missing_ok=True)


def _names_of_tables(run: Run) -> list[str]:
    return [name for names in (run.info["tables"] or {}).values() for name in names]


def _missing(run: Run) -> list[str]:
    """What the reader of verdicts must know of cells that failed."""
    failures = run.info["failures"]
    if not failures:
        return []
    names = [failure["cell"] for failure in failures]
    some = ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" * (len(names) > _NAMED))
    return [
        f"{len(names)} of {run.info['cells']['total']} cells failed ({some}): the verdicts are "
        "from the others alone."
    ]


def _tidy(run: Run, study: Study, config: Any) -> None:
    """Draw the report if it is not there, and drop what only an unfinished run needs."""
    if not (run.folder / "report.html").exists():
        _draw(run, study, config)
    Results(run.folder).remove()


def _draw(run: Run, study: Study, config: Any) -> Path:
    # Imported late: the charts' libraries are slow to load, and only a finished run needs them.
    from byrote.report import load_study_data, study_page, write_run_page

    data = load_study_data(run.folder)
    sections = study.sections(data, config) if study.sections else ()
    facts = study.facts(data, config) if study.facts else None
    page = study_page(data, sections=sections, facts=facts, provenance=PROVENANCE)
    return write_run_page(page, run.folder)


def _failed(run: Run, failures: Sequence[Failure], total: int, others: str) -> CellsFailedError:
    """Say what failed, and what became of the others."""
    first = failures[0]
    more = f" (and {len(failures) - 1} more; see {run.folder}/run.json)" if failures[1:] else ""
    message = (
        f"{len(failures)} of {total} cells failed: {first.cell}: {first.message}{more}. The others "
        f"are kept{others}; {run.folder}/logs tells more, `byrote resume {run.folder}` tries again"
    )
    return CellsFailedError(message, run)


class _Clock:
    """Keeps the time and the progress of a run, over all its sessions."""

    def __init__(self, run: Run, works: Sequence[Work], results: Results) -> None:
        finished = {w.id: info for w in works if (info := results.read(w)) is not None}
        self._run = run
        self._began = self._saved = time.monotonic()
        self._seconds_before = run.info["seconds"]
        self._cell_seconds = sum(info["seconds"] for info in finished.values())
        self._ended = len(finished)
        self._weights: dict[str, float] = {}
        self.weight = sum(work.cost for work in works if work.id not in finished)
        self._show: Any = lambda *_: None

    def start(self, show: Any) -> None:
        """Show the progress from here on."""
        self._show = show
        self._tell()

    def advance(self, work: Work, fraction: float) -> None:
        """Take the finished fraction of a running cell."""
        self._weights[work.id] = work.cost * min(max(fraction, 0.0), 1.0)
        self._tell()

    def done(self, work: Work, seconds: float) -> None:
        """Take a cell that has ended."""
        self._weights[work.id] = work.cost
        self._ended += 1
        self._cell_seconds += seconds
        self._tell()
        if time.monotonic() - self._saved >= _SAVE_EVERY_SECONDS:
            self.save()

    def save(self) -> None:
        """Write the time so far to `run.json`, so that a kill loses little of it."""
        self._saved = time.monotonic()
        done = sum(1 for _ in (self._run.folder / "cells").glob("*/cell.json"))
        self._run.update(
            seconds=round(self._seconds_before + self._saved - self._began, 1),
            cell_seconds=round(self._cell_seconds, 1),
            cells={**self._run.info["cells"], "done": done},
        )

    def _tell(self) -> None:
        seconds = time.monotonic() - self._began
        self._show(self._ended, sum(self._weights.values()), seconds)


def judged(run: Run) -> bool:
    """Whether a run has verdicts: it is done, or cells failed and the others have been judged."""
    has = _CLAIMS in (run.info["tables"] or {}).get("derived", ())
    return run.done or (run.info["status"] == "failed" and has)


def _require_judged(run: Run) -> None:
    if not judged(run):
        raise InputError(f"{run.folder} is not finished; `byrote resume {run.folder}` goes on")


def _new_folder(name: str) -> Path:
    stamp = datetime.now().astimezone().strftime("%Y-%m-%d")
    base = folder = Path("byrote-runs") / f"{stamp}-{name}"
    number = 1
    while folder.exists():
        number += 1
        folder = base.with_name(f"{base.name}-{number}")
    return folder
