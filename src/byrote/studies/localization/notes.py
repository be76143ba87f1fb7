"""What a reader of a run must know beside its numbers."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from byrote.studies.localization.config import LocalizationConfig
from byrote.studies.localization.methods import names_of, part_of
from byrote.studies.localization.plan import model_names
from byrote.studies.localization.published import MODELS

__all__ = ["notes"]

_PAPER_SENTENCES, _PAPER_PASSAGES = 156, 500


def notes(tables: Mapping[str, pl.DataFrame], config: LocalizationConfig) -> list[str]:
    """How this run departs from the published setting, and what its numbers leave out."""
    found = []
    if "recalls" in tables and config.injection.groups:
        found += _injection(tables, config)
    if "deletions" in tables and config.deletion.groups:
        found += _deletion(tables, config)
    found += _methods(config)
    found.append(
        "An interval is over sentences or passages of one model; other models may rank the methods "
        "otherwise."
    )
    return found


def _injection(tables: Mapping[str, pl.DataFrame], config: LocalizationConfig) -> list[str]:
    inj = config.injection
    names = model_names(inj.models)
    models = ", ".join(MODELS.get(model, names[model]) for model in inj.models)
    made = "made up by byrote" if inj.sentences == "definitions" else "from a file"
    found = [
        f"INJ: {inj.examples} sentences {made} in {models}; the paper has {_PAPER_SENTENCES} of "
        "ECBD 2021 in GPT2, GPT2-XL and two Pythias. The sentences that options were tuned on are "
        "no part of the means here; in the paper they are."
    ]
    injections = tables.get("injections")
    if injections is not None:
        failed = injections.filter(~pl.col("recited"))
        if not failed.is_empty():
            found.append(
                f"{len(failed)} of {len(injections)} sentences were not written in full: their "
                f"last loss is up to {float(failed['nll'].max()):.2f} nats per token. "  # type: ignore[arg-type]
                "They count like the others."
            )
    return found


def _deletion(tables: Mapping[str, pl.DataFrame], config: LocalizationConfig) -> list[str]:
    deletion = config.deletion
    found = []
    passages = tables.get("passages")
    for name, setting in deletion.settings.items():
        count = setting.passages
        if passages is not None:
            mine = (pl.col("setting") == name) & (pl.col("split") == "test")
            count = len(passages.filter(mine))
        how = "recites as it is" if setting.how == "found" else "was shown until it recites them"
        found.append(
            f"DEL, {name}: {count} passages of {setting.prefix} + {setting.suffix} tokens that the "
            f"model {how}; the paper has {_PAPER_PASSAGES} (100 of GPT2-XL) of 32 + 48."
        )
    rows = tables["deletions"].filter(pl.col("scope") == "layer")
    taken = rows.group_by("setting", "fraction", maintain_order=True).agg(pl.col("neurons").max())
    words = "; ".join(
        f"{setting}, {100 * fraction:g} %: {neurons}" for setting, fraction, neurons in taken.rows()
    )
    if words:
        found.append(
            f"Neurons dropped in all layers ({words}). Of a narrow model a small share is one or "
            "two of each layer; the paper's widest layer has 16,384."
        )
    if deletion.skip_layers:
        skipped = ", ".join(map(str, deletion.skip_layers))
        found.append(f"No neuron of layer {skipped} is dropped, as in the paper.")
    if passages is not None:
        dev = passages.filter(pl.col("split") == "dev").group_by("setting").agg(pl.len())
        few = [name for name in deletion.settings if dict(dev.rows()).get(name, 0) < 2]
        if few and any(config.methods[name].grid for name in names_of(deletion.groups)):
            found.append(
                f"Of {', '.join(few)} too few passages are recited for a dev split of two or more: "
                "methods were tuned on one alone, or took the first of their options."
            )
    found.append(
        "Perplexity is given twice: e to the loss in nats, and 2 to it, which the paper calls so."
    )
    return found


def _methods(config: LocalizationConfig) -> list[str]:
    own = {*names_of(config.injection.groups), *names_of(config.deletion.groups)}
    found = []
    screened = [n for n in own if config.methods[n].localizer == "screened-zero-out"]
    if screened and part_of(config.methods[screened[0]]) == "zero-out":
        share = config.methods[screened[0]].options.get("shortlist", 0.05)
        found.append(
            f"Zero-Out is exact for the {100 * float(share):g} % of each layer that first-order "
            "attribution puts first, and that attribution for the others."
        )
    if any(config.methods[name].grid for name in own):
        found.append(
            "The pruning methods were tuned over few combinations and run for fewer steps than the "
            "paper's; it calls them sensitive to both. All combinations are in the table of tuning."
        )
    if any(config.methods[name].references == "negatives" for name in own):
        found.append(
            "Methods named as contrasted with negatives have seen the very passages that they are "
            "then to spare; no verdict rests on them."
        )
    return found
