"""The audit itself: plan, score part by part, join, summarise, report; resumable at any point."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from byrote.audit.config import AuditConfig
from byrote.audit.plan import Sources, open_sources, read_plan, write_plan
from byrote.audit.rows import part_tables
from byrote.errors import ByroteError, InputError
from byrote.models.loading import LoadedModel, check_placement, load
from byrote.models.memory import keep_freed_memory
from byrote.models.outline import Outline, outline
from byrote.models.source import parse_source
from byrote.progress import task
from byrote.recall.curves import count_table, survival_table
from byrote.recall.scoring import Scorer, tie_tolerance
from byrote.recall.tables import coverage_table, discoverable_table, fit_table, summarise
from byrote.report import write_report
from byrote.runs import Parts, Run, now, write_parquet

__all__ = ["resume_audit", "run_audit"]

_PLAN = "plan.parquet"

# With fewer records than this, a source's intervals get a remark.
_FEW_RECORDS = 10

_TEXTS = ("prefix_text", "suffix_text", "generated_text")

# Probabilities p for which (n, p)-discoverable extraction is drawn over n.
_CHANCES = (0.1, 0.5, 0.9)


def run_audit(
    config: AuditConfig, *, out: Path | None = None, batch_size: int | None = None
) -> Run:
    """Audit a model on texts; continue if `out` holds an unfinished run of the same config.

    Args:
        config: The question.
        out: The run folder; None makes `byrote-runs/DATE-MODEL`.
        batch_size: Passages in a forward pass; it changes no result.

    Returns:
        The finished run: its tables, charts and report are in `run.folder`.

    Raises:
        InputError: The model, a source or an option cannot be used.
    """
    config.check()
    if batch_size is not None and batch_size < 1:
        raise InputError(f"--batch-size {batch_size}: it must be at least 1, or left out")
    parse_source(config.model).check()
    folder = out or _new_folder(config.model)
    fresh = not (folder / "run.json").exists()
    # A plan on disk needs no sources: a run can be continued where they are no longer at hand.
    sources = None if (folder / _PLAN).exists() else open_sources(config)
    run = Run.start(folder, "audit", config.to_json(), seed=config.seed, model=None, data=None)
    with run.locked():
        if run.done and not fresh:
            _tidy(run)
            return run
        try:
            with _session(run) as save_time:
                _work(run, config, sources, batch_size, save_time)
        except ByroteError:
            if fresh and run.info["model"] is None:
                _discard(run)
            raise
        _tidy(run)
    return run


def resume_audit(folder: Path, *, batch_size: int | None = None) -> Run:
    """Continue the audit in `folder` with the config that it was started with.

    Raises:
        InputError: There is no audit in `folder`.
    """
    run = Run.open(folder)
    if run.info["kind"] != "audit":
        raise InputError(f"{folder} is a run of kind {run.info['kind']!r}, not an audit")
    return run_audit(AuditConfig.from_json(run.info["config"]), out=folder, batch_size=batch_size)


def _work(
    run: Run,
    config: AuditConfig,
    sources: Sources | None,
    batch_size: int | None,
    save_time: Callable[[], None],
) -> None:
    run.clean()
    keep_freed_memory()
    check_placement(config.device, config.dtype)
    tokenizer = None
    if run.info["data"] is None or sources is not None:
        # All that can be wrong with the texts is found before the weights are read.
        shape = outline(config.model, trust_remote_code=config.trust_remote_code)
        tokenizer = shape.tokenizer
        data, notes = write_plan(
            run.folder / _PLAN,
            config,
            sources or open_sources(config),
            tokenizer,
            vocab_size=shape.vocab_size,
            max_len=shape.max_len,
            lead=_lead(config, shape),
        )
        run.update(data=data)
        for note in notes:
            run.note(note)
    loaded = load(
        config.model,
        device=config.device,
        dtype=config.dtype,
        trust_remote_code=config.trust_remote_code,
        tokenizer=tokenizer,
    )
    _remember_model(run, loaded)
    if tie_tolerance(loaded.dtype) == 0.0:
        run.note(
            f"scored in {loaded.dtype}: rounding can decide between tokens of nearly the same "
            "probability, so single verdicts may change with the batch size"
        )
    scorer = Scorer(loaded, config.scheme, batch_size=batch_size, lead=_lead(config, loaded))
    _finish(run, config, _score_parts(run, config, loaded, scorer, save_time))


@contextmanager
def _session(run: Run) -> Iterator[Callable[[], None]]:
    """One process's work on a run: its time is added to that of the earlier ones, its end is kept.

    Yields:
        To be called now and then: it saves the time so far.
    """
    began, before = time.monotonic(), run.info["seconds"]

    def seconds() -> float:
        return round(before + time.monotonic() - began, 1)

    run.update(status="running", error=None)
    try:
        yield lambda: run.update(seconds=seconds())
    except BaseException as error:
        status = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
        text = " ".join(str(error).split()) or type(error).__name__
        # Where the disk is full, the first error is the one to be seen.
        with suppress(ByroteError, OSError):
            run.update(status=status, error=text, seconds=seconds())
        raise
    run.update(status="done", end=now(), seconds=seconds())


def _tidy(run: Run) -> None:
    """Draw the report if it is not there, and drop what only an unfinished run needs."""
    if not (run.folder / "report.html").exists():
        with task("Drawing the report"):
            write_report(run.folder)
    Parts(run.folder).remove()


def _score_parts(
    run: Run,
    config: AuditConfig,
    loaded: LoadedModel,
    scorer: Scorer,
    save_time: Callable[[], None],
) -> int:
    """Score all parts that are not there yet; return how many parts there are."""
    total = run.info["data"]["passages"] + run.info["data"]["controls"]
    size = _part_size(total)
    parts = Parts(run.folder)
    done = parts.done()
    with task("Scoring passages", total) as advance:
        index = -1
        for index, passages in enumerate(read_plan(run.folder / _PLAN, size)):
            if index in done:
                advance(len(passages))
            else:
                parts.write(index, part_tables(passages, scorer, loaded, config, advance))
                save_time()
    return index + 1


def _finish(run: Run, config: AuditConfig, count: int) -> None:
    """Join the parts and derive the tables that speak of many passages."""
    with task("Summarising"):
        parts = Parts(run.folder)
        for table in ("passages", "tokens"):
            parts.join(table, run.table(table), count)
        # The texts are most of the table, and no number needs them.
        passages = pl.scan_parquet(run.table("passages")).drop(_TEXTS, strict=False).collect()
        sweep = {"confidence": config.confidence, "sweep": len(config.prefix_len) > 1}
        draws = {"n": config.draws, "p": config.probability, "seed": config.seed}

        for note in _few_records(passages):
            run.note(note)

        def keep(name: str, table: pl.DataFrame) -> None:
            write_parquet(run.table(name), table)

        keep("summary", summarise(passages, **draws, **sweep))
        keep("counts", count_table(passages, confidence=config.confidence, seed=config.seed))
        if config.verdict_only:
            return
        chances = sorted({*_CHANCES, config.probability})
        keep("discoverable", discoverable_table(passages, p=chances, **sweep))
        keep("survival", survival_table(passages, **sweep))
        keep("coverage", coverage_table(passages))
        keep("fits", fit_table(passages, **draws, **sweep))


def _few_records(passages: pl.DataFrame) -> Iterator[str]:
    """Remarks on sources whose intervals cannot say much."""
    texts = passages.filter(~pl.col("is_control"))
    counts = texts.group_by("source").agg(pl.col("record").n_unique()).sort("source")
    for source, records in counts.iter_rows():
        if records < _FEW_RECORDS:
            yield (
                f"{source}: its passages come from {records} record{'s' if records != 1 else ''}; "
                "so few say little of other texts of the kind, and intervals are too narrow for it"
            )


def _part_size(total: int) -> int:
    """Passages in a part: a killed run loses at most one part, a long one has few files."""
    return min(4096, max(64, 2 ** math.ceil(math.log2(max(total, 1) / 256))))


def _lead(config: AuditConfig, model: LoadedModel | Outline) -> tuple[int, ...]:
    if config.bos == "never":
        return ()
    if config.bos == "always":
        bos: Any = getattr(model.tokenizer, "bos_token_id", None)
        if not isinstance(bos, int):
            raise InputError(f"--bos always: {config.model} has no BOS token; use auto or never")
        return (bos,)
    return model.lead


def _remember_model(run: Run, loaded: LoadedModel) -> None:
    model = {
        "source": loaded.source,
        "family": loaded.family,
        "parameters": loaded.parameters,
        "weights_hash": loaded.weights_hash,
        "dtype": str(loaded.dtype).removeprefix("torch."),
        "licence": loaded.licence,
        "bos_id": loaded.bos_id,
    }
    before = run.info["model"]
    if before and before["weights_hash"] != model["weights_hash"]:
        raise InputError(
            f"{run.folder} was begun with weights {before['weights_hash'][:12]}, but "
            f"{loaded.source} now has {model['weights_hash'][:12]}; start a new run"
        )
    run.update(model=model, hardware=run.info["hardware"] | {"device": str(loaded.device)})


def _new_folder(model: str) -> Path:
    name = re.sub(
        r"[^A-Za-z0-9.]+", "-", Path(model.partition("?")[0].partition(":")[2] or model).name
    )
    stamp = datetime.now().astimezone().strftime("%Y-%m-%d")
    base = Path("byrote-runs") / f"{stamp}-{name.strip('-')}"
    for candidate in _numbered(base):
        if not candidate.exists():
            return candidate
    raise AssertionError("unreachable: there is always a next number")


def _numbered(base: Path) -> Iterator[Path]:
    yield base
    number = 2
    while True:
        yield base.with_name(f"{base.name}-{number}")
        number += 1


def _discard(run: Run) -> None:
    """Remove a run folder that an error left before the model was there: nothing is lost."""
    for name in ("run.json", ".lock", _PLAN):
        (run.folder / name).unlink(missing_ok=True)
    if not any(run.folder.iterdir()):
        run.folder.rmdir()
