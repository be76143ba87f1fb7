"""`byrote report`, `byrote resume`, `byrote show`: what can be done with a run folder."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from byrote.cli.options import Common
from byrote.errors import InputError

__all__ = ["report", "resume", "show"]


def report(run: Path, /, *, common: Common | None = None) -> None:
    """Draw the charts and the HTML report of a run again, from its tables.

    Args:
        run: The run folder.
    """
    common = common or Common()
    common.start()
    from byrote.cli.output import show_path

    if _kind(run) == "audit":
        from byrote.report import write_report

        path = write_report(run)
    elif _kind(run) == "locate":
        from byrote.localization import write_location_report
        from byrote.runs import Run

        path = write_location_report(Run.open(run))
    else:
        from byrote.studies import write_study_report

        path = write_study_report(run)
    show_path("report", path, common)


def resume(
    run: Path,
    /,
    *,
    batch_size: int | None = None,
    workers: int | None = None,
    engine: Literal["processes", "inline", "ray"] | None = None,
    common: Common | None = None,
) -> None:
    """Continue an interrupted run; what was finished is kept.

    Args:
        run: The run folder.
        batch_size: Audits: passages in a forward pass [default: about 3,200 tokens].
        workers: Studies: cells at a time [default: as for study]; it changes no result.
        engine: Studies: processes, inline or ray [default: as the run was begun].
    """
    common = common or Common()
    common.start()
    if _kind(run) == "audit":
        if workers is not None or engine is not None:
            raise InputError(f"{run} is an audit; --workers and --engine are for studies")
        from byrote.audit.job import resume_audit
        from byrote.cli.output import show_run

        show_run(resume_audit(run, batch_size=batch_size), common)
        return
    if _kind(run) == "locate":
        raise InputError(f"{run} is of `byrote locate`, which is short: run the same again")
    if batch_size is not None:
        raise InputError(f"{run} is a study; --batch-size is for audits")
    from byrote.cli.study_output import show_what_ended
    from byrote.studies import resume_study

    show_what_ended(lambda: resume_study(run, workers=workers, engine=engine), common)


def show(run: Path, /, *, common: Common | None = None) -> None:
    """Print the table of a finished run: what was recited, what was found, or which claims hold.

    Args:
        run: The run folder.
    """
    common = common or Common()
    from byrote.runs import Run

    if _kind(run) == "audit":
        from byrote.cli.output import show_run

        show_run(Run.open(run), common)
    elif _kind(run) == "locate":
        from byrote.cli.location_output import show_location

        show_location(Run.open(run), common)
    else:
        from byrote.cli.study_output import show_study_run
        from byrote.studies import open_study_run

        show_study_run(open_study_run(run)[0], common)


def _kind(run: Path) -> str:
    from byrote.runs import Run

    return Run.open(run).info["kind"]
