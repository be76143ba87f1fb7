"""Erase passages: drop the neurons that hold them, and see what that costs.

What the paper leaves open (2311.09060, section 6: good localizers find neurons that serve many
sequences) decides here whether erasing is of any use, so the default localizer is a specific one,
the share of neurons is the smallest that does it, and a set of passages to be kept and general
texts are guarded.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from byrote._options import between, one_of
from byrote.errors import ByroteError, InputError
from byrote.localization.base import Localizer, Told, _unheard
from byrote.localization.effects import Gauge
from byrote.localization.erasure_bench import STEPS, ErasureBench, Limits, Step, check_recited
from byrote.localization.registry import find_localizer
from byrote.localization.selection import SCOPES, Selection, select
from byrote.localization.zeroing import zeroed
from byrote.models.loading import LoadedModel
from byrote.texts.passages import Passage

__all__ = [
    "COMBINATIONS",
    "DEFAULT_ERASER",
    "FRACTIONS",
    "Erasure",
    "Limits",
    "check_erasable",
    "erase",
    "named_localizer",
    "united",
]

DEFAULT_ERASER = "contrast:attribution?kind=ratio"
"""The localizer that `erase` uses unless another is named; `docs/localization.md` has why."""

FRACTIONS = (0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05)
"""Shares of a layer's neurons that are tried for each passage, smallest first."""

COMBINATIONS = ("union", "mean")
"""Several passages: the neurons of each, or those of the mean score."""

_OWNER = "erasure"


@dataclass(frozen=True, slots=True, eq=False)
class Erasure:
    """Neurons without which passages are no longer recited.

    Attributes:
        loaded: The model, as it was.
        selection: The neurons.
        fraction: The share of neurons that was taken for each passage.
        localizer: Which localizer chose them, in words.
        erased: Whether every passage is; else the limits did not let it get that far.
        stopped: Why not, if so: `retain`, `text` or `fractions` (none larger was given).
        steps: The search, one row a fraction: `fraction`, `neurons`, `accuracy` (mean of the
            passages), `worst` (the highest), `retain_accuracy` and `text_nll` (nats per token; both
            null where the limits were not asked for), `verdict`: `recited`, `erased`, or the limit
            that is crossed (`retain`, `text`).
        passages: One row a passage, before and after: `group` (`erased`, `retained`) and, for each
            column of a recital table, `…_before` and `…_after`.
        summary: One row a group and measure: `group` (`erased`, `retained`, `text`), `n`,
            `measure`, `unit`, `before`, `after`, `change`.
    """

    loaded: LoadedModel
    selection: Selection
    fraction: float
    localizer: str
    erased: bool
    stopped: str | None
    steps: pl.DataFrame
    passages: pl.DataFrame
    summary: pl.DataFrame

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Have the neurons out of the weights inside the block; see `zeroed`."""
        with zeroed(self.loaded, self.selection):
            yield

    def write(self, folder: Path | str) -> Path:
        """Write the edited model to a new folder that plain transformers loads.

        Raises:
            InputError: The folder exists.
            ByroteError: The disk has no room for the weights.
        """
        from byrote.localization.erased_folder import write_erased

        return write_erased(self, Path(folder))


def erase(
    loaded: LoadedModel,
    passages: Sequence[Passage],
    *,
    localizer: Localizer | str = DEFAULT_ERASER,
    references: Sequence[Passage] | None = None,
    retain: Sequence[Passage] = (),
    text: Sequence[ArrayLike] = (),
    fraction: float | None = None,
    fractions: Sequence[float] = FRACTIONS,
    scope: str = "layer",
    skip_layers: Collection[int] = (0,),
    combine: str = "union",
    limits: Limits | None = None,
    force: bool = False,
    told: Told = _unheard,
) -> Erasure:
    """Find the smallest share of neurons whose loss erases passages, within limits.

    The localizer scores the passages once. Ever larger shares of neurons are dropped, until each
    passage is erased; if that crosses a limit, the largest smaller share is taken that does not
    (found by bisection: a larger share is taken to cost more). The model is measured as it would be
    written, with the neurons at zero at all positions, and left as it was.

    Args:
        loaded: The model.
        passages: What is to be erased.
        localizer: A localizer, or its name (`find_localizer`).
        references: What a named contrast compares with; None takes `retain`.
        retain: Passages to be kept; those to be erased are left out of them.
        text: Token ids of general texts, without any BOS.
        fraction: The share of neurons to drop, in place of the search.
        fractions: Shares that the search tries; those that select no neuron are left out.
        scope: As for `select`.
        skip_layers: As for `select`; layer 0, as in the paper.
        combine: One of `COMBINATIONS`.
        limits: When to stop.
        force: Also erase what the model does not recite.
        told: Hears of the progress.

    Returns:
        The neurons, and what their loss does; nothing is written yet.

    Raises:
        InputError: A passage is not recited (unless forced), an option is out of range, a fraction
            selects no neuron, or there is nothing to contrast with.
        ByroteError: Even the smallest fraction crosses a limit.
    """
    limits = limits or Limits()
    one_of(_OWNER, "combine", combine, COMBINATIONS)
    one_of(_OWNER, "scope", scope, SCOPES)
    if not passages:
        raise InputError("The erasure: no passage is given; give at least one.")
    own = {passage.id for passage in passages}
    kept = [passage for passage in retain if passage.id not in own]
    method = named_localizer(localizer, kept if references is None else references, passages)
    method.check(loaded)
    shares = (fraction,) if fraction is not None else fractions
    tried = check_erasable(loaded, passages, shares, scope=scope, skip_layers=skip_layers)
    bench = ErasureBench(loaded, list(passages), kept, list(text))
    if not force:
        check_recited(loaded, bench.targets(None), limits.recited)
    scores = method.score(loaded, passages, lambda share: told(0.7 * share))
    steps: list[Step] = []
    for share in tried:
        selection = united(scores, share, scope=scope, skip_layers=skip_layers, combine=combine)
        steps.append(Step(share, selection, bench.targets(selection)))
        if steps[-1].worst <= limits.enough:
            break
    told(0.8)
    best, crossed = _within(bench, steps, limits)
    told(1.0)
    if best is None:
        raise ByroteError(_too_dear(bench, bench.row(steps[0], limits), limits))
    chosen = steps[best]
    assert chosen.after is not None
    erased = chosen.worst <= limits.enough
    return Erasure(
        loaded=loaded,
        selection=chosen.selection,
        fraction=chosen.fraction,
        localizer=localizer if isinstance(localizer, str) else repr(localizer),
        erased=erased,
        stopped=None if erased else crossed or "fractions",
        steps=pl.DataFrame([bench.row(step, limits) for step in steps], schema=STEPS),
        passages=bench.passages(chosen.after[0]),
        summary=bench.summary(*chosen.after),
    )


def _within(
    bench: ErasureBench, steps: Sequence[Step], limits: Limits
) -> tuple[int | None, str | None]:
    """The last step that crosses no limit, and which one the step after it crosses."""
    low, high, crossed = 0, len(steps) - 1, None
    middle = high  # where all is well nothing else is measured
    while low <= high:
        bench.look(steps[middle], limits)
        if steps[middle].crossed is None:
            low = middle + 1
        else:
            high, crossed = middle - 1, steps[middle].crossed
        middle = (low + high) // 2
    return (high if high >= 0 else None), crossed


def united(
    scores: Tensor,
    fraction: float,
    *,
    scope: str = "layer",
    skip_layers: Collection[int] = (0,),
    combine: str = "union",
) -> Selection:
    """Select neurons for several passages at once.

    Args:
        scores: `[passages, layers, width]`.
        fraction: As for `select`, for each passage (`union`) or for all together (`mean`).
        scope: As for `select`.
        skip_layers: As for `select`.
        combine: One of `COMBINATIONS`.

    Raises:
        InputError: As for `select`.
    """
    one_of(_OWNER, "combine", combine, COMBINATIONS)
    rows = scores if combine == "union" else scores.double().mean(0, keepdim=True)
    chosen = [select(row, fraction, scope=scope, skip_layers=skip_layers) for row in rows]
    together = chosen[0]
    for selection in chosen[1:]:
        together |= selection
    return together


def named_localizer(
    localizer: Localizer | str, references: Sequence[Passage], passages: Sequence[Passage]
) -> Localizer:
    """Give a localizer, by its name with what it is to compare with.

    Args:
        localizer: A localizer, which is given back, or a name for `find_localizer`.
        references: For one that is named `contrast:…`; the passages themselves are left out.
        passages: What is going to be scored.

    Raises:
        InputError: There is none of that name, or nothing to compare with.
    """
    if isinstance(localizer, Localizer):
        return localizer
    if not localizer.startswith("contrast:"):
        return find_localizer(localizer)
    own = {passage.id for passage in passages}
    others = [passage for passage in references if passage.id not in own]
    if not others:
        raise InputError(
            f"The localizer {localizer!r} compares with other passages, and there are none: give "
            "references or passages to be kept, or another localizer, such as 'attribution'."
        )
    return find_localizer(localizer, references=others)


def check_erasable(
    loaded: LoadedModel,
    passages: Sequence[Passage],
    fractions: Sequence[float],
    *,
    scope: str = "layer",
    skip_layers: Collection[int] = (0,),
    recited: float = 0.0,
) -> list[float]:
    """See that neurons can be selected and that passages are recited, before anything is scored.

    Args:
        loaded: The model.
        passages: What is to be located or erased.
        fractions: Shares of neurons.
        scope: As for `select`.
        skip_layers: As for `select`.
        recited: As for `Limits`; 0 asks for nothing.

    Returns:
        The fractions that select a neuron, smallest first.

    Raises:
        InputError: None does, a layer is out of range, or a passage is not recited.
    """
    for fraction in fractions:
        between(_OWNER, "fraction", fraction, 0.0, 1.0)
    if not fractions:
        raise InputError("The erasure: there is no fraction to try; give at least one.")
    nothing = torch.zeros(loaded.neurons.layers, loaded.neurons.width)
    ordered, refusal = sorted(set(fractions)), None
    for start, fraction in enumerate(ordered):
        try:
            select(nothing, fraction, scope=scope, skip_layers=skip_layers)
        except InputError as error:
            refusal = error
            continue
        if recited > 0.0:
            check_recited(loaded, Gauge(loaded).recital(passages), recited)
        return ordered[start:]
    assert refusal is not None
    raise refusal


def _too_dear(bench: ErasureBench, step: dict[str, Any], limits: Limits) -> str:
    if step["verdict"] == "retain":
        cost = (
            f"leaves the passages to be kept an accuracy of {step['retain_accuracy']:.1%}, of "
            f"{bench.retain_before:.1%} before; the floor is {limits.retain:.0%} of that"
        )
    else:
        cost = (
            f"raises the loss on general texts from {bench.before[1]:.3f} to "
            f"{step['text_nll']:.3f} nats per token; the limit is {limits.text:g} more"
        )
    return (
        f"Nothing is erased: the smallest fraction, {step['fraction']:g}, {cost}. Try a smaller "
        "one, another localizer, or wider limits."
    )
