"""Judges of E8, E9 and partial training: pretraining, the in-context control, sufficient parts."""

from __future__ import annotations

import polars as pl

from byrote.studies.claims import Judgement, NotTested, Tables, at_least, decide
from byrote.studies.dynamics.config import DynamicsConfig
from byrote.studies.dynamics.reading import (
    LEAST_STRINGS,
    by_string,
    censored_at_end,
    direction,
    pretrained_models,
    within,
)

__all__ = [
    "attention_slower",
    "checkpoints_faster",
    "checkpoints_saturate",
    "checkpoints_start",
    "control",
    "control_diverges",
    "mlp_suffices",
    "no_plateau",
    "one_layer",
    "pretrained_faster",
    "pretrained_start",
    "small_parts",
]

_NEAR_ENTROPY = 0.15
_SATURATED = (0.7, 1.3)
_CONTROL = -0.05
_NEARLY_AS_FAST = 1.5
_NEVER = 0.5
_SMALL = ("bias", "norm", "input-embeddings", "output-embeddings", "embeddings")


def pretrained_faster(tables: Tables, config: DynamicsConfig) -> Judgement:
    """The untrained model needs more epochs; where it never gets there, at least all of them."""
    both = _pair(tables, config)
    values = both["t_mem_untrained"] - both["t_mem"]
    medians = f"{both['t_mem_untrained'].median():g} against {both['t_mem'].median():g}"
    what = f"epochs more at n = {both['n'][0]} (median {medians})"
    return direction(values, 1, what, "", "holds above 0")


def pretrained_start(tables: Tables, config: DynamicsConfig) -> Judgement:
    """The untrained model starts higher."""
    both = _pair(tables, config)
    values = both["first_loss_untrained"] - both["first_loss"]
    means = f"{both['first_loss'].mean():.2f} against {both['first_loss_untrained'].mean():.2f}"
    what = f"difference at n = {both['n'][0]} ({means})"
    return direction(values, 1, what, "nats", "holds above 0")


def no_plateau(tables: Tables, config: DynamicsConfig) -> Judgement:
    """The pretrained model spends a larger share of its epochs near the entropy."""
    both = _pair(tables, config)
    epochs = tables["epochs"]

    def share(training: str, string: int, end: float) -> float:
        curve = epochs.filter(
            (pl.col("training") == training)
            & (pl.col("string") == string)
            & (pl.col("epoch") <= end)
        )
        near = (curve["loss"] - both["entropy"][0]).abs() <= _NEAR_ENTROPY
        return float(near.mean() or 0.0)  # type: ignore[arg-type]

    values = [
        share(row["training"], row["string"], row["t_mem"])
        - share(row["training_untrained"], row["string"], row["t_mem_untrained"])
        for row in both.iter_rows(named=True)
    ]
    return direction(values, 1, "difference of the shares", "", "holds above 0")


def checkpoints_faster(tables: Tables, config: DynamicsConfig) -> Judgement:
    """The last checkpoint needs fewer epochs than the first."""
    wide, steps = _by_step(tables, "t_mem")
    values = wide[str(steps[0])] - wide[str(steps[-1])]
    medians = ", ".join(f"{step}: {wide[str(step)].median():g}" for step in steps)
    return direction(values, 1, f"epochs less (median by step {medians})", "", "holds above 0")


def checkpoints_saturate(tables: Tables, config: DynamicsConfig) -> Judgement:
    """The last two checkpoints differ by less than 30 %."""
    wide, steps = _by_step(tables, "t_mem")
    low, high = _SATURATED
    return within(
        (wide[str(steps[-1])] / wide[str(steps[-2])].clip(1.0)).to_list(),
        f"step {steps[-1]} over step {steps[-2]}",
        "",
        least=low,
        most=high,
    )


def checkpoints_start(tables: Tables, config: DynamicsConfig) -> Judgement:
    """The first loss at the last checkpoint lies above the lowest of all."""
    wide, steps = _by_step(tables, "first_loss")
    # The step with the lowest mean, the same for all: a string's own minimum is lower by luck.
    lowest = min(steps, key=lambda step: float(wide[str(step)].mean() or 0.0))  # type: ignore[arg-type]
    means = ", ".join(f"{step}: {wide[str(step)].mean():.2f}" for step in steps)
    values = wide[str(steps[-1])] - wide[str(lowest)]
    if lowest == steps[-1]:
        at_least(len(values), LEAST_STRINGS, "strings")
        text = f"no rise: the lowest is the last (mean by step {means})"
        return decide(False, text, "holds above 0", value=0.0, n=len(values))
    return direction(values, 1, f"rise from step {lowest} (mean by step {means})", "nats", "> 0")


def control(tables: Tables, config: DynamicsConfig) -> Judgement:
    """Held-out strings never fall more than 0.05 nats below the entropy rate."""
    found = _memorised_control(tables, config)
    each = found.with_columns(below=pl.col("least_loss") - pl.col("entropy_rate"))
    return within(
        _per_string(each, "below"),
        "lowest held-out loss less the entropy rate",
        "nats",
        least=_CONTROL,
    )


def control_diverges(tables: Tables, config: DynamicsConfig) -> Judgement:
    """At the end the held-out loss lies above the training loss."""
    found = _memorised_control(tables, config)
    each = found.with_columns(gap=pl.col("last_loss") - pl.col("trained_loss"))
    return direction(_per_string(each, "gap"), 1, "gap at the end", "nats", "holds above 0")


def mlp_suffices(tables: Tables, config: DynamicsConfig) -> Judgement:
    """At most half as many epochs again."""
    wide = _by_part(tables, ("all", "mlp"))
    return within(
        (wide["mlp"] / wide["all"].clip(1.0)).to_list(),
        f"factor (median {wide['mlp'].median():g} against {wide['all'].median():g} epochs)",
        "",
        most=_NEARLY_AS_FAST,
    )


def attention_slower(tables: Tables, config: DynamicsConfig) -> Judgement:
    """Attention alone takes longer than the MLPs alone."""
    wide = _by_part(tables, ("attention", "mlp"))
    medians = f"{wide['attention'].median():g} against {wide['mlp'].median():g}"
    values = wide["attention"] - wide["mlp"]
    return direction(values, 1, f"epochs more (median {medians})", "", "holds above 0")


def one_layer(tables: Tables, config: DynamicsConfig) -> Judgement:
    """The fastest single layer memorises every string, later than all parameters do."""
    found = by_string(tables, "partial")
    layers = found.filter(pl.col("part").str.starts_with("layer:"))
    if layers.is_empty():
        raise NotTested("no single layer was trained alone")
    done = layers.group_by("part").agg(
        pl.col("t_mem").is_not_null().all(), pl.col("t_mem").mean().alias("mean")
    )
    whole = done.filter(pl.col("t_mem")).sort("mean", "part")
    if whole.is_empty():
        raise NotTested("no single layer memorised every string within the epochs of this run")
    fastest = str(whole["part"][0])
    wide = _by_part(tables, ("all", fastest))
    values = wide[fastest] - wide["all"]
    medians = f"{wide[fastest].median():g} against {wide['all'].median():g}"
    return direction(values, 1, f"epochs more with {fastest} (median {medians})", "", "above 0")


def small_parts(tables: Tables, config: DynamicsConfig) -> Judgement:
    """Accuracy stays below one half."""
    found = by_string(tables, "partial").filter(pl.col("part").is_in(_SMALL))
    if found.is_empty():
        raise NotTested("neither biases, norms nor embeddings were trained alone")
    # The part that comes farthest decides.
    best = found.group_by("part").agg(pl.col("last_accuracy").mean()).sort("last_accuracy", "part")
    part = str(best["part"][-1])
    return within(
        found.filter(pl.col("part") == part)["last_accuracy"].to_list(),
        f"accuracy with {part} alone, the best of {', '.join(sorted(set(found['part'])))}",
        "",
        most=_NEVER,
    )


def _pair(tables: Tables, config: DynamicsConfig) -> pl.DataFrame:
    """Strings that an untrained and a pretrained model learned, at the longest shared length."""
    untrained = by_string(tables, "untrained").filter(pl.col("part") == "all")
    model = untrained["model"][0]
    untrained = untrained.filter(pl.col("model") == model)
    others = pretrained_models(config, tables["phases"]).filter(
        (pl.col("part") == "all") & (pl.col("distribution") == "uniform")
    )
    # The twin of the same source where there is one.
    twins = [
        name
        for name, other in config.models.items()
        if name != model and other.source == config.models[model].source
    ]
    chosen = next((name for name in twins if name in set(others["model"])), None)
    if chosen is None:
        raise NotTested(f"no pretrained model of the shape of {model} was run")
    keys = ["string", "n", "letters"]
    both = censored_at_end(others.filter(pl.col("model") == chosen)).join(
        censored_at_end(untrained), on=keys, suffix="_untrained"
    )
    if both.is_empty():
        raise NotTested(f"{model} and {chosen} share no length and alphabet")
    return both.filter(pl.col("n") == pl.col("n").max()).unique("string").sort("string")


def _by_step(tables: Tables, column: str) -> tuple[pl.DataFrame, list[int]]:
    found = by_string(tables, "checkpoints")
    wide = censored_at_end(found).pivot(on="step", index="string", values=column, sort_columns=True)
    steps = sorted(set(found["step"]))
    at_least(len(steps), 3, "checkpoints")
    return wide.drop_nulls().sort("string"), steps


def _by_part(tables: Tables, parts: tuple[str, ...]) -> pl.DataFrame:
    found = censored_at_end(by_string(tables, "partial"))
    found = found.filter(pl.col("model") == found["model"][0])
    if missing := set(parts) - set(found["part"]):
        raise NotTested(f"{', '.join(sorted(missing))} alone was not trained")
    wide = found.filter(pl.col("part").is_in(parts)).pivot(
        on="part", index="string", values="t_mem"
    )
    return wide.drop_nulls().sort("string")


def _memorised_control(tables: Tables, config: DynamicsConfig) -> pl.DataFrame:
    """The control beside the strings that a pretrained model of E1 memorised."""
    phases = pretrained_models(config, by_string(tables, "phases")).drop_nulls("t_mem")
    trained = phases.select("training", "string", pl.col("last_loss").alias("trained_loss"))
    found = tables["control"].join(trained, on=["training", "string"])
    if found.is_empty():
        raise NotTested("no string was memorised beside a held-out one")
    return found


def _per_string(found: pl.DataFrame, column: str) -> list[float]:
    return found.group_by("string").agg(pl.col(column).mean()).sort("string")[column].to_list()
