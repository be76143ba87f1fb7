"""`byrote audit`: how much of a set of texts a model can recite."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Group, Parameter

from byrote.audit.config import DEFAULT_MODEL, DEFAULT_TEXTS, AuditConfig
from byrote.cli.options import Common, count_or_all, integers

__all__ = ["audit"]

_TEXTS = Group("Texts", sort_key=1)
_MEASURES = Group("Measures", sort_key=2)
_MODEL = Group("Model", sort_key=3)
_RUN = Group("Run", sort_key=4)


def audit(
    model: Annotated[str, Parameter(group=_MODEL)] = DEFAULT_MODEL,
    /,
    *,
    texts: Annotated[list[str], Parameter(group=_TEXTS, consume_multiple=True, negative="")]
    | None = None,
    controls: Annotated[list[str], Parameter(group=_TEXTS, consume_multiple=True, negative="")]
    | None = None,
    text_field: Annotated[str, Parameter(group=_TEXTS)] = "text",
    prefix_len: Annotated[
        tuple[int, ...],
        Parameter(
            group=_TEXTS,
            consume_multiple=True,
            converter=integers,
            negative="",
            show_default=False,
        ),
    ] = (),
    suffix_len: Annotated[int | None, Parameter(group=_TEXTS)] = None,
    stride: Annotated[int | None, Parameter(group=_TEXTS)] = None,
    limit: Annotated[str, Parameter(group=_TEXTS)] = "100",
    draws: Annotated[int, Parameter(group=_MEASURES)] = 1000,
    probability: Annotated[float, Parameter(group=_MEASURES)] = 0.5,
    temperature: Annotated[float, Parameter(group=_MEASURES)] = 1.0,
    top_k: Annotated[int, Parameter(group=_MEASURES)] = 40,
    top_p: Annotated[float | None, Parameter(group=_MEASURES)] = None,
    generate: Annotated[bool, Parameter(group=_MEASURES, negative="", show_default=False)] = False,
    verdict_only: Annotated[
        bool, Parameter(group=_MEASURES, negative="", show_default=False)
    ] = False,
    confidence: Annotated[float, Parameter(group=_MEASURES)] = 0.95,
    bos: Annotated[Literal["auto", "always", "never"], Parameter(group=_MODEL)] = "auto",
    device: Annotated[str, Parameter(group=_MODEL)] = "auto",
    dtype: Annotated[str, Parameter(group=_MODEL)] = "auto",
    trust_remote_code: Annotated[
        bool, Parameter(group=_MODEL, negative="", show_default=False)
    ] = False,
    out: Annotated[Path | None, Parameter(group=_RUN)] = None,
    seed: Annotated[int, Parameter(group=_RUN)] = 0,
    batch_size: Annotated[int | None, Parameter(group=_RUN)] = None,
    common: Annotated[Common | None, Parameter(group=_RUN)] = None,
) -> None:
    """Tell how much of a set of texts a model can recite, and how sure that is.

    Each text is cut into passages: the prefix is given to the model, the suffix asked of it.
    Controls show what guessing gives. The result is a table, a run folder and an HTML report.

    Args:
        model: A hub id, a local folder, a GGUF file, bundled:smollm2-135m, bundled:gemma3-270m, or
            random:FAMILY?hidden_size=64 for a random one.
        texts: JSONL, Parquet, CSV or text files, folders, hf:DATASET, corpus:kjv, corpus:licenses,
            corpus:stdlib, corpus:wellknown. A record has `text`, or `prefix` and `suffix`, or
            `input_ids`.
        controls: mismatched (the suffix of another passage), shuffled (the suffix in disorder),
            none, or a source of texts that the model cannot have seen.
        text_field: Name of the column that holds the text.
        prefix_len: Prefix tokens; several lengths are a sweep [default: 50, or the record's own].
        suffix_len: Suffix tokens [default: 50, or the record's own].
        stride: Tokens from one window to the next [default: prefix + suffix, no overlap].
        limit: Windows drawn at random from each source, or `all`.
        draws: n of (n, p)-discoverable extraction: how often a text may be drawn.
        probability: p of (n, p)-discoverable extraction: how surely it then appears.
        temperature: Temperature of the drawing.
        top_k: Draw among the k likeliest tokens; 0 is off.
        top_p: Draw among the likeliest tokens that hold this mass.
        generate: Also write greedy continuations: ROUGE-L, edit similarity, BLEU.
        verdict_only: Only decide what is recited in full; several times faster.
        confidence: Confidence of the intervals.
        bos: Lead with a BOS token: as the tokenizer does, always, or never.
        device: auto, cpu, cuda, mps …
        dtype: auto, float32, bfloat16 …
        trust_remote_code: Run Python code that comes with a hub model.
        out: Run folder [default: byrote-runs/DATE-MODEL].
        seed: Seed of the draw, the controls and the bootstrap.
        batch_size: Passages in a forward pass [default: about 3,200 tokens].
    """
    common = common or Common()
    config = AuditConfig(
        model=model,
        texts=tuple(texts) if texts else DEFAULT_TEXTS,
        controls=() if controls == ["none"] else tuple(controls or ["mismatched"]),
        text_field=text_field,
        prefix_len=prefix_len,
        suffix_len=suffix_len,
        stride=stride,
        limit=count_or_all("--limit", limit),
        temperature=temperature,
        top_k=top_k or None,
        top_p=top_p,
        draws=draws,
        probability=probability,
        generate=generate,
        verdict_only=verdict_only,
        bos=bos,
        seed=seed,
        confidence=confidence,
        device=device,
        dtype=dtype,
        trust_remote_code=trust_remote_code,
    )
    config.check()
    common.start()

    from byrote.audit.job import run_audit
    from byrote.cli.output import show_run

    run = run_audit(config, out=out, batch_size=batch_size)
    show_run(run, common)
