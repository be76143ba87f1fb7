"""Made-up tables of the study for its judges: what each string did is given, nothing is measured.

Numbers are given one for a string; what is not given is that of a pretrained model that guesses
well and then memorises.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from byrote.studies.claims import Tables, judge_all
from byrote.studies.dynamics.claims import CLAIMS
from byrote.studies.dynamics.config import (
    CheckpointsConfig,
    ContextConfig,
    DynamicsConfig,
    ModelConfig,
    SequentialConfig,
)

CONFIG = DynamicsConfig(
    models={
        "llama": ModelConfig("bundled:llama"),
        "gemma": ModelConfig("bundled:gemma"),
        "llama-random": ModelConfig("bundled:llama", init="random"),
        "llama-step0": ModelConfig("org/llama@step0"),
        "llama-2": ModelConfig("meta-llama/Llama-2-13b-hf"),
        "small": ModelConfig("hub/family-1b"),
        "middle": ModelConfig("hub/family-2b"),
        "large": ModelConfig("hub/family-4b"),
        "s": ModelConfig("random:llama?hidden_size=1", init="random"),
        "m": ModelConfig("random:llama?hidden_size=2", init="random"),
        "l": ModelConfig("random:llama?hidden_size=4", init="random"),
    },
    context=ContextConfig(n=100, k=(1, 5, 10, 20)),
    sequential=SequentialConfig(strings=4, epochs=20),
    checkpoints=CheckpointsConfig(source="random:llama?hidden_size=8"),
)

_FAMILY = {"gemma": "gemma"}
_PARAMETERS = {"small": 100, "middle": 200, "large": 400, "s": 10, "m": 20, "l": 40}

Rows = list[dict[str, Any]]


def spread(middle: float, k: int, step: float = 0.01) -> list[float]:
    """Numbers of k strings, that hardly differ."""
    return [middle + step * (i - (k - 1) / 2) for i in range(k)]


def learned(
    t_mem: Sequence[float | None],
    *,
    model: str = "llama",
    letters: int = 26,
    n: int = 128,
    part: str = "all",
    last: int = 60,
    ladder: str | None = None,
    step: int | None = None,
    **columns: Any,
) -> Rows:
    """The rows of one exposure, one a string: epochs of memorisation, None where never in `last`.

    Args:
        columns: Others of `phases`, for all strings or a list with one for each; `near` is the
            range of epochs with a loss at the floor, `end_entropy` and `end_kl` are read at the
            last epoch, `best_kl` at the best guess.
    """
    random = model in CONFIG.models and (
        CONFIG.models[model].init == "random" or model == "llama-step0"
    )
    entropy = columns.get("entropy", math.log(letters))
    base = {
        "training": f"{model}.{columns.get('distribution', 'uniform')}{entropy:.2f}."
        f"{columns.get('entropy_rate', entropy):.2f}.{letters}.n{n}.{part}",
        "model": model,
        "init": "random" if random else "pretrained",
        "family": _FAMILY.get(model, "llama"),
        "part": part,
        "parameters": _PARAMETERS.get(model, 1000),
        "distribution": "uniform",
        "letters": letters,
        "entropy": entropy,
        "entropy_rate": entropy,
        "floor": entropy - 0.05,
        "string_entropy": entropy - 0.05,
        "n": n,
        "modal": 0.1,
        "t_in_alphabet": 2,
        "t_guess": 5,
        "t_best_guess": 4,
        "guess_loss": entropy - 0.05,
        "guess_accuracy": 0.12,
        "guess_mass": 0.97,
        "guess_entropy": entropy - 0.05,
        "first_loss": 8.0,
        "last_epoch": last,
        "last_accuracy": 1.0,
        "lr": 1e-4,
        "epochs_at_most": last,
        "ladder": ladder,
        "step": step,
        "near": range(3, 8),
        "best_kl": 0.05,
        "end_kl": 3.0,
        "end_entropy": 0.05,
    }
    rows = []
    for string, t in enumerate(t_mem):
        own = {key: v[string] if isinstance(v, list) else v for key, v in columns.items()}
        rows.append({**base, "string": string, "t_mem": t, **own})
    return rows


def tables_of(experiment: str, *exposures: Rows, **more: Rows) -> Tables:
    """Tables in which the exposures belong to one experiment; `more` are those of others.

    The derived ones and `epochs` are made of the rows; add further ones to the result.
    """
    named = {experiment: [row for rows in exposures for row in rows], **more}
    rows = {(r["training"], r["string"]): r for part in named.values() for r in part}
    phases = pl.DataFrame(list(rows.values()), infer_schema_length=None, strict=False)
    experiments = [
        {
            "experiment": name,
            "training": row["training"],
            "ladder": row["ladder"],
            "step": row["step"],
        }
        for name, part in named.items()
        for row in part
    ]
    schema = {"experiment": pl.String, "training": pl.String, "ladder": pl.String, "step": pl.Int32}
    facts = ["training", "string", "model", "family", "lr", "epochs_at_most"]
    apart = ["family", "lr", "epochs_at_most", "ladder", "step", "near", "best_kl", "end_kl"]
    return Tables(
        {
            "phases": phases.drop(*apart, "end_entropy").with_columns(
                pl.col("t_mem", "t_in_alphabet").cast(pl.Int64)
            ),
            "trainings": phases.select(facts).with_columns(pl.col("string").cast(pl.Int32)),
            "experiments": pl.DataFrame(experiments, schema=schema).unique(maintain_order=True),
            "epochs": _epochs(rows.values()),
        }
    )


def _epochs(rows: Iterable[Mapping[str, Any]]) -> pl.DataFrame:
    found = []
    for row in rows:
        for epoch in range(row["last_epoch"] + 1):
            end = epoch == row["last_epoch"]
            best = epoch == row["t_best_guess"]
            found.append(
                {
                    "training": row["training"],
                    "string": row["string"],
                    "epoch": epoch,
                    "loss": row["floor"] + (0.0 if epoch in row["near"] else 1.0),
                    "entropy": row["end_entropy"] if end else 1.0,
                    "kl_empirical_model": (
                        row["end_kl"] if end else row["best_kl"] if best else 9.0
                    ),
                }
            )
    small = pl.col("string", "epoch").cast(pl.Int32)
    return pl.DataFrame(found, infer_schema_length=None).with_columns(small)


def with_order(tables: Tables, when: Mapping[str, Sequence[Sequence[float | None]]]) -> Tables:
    """Add the epochs from which positions are right for good, by model: string, position."""
    rows, order = [], []
    for row in tables["phases"].iter_rows(named=True):
        key = row["model"] if row["model"] in when else f"{row['model']}.{row['letters']}"
        epochs = when[key][row["string"]]
        last = row["last_epoch"]
        keys = {"training": row["training"], "string": row["string"]}
        order.append({**keys, "positions": len(epochs), "spearman": 0.0})
        for epoch in range(last + 1):
            for position, at in enumerate(epochs):
                hit = at is not None and epoch >= at
                rows.append({**keys, "epoch": epoch, "position": position, "hit": hit})
    small = pl.col("string").cast(pl.Int32)
    tables["positions"] = pl.DataFrame(rows).with_columns(small)
    tables["order"] = pl.DataFrame(order).with_columns(small)
    return tables


def with_control(tables: Tables, **columns: Any) -> Tables:
    """Add what held-out strings did beside every exposure; lists hold one number a string."""
    base = {
        "least_loss": 3.3,
        "between": 3,
        "trained_loss": 0.05,
        "last_loss": 6.0,
        "last_epoch": 60,
    }
    rows = []
    for row in tables["phases"].iter_rows(named=True):
        own = {k: v[row["string"]] if isinstance(v, list) else v for k, v in columns.items()}
        keys = {"training": row["training"], "string": row["string"]}
        rows.append({**keys, "entropy_rate": row["entropy_rate"], **base, **own})
    tables["control"] = pl.DataFrame(rows).with_columns(pl.col("string").cast(pl.Int32))
    return tables


RECALL = {
    "intact": 1.0,
    "fresh": 1.0,
    "other": 1.0,
    "shuffle": 1.0,
    "truncate": 0.5,
    "constant": 0.3,
    "other-alphabet": 0.5,
    "random-vocab": 0.5,
}
"""Recall by condition, of who needs the distribution but not the tokens themselves."""


def with_context(
    tables: Tables, recall: Mapping[str, float] = RECALL, *, positions: int = 20, **by_model: Any
) -> Tables:
    """Add recall behind altered contexts, the same for all strings but one position each.

    Args:
        tables: Of the experiment `context`.
        recall: Share of the positions by condition.
        positions: How many are asked for; `shuffle` asks for the last half only.
        by_model: Model -> other recall.
    """
    rows, ceilings = [], []
    for row in tables["phases"].iter_rows(named=True):
        keys = {"training": row["training"], "string": row["string"]}
        for k in CONFIG.context.k:
            ceilings.append({**keys, "k": k, "accuracy": 0.9})
        for condition, share in {**recall, **by_model.get(row["model"], {})}.items():
            for k in [None] if condition == "intact" else CONFIG.context.k:
                for position in range(positions):
                    if condition == "shuffle" and position % 2:
                        continue
                    # Hits are evenly spread, so that half of the positions have half of them.
                    hit = (position // 2 + 0.5) / (positions / 2) <= share
                    rows.append(
                        {
                            **keys,
                            "epoch": 30,
                            "condition": condition,
                            "k": k,
                            "draw": 0,
                            "position": position,
                            "hit": hit,
                        }
                    )
    small = pl.col("string").cast(pl.Int32)
    tables["context"] = pl.DataFrame(rows, infer_schema_length=None).with_columns(small)
    tables["ceilings"] = pl.DataFrame(ceilings).with_columns(small)
    return tables


def sequence(
    times: Sequence[Sequence[float | None]],
    *,
    model: str = "llama",
    optimisers: Sequence[str] = ("fresh",),
    kept: float = 0.2,
    left: float = 0.1,
    text: Sequence[float] = (3.0, 3.1, 3.2, 3.3, 3.4, 3.0),
) -> Tables:
    """Tables of E7 alone, the same for all optimisers.

    Args:
        times: For each chain, epochs of memorisation stage by stage; the last stage is the first
            string again.
        kept: Accuracy on earlier strings at the end of the last new one.
        left: Accuracy on the first string before it is learned again.
        text: Loss on text before the first stage and after each.
    """
    stages, retention, texts = [], [], []
    for optimiser in optimisers:
        for chain, epochs in enumerate(times):
            keys = {"model": model, "optimiser": optimiser, "chain": chain}
            last = len(epochs) - 1
            for stage, t in enumerate(epochs):
                again = stage == last
                first = left if again else 0.0
                stages.append(
                    {**keys, "stage": stage, "again": again, "t_mem": t, "first_accuracy": first}
                )
                if again:
                    continue
                for measured in range(stage + 1):
                    share = 1.0 if measured == stage else kept + 0.01 * chain
                    since = {"since": stage - measured, "accuracy": share}
                    retention.append({**keys, "stage": stage, "measured": measured, **since})
            for stage, loss in enumerate(text, start=-1):
                texts.append({**keys, "stage": stage, "loss": loss + 0.01 * chain * stage})
    time = pl.col("t_mem").cast(pl.Int64)
    return Tables(
        {
            "stages": pl.DataFrame(stages, infer_schema_length=None).with_columns(time),
            "retention": pl.DataFrame(retention),
            "sequential_text": pl.DataFrame(texts),
        }
    )


def judged(claim: str, tables: Tables, config: DynamicsConfig = CONFIG) -> dict[str, Any]:
    """The row of the claims table."""
    wanted = [each for each in CLAIMS if each.id == claim]
    return judge_all(wanted, tables, config).row(0, named=True)
