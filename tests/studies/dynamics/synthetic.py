"""Tables of a run of the study, made up: sigmoid curves, no model, in no time.

A string with ℓ letters is guessed until epoch `guess` and memorised around `middle`; who is
untrained takes longer, and what lies beyond the epochs is censored.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from byrote.report.study import StudyData
from byrote.studies.dynamics.analysis import analyse
from byrote.studies.dynamics.config import DynamicsConfig
from byrote.studies.dynamics.measuring import MEASURES
from byrote.studies.dynamics.plan import Need, plan

CLAIMS = pl.DataFrame({"verdict": ["holds", "not tested"]})


def study_data(config: DynamicsConfig, **changes: Any) -> StudyData:
    """A run of a config.

    Args:
        config: What was asked.
        changes: Tables of the cells to put in place of those made up; None leaves one out.
    """
    tables = {**cell_tables(config), **changes}
    tables = {name: table for name, table in tables.items() if table is not None}
    whole = {**tables, **analyse(tables, config), "claims": CLAIMS}
    return StudyData(Path("run"), {"kind": "dynamics"}, whole, CLAIMS)


def cell_tables(config: DynamicsConfig) -> dict[str, pl.DataFrame | None]:
    rng = np.random.default_rng(0)
    rows: dict[str, list[Any]] = {
        name: [] for name in ("trainings", "epochs", "positions", "heldout", "context", "ceilings")
    }
    for need in plan(config):
        for string in range(config.strings):
            _learn(config, need, string, rng, rows)
    steps = config.checkpoints.steps if config.checkpoints.source else ()
    for step in steps:
        made = Need("", "uniform", 26, math.log(26), config.checkpoints.n, "all", 60)
        for string in range(config.strings):
            slower = 2.0 - min(step, 100) / 100
            _learn(config, made, string, rng, rows, name=f"checkpoint.{step}", slower=slower)
    tables: dict[str, pl.DataFrame | None] = {
        name: pl.concat(parts) if parts and isinstance(parts[0], pl.DataFrame) else _frame(parts)
        for name, parts in rows.items()
    }
    if steps:
        tables["pretraining"] = pl.DataFrame(
            {"step": range(max(steps)), "loss": 2 + 3 * np.exp(-np.arange(max(steps)) / 50)}
        )
    tables |= _sequences(config, rng)
    return {name: None if table is None else _typed(table) for name, table in tables.items()}


def _typed(table: pl.DataFrame) -> pl.DataFrame:
    """The integers that the cells write as int32."""
    small = {"epoch", "string", "k", "n", "letters", "stage", "chain", "learned", "measured"}
    return table.with_columns(
        pl.col([name for name in table.columns if name in small]).cast(pl.Int32)
    )


def _frame(rows: list[Any]) -> pl.DataFrame | None:
    return pl.DataFrame(rows, infer_schema_length=None) if rows else None


def _learn(
    config: DynamicsConfig,
    need: Need,
    string: int,
    rng: np.random.Generator,
    rows: dict[str, list[Any]],
    *,
    name: str = "",
    slower: float = 1.0,
) -> None:
    training = name or need.id
    model = config.models.get(need.model)
    init = "random" if name or (model and model.init == "random") else "pretrained"
    if init == "random":
        slower *= 1 + math.log2(need.n / 16) / 2
    if need.part not in ("all", "mlp"):
        slower *= 4
    middle = slower * (8 + 30 / (1 + 2 * need.level) + rng.normal())
    last = need.epochs
    if config.training.stop_loss is not None and middle + 8 < last:
        last = math.ceil(middle + 8)
    epoch = np.arange(last + 1)
    learned = 1 / (1 + np.exp(-(epoch - middle) / 1.3))
    level = need.level
    # What a guesser can know is the string's own letters, of which it has fewer than the source.
    floor = 0.95 * level
    loss = (floor + 4 * np.exp(-epoch / 1.5)) * (1 - learned) + 0.01
    accuracy = np.clip(learned + (1 - learned) * 0.1, 0, 1)
    mass = 1 - np.exp(-(epoch + 0.3) / 1.5)
    curve = {
        "loss": loss,
        "accuracy": accuracy,
        "mass": mass,
        "entropy": loss,
        "entropy_letters": loss,
        "kl_model_source": np.exp(-epoch / 1.5) + 3 * learned,
        "kl_source_model": np.exp(-epoch / 1.5) + 3 * learned,
        # The model gives mass to letters that this string lacks.
        "kl_model_empirical": np.full(last + 1, math.inf),
        "kl_empirical_model": np.exp(-epoch / 1.5) + 3 * learned,
    }
    keys = {"training": training, "string": string}
    head = [pl.lit(training).alias("training"), pl.lit(string, dtype=pl.Int32).alias("string")]
    epochs = pl.DataFrame({"epoch": epoch.astype(np.int32), **{k: curve[k] for k in MEASURES}})
    rows["epochs"].append(epochs.select(*head, pl.all()))
    rows["trainings"].append(
        {
            **keys,
            "model": name or need.model,
            "source": model.source if model else "random:llama",
            "init": init,
            "family": "llama",
            "parameters": 1000 * (1 + sorted(config.models).index(need.model) if model else 1),
            "part": need.part,
            "trained_parameters": 1000 if need.part == "all" else 50,
            "distribution": need.distribution,
            "letters": need.letters,
            "entropy": level,
            "entropy_rate": level,
            "string_entropy": floor,
            "guess": math.exp(-level),
            "modal": 1.4 * math.exp(-level),
            "n": need.n,
            "targets": need.n,
            "lr": model.lr if model else 1e-3,
            "epochs": last,
            "epochs_at_most": need.epochs,
        }
    )
    if string == 0:
        when = np.clip(rng.normal(middle, 3, need.n), 0, None)
        if init == "random":
            when = np.sort(when)
        hits = epoch[:, None] >= when[None, :]
        grid = pl.DataFrame(
            {
                "epoch": np.repeat(epoch, need.n).astype(np.int32),
                "position": np.tile(np.arange(need.n), len(epoch)).astype(np.int32),
                "hit": hits.ravel(),
            }
        )
        rows["positions"].append(grid.select(*head, pl.all()))
    for held in range(config.training.heldout):
        for at in range(0, last + 1, config.training.heldout_every):
            value = level + 4 * math.exp(-at / 1.5) + 0.02 * at
            rows["heldout"].append(
                {**keys, "heldout": held, "epoch": at, "loss": value, "accuracy": 0.05}
            )
    if need.context:
        _contexts(config, need, keys, rng, rows)


def _contexts(
    config: DynamicsConfig,
    need: Need,
    keys: dict[str, Any],
    rng: np.random.Generator,
    rows: dict[str, list[Any]],
) -> None:
    wanted = config.context
    good = {"shuffle": 0.9, "other": 0.85, "fresh": 0.8}
    for epoch in wanted.epochs:
        for condition in wanted.conditions:
            for k in (None,) if condition == "intact" else wanted.k:
                share = 1.0 if k is None else good.get(condition, 0.4) * (1 - math.exp(-k / 3))
                for position in range(12):
                    hit = bool(rng.random() < share * min(1, epoch / 30))
                    rows["context"].append(
                        {
                            **keys,
                            "condition": condition,
                            "k": k,
                            "draw": 0,
                            "position": position,
                            "hit": hit,
                            "nll": 1.0 - hit,
                            "epoch": epoch,
                        }
                    )
    for k in wanted.k:
        best = 1 - 0.9 * math.exp(-k * need.level / 4)
        rows["ceilings"].append({**keys, "k": k, "accuracy": best})


def _sequences(config: DynamicsConfig, rng: np.random.Generator) -> dict[str, pl.DataFrame | None]:
    wanted = config.sequential
    rows, texts = [], []
    for model in wanted.models:
        for optimiser in wanted.optimisers:
            for chain in range(config.strings):
                keys = {"model": model, "optimiser": optimiser, "chain": chain}
                known = np.zeros(wanted.strings)
                texts.append({**keys, "stage": -1, "loss": 3.0})
                for stage, learned in enumerate([*range(wanted.strings), 0]):
                    middle = wanted.epochs * (0.5 - 0.3 * stage / wanted.strings) + rng.normal()
                    start = known.copy()
                    for epoch in range(wanted.epochs + 1):
                        share = 1 / (1 + math.exp(-(epoch - middle) / 1.5))
                        known = start * (1 - 0.6 * share)
                        known[learned] = max(share, start[learned] * (1 - share))
                        others = epoch % wanted.every == 0 or epoch == wanted.epochs
                        for string in range(wanted.strings):
                            if string != learned and not others:
                                continue
                            rows.append(
                                {
                                    **keys,
                                    "stage": stage,
                                    "learned": learned,
                                    "epoch": epoch,
                                    "measured": string,
                                    "loss": 3.3 * (1 - known[string]) + 0.02,
                                    "accuracy": float(known[string]),
                                }
                            )
                    texts.append({**keys, "stage": stage, "loss": 3.1 + 0.2 * stage})
    return {"sequential": _frame(rows), "sequential_text": _frame(texts)}
