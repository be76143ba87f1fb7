"""A cell: one model learns one string, watched at every epoch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from byrote.exposure import EpochView, Observer, Sequences, expose
from byrote.models import LoadedModel
from byrote.recall.context import (
    CONTEXT_SCHEMA,
    ContextSources,
    context_recall,
    ordinary_tokens,
)
from byrote.recall.oracles import guess_accuracy, kgram_ceiling, modal_frequency
from byrote.runs.tasks import CellContext
from byrote.studies.dynamics.measuring import (
    EarlyEnd,
    Heldout,
    Looks,
    Progress,
    StringMeter,
    epoch_table,
    position_table,
    recorder,
)
from byrote.studies.dynamics.setup import (
    bos_of,
    exposure_config,
    init_of,
    load_model,
    make_alphabet,
    make_source,
    other_alphabet,
)
from byrote.texts.alphabets import Alphabet
from byrote.texts.seeds import derive_seed
from byrote.texts.strings import StringSource, distribution_entropy

__all__ = ["learn", "run"]


def run(params: dict[str, Any], context: CellContext) -> dict[str, pl.DataFrame]:
    """Expose a model to one string (experiments E1 to E6, E8, E9 of the spec).

    Returns:
        Tables `trainings` (one row), `epochs`, `positions`, `heldout`, and for E6 `context` and
        `ceilings`.
    """
    loaded = load_model(params["model"], params["init_seed"])
    seed = params["study_seed"]
    alphabet = make_alphabet(loaded, params["letters"], params["alphabet"], seed)
    source = make_source(alphabet, params["distribution"], params["level"], seed)
    return learn(loaded, source, {**params, "init": init_of(params["model"])}, context)


def learn(
    loaded: LoadedModel, source: StringSource, params: Mapping[str, Any], context: CellContext
) -> dict[str, pl.DataFrame]:
    """Expose a loaded model to one string of a source; the tables are those of `run`.

    Args:
        loaded: The model, which is changed.
        source: Of the string.
        params: Of the cell, and in "init" whether the weights are `pretrained` or `random`.
        context: Of the cell.
    """
    training, seed = params["exposure"], params["string_seed"]
    ids = source.draw(params["n"], seed)
    bos = bos_of(loaded, params["model"]["bos"], loaded.source)
    sequences = Sequences.from_ids([ids], bos_id=bos)
    record = recorder(StringMeter(source, [ids], sequences))
    observers: list[Observer] = [record, Progress(context.progress, params["expected_epochs"])]
    heldout = _heldout(loaded, source, params, bos)
    if heldout is not None:
        observers.append(heldout)
    looks = None
    wanted: Any = params["context"]
    if wanted is not None:
        looks = _context(loaded, source, ids, bos, wanted, params)
        observers.append(looks)
    if training["stop_loss"] is not None:
        least = max(wanted["epochs"]) if wanted else 0
        observers.append(EarlyEnd(record, training["stop_loss"], training["stop_epochs"], least))
    config = exposure_config(
        training,
        params["model"]["lr"],
        epochs=params["epochs"],
        part=params["part"],
        seed=derive_seed(seed, "exposure") % 2**63,
    )
    done = expose(
        loaded,
        sequences,
        config,
        observers=observers,
        checkpoints=context.folder if config.checkpoint_every else None,
        description=None,
    )
    row = {
        "training": params["training"],
        "string": params["string"],
        "model": params["name"],
        "source": params["model"]["source"],
        "init": params["init"],
        "family": loaded.family,
        "parameters": loaded.parameters,
        "part": params["part"],
        "trained_parameters": done.selection.parameters,
        "distribution": params["distribution"],
        "letters": params["letters"],
        "entropy": source.entropy,
        "entropy_rate": source.entropy_rate,
        "string_entropy": distribution_entropy(source.empirical(ids)),
        "guess": guess_accuracy(source),
        "modal": modal_frequency(ids),
        "n": params["n"],
        "targets": sequences.targets(),
        "bos": bos,
        "lr": params["model"]["lr"],
        "schedule": training["schedule"],
        "warmup": training["warmup"],
        "precision": training["precision"],
        "dropout": training["dropout"],
        "epochs": done.epochs,
        "epochs_at_most": params["epochs"],
        "ended": done.reason,
        "seconds": done.seconds,
        "ids": ids.tolist(),
    }
    tables = {
        "trainings": pl.DataFrame([row], schema=_TRAINING),
        "epochs": epoch_table(record),
        "positions": position_table(record, sequences.first),
    }
    if heldout is not None:
        tables["heldout"] = heldout.table()
    if looks is not None and wanted is not None:
        tables["context"] = looks.table()
        tables["ceilings"] = _ceilings(ids, wanted["k"])
    keys = [
        pl.lit(params["training"]).alias("training"),
        pl.lit(params["string"], dtype=pl.Int32).alias("string"),
    ]
    return {
        name: table if name == "trainings" else table.select(*keys, pl.all())
        for name, table in tables.items()
    }


_TRAINING: dict[str, Any] = {
    "training": pl.String,
    "string": pl.Int32,
    "model": pl.String,
    "source": pl.String,
    "init": pl.String,
    "family": pl.String,
    "parameters": pl.Int64,
    "part": pl.String,
    "trained_parameters": pl.Int64,
    "distribution": pl.String,
    "letters": pl.Int32,
    "entropy": pl.Float64,
    "entropy_rate": pl.Float64,
    "string_entropy": pl.Float64,
    "guess": pl.Float64,
    "modal": pl.Float64,
    "n": pl.Int32,
    "targets": pl.Int32,
    "bos": pl.Int64,
    "lr": pl.Float64,
    "schedule": pl.String,
    "warmup": pl.Float64,
    "precision": pl.String,
    "dropout": pl.String,
    "epochs": pl.Int32,
    "epochs_at_most": pl.Int32,
    "ended": pl.String,
    "seconds": pl.Float64,
    "ids": pl.List(pl.Int64),
}


def _heldout(
    loaded: LoadedModel, source: StringSource, params: Mapping[str, Any], bos: int | None
) -> Heldout | None:
    training = params["exposure"]
    if not training["heldout"]:
        return None
    strings = [
        source.draw(params["n"], derive_seed(params["string_seed"], "held-out", str(index)))
        for index in range(training["heldout"])
    ]
    meter = StringMeter(source, strings, Sequences.from_ids(strings, bos_id=bos))
    return Heldout(meter, loaded, training["heldout_every"])


def _context(
    loaded: LoadedModel,
    source: StringSource,
    ids: np.ndarray,
    bos: int | None,
    wanted: Mapping[str, Any],
    params: Mapping[str, Any],
) -> Looks:
    """E6: try other global contexts at the wanted epochs."""
    seed, n = params["string_seed"], len(ids)
    sources = ContextSources(
        fresh=source.draw,
        other=[
            source.draw(n, derive_seed(seed, "other string", str(i)))
            for i in range(wanted["draws"])
        ],
        alphabet=source.alphabet.ids,
        other_alphabet=_others(loaded, source.alphabet, params).ids,
        vocabulary=ordinary_tokens(loaded),
    )
    positions = _positions(n, max(wanted["k"]), wanted["positions"], seed)

    def look(_: EpochView) -> pl.DataFrame:
        return context_recall(
            loaded,
            ids,
            bos_id=bos,
            k=wanted["k"],
            conditions=wanted["conditions"],
            sources=sources,
            positions=positions,
            shuffle_positions=wanted["shuffle_positions"],
            seed=derive_seed(seed, "context") % 2**63,
            draws=wanted["draws"],
        )

    return Looks(lambda view: view.epoch in wanted["epochs"], look, CONTEXT_SCHEMA)


def _others(loaded: LoadedModel, alphabet: Alphabet, params: Mapping[str, Any]) -> Alphabet:
    return other_alphabet(loaded, alphabet, params["study_seed"])


def _positions(n: int, first: int, most: int | None, seed: int) -> np.ndarray:
    """All positions above the longest local prefix, or some of them drawn at random."""
    found = np.arange(first + 1, n)
    if most is None or most >= len(found):
        return found
    order = np.random.default_rng(derive_seed(seed, "positions")).random(len(found)).argsort()
    return np.sort(found[order[:most]])


def _ceilings(ids: np.ndarray, ks: list[int]) -> pl.DataFrame:
    """What the last k tokens alone can tell, at all positions above the longest local prefix."""
    found = kgram_ceiling(ids, ks, first=max(ks) + 1)
    return pl.DataFrame(
        {"k": list(found), "accuracy": list(found.values())},
        schema={"k": pl.Int32, "accuracy": pl.Float64},
    )
