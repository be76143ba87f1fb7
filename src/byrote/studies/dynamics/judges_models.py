"""Judges of E8, E9 and partial training: pretraining, the in-context control, sufficient parts."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from byrote.studies.claims import Judgement, NotTested, Tables, at_least
from byrote.studies.dynamics.config import DynamicsConfig
from byrote.studies.dynamics.judges_times import twins
from byrote.studies.dynamics.reading import (
    by_string,
    groups,
    paired,
    pretrained_models,
    spans,
    uniform,
)
from byrote.studies.weighing import (
    SHARE,
    SIGNED_SHARE,
    Span,
    direction,
    each,
    untested,
    within,
    worst,
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
    "text_faster",
]

_NEAR_ENTROPY = 0.15
_SATURATED = (0.7, 1.3)
_CONTROL = -0.05
_NEARLY_AS_FAST = 1.5
_NEVER = 0.5
# The authors' logs: not memorised after some 500 epochs, where all parameters need 31.
_LONG_ENOUGH = 500 / 31
_SMALL = ("bias", "norm", "input-embeddings", "output-embeddings", "embeddings")
_FACTOR = (0.0, float("inf"))
_CELLS = "models and alphabets"

_Pair = tuple[pl.DataFrame, pl.DataFrame]


def pretrained_faster(tables: Tables, config: DynamicsConfig) -> Judgement:
    """Logs of the authors: the untrained model needs more epochs than its pretrained twin."""

    def judge(pair: _Pair) -> Judgement:
        both = _longest(pair)
        values = [a - b for a, b in zip(spans(both), spans(both, "_other"), strict=True)]
        what = f"epochs more at n = {both['n'][0]} ({_medians(both)})"
        return direction(values, 1, what)

    return each(twins(tables, config), judge, "models")


def pretrained_start(tables: Tables, config: DynamicsConfig) -> Judgement:
    """Logs of the authors: the first loss of the untrained model is higher, nats."""

    def judge(pair: _Pair) -> Judgement:
        both = _longest(pair)
        ours, theirs = both["first_loss"], both["first_loss_other"]
        what = f"difference at n = {both['n'][0]} ({ours.mean():.2f} against {theirs.mean():.2f})"
        return direction(ours - theirs, 1, what, "nats")

    return each(twins(tables, config), judge, "models")


def no_plateau(tables: Tables, config: DynamicsConfig) -> Judgement:
    """Logs of the authors: the untrained model's loss is near the entropy for a smaller share.

    Of its epochs up to memorisation; near is within 0.15 nats of that of the string's letters.
    """
    epochs = tables["epochs"]

    def share(row: dict, suffix: str) -> Span:
        end = row[f"t_mem{suffix}"]
        if end is None:  # The epochs up to memorisation are not known.
            return Span(0.0, 1.0)
        curve = epochs.filter(
            (pl.col("training") == row[f"training{suffix}"])
            & (pl.col("string") == row["string"])
            & (pl.col("epoch") <= end)
        )
        near = float(((curve["loss"] - row["floor"]).abs() <= _NEAR_ENTROPY).mean() or 0.0)  # type: ignore[arg-type]
        return Span(near, near)

    def judge(pair: _Pair) -> Judgement:
        both = _longest(pair)
        values = [share(row, "_other") - share(row, "") for row in both.iter_rows(named=True)]
        what = f"difference of the shares at n = {both['n'][0]}"
        return direction(values, 1, what, limits=SIGNED_SHARE)

    return each(twins(tables, config), judge, "models")


def checkpoints_faster(tables: Tables, config: DynamicsConfig) -> Judgement:
    """Logs of the authors: the last checkpoint needs fewer epochs than the first."""
    name, found, steps = _checkpoints(tables, config)
    both = _two(found, steps[0], steps[-1])
    values = [a - b for a, b in zip(spans(both), spans(both, "_other"), strict=True)]
    medians = _by_step(found, steps, "t_low", "median")
    what = f"epochs less at step {steps[-1]} than at {steps[0]} (median {medians})"
    return worst([(name, direction(values, 1, what))])


def checkpoints_saturate(tables: Tables, config: DynamicsConfig) -> Judgement:
    """Logs of the authors: the last two checkpoints differ by less than 30 %."""
    name, found, steps = _checkpoints(tables, config)
    both = _two(found, steps[-1], steps[-2])
    values = [a.over(b) for a, b in zip(spans(both), spans(both, "_other"), strict=True)]
    low, high = _SATURATED
    what = f"epochs at step {steps[-1]} over those at {steps[-2]} ({_medians(both)})"
    return worst([(name, within(values, what, least=low, most=high, limits=_FACTOR))])


def checkpoints_start(tables: Tables, config: DynamicsConfig) -> Judgement:
    """Logs of the authors: the first loss falls to a checkpoint in between, and then rises.

    For each string that checkpoint is the lowest in the mean over the other strings, so that none
    is tested on the numbers that chose it.
    """
    name, found, steps = _checkpoints(tables, config)
    wide = found.pivot(on="step", index="string", values="first_loss").drop_nulls()
    at_least(len(wide), 3, "strings")
    losses = wide.select(str(step) for step in steps).to_numpy()
    total = losses.sum(0)
    falls, rises = [], []
    for one in losses:
        lowest = 1 + int((total - one)[1:-1].argmin())
        falls.append(float(one[0] - one[lowest]))
        rises.append(float(one[-1] - one[lowest]))
    means = _by_step(found, steps, "first_loss", "mean")
    judged = [
        (f"fall from step {steps[0]}", direction(falls, 1, f"first loss (mean {means})", "nats")),
        (f"rise to step {steps[-1]}", direction(rises, 1, f"first loss (mean {means})", "nats")),
    ]
    return worst([(name, worst(judged, "directions"))])


def control(tables: Tables, config: DynamicsConfig) -> Judgement:
    """E9: held-out strings never fall more than 0.05 nats below the entropy rate of the source.

    Only where they were measured between learning the alphabet and memorisation: the lowest loss
    of who looks before and after says nothing.
    """

    def judge(group: pl.DataFrame) -> Judgement:
        blind = len(group.filter(pl.col("between") == 0))
        if blind:
            raise NotTested(
                f"beside {blind} of {len(group)} strings no held-out one was measured between "
                "learning the alphabet and memorisation"
            )
        below = group["least_loss"] - group["entropy_rate"]
        what = "lowest held-out loss less the entropy rate"
        return within(below, what, "nats", least=_CONTROL)

    return each(groups(_control(tables, config), "model", "letters"), judge, _CELLS)


def control_diverges(tables: Tables, config: DynamicsConfig) -> Judgement:
    """E9: when a string is memorised, the loss on held-out ones lies above its own, nats.

    At the last epoch at which held-out strings were measured, the string's own loss at the same.
    """

    def judge(group: pl.DataFrame) -> Judgement:
        known = group.filter(pl.col("held_epoch") >= pl.col("t_mem")).drop_nulls("trained_loss")
        if len(known) < len(group):
            raise NotTested(
                f"{len(group) - len(known)} of {len(group)} strings were not memorised when "
                "held-out ones were last measured"
            )
        return direction(known["held_loss"] - known["trained_loss"], 1, "gap", "nats")

    return each(groups(_control(tables, config), "model", "letters"), judge, _CELLS)


def mlp_suffices(tables: Tables, config: DynamicsConfig) -> Judgement:
    """Logs of the authors: at most half as many epochs again."""

    def judge(group: pl.DataFrame) -> Judgement:
        both = _parts(group, "mlp", "all")
        values = [a.over(b) for a, b in zip(spans(both), spans(both, "_other"), strict=True)]
        what = f"factor ({_medians(both)})"
        return within(values, what, most=_NEARLY_AS_FAST, limits=_FACTOR)

    return each(_partial(tables, config), judge, "models")


def attention_slower(tables: Tables, config: DynamicsConfig) -> Judgement:
    """Logs of the authors: attention alone memorises every string, later than the MLPs alone."""

    def judge(group: pl.DataFrame) -> Judgement:
        both = _parts(group, "attention", "mlp")
        values = [a - b for a, b in zip(spans(both), spans(both, "_other"), strict=True)]
        found = direction(values, 1, f"epochs more ({_medians(both)})")
        missed = both["t_mem"].null_count()
        if missed and found.verdict == "holds":
            why = f"attention alone did not memorise {missed} of {len(both)} strings"
            return untested(found, f"{why} within the epochs")
        return found

    return each(_partial(tables, config), judge, "models")


def one_layer(tables: Tables, config: DynamicsConfig) -> Judgement:
    """Logs of the authors: the fastest layer memorises every string, later than all layers do."""

    def judge(group: pl.DataFrame) -> Judgement:
        layers = group.filter(pl.col("part").str.starts_with("layer:"))
        if layers.is_empty():
            raise NotTested("no single layer was trained alone")
        done = layers.group_by("part").agg(
            pl.col("t_mem").is_not_null().all().alias("all"), pl.col("t_mem").mean().alias("mean")
        )
        whole = done.filter(pl.col("all")).sort("mean", "part")
        if whole.is_empty():
            tried = ", ".join(sorted(set(layers["part"])))
            raise NotTested(f"none of {tried} alone memorised every string in these epochs")
        fastest = str(whole["part"][0])
        both = _parts(group, fastest, "all")
        values = [a - b for a, b in zip(spans(both), spans(both, "_other"), strict=True)]
        return direction(values, 1, f"epochs more with {fastest} ({_medians(both)})")

    return each(_partial(tables, config), judge, "models")


def small_parts(tables: Tables, config: DynamicsConfig) -> Judgement:
    """Logs of the authors: accuracy stays below one half.

    In 16 times the epochs that all parameters need; norms and embeddings must have been tried.
    """

    def judge(group: pl.DataFrame) -> Judgement:
        tried = [part for part in _SMALL if part in set(group["part"])]
        if not tried:
            raise NotTested("neither biases, norms nor embeddings were trained alone")
        judged = [(f"{part} alone", _never(group, part)) for part in tried]
        found = worst(judged, "parts")
        both = {"input-embeddings", "output-embeddings"}
        embeddings = "embeddings" in tried or both <= set(tried)
        if found.verdict == "holds" and not ("norm" in tried and embeddings):
            return untested(found, f"of these parts only {', '.join(tried)} was trained alone")
        return found

    return each(_partial(tables, config), judge, "models")


def text_faster(tables: Tables, config: DynamicsConfig) -> Judgement:
    """Logs of the authors, on text that is not specified: no exposure of this study is to text."""
    raise NotTested("this study exposes models to random strings only")


def _never(group: pl.DataFrame, part: str) -> Judgement:
    both = _parts(group, part, "all")
    epochs = int(both["last_epoch"].min() or 0)  # type: ignore[arg-type]
    what = f"accuracy after {epochs} epochs"
    found = within(both["last_accuracy"], what, most=_NEVER, limits=SHARE)
    enough = _LONG_ENOUGH * float(both["t_high_other"].max() or 0.0)  # type: ignore[arg-type]
    if found.verdict == "holds" and epochs < enough:
        why = "too few epochs for never: the published ones are 16 times those that all parameters"
        return untested(found, f"{why} need")
    return found


def _longest(pair: _Pair) -> pl.DataFrame:
    """The strings of both at the longest shared length; those of the pretrained end in `_other`."""
    untrained, pretrained = pair
    shared = set(untrained["n"]) & set(pretrained["n"])
    if not shared:
        raise NotTested("the two share no length")
    one, other = (found.filter(pl.col("n") == max(shared)) for found in (untrained, pretrained))
    return _some(paired(one, other))


def _checkpoints(tables: Tables, config: DynamicsConfig) -> tuple[str, pl.DataFrame, list[int]]:
    found = by_string(tables, "checkpoints")
    steps = sorted(set(found["step"]))
    at_least(len(steps), 3, "checkpoints")
    made = config.checkpoints
    source = made.source or config.models[made.models[-1]].source
    name = source.partition("?")[0].partition("@")[0]
    if made.source:
        name += f" pretrained on {made.text}"
    (words, _), *_ = groups(found.with_columns(model=pl.lit(name), init=pl.lit("")), "model")
    return words, found, steps


def _two(found: pl.DataFrame, one: int, other: int) -> pl.DataFrame:
    first, second = (found.filter(pl.col("step") == step) for step in (one, other))
    return _some(paired(first, second))


def _by_step(found: pl.DataFrame, steps: list[int], column: str, how: str) -> str:
    at = {step: found.filter(pl.col("step") == step)[column] for step in steps}
    values = {step: getattr(column, how)() for step, column in at.items()}
    return ", ".join(f"step {step}: {value:.3g}" for step, value in values.items())


def _control(tables: Tables, config: DynamicsConfig) -> pl.DataFrame:
    """E1's strings of pretrained models, with what was measured of the held-out ones beside."""
    phases = uniform(pretrained_models(config, by_string(tables, "phases")))
    held = tables["control"].select(
        "training",
        pl.col("string").cast(pl.Int64),
        "least_loss",
        "between",
        "trained_loss",
        pl.col("last_loss").alias("held_loss"),
        pl.col("last_epoch").alias("held_epoch"),
    )
    return phases.join(held, on=["training", "string"])


def _partial(tables: Tables, config: DynamicsConfig) -> Iterator[tuple[str, pl.DataFrame]]:
    return groups(pretrained_models(config, by_string(tables, "partial")), "model")


def _parts(group: pl.DataFrame, one: str, other: str) -> pl.DataFrame:
    """Strings learned by two parts alone, side by side."""
    if missing := {one, other} - set(group["part"]):
        raise NotTested(f"{', '.join(sorted(missing))} alone was not trained")
    first, second = (group.filter(pl.col("part") == part) for part in (one, other))
    return _some(paired(first, second))


def _some(both: pl.DataFrame) -> pl.DataFrame:
    at_least(len(both), 1, "strings in common")
    return both


def _medians(both: pl.DataFrame) -> str:
    """Median epochs of both, where those not reached count as the epoch after the last."""
    shown = []
    for suffix in ("", "_other"):
        more = "at least " if both[f"t_mem{suffix}"].null_count() else ""
        shown.append(f"{more}{both[f't_low{suffix}'].median():g}")
    return f"median {shown[0]} against {shown[1]} epochs"
