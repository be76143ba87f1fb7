"""How specific a deletion is: what it does to its target against what it does to others."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import polars as pl
from numpy.typing import ArrayLike
from torch import Tensor

from byrote._options import one_of
from byrote.errors import InputError
from byrote.localization.base import Told, _unheard
from byrote.localization.deletion import MEASURES, DeletionBench
from byrote.localization.selection import select
from byrote.models.loading import LoadedModel
from byrote.recall.intervals import t_mean
from byrote.texts.passages import Passage

__all__ = ["pooled_specificity", "specificity", "specificity_curve"]

# Of these more is less memory.
_RISING = ("distance", "nll")


def specificity(targets: pl.DataFrame, measure: str = "accuracy") -> pl.DataFrame:
    """Set the harm to each target beside the harm to its negatives.

    Harm is the loss of recital: accuracy or the share recited before minus after, distance or nll
    after minus before. High for the target and none for the negatives is what erasing asks for.

    Args:
        targets: `Deletion.targets`, possibly with columns of the caller's own.
        measure: One of `MEASURES`.

    Returns:
        The table with `self_harm`, `neg_harm`, `difference` (the first minus the second: 1 is the
        best accuracy can give, 0 says that any passage is harmed like the target), and `ratio`
        (the first over the second; infinite where the negatives are not harmed and the target is,
        null where neither is). Of a target without negatives all but `self_harm` are null.

    Raises:
        InputError: There is no such measure.
    """
    one_of("specificity", "measure", measure, MEASURES)
    sign = 1.0 if measure in _RISING else -1.0

    def harm(who: str) -> pl.Expr:
        change = pl.col(f"{who}_{measure}_after") - pl.col(f"{who}_{measure}_before")
        return (sign * change).alias(f"{who}_harm")

    own, theirs = pl.col("self_harm"), pl.col("neg_harm")
    return targets.with_columns(harm("self"), harm("neg")).with_columns(
        (own - theirs).alias("difference"), _ratio(own, theirs)
    )


def pooled_specificity(
    table: pl.DataFrame, by: Sequence[str] = (), *, confidence: float = 0.95
) -> pl.DataFrame:
    """Pool the harm over targets.

    Args:
        table: From `specificity` or `specificity_curve`.
        by: Columns that tell groups apart, such as `method` and `fraction`.
        confidence: The level of the interval.

    Returns:
        One row for each group, in the order in which they come: `targets` (how many have
        negatives), the means `self_harm`, `neg_harm` and `difference`, the difference's t-interval
        `low` and `high` (null for a single target), and `ratio`, that of the two means: a mean of
        ratios would be ruled by targets whose negatives happen not to be harmed at all.
    """
    whole = table.filter(pl.col("difference").is_not_null())
    rows = []
    groups = whole.group_by(list(by), maintain_order=True) if by else [((), whole)]
    for key, group in groups:
        estimate = t_mean(group["difference"].to_numpy(), confidence=confidence)
        rows.append(
            {
                **dict(zip(by, key, strict=True)),
                "targets": len(group),
                "self_harm": group["self_harm"].mean(),
                "neg_harm": group["neg_harm"].mean(),
                "difference": group["difference"].mean(),
                "low": estimate.low,
                "high": estimate.high,
            }
        )
    numbers = ("self_harm", "neg_harm", "difference", "low", "high")
    schema = {name: table.schema[name] for name in by}
    schema |= {"targets": pl.Int64(), **{name: pl.Float64() for name in numbers}}
    pooled = pl.DataFrame(rows, schema=schema)
    return pooled.with_columns(
        pl.col("low", "high").fill_nan(None), _ratio(pl.col("self_harm"), pl.col("neg_harm"))
    )


def specificity_curve(
    loaded: LoadedModel,
    targets: Sequence[Passage],
    scores: Tensor,
    fractions: Sequence[float],
    others: Sequence[Passage] | None = None,
    random_rows: Sequence[ArrayLike] | None = None,
    *,
    measure: str = "accuracy",
    scope: str = "layer",
    skip_layers: Collection[int] = (0,),
    strength: float = 0.0,
    spare_lead: bool = False,
    batch_size: int | None = None,
    told: Told = _unheard,
) -> pl.DataFrame:
    """Follow harm and specificity as more and more neurons are dropped.

    Args:
        loaded: The model.
        targets: As for `DeletionBench`.
        scores: `[targets, layers, width]` from a localizer.
        fractions: Shares of neurons to drop.
        others: As for `DeletionBench`.
        random_rows: As for `DeletionBench`.
        measure: One of `MEASURES`.
        scope: As for `select`.
        skip_layers: As for `select`; layer 0, as in the paper.
        strength: As for `ablated`.
        spare_lead: As for `ablated`.
        batch_size: Passages in a forward pass.
        told: Hears of the progress.

    Returns:
        One row for each fraction and target: `fraction`, the columns of `DELETIONS`, and those of
        `specificity`.

    Raises:
        InputError: Scores do not fit the targets, or a fraction selects no neuron.
        ByroteError: The model's logits are not finite.
    """
    one_of("specificity", "measure", measure, MEASURES)
    if not fractions:
        raise InputError("The specificity curve: there is no fraction; give at least one.")
    if scores.ndim != 3 or len(scores) != len(targets):
        raise InputError(
            f"The specificity curve: scores of the shape {list(scores.shape)} for {len(targets)} "
            "targets; they have the shape [targets, layers, width]."
        )
    chosen = [
        [select(row, fraction, scope=scope, skip_layers=skip_layers) for row in scores]
        for fraction in fractions
    ]
    bench = DeletionBench(
        loaded,
        targets,
        others,
        random_rows,
        strength=strength,
        spare_lead=spare_lead,
        batch_size=batch_size,
    )
    tables = []
    for index, (fraction, selections) in enumerate(zip(fractions, chosen, strict=True)):
        table = bench.run(selections, lambda share, at=index: told((at + share) / len(chosen)))
        column = pl.lit(float(fraction)).alias("fraction")
        tables.append(table.targets.select(column, pl.all()))
    return specificity(pl.concat(tables), measure)


def _ratio(own: pl.Expr, theirs: pl.Expr) -> pl.Expr:
    return (
        pl.when(theirs > 0)
        .then(own / theirs)
        .when((own > 0) & (theirs <= 0))
        .then(float("inf"))
        .alias("ratio")
    )
