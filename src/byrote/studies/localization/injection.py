"""A cell of INJ: sentences are written into a model, and methods look for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import polars as pl

from byrote.errors import InputError
from byrote.localization.definitions import make_definitions, read_ecbd, sentence_passages
from byrote.localization.inj import run_injection_benchmark
from byrote.localization.injection import Injection
from byrote.localization.selection import SCOPES
from byrote.models import LoadedModel, keep_freed_memory
from byrote.runs.tasks import CellContext
from byrote.studies.localization.methods import Timed, candidates, localizer_of
from byrote.studies.localization.models import open_model
from byrote.studies.localization.tables import (
    measured,
    timings_table,
    tuned_by,
    tuning_table,
)
from byrote.texts.passages import Passage
from byrote.texts.seeds import derive_seed

__all__ = ["run", "sentences_of"]

Tell = Callable[[float], None]


def run(params: dict[str, Any], context: CellContext) -> dict[str, pl.DataFrame]:
    """Inject each sentence anew and score it with every method of the group.

    Returns:
        Tables `recalls`, `tuning`, `timings`, and `injections` where `params["tell"]` is set: other
        groups inject the very same.
    """
    keep_freed_memory()
    loaded = open_model(params["model"], params)
    dev, test = sentences_of(loaded, params)
    methods: dict[str, Any] = params["methods"]
    injection = Injection(
        params["fraction"],
        lr=params["rate"],
        steps=params["steps"],
        stop=params["stop"],
        dropout=params["dropout"],
    )
    tried = _tried(methods, params["tuned"])
    work = len(dev) * (1 + sum(map(len, tried.values()))) if tried else 0
    share = work / (work + len(test) * (1 + len(methods)))
    options, tuning = _tuned(
        loaded, dev, injection, params, tried, lambda done: context.progress(share * done)
    )
    timed = {
        name: Timed(localizer_of(method, options[name], dev)) for name, method in methods.items()
    }
    found = run_injection_benchmark(
        loaded,
        test,
        timed,
        [injection],
        params["multiples"],
        scopes=SCOPES,
        numbers=range(len(dev), len(dev) + len(test)),
        told=lambda done: context.progress(share + (1 - share) * done),
    )
    where = {
        "model": pl.lit(params["model"]),
        "fraction": pl.lit(params["fraction"], dtype=pl.Float64),
    }
    marks = {"benchmark": "inj", "where": params["model"], "fraction": params["fraction"]}
    tables = {
        "recalls": measured("recalls", found.recall.with_columns(**where)),
        "tuning": tuning_table(marks, tuning),
        "timings": timings_table(marks, timed, context.threads),
    }
    if params["tell"]:
        tables["injections"] = measured("injections", found.injections.with_columns(**where))
    return tables


def sentences_of(
    loaded: LoadedModel, params: Mapping[str, Any]
) -> tuple[list[Passage], list[Passage]]:
    """The sentences of the dev split, and those that are measured; the first token is the prefix.

    Raises:
        InputError: There are not as many.
    """
    wanted = params["dev"] + params["examples"]
    if params["sentences"] == "definitions":
        seed = derive_seed(params["seed"], "definitions") % 2**63
        sentences = make_definitions(wanted, seed)
    else:
        sentences = read_ecbd(params["sentences"])
    if len(sentences) < wanted:
        raise InputError(
            f"{params['sentences']} has {len(sentences)} sentences; injection.dev = "
            f"{params['dev']} and injection.examples = {params['examples']} ask for {wanted}"
        )
    found = sentence_passages(sentences[:wanted], loaded.tokenizer)
    test = found[params["dev"] :]
    return found[: params["dev"]], test[: params["most"] or len(test)]


def _tried(methods: Mapping[str, Any], tuned: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The combinations of each method that is to be tuned here."""
    return {
        name: candidates(method)
        for name, method in methods.items()
        if method["grid"] and tuned.get(name) is None
    }


def _tuned(
    loaded: LoadedModel,
    dev: Sequence[Passage],
    injection: Injection,
    params: Mapping[str, Any],
    tried: Mapping[str, list[dict[str, Any]]],
    told: Tell,
) -> tuple[dict[str, dict[str, Any]], list[dict[str, Any]]]:
    """Find the options with the highest mean Recall@r per layer on the dev split."""
    methods = params["methods"]
    options = {
        name: candidates(method)[0] if params["tuned"].get(name) is None else params["tuned"][name]
        for name, method in methods.items()
    }
    if not tried:
        return options, []
    localizers = {
        f"{name}#{index}": localizer_of(methods[name], each, dev)
        for name, combinations in tried.items()
        for index, each in enumerate(combinations)
    }
    found = run_injection_benchmark(
        loaded, dev, localizers, [injection], (1,), scopes=("layer",), told=told
    )
    means = dict(found.recall.group_by("method").agg(pl.col("recall").mean()).iter_rows())
    rows = []
    for name, combinations in tried.items():
        values = [means[f"{name}#{index}"] for index in range(len(combinations))]
        options[name], more = tuned_by(name, combinations, values, len(dev))
        rows += more
    return options, rows
