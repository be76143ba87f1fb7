"""A cell of DEL: the neurons that methods find for recited passages are dropped, one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import polars as pl
from torch import Tensor

from byrote.localization.deletion import Deletion, DeletionBench, changes
from byrote.localization.overlap import layer_counts, overlaps
from byrote.localization.selection import Selection, select
from byrote.models import LoadedModel, keep_freed_memory
from byrote.runs.tasks import CellContext
from byrote.studies.localization.further import curve, erased_together, one_layer
from byrote.studies.localization.methods import WEIGHTS, Timed, candidates, localizer_of
from byrote.studies.localization.models import open_model
from byrote.studies.localization.passages import Texts, passages_table, texts_of
from byrote.studies.localization.tables import (
    measured,
    timings_table,
    tuned_by,
    tuning_table,
)
from byrote.texts.passages import Passage

__all__ = ["run"]

# What getting the passages is of a cell, for its progress only.
_START = 0.15


def run(params: dict[str, Any], context: CellContext) -> dict[str, pl.DataFrame]:
    """Measure the methods of a group on the passages of a setting.

    Returns:
        Tables `deletions`, `confusion`, `overlaps`, `layers`, `curves`, `one_layer`, `together`,
        `tuning`, `timings`, as far as there is something to tell; and `passages` and `filters`
        where `params["tell"]` is set: other groups have the very same.
    """
    keep_freed_memory()
    loaded = open_model(params["setting"]["model"], params)
    texts = texts_of(loaded, params, lambda done: context.progress(_START * done))
    parts: dict[str, list[pl.DataFrame]] = {}
    if params["tell"]:
        parts["passages"] = [passages_table(loaded, texts, params["name"])]
        parts["filters"] = [_marked("filters", texts.found.filters, params)]
    marks = {"benchmark": "del", "where": params["name"], "fraction": None}
    methods: dict[str, Any] = params["methods"]
    timed: dict[str, Timed] = {}
    rows: list[dict[str, Any]] = []
    for index, (name, method) in enumerate(methods.items()):

        def tell(done: float, at: int = index) -> None:
            context.progress(_START + (1 - _START) * (at + done) / len(methods))

        tell(0.0)
        if method["localizer"] != WEIGHTS:
            options, tried = _tuned(loaded, texts, params, name)
            rows += tried
            timed[name] = Timed(_localizer(params, name, options, texts))
            for key, table in _measured(loaded, texts, params, name, timed[name], tell):
                parts.setdefault(key, []).append(table)
        if name in params["together"]:
            own = timed.get(name)
            localizer = None if own is None else own.localizer
            table = erased_together(loaded, texts, params, name, localizer)
            parts.setdefault("together", []).append(table)
    parts["tuning"] = [tuning_table(marks, rows)]
    parts["timings"] = [timings_table(marks, timed, context.threads)]
    return {name: pl.concat(tables) for name, tables in parts.items()}


def _localizer(
    params: Mapping[str, Any], name: str, options: Mapping[str, Any], texts: Texts
) -> Any:
    return localizer_of(
        params["methods"][name], options, texts.held_out, skip_layers=params["skip_layers"]
    )


def _measured(
    loaded: LoadedModel,
    texts: Texts,
    params: Mapping[str, Any],
    name: str,
    localizer: Timed,
    tell: Callable[[float], None],
) -> Iterator[tuple[str, pl.DataFrame]]:
    """Score the passages, drop what is highest, and measure; tables by name."""
    method = params["methods"][name]
    targets = texts.test[: params["most"] or len(texts.test)]
    scores = localizer.score(loaded, targets, lambda done: tell(0.5 * done))
    bench = DeletionBench(loaded, targets, texts.test, texts.rows, spare_lead=method["spare_lead"])
    more: dict[str, Any] = {"method": name}
    skip = params["skip_layers"]
    for scope in params["scopes"]:
        for fraction in params["fractions"]:
            chosen = [select(s, fraction, scope=scope, skip_layers=skip) for s in scores]
            here = {**more, "fraction": fraction, "scope": scope}
            found = bench.run(chosen)
            yield from _tables(params, found, here)
            sets = {t.id: selection for t, selection in zip(targets, chosen, strict=True)}
            yield "overlaps", _marked("overlaps", overlaps(sets), params, **here)
    yield "layers", _layers(params, targets, scores, more)
    tell(0.8)
    if name in params["curve_methods"]:
        yield "curves", curve(loaded, texts, params, name, targets, scores)
    if name in params["one_layer"]:
        yield "one_layer", one_layer(loaded, texts, params, name, targets, scores)
    tell(1.0)


def _tables(
    params: Mapping[str, Any], found: Deletion, more: Mapping[str, Any]
) -> Iterator[tuple[str, pl.DataFrame]]:
    yield "deletions", _marked("deletions", found.targets, params, **more)
    yield "confusion", _marked("confusion", found.confusion, params, **more)


def _layers(
    params: Mapping[str, Any],
    targets: Sequence[Passage],
    scores: Tensor,
    more: Mapping[str, Any],
) -> pl.DataFrame:
    """In which layers the highest scores of the whole model lie; none is skipped."""
    fraction = max(params["fractions"])
    highest = {
        target.id: select(row, fraction, scope="model")
        for target, row in zip(targets, scores, strict=True)
    }
    counts = layer_counts(highest).rename({"name": "target"})
    return _marked("layers", counts, params, **more, fraction=fraction)


def _marked(name: str, table: pl.DataFrame, params: Mapping[str, Any], **more: Any) -> pl.DataFrame:
    marks = {"setting": params["name"], **more}
    return measured(name, table.with_columns(**{key: pl.lit(mark) for key, mark in marks.items()}))


def _tuned(
    loaded: LoadedModel, texts: Texts, params: Mapping[str, Any], name: str
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Find the options of a method that erase most on the dev split.

    Of a method that is made to be specific, what the other passages of the dev split lose is taken
    off.
    """
    method, given = params["methods"][name], params["tuned"].get(name)
    combinations = candidates(method)
    if given is not None or not method["grid"] or not texts.dev:
        return combinations[0] if given is None else given, []
    specific = method["contrast"] != "none" or bool(method["retain"])
    bench = DeletionBench(loaded, texts.dev, spare_lead=method["spare_lead"])
    values = []
    for options in combinations:
        scores = _localizer(params, name, options, texts).score(loaded, texts.dev)
        chosen: list[Selection] = [
            select(row, max(params["fractions"]), skip_layers=params["skip_layers"])
            for row in scores
        ]
        lost = changes(bench.run(chosen).targets)
        value = -float(lost["self_accuracy"].mean())  # type: ignore[arg-type]
        if specific and len(texts.dev) > 1:
            value += float(lost["neg_accuracy"].mean())  # type: ignore[arg-type]
        values.append(value)
    return tuned_by(name, combinations, values, len(texts.dev))
