"""`byrote report`, `byrote resume`, `byrote show`: what can be done with a run folder."""

from __future__ import annotations

from pathlib import Path

from byrote.cli.options import Common

__all__ = ["report", "resume", "show"]


def report(run: Path, /, *, common: Common | None = None) -> None:
    """Draw the charts and the HTML report of a run again, from its tables.

    Args:
        run: The run folder.
    """
    common = common or Common()
    common.start()
    from byrote.cli.output import show_path
    from byrote.report import write_report
    from byrote.runs import Run

    path = write_report(Run.open(run).folder)
    show_path("report", path, common)


def resume(run: Path, /, *, batch_size: int | None = None, common: Common | None = None) -> None:
    """Continue an interrupted run; what was finished is kept.

    Args:
        run: The run folder.
        batch_size: Passages in a forward pass [default: about 3,200 tokens].
    """
    common = common or Common()
    common.start()
    from byrote.audit.job import resume_audit
    from byrote.cli.output import show_run

    show_run(resume_audit(run, batch_size=batch_size), common)


def show(run: Path, /, *, common: Common | None = None) -> None:
    """Print the table of a finished run.

    Args:
        run: The run folder.
    """
    common = common or Common()
    from byrote.cli.output import show_run
    from byrote.runs import Run

    show_run(Run.open(run), common)
