"""INJ: which share of the neurons that a sentence was put into does a method find?

The benchmark of 2311.09060, section 3.1: inject a sentence into a random set of neurons, score all
neurons with the injected model, and count how many of the set are among the highest scores.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from byrote._options import above, one_of
from byrote.errors import InputError
from byrote.localization.base import Localizer, Told, _unheard
from byrote.localization.injection import Injection, neuron_count
from byrote.localization.selection import SCOPES, Selection, select

if TYPE_CHECKING:
    import polars as pl
    from torch import Tensor

    from byrote.localization.injected import Injected
    from byrote.models.loading import LoadedModel
    from byrote.texts.passages import Passage

__all__ = [
    "MULTIPLES",
    "InjectionBenchmark",
    "ceiling",
    "expected_ceiling",
    "mean_recall",
    "random_recall",
    "recall_at",
    "run_injection_benchmark",
]

MULTIPLES = (1.0, 2.0, 5.0)
"""The paper's k, as multiples of the share of neurons that was injected into."""


@dataclass(frozen=True, slots=True)
class InjectionBenchmark:
    """What the benchmark gives.

    Attributes:
        recall: One row for each example, method, k and scope: `fraction`, `example`, `passage`,
            `method`, `scope`, `multiple`, `k` (= multiple × fraction), `recall`, `ceiling` (the
            highest that any scores could reach on this example), `random` (what scores by chance
            reach on average), `neurons`, `tied` (see `Selection.tied`), `recited` (whether the
            injection succeeded).
        injections: One row for each example and fraction, see `Injected.table`.
    """

    recall: pl.DataFrame
    injections: pl.DataFrame


def recall_at(
    scores: Tensor | NDArray[np.floating],
    gold: Selection | NDArray[np.bool_],
    k: float,
    scope: str = "layer",
) -> float:
    """Share of the injected neurons among those with the highest scores (section 3.1, Recall@k).

    Args:
        scores: `[layers, width]`.
        gold: The injected neurons, bool `[layers, width]`.
        k: Share of neurons that is selected: of each layer's, rounded to the nearest number, with
            scope `layer` (the paper's Table 2); of the whole model's with scope `model` (Table 9).
        scope: One of `SCOPES`.

    Returns:
        Hits of all layers over injected neurons of all layers, 0 to 1.

    Raises:
        InputError: The shapes differ, nothing was injected, or k selects no neuron.
    """
    true = _gold(gold, np.asarray(scores).shape)
    return _share(select(scores, k, scope=scope, rounding="nearest"), true)


def ceiling(gold: Selection | NDArray[np.bool_], k: float, scope: str = "layer") -> float:
    """The highest Recall@k that any scores could reach on an example.

    It is below 1 where some layer holds more injected neurons than are selected there: the draw is
    uneven over the layers, the selection is even.

    Args:
        gold: The injected neurons, bool `[layers, width]`.
        k: As for `recall_at`.
        scope: One of `SCOPES`.

    Raises:
        InputError: Nothing was injected, or k selects no neuron.
    """
    true = _gold(gold)
    layers, width = true.shape
    taken = _taken(layers, width, k, scope)
    in_groups = true.sum(axis=1) if scope == "layer" else true.sum(keepdims=True)
    return float(np.minimum(in_groups, taken).sum() / true.sum())


def expected_ceiling(
    layers: int, width: int, fraction: float, k: float, scope: str = "layer"
) -> float:
    """The mean of `ceiling` over all sets of neurons that could be drawn, in closed form.

    How many of n neurons drawn from layers · width fall into one layer is hypergeometric, and
    E[min(G, c)] of one layer is that of each.

    Args:
        layers: Of the model.
        width: Neurons of each.
        fraction: Share of all neurons that is injected into.
        k: Share that is selected.
        scope: One of `SCOPES`.

    Raises:
        InputError: The fraction or k selects no neuron.
    """
    from scipy.stats import hypergeom

    total, drawn = layers * width, neuron_count(layers, width, fraction)
    taken = _taken(layers, width, k, scope)
    if scope == "model":
        return min(drawn, taken) / drawn
    counts = np.arange(0, min(drawn, width) + 1)
    chances = hypergeom.pmf(counts, total, drawn, width)
    return float(layers * (np.minimum(counts, taken) * chances).sum() / drawn)


def random_recall(layers: int, width: int, k: float, scope: str = "layer") -> float:
    """The Recall@k of scores by chance, on average: the share that is selected after rounding.

    Raises:
        InputError: k selects no neuron.
    """
    return _taken(layers, width, k, scope) / (width if scope == "layer" else layers * width)


def mean_recall(recall: pl.DataFrame) -> pl.DataFrame:
    """Mean and standard error over examples, as in the paper's Tables 2 and 9.

    Args:
        recall: `InjectionBenchmark.recall`, of one run or of several put together.

    Returns:
        One row for each fraction, method, k and scope: `n`, `recall`, `se` (standard deviation
        with n - 1, over √n; null for one example), `ceiling`, `random` (means), `tied` (mean),
        `recited` (share of the examples whose injection succeeded). Shares are 0 to 1.
    """
    import polars as pl

    keys = ["fraction", "method", "scope", "multiple", "k"]
    return (
        recall.group_by(keys, maintain_order=True)
        .agg(
            n=pl.len(),
            recall=pl.col("recall").mean(),
            se=pl.col("recall").std(ddof=1) / pl.len().sqrt(),
            ceiling=pl.col("ceiling").mean(),
            random=pl.col("random").mean(),
            tied=pl.col("tied").mean(),
            recited=pl.col("recited").mean(),
        )
        .select(*keys, "n", "recall", "se", "ceiling", "random", "tied", "recited")
    )


def run_injection_benchmark(
    loaded: LoadedModel,
    sentences: Sequence[Passage],
    localizers: Mapping[str, Localizer],
    injections: Sequence[Injection] = (Injection(0.01), Injection(0.001)),
    multiples: Sequence[float] = MULTIPLES,
    *,
    scopes: Sequence[str] = SCOPES,
    numbers: Sequence[int] | None = None,
    told: Told = _unheard,
) -> InjectionBenchmark:
    """Inject sentences, localize each in its own injected model, and compare with the truth.

    Every example is a fresh copy of the model. Methods whose options depend on the fraction (the
    pruning ones in the paper) are run with one call for each fraction.

    Args:
        loaded: The model; it stays as it was.
        sentences: One an example; in the paper the prefix is the first token.
        localizers: The methods, by the name that the table gives them.
        injections: How to inject; one of each fraction.
        multiples: k, as multiples of the injected fraction.
        scopes: Of `SCOPES`; per layer and over the whole model by default.
        numbers: See `Injection.inject`.
        told: Hears of the progress; an injection counts as much as a method.

    Returns:
        The recall of every example, and what became of the injections.

    Raises:
        InputError: A sentence, a method or an injection cannot be used with this model, two
            injections have one fraction, or a k selects no neuron or more than all.
        ByroteError: Numbers are not finite.
    """
    import polars as pl

    _check(loaded, sentences, localizers, injections, multiples, scopes)
    rows: list[dict[str, Any]] = []
    tables: list[pl.DataFrame] = []
    each, units = len(localizers) + 1, len(injections) * len(sentences) * (len(localizers) + 1)
    for index, injection in enumerate(injections):
        done = index * len(sentences) * each
        injected = injection.inject(
            loaded,
            sentences,
            numbers=numbers,
            told=lambda share, done=done: told((done + share * len(sentences)) / units),
        )
        done += len(sentences)
        table = injected.table()
        tables.append(table.select(pl.lit(injection.fraction).alias("fraction"), pl.all()))
        for example in range(len(injected)):
            for name, localizer in localizers.items():
                with injected.patched(example):
                    scores = localizer.score(loaded, [sentences[example]])[0]
                for found in _recalls(injected, example, scores, injection, multiples, scopes):
                    rows.append({**found, "method": name})
                done += 1
                told(done / units)
    recall = pl.DataFrame(rows).select(_COLUMNS)
    return InjectionBenchmark(recall, pl.concat(tables))


_COLUMNS = [
    *("fraction", "example", "passage", "method", "scope", "multiple", "k"),
    *("recall", "ceiling", "random", "neurons", "tied", "recited"),
]


def _recalls(
    injected: Injected,
    example: int,
    scores: Tensor,
    injection: Injection,
    multiples: Sequence[float],
    scopes: Sequence[str],
) -> Iterator[dict[str, Any]]:
    gold = injected.neurons[example]
    layers, width = gold.shape
    for scope in scopes:
        for multiple in multiples:
            k = multiple * injection.fraction
            chosen = select(scores, k, scope=scope, rounding="nearest")
            yield {
                "fraction": injection.fraction,
                "example": injected.numbers[example],
                "passage": injected.passages[example].id,
                "scope": scope,
                "multiple": float(multiple),
                "k": k,
                "recall": _share(chosen, gold),
                "ceiling": ceiling(gold, k, scope),
                "random": random_recall(layers, width, k, scope),
                "neurons": len(chosen),
                "tied": chosen.tied,
                "recited": bool(injected.recited[example]),
            }


def _check(
    loaded: LoadedModel,
    sentences: Sequence[Passage],
    localizers: Mapping[str, Localizer],
    injections: Sequence[Injection],
    multiples: Sequence[float],
    scopes: Sequence[str],
) -> None:
    """All that can be refused, before any work."""
    for what, given in (
        ("method", localizers),
        ("injection", injections),
        ("multiple", multiples),
        ("scope", scopes),
    ):
        if not given:
            raise InputError(f"INJ: no {what} was given; give at least one.")
    fractions = [injection.fraction for injection in injections]
    if len(set(fractions)) != len(fractions):
        raise InputError(f"INJ: two injections have one fraction ({fractions}); call it twice.")
    for injection in injections:
        injection.check(loaded, sentences)
        for multiple in multiples:
            above("injection benchmark", "multiple", multiple, 0.0)
            for scope in scopes:
                _taken(
                    loaded.neurons.layers,
                    loaded.neurons.width,
                    multiple * injection.fraction,
                    scope,
                )
    for localizer in localizers.values():
        localizer.check(loaded)


def _taken(layers: int, width: int, k: float, scope: str) -> int:
    """How many neurons `select` takes of a layer, or of the model."""
    one_of("injection benchmark", "scope", scope, SCOPES)
    size = width if scope == "layer" else layers * width
    taken = round(size * k * (1 + 1e-12))  # as `select` rounds
    if not 1 <= taken <= size:
        raise InputError(
            f"INJ: k={k:g} selects {taken} of {size:,} neurons; it must select at least one "
            f"(k from {1 / size:.2g}) and no more than all (k up to 1)."
        )
    return taken


def _gold(
    gold: Selection | NDArray[np.bool_], shape: tuple[int, ...] | None = None
) -> NDArray[np.bool_]:
    true = gold.neurons if isinstance(gold, Selection) else np.asarray(gold, dtype=bool)
    if true.ndim != 2 or (shape is not None and shape != true.shape):
        raise InputError(
            f"INJ: the injected neurons have the shape {list(true.shape)}, the scores "
            f"{list(shape or ())}; both are [layers, width]."
        )
    if not true.any():
        raise InputError("INJ: nothing was injected, so there is no recall.")
    return true


def _share(chosen: Selection, gold: NDArray[np.bool_]) -> float:
    return int((chosen.neurons & gold).sum()) / int(gold.sum())
