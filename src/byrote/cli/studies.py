"""`byrote study` and `byrote claims`: run a study of a paper, and read its verdicts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Group, Parameter

from byrote.cli.options import Common
from byrote.errors import InputError

if TYPE_CHECKING:
    from byrote.studies import Study

__all__ = ["claims", "study"]

_CONFIG = Group("Config", sort_key=1)
_LOOK = Group("Look before you run", sort_key=2)
_RUN = Group("Run", sort_key=3)


def study(
    name: str | None = None,
    /,
    *,
    preset: Annotated[str | None, Parameter(group=_CONFIG, show_default=False)] = None,
    config: Annotated[Path | None, Parameter(group=_CONFIG)] = None,
    set_: Annotated[
        list[str] | None,
        Parameter(name="--set", group=_CONFIG, consume_multiple=True, negative=""),
    ] = None,
    list_cells: Annotated[bool, Parameter(group=_LOOK, negative="", show_default=False)] = False,
    list_fields: Annotated[bool, Parameter(group=_LOOK, negative="", show_default=False)] = False,
    out: Annotated[Path | None, Parameter(group=_RUN)] = None,
    workers: Annotated[int | None, Parameter(group=_RUN)] = None,
    threads: Annotated[int, Parameter(group=_RUN)] = 1,
    engine: Annotated[Literal["processes", "inline", "ray"], Parameter(group=_RUN)] = "processes",
    common: Annotated[Common | None, Parameter(group=_RUN)] = None,
) -> None:
    """Run a study of a paper, and judge its published claims on the numbers just measured.

    A study splits into cells, which run in several processes. What is finished is kept: a run that
    is killed goes on with `byrote resume`. It ends with a table of claims and an HTML report.

    Args:
        name: The study; without it, the studies and their presets are listed.
        preset: Named config [default: the study's first].
        config: TOML or YAML file with fields that differ from the preset.
        set_: Fields that differ from both, such as seed=1 or training.epochs=50; tuples as 2,4,26.
        list_cells: Print the cells and what they cost; run nothing.
        list_fields: Print all fields of the config and their values; run nothing.
        out: Run folder [default: byrote-runs/DATE-STUDY].
        workers: Cells at a time [default: GPUs, else cores / threads]; it changes no result.
        threads: Threads of each worker; the last digits of results depend on it.
        engine: processes on this machine, inline (this process, one cell at a time), or ray.
    """
    common = common or Common()
    common.start()
    from byrote.cli.study_output import show_cells, show_fields, show_studies, show_what_ended
    from byrote.runs import check_engine, workers_of
    from byrote.studies import get_study, run_study

    if name is None:
        show_studies(common)
        return
    chosen = get_study(name)
    asked, of_preset = _asked(chosen, preset, config, set_ or [])
    if list_fields and list_cells and common.json:
        raise InputError("--list-fields --list-cells --json: one document at a time, give one")
    check_engine(engine, workers, threads)
    if list_fields:
        show_fields(asked, common)
    if list_cells:
        show_cells(chosen, asked, workers_of(engine, workers, threads), common)
    if list_fields or list_cells:
        return
    options = {"out": out, "preset": of_preset, "engine": engine, "workers": workers}
    show_what_ended(lambda: run_study(chosen, asked, threads=threads, **options), common)


def claims(
    run: Path,
    /,
    *,
    judge_again: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    markdown: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    common: Common | None = None,
) -> None:
    """Print the claims table of a finished study: what was published, what was measured, verdicts.

    Args:
        run: The run folder.
        judge_again: Derive the tables and judge again with this byrote's study; no cell is run.
        markdown: Print the table as Markdown.
    """
    common = common or Common()
    common.start()
    from byrote.cli.study_output import show_markdown, show_study_run
    from byrote.studies import judge_again as judge
    from byrote.studies import open_study_run

    opened = judge(run) if judge_again else open_study_run(run)[0]
    if markdown:
        show_markdown(opened, common)
    else:
        show_study_run(opened, common)


def _asked(
    study: Study, preset: str | None, file: Path | None, words: list[str]
) -> tuple[Any, str]:
    """The config: a preset, changed by a file, changed by single fields."""
    import difflib

    from byrote.studies import load_config, override

    presets = study.presets
    name = preset or next(iter(presets))
    if name not in presets:
        near = difflib.get_close_matches(name, presets, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known are: {', '.join(presets)}"
        raise InputError(f"--preset {name!r}: study {study.name} has no such preset; {hint}")
    config = presets[name]
    if file is not None:
        config = load_config(file, config)
    changes = {}
    for word in words:
        field, equals, value = word.partition("=")
        if not equals:
            raise InputError(f"--set {word!r}: give FIELD=VALUE, such as seed=1")
        changes[field.strip()] = value
    return override(config, changes), name
