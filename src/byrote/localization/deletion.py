"""The DEL benchmark: drop the neurons of a passage, and see what that does to it and to others.

Chang et al. 2311.09060, section 3.2: a good localizer finds neurons without which the target is no
longer recited, while other memorised passages and the model as a whole stay as they were.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import polars as pl
from numpy.typing import ArrayLike

from byrote.errors import InputError
from byrote.localization.base import Told, _unheard
from byrote.localization.effects import RECITAL, Gauge, perplexities
from byrote.localization.selection import Selection, check_fits
from byrote.models.loading import LoadedModel
from byrote.texts.passages import Passage

__all__ = [
    "CONFUSION",
    "DELETIONS",
    "MEASURES",
    "Deletion",
    "DeletionBench",
    "changes",
    "delete_and_measure",
]

MEASURES = ("accuracy", "distance", "nll", "recited")
"""What is measured of a passage; see `RECITAL` for what each is."""

_MOMENTS = ("before", "after")
_TEXT = ("text_nll", "perplexity", "paper_perplexity")

DELETIONS: dict[str, Any] = {
    "target": pl.String,
    "neurons": pl.Int64,
    "tied": pl.Int64,
    "negatives": pl.Int64,
    **{
        f"{who}_{measure}_{when}": pl.Float64
        for who in ("self", "neg")
        for measure in MEASURES
        for when in _MOMENTS
    },
    **{f"{name}_{when}": pl.Float64 for name in _TEXT for when in _MOMENTS},
}
"""Columns of the table of targets, one row for each.

`target` is the passage's id; `neurons` and `tied` are of its selection (`Selection`); `negatives`
is how many other passages there are. `self_…` is the target's own (`recited` 0 or 1), `neg_…` the
mean over the negatives (null without any); `text_nll` is in nats per token of the random texts,
`perplexity` is e and `paper_perplexity` 2 to that power (null without texts)."""

CONFUSION: dict[str, Any] = {
    "target": pl.String,
    "passage": pl.String,
    **{
        f"{measure}_{when}": RECITAL[measure]
        for when in _MOMENTS
        for measure in RECITAL
        if measure != "passage"
    },
}
"""Columns of the confusion table: what dropping the target's neurons does to each passage, itself
included (Figures 2, 5 and 6 of the paper show the change of accuracy)."""


@dataclass(frozen=True, slots=True, eq=False)
class Deletion:
    """What dropping each target's neurons did.

    Attributes:
        targets: One row for each target, in order; columns as in `DELETIONS`.
        confusion: One row for each target and passage; columns as in `CONFUSION`.
    """

    targets: pl.DataFrame
    confusion: pl.DataFrame


class DeletionBench:
    """Targets, negatives and random texts of one model, for any number of methods and fractions.

    The model without ablation is measured once, at the first run.

    Args:
        loaded: The model.
        targets: Passages that it recites; each has neurons dropped for it.
        others: The negatives: a target is measured against all of them but itself. None takes the
            targets, as the paper does.
        random_rows: Token ids of texts that nobody expects it to recite, without any BOS.
        strength: What the neurons are multiplied by; 0 drops them.
        spare_lead: Whether neurons are left alone at the positions of `loaded.lead`.
        batch_size: Passages in a forward pass; None fills about 3,200 tokens.

    Raises:
        InputError: There is no target, or ids are not unique.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        targets: Sequence[Passage],
        others: Sequence[Passage] | None = None,
        random_rows: Sequence[ArrayLike] | None = None,
        *,
        strength: float = 0.0,
        spare_lead: bool = False,
        batch_size: int | None = None,
    ) -> None:
        if not targets:
            raise InputError("The deletion: there is no target; give at least one passage.")
        self.targets = list(targets)
        self.others = list(targets if others is None else others)
        self.random_rows = list(random_rows or [])
        self._how: dict[str, Any] = {"strength": strength, "spare_lead": spare_lead}
        self._gauge = Gauge(loaded, batch_size=batch_size)
        _by_id(self.targets)
        self._everyone = list(_by_id(self.others).values())
        known = {passage.id: passage for passage in self._everyone}
        for target in self.targets:
            if target.id not in known:
                self._everyone.append(target)
            elif not _same(known[target.id], target):
                raise _not_unique(target)
        self._place = {passage.id: index for index, passage in enumerate(self._everyone)}

    @cached_property
    def before(self) -> pl.DataFrame:
        """The passages without ablation: the negatives, then targets that are none of them.

        Columns as in `RECITAL`.
        """
        return self._gauge.recital(self._everyone)

    @cached_property
    def text_nll(self) -> float | None:
        """Nats per token of the random texts without ablation; None if there are none."""
        return self._gauge.text_loss(self.random_rows) if self.random_rows else None

    def run(self, selections: Sequence[Selection], told: Told = _unheard) -> Deletion:
        """Drop each target's neurons, one target after the other, and measure.

        Targets with the same neurons are measured under one ablation.

        Args:
            selections: The neurons of each target, in order.
            told: Hears of the progress.

        Raises:
            InputError: There is not one selection for each target, or one is of another model.
            ByroteError: The model's logits are not finite.
        """
        if len(selections) != len(self.targets):
            raise InputError(
                f"The deletion: {len(selections)} selections were given for {len(self.targets)} "
                "targets; each target has one."
            )
        alike: dict[bytes, list[int]] = {}
        for index, selection in enumerate(selections):
            check_fits(selection, self._gauge.loaded.neurons)
            alike.setdefault(_digest(selection), []).append(index)
        _ = self.before, self.text_nll
        rows: dict[int, dict[str, Any]] = {}
        tables: dict[int, pl.DataFrame] = {}
        for group in alike.values():
            places, after, text_nll = self._under(selections[group[0]], group)
            for index in group:
                own = self._place[self.targets[index].id]
                asked = [i for i, at in enumerate(places) if at < len(self.others) or at == own]
                tables[index] = self._beside([places[i] for i in asked], after[asked], index)
                rows[index] = self._row(index, selections[index], tables[index], text_nll)
            told(len(rows) / len(self.targets))
        order = range(len(self.targets))
        return Deletion(
            pl.DataFrame([rows[index] for index in order], schema=DELETIONS),
            pl.concat([tables[index] for index in order]),
        )

    def _under(
        self, selection: Selection, group: Sequence[int]
    ) -> tuple[list[int], pl.DataFrame, float | None]:
        """Measure the negatives and some targets under one ablation.

        Returns:
            Where the passages are among all, what was measured of them, and of the random texts.
        """
        own = {self._place[self.targets[index].id] for index in group}
        places = sorted({*range(len(self.others)), *own})
        asked = [self._everyone[place] for place in places]
        after = self._gauge.recital(asked, selection, **self._how)
        if not self.random_rows:
            return places, after, None
        return places, after, self._gauge.text_loss(self.random_rows, selection, **self._how)

    def _beside(self, places: list[int], after: pl.DataFrame, index: int) -> pl.DataFrame:
        def named(table: pl.DataFrame, when: str) -> pl.DataFrame:
            return table.select(pl.col(name).alias(f"{name}_{when}") for name in MEASURES)

        before = self.before[places]
        target = pl.Series("target", [self.targets[index].id] * len(places), dtype=pl.String)
        parts = [named(before, "before"), named(after, "after")]
        passages = pl.DataFrame([target, before["passage"]])
        return pl.concat([passages, *parts], how="horizontal").select(*CONFUSION)

    def _row(
        self, index: int, selection: Selection, table: pl.DataFrame, text_nll: float | None
    ) -> dict[str, Any]:
        target = self.targets[index].id
        mine = table.filter(pl.col("passage") == target)
        theirs = table.filter(pl.col("passage") != target)
        row: dict[str, Any] = {
            "target": target,
            "neurons": len(selection),
            "tied": selection.tied,
            "negatives": len(theirs),
        }
        for who, part in (("self", mine), ("neg", theirs)):
            for measure in MEASURES:
                for when in _MOMENTS:
                    name = f"{measure}_{when}"
                    row[f"{who}_{name}"] = part[name].cast(pl.Float64).mean()
        if self.text_nll is not None and text_nll is not None:
            for when, nats in zip(_MOMENTS, (self.text_nll, text_nll), strict=True):
                values = (nats, *perplexities(nats))
                row |= {f"{name}_{when}": v for name, v in zip(_TEXT, values, strict=True)}
        return row


def delete_and_measure(
    loaded: LoadedModel,
    targets: Sequence[Passage],
    selections: Sequence[Selection],
    others: Sequence[Passage] | None = None,
    random_rows: Sequence[ArrayLike] | None = None,
    *,
    strength: float = 0.0,
    spare_lead: bool = False,
    batch_size: int | None = None,
    told: Told = _unheard,
) -> Deletion:
    """Drop each target's neurons and measure: `DeletionBench` for a single run.

    Example:
        >>> scores = find_localizer("activations").score(loaded, passages)
        >>> selections = [select(one, 0.005, skip_layers=[0]) for one in scores]
        >>> changes(delete_and_measure(loaded, passages, selections).targets)
    """
    bench = DeletionBench(
        loaded,
        targets,
        others,
        random_rows,
        strength=strength,
        spare_lead=spare_lead,
        batch_size=batch_size,
    )
    return bench.run(selections, told)


def changes(targets: pl.DataFrame) -> pl.DataFrame:
    """Take each number before from the one after, as the paper's Table 3 does.

    Args:
        targets: `Deletion.targets`, or any table with pairs of columns `…_before` and `…_after`.

    Returns:
        The other columns, and one for each pair, such as `self_accuracy` (a share, not percentage
        points), `neg_distance` (characters) or `paper_perplexity`.
    """
    pairs = [name.removesuffix("_before") for name in targets.columns if name.endswith("_before")]
    kept = [name for name in targets.columns if not name.endswith(("_before", "_after"))]
    return targets.select(
        *kept, *((pl.col(f"{name}_after") - pl.col(f"{name}_before")).alias(name) for name in pairs)
    )


def _by_id(passages: Sequence[Passage]) -> dict[str, Passage]:
    """The passages by id.

    Raises:
        InputError: Two have the same.
    """
    found: dict[str, Passage] = {}
    for passage in passages:
        if passage.id in found:
            raise _not_unique(passage)
        found[passage.id] = passage
    return found


def _digest(selection: Selection) -> bytes:
    """A few bytes that stand for the set: of a large model it would be half a megabyte."""
    return hashlib.sha256(selection.neurons.tobytes()).digest()


def _same(one: Passage, other: Passage) -> bool:
    return one.prefix_len == other.prefix_len and (
        one.input_ids.tolist() == other.input_ids.tolist()
    )


def _not_unique(passage: Passage) -> InputError:
    return InputError(
        f"The deletion: there are two passages {passage.id!r}; their ids tell them apart, so each "
        "must have its own."
    )
