"""How judges read the tables: methods by the part they play, and one group after the other.

Methods are found by their fields (`players`), so that one with a preset's name and other fields is
not taken for it. Models, fractions and settings are never mixed: each is judged apart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import polars as pl

from byrote.studies.claims import Judgement, NotTested, Tables
from byrote.studies.localization.analysis import changed
from byrote.studies.localization.config import LocalizationConfig
from byrote.studies.localization.methods import players
from byrote.studies.localization.models import short_name
from byrote.studies.localization.published import MODELS
from byrote.studies.weighing import each

__all__ = [
    "EXAMPLES",
    "TARGETS",
    "called",
    "dropped",
    "for_each",
    "injected",
    "methods_in",
    "there",
    "variant",
]

EXAMPLES = "sentences"
TARGETS = "passages"

Groups = list[tuple[str, pl.DataFrame]]


def injected(tables: Tables, multiple: float = 1, scope: str = "layer") -> Groups:
    """Rows of `recalls` at one k, for each model and fraction apart."""
    found = tables["recalls"].filter((pl.col("multiple") == multiple) & (pl.col("scope") == scope))
    return [
        (f"{called(model)}, r = {_percent(fraction)}", group)
        for (model, fraction), group in found.group_by("model", "fraction", maintain_order=True)
    ]


def dropped(tables: Tables) -> Groups:
    """Rows of `deletions` with the changes, by layers, for each setting and fraction apart.

    `self_lost` and `neg_lost` are accuracies before less after.
    """
    found = changed(tables["deletions"].filter(pl.col("scope") == "layer")).with_columns(
        self_lost=-pl.col("self_accuracy"), neg_lost=-pl.col("neg_accuracy")
    )
    return [
        (f"{setting}, {_percent(fraction)}", group)
        for (setting, fraction), group in found.group_by("setting", "fraction", maintain_order=True)
    ]


def called(model: object) -> str:
    """A model as the paper calls it, or else by its short name."""
    return MODELS.get(str(model)) or short_name(str(model))


def methods_in(table: pl.DataFrame, config: LocalizationConfig) -> dict[str, str]:
    """The paper's methods that a table has: part -> name."""
    names = table["method"].unique(maintain_order=True).to_list()
    return players(config, [name for name in names if name in config.methods])


def there(cast: dict[str, str], parts: Sequence[str]) -> list[str]:
    """Those parts that are played."""
    return [part for part in parts if part in cast]


def variant(
    config: LocalizationConfig, table: pl.DataFrame, localizer: str, contrast: str
) -> str | None:
    """The method of a table that contrasts a localizer with what is held out."""
    for name in table["method"].unique(maintain_order=True):
        method = config.methods.get(name)
        if (
            method is not None
            and method.localizer == localizer
            and method.contrast == contrast
            and method.references == "held-out"
            and not method.spare_lead
            and not method.options
        ):
            return name
    return None


def for_each(
    groups: Groups,
    parts: Callable[[pl.DataFrame], Sequence[tuple[str, Callable[[], Judgement]]]],
    plural: str,
) -> Judgement:
    """Judge every part of every group apart; the worst decides.

    Args:
        groups: Words and rows.
        parts: From a group's rows to what is judged of them: words, and a judge.
        plural: What the parts are, for the reader.

    Raises:
        NotTested: There is nothing to judge.
    """
    asked = [(f"{words}, {name}", judge) for words, rows in groups for name, judge in parts(rows)]
    if not asked:
        raise NotTested("this run has not measured the methods that the statement is about")
    return each(asked, lambda judge: judge(), plural)


def _percent(fraction: object) -> str:
    return f"{100 * float(fraction):g} %"  # type: ignore[arg-type]
