"""From the cells' tables to what the experiments ask: phases, order, context, sequence, control.

Everything here is cheap and is done again by `byrote report` when it has learned something new.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import ArrayLike
from scipy import stats

from byrote.recall.oracles import kgram_ceiling
from byrote.recall.phases import detect_phases, times
from byrote.studies.dynamics.config import DynamicsConfig
from byrote.studies.dynamics.plan import needs
from byrote.studies.dynamics.schemas import SCHEMAS

__all__ = ["analyse", "learned_at", "over_strings", "spearman"]

_KEYS = (
    "model", "init", "part", "parameters", "distribution", "letters", "entropy", "entropy_rate",
    "n",
)  # fmt: skip
_TIMES = ("t_in_alphabet", "t_guess", "t_mem")
# A published checkpoint before any training, such as EleutherAI/pythia-1b@step0.
_STEP_0 = re.compile(r"@step[-_]?0+$")
# A rank correlation over fewer positions says little.
_LEAST_POSITIONS = 8

_INTERVAL: dict[str, Any] = {
    "strings": pl.Int32,
    "value": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
}


def analyse(tables: Mapping[str, pl.DataFrame], config: DynamicsConfig) -> dict[str, pl.DataFrame]:
    """Derive the tables of the experiments from those of the cells; what is missing is left out.

    Returns:
        `experiments` (which exposure serves which experiment), `phases` (one row a string),
        `phase_times` (over strings), `order`, `control`, `asked_ceilings`, `contexts`, `stages`,
        `retention`.
    """
    derived = {"experiments": _experiments(config, tables.get("trainings"))}
    if {"trainings", "epochs"} <= tables.keys():
        derived["phases"] = _phases(tables)
        derived["phase_times"] = _phase_times(derived["phases"])
    if "positions" in tables:
        derived["order"] = _order(tables)
    if {"trainings", "heldout"} <= tables.keys():
        derived["control"] = _control(tables, derived.get("phases"))
    if {"context", "ceilings"} <= tables.keys():
        ceilings = tables["ceilings"]
        if "ids" in tables.get("trainings", pl.DataFrame()).columns:
            ceilings = derived["asked_ceilings"] = _asked_ceilings(tables)
        derived["contexts"] = _contexts(tables["context"], ceilings)
    if "sequential" in tables:
        derived["stages"] = _stages(tables, config)
        derived["retention"] = _retention(tables["sequential"])
    return derived


def over_strings(values: Iterable[float]) -> dict[str, float]:
    """Mean over strings with its 95 % t-interval, as the columns of `_INTERVAL`."""
    known = [float(v) for v in values if v is not None and np.isfinite(v)]
    mean = times(known).mean
    return {"strings": len(known), "value": mean.value, "low": mean.low, "high": mean.high}


def spearman(x: ArrayLike, y: ArrayLike) -> float:
    """Spearman's rank correlation; 0 where one of the two is constant and so has no order."""
    if len(np.unique(np.asarray(x))) < 2 or len(np.unique(np.asarray(y))) < 2:
        return 0.0
    return float(stats.spearmanr(x, y)[0])  # type: ignore[arg-type]


def _experiments(config: DynamicsConfig, trainings: pl.DataFrame | None) -> pl.DataFrame:
    """Which exposures an experiment reads, in its own order; E5 and E9 read those of E1."""
    ladders = config.size.ladders
    steps = dict(zip(config.checkpoints.models, config.checkpoints.steps, strict=False))
    rows = [
        {
            "experiment": experiment,
            "training": need.id,
            "ladder": ladder,
            "step": steps.get(need.model) if experiment == "checkpoints" else None,
        }
        for experiment, need in needs(config)
        # A model may stand on several ladders.
        for ladder in (
            [name for name, models in ladders.items() if need.model in models]
            if experiment == "size"
            else [None]
        )
    ]
    if trainings is not None:
        made = trainings.filter(pl.col("training").str.contains(r"^checkpoint\.\d+$"))
        rows += [
            {"experiment": "checkpoints", "training": name, "ladder": None, "step": int(name[11:])}
            for name in made["training"].unique(maintain_order=True)
        ]
    schema = {"experiment": pl.String, "training": pl.String, "ladder": pl.String, "step": pl.Int32}
    return pl.DataFrame(rows, schema=schema).unique(maintain_order=True)


def _phases(tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """When each string left guessing and was memorised, and how well it was guessed at best."""
    curves = tables["epochs"].partition_by("training", "string", as_dict=True)
    rows = []
    for row in tables["trainings"].iter_rows(named=True):
        curve = curves[row["training"], row["string"]].sort("epoch")
        # Where letters depend on those before, who knows the source's rule guesses better than by
        # the frequencies, without any memory of the string.
        ruled = row["distribution"] == "markov"
        rate = row["entropy_rate"] if ruled else math.inf
        floor = min(row["string_entropy"], rate)
        found = detect_phases(
            curve["loss"].to_numpy(),
            curve["accuracy"].to_numpy(),
            floor,
            kl=curve["kl_source_model" if ruled else "kl_empirical_model"].to_numpy(),
            mass=curve["mass"].to_numpy(),
            guess_accuracy=row["modal"],
            positions=row["targets"],
        )
        at = None if found.t_best_guess is None else curve.row(found.t_best_guess, named=True)
        last = curve.row(-1, named=True)
        rows.append(
            {
                "training": row["training"],
                "string": row["string"],
                **{key: row[key] for key in _KEYS},
                "init": _init(row),
                "guess": row["guess"],
                "modal": row["modal"],
                "string_entropy": row["string_entropy"],
                "floor": floor,
                **{name: getattr(found, name) for name in (*_TIMES, "t_below", "t_best_guess")},
                "guess_loss": at and at["loss"],
                "guess_accuracy": at and at["accuracy"],
                "guess_mass": at and at["mass"],
                "guess_entropy": at and at["entropy"],
                "first_loss": curve["loss"][0],
                "last_epoch": last["epoch"],
                "last_loss": last["loss"],
                "last_accuracy": last["accuracy"],
            }
        )
    return _table("phases", rows)


def _init(row: Mapping[str, Any]) -> str:
    """What the weights were; those that a series of checkpoints begins with are fresh ones."""
    return "random" if _STEP_0.search(row["source"]) else row["init"]


def _phase_times(phases: pl.DataFrame) -> pl.DataFrame:
    """Median and mean epochs over the strings of an exposure."""
    rows = []
    for keys, group in phases.group_by("training", *_KEYS, maintain_order=True):
        for which in _TIMES:
            found = times(group[which].to_list())
            rows.append(
                {
                    **dict(zip(("training", *_KEYS), keys, strict=True)),
                    "which": which,
                    "strings": found.n,
                    "censored": found.censored,
                    "median": found.median.value,
                    "median_low": found.median.low,
                    "median_high": found.median.high,
                    "median_confidence": found.median.confidence,
                    "mean": found.mean.value,
                    "mean_low": found.mean.low,
                    "mean_high": found.mean.high,
                }
            )
    return _table("phase_times", rows)


def _order(tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """E5: the epoch from which each position is right for good, against the position."""
    rows = []
    groups = tables["positions"].group_by("training", "string", maintain_order=True)
    for (training, string), group in groups:
        learned = learned_at(group)
        # What was not memorised comes after everything that was.
        latest = int(group["epoch"].max()) + 1  # type: ignore[arg-type]
        epochs = np.where(np.isnan(learned), latest, learned)
        enough = len(epochs) >= _LEAST_POSITIONS and len(np.unique(epochs)) > 1
        rho = spearman(np.arange(len(epochs)), epochs) if enough else None
        rows.append(
            {
                "training": training,
                "string": string,
                "positions": len(epochs),
                "memorised": int((~np.isnan(learned)).sum()),
                "spearman": rho,
            }
        )
    schema = {
        "training": pl.String,
        "string": pl.Int32,
        "positions": pl.Int32,
        "memorised": pl.Int32,
        "spearman": pl.Float64,
    }
    return pl.DataFrame(rows, schema=schema)


def learned_at(positions: pl.DataFrame) -> np.ndarray:
    """First epoch from which a position is right up to the end, NaN where there is none.

    Args:
        positions: Rows of the table `positions` of one exposure of one string.

    Returns:
        float64 `[positions]`.
    """
    ordered = positions.sort("epoch", "position")
    epochs = ordered["epoch"].unique().sort().to_numpy()
    hits = ordered["hit"].to_numpy().reshape(len(epochs), -1)
    for_good = np.logical_and.accumulate(hits[::-1], axis=0)[::-1]
    return np.where(for_good.any(0), epochs[for_good.argmax(0)].astype(float), np.nan)


def _control(tables: Mapping[str, pl.DataFrame], phases: pl.DataFrame | None) -> pl.DataFrame:
    """E9: the loss on never-trained strings of the same source, first, lowest and last.

    Beside the last one stands the loss of the string that is trained on at the same epoch. A lowest
    loss says something about the phases only if held-out strings were measured during them.
    """
    keys = ["training", "string"]
    held = (
        tables["heldout"]
        .group_by(*keys, "epoch")
        .agg(pl.col("loss").mean(), pl.col("accuracy").mean())
        .sort("epoch")
    )
    found = held.group_by(keys).agg(
        pl.col("loss").first().alias("first_loss"),
        pl.col("loss").min().alias("least_loss"),
        pl.col("epoch").get(pl.col("loss").arg_min()).alias("least_epoch"),
        pl.col("loss").last().alias("last_loss"),
        pl.col("accuracy").last().alias("last_accuracy"),
        pl.col("epoch").last().alias("last_epoch"),
    )
    facts = tables["trainings"].select(*keys, "entropy_rate", "guess")
    found = found.join(facts, on=keys, how="left").sort(keys)
    if phases is None:
        return found
    trained = tables["epochs"].select(
        *keys,
        pl.col("epoch").alias("last_epoch"),
        pl.col("loss").alias("trained_loss"),
        pl.col("accuracy").alias("trained_accuracy"),
    )
    ends = phases.select("training", pl.col("string").cast(pl.Int32), "t_in_alphabet", "t_mem")
    between = (
        held.join(ends, on=keys)
        .filter(pl.col("epoch").is_between("t_in_alphabet", "t_mem"))
        .group_by(keys)
        .agg(pl.len().cast(pl.Int32).alias("between"))
    )
    return (
        found.join(trained, on=[*keys, "last_epoch"], how="left")
        .join(between, on=keys, how="left")
        .with_columns(pl.col("between").fill_null(0))
        .select(SCHEMAS["control"].names())
        .sort(keys)
    )


def _asked_ceilings(tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """E6: the k-gram ceilings at the positions that the model was asked for.

    The predictor is that of the table `ceilings`, made from the whole string; it is only scored
    where the model is.
    """
    keys = ["training", "string"]
    strings = {
        (row["training"], row["string"]): row["ids"]
        for row in tables["trainings"].select(*keys, "ids").iter_rows(named=True)
    }
    asked = tables["context"].partition_by(*keys, as_dict=True)
    rows = []
    for (training, string), ks in tables["ceilings"].group_by(keys, maintain_order=True):
        wanted = ks["k"].to_list()
        where = asked[training, string]["position"].unique().sort().to_list()
        found = kgram_ceiling(
            strings[training, string], wanted, first=max(wanted) + 1, positions=where
        )
        rows += [
            {"training": training, "string": string, "k": k, "positions": len(where),
             "accuracy": share}
            for k, share in found.items()
        ]  # fmt: skip
    return _table("asked_ceilings", rows)


def _contexts(context: pl.DataFrame, ceilings: pl.DataFrame) -> pl.DataFrame:
    """E6: accuracy over strings by condition and k, with the k-gram ceiling beside it."""
    by_string = context.group_by(
        "training", "string", "epoch", "condition", "k", maintain_order=True
    ).agg(pl.col("hit").mean(), pl.col("nll").mean())
    keys = ("training", "epoch", "condition", "k")
    parts = [
        _clipped(_grouped(by_string, keys, "hit", "accuracy")),
        _grouped(by_string, keys, "nll", "nll"),
    ]
    known = ceilings.with_columns(
        epoch=pl.lit(None, dtype=pl.Int32), condition=pl.lit("k-gram ceiling")
    )
    parts.append(_clipped(_grouped(known, keys, "accuracy", "accuracy")))
    asked = (
        context.group_by("training", "condition", "string")
        .agg(pl.col("position").n_unique().cast(pl.Int32).alias("positions"))
        .group_by("training", "condition")
        .agg(pl.col("positions").max())
    )
    everywhere = asked.group_by("training").agg(pl.col("positions").max().alias("most"))
    return (
        pl.concat(parts)
        .join(asked, on=["training", "condition"], how="left", maintain_order="left")
        .join(everywhere, on="training", how="left", maintain_order="left")
        .with_columns(pl.coalesce("positions", "most").alias("positions"))
        .drop("most")
    )


def _stages(tables: Mapping[str, pl.DataFrame], config: DynamicsConfig) -> pl.DataFrame:
    """E7: for each stage of a chain, when its string was memorised, and its loss before."""
    own = tables["sequential"].filter(pl.col("learned") == pl.col("measured"))
    text = tables.get("sequential_text")
    letters, n = config.sequential.letters, config.sequential.n
    rows = []
    keys = ("model", "optimiser", "chain", "stage")
    for key, group in own.group_by(*keys, maintain_order=True):
        curve = group.sort("epoch")
        found = detect_phases(
            curve["loss"].to_numpy(),
            curve["accuracy"].to_numpy(),
            math.log(letters),
            guess_accuracy=1 / letters,
            positions=n,
        )
        row = dict(zip(keys, key, strict=True))
        rows.append(
            {
                **row,
                "learned": curve["learned"][0],
                "again": curve["learned"][0] < row["stage"],
                "t_mem": None if found.t_mem is None else curve["epoch"][found.t_mem],
                "first_loss": curve["loss"][0],
                "first_accuracy": curve["accuracy"][0],
                "last_accuracy": curve["accuracy"][-1],
            }
        )
    stages = _table("stages", rows)
    if text is None:
        return stages
    losses = text.select(
        "model",
        "optimiser",
        pl.col("chain", "stage").cast(pl.Int64),
        pl.col("loss").alias("text_loss"),
    )
    return stages.join(losses, on=list(keys), how="left")


def _retention(sequential: pl.DataFrame) -> pl.DataFrame:
    """E7: accuracy and loss on each earlier string at the end of each later stage."""
    last = sequential.filter(
        pl.col("epoch") == pl.col("epoch").max().over("model", "optimiser", "chain", "stage")
    )
    known = last.filter((pl.col("measured") <= pl.col("stage")) & ~_again(pl.col("stage")))
    if known.is_empty():
        known = last.filter(pl.col("measured") <= pl.col("stage"))
    return known.with_columns(since=pl.col("stage") - pl.col("measured")).select(
        "model", "optimiser", "chain", "stage", "measured", "since", "loss", "accuracy"
    )


def _table(name: str, rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """Rows with the table's own types, also of a column in which nothing is known."""
    schema = SCHEMAS[name]
    names = rows[0] if rows else schema
    return pl.DataFrame(rows, schema={column: schema[column] for column in names})


def _again(stage: pl.Expr) -> pl.Expr:
    """Whether a stage is the last one, in which the first string is learned once more."""
    return stage == stage.max()


def _clipped(shares: pl.DataFrame) -> pl.DataFrame:
    """A t-interval knows no bounds; a share does."""
    return shares.with_columns(pl.col("low", "high").clip(0.0, 1.0))


def _grouped(frame: pl.DataFrame, keys: Sequence[str], column: str, measure: str) -> pl.DataFrame:
    rows = [
        {**dict(zip(keys, key, strict=True)), "measure": measure, **over_strings(group[column])}
        for key, group in frame.group_by(*keys, maintain_order=True)
    ]
    schema = {
        **{key: frame.schema[key] for key in keys},
        "measure": pl.String,
        **_INTERVAL,
    }
    return pl.DataFrame(rows, schema=schema)
