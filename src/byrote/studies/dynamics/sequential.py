"""A cell: one model learns string after string, and then the first one once more (E7)."""

from __future__ import annotations

from itertools import islice
from typing import Any

import numpy as np
import polars as pl

from byrote.exposure import EpochView, Sequences, StepView, expose
from byrote.exposure.observers import Observer
from byrote.models import LoadedModel
from byrote.recall.extraction import nll
from byrote.recall.scoring import Scorer
from byrote.runs.tasks import CellContext
from byrote.studies.dynamics.measuring import StringMeter, recorder
from byrote.studies.dynamics.setup import bos_of, exposure_config, load_model, make_alphabet
from byrote.texts.passages import Passage
from byrote.texts.seeds import derive_seed
from byrote.texts.sources import open_source
from byrote.texts.strings import uniform
from byrote.texts.windows import cut

__all__ = ["run"]

_TEXT_PREFIX = 8
# Windows of natural text are drawn from so many, to keep the reading of a large source short.
_TEXT_POOL = 2000


def run(params: dict[str, Any], context: CellContext) -> dict[str, pl.DataFrame]:
    """Expose a model to m strings in sequence, and to the first again.

    Returns:
        Tables `sequential`, a row for each stage, epoch and string measured (the one being learned
        at every epoch, the others every so often), and `sequential_text`, the loss on natural text
        before the first stage and after each.
    """
    wanted = params["sequential"]
    loaded = load_model(params["model"], params["init_seed"])
    alphabet = make_alphabet(loaded, wanted["letters"], params["alphabet"], params["study_seed"])
    source = uniform(alphabet)
    seed = params["string_seed"]
    strings = [
        source.draw(wanted["n"], derive_seed(seed, "in sequence", str(j)))
        for j in range(wanted["strings"])
    ]
    bos = bos_of(loaded, params["model"]["bos"], loaded.source)
    everything = StringMeter(source, strings, Sequences.from_ids(strings, bos_id=bos))
    text = _Text(loaded, wanted, seed)
    rows: list[dict[str, Any]] = []
    texts = [{"stage": -1, "loss": text.loss()}]
    optimizer = None
    stages = [*range(wanted["strings"]), 0]
    for stage, learned in enumerate(stages):
        sequences = Sequences.from_ids([strings[learned]], bos_id=bos)
        record = recorder(StringMeter(source, [strings[learned]], sequences))
        others = _Others(everything, loaded, learned, wanted["every"])
        config = exposure_config(
            {**params["exposure"], "checkpoint_every": 0},
            params["model"]["lr"],
            epochs=wanted["epochs"],
            part="all",
            seed=derive_seed(seed, "exposure", str(stage)) % 2**63,
        )
        done = expose(
            loaded,
            sequences,
            config,
            observers=[record, others, _Progress(context, stage, len(stages), wanted["epochs"])],
            optimizer=optimizer,
            description=None,
        )
        if params["optimiser"] == "carried":
            optimizer = done.optimizer
        found = record.arrays()
        own = [
            {"epoch": int(e), "measured": learned, "loss": float(loss), "accuracy": float(hit)}
            for e, loss, hit in zip(found["epoch"], found["loss"], found["accuracy"], strict=True)
        ]
        rows += [{"stage": stage, "learned": learned, **row} for row in own + others.rows]
        texts.append({"stage": stage, "loss": text.loss()})
    keys = [
        pl.lit(params["name"]).alias("model"),
        pl.lit(params["optimiser"]).alias("optimiser"),
        pl.lit(params["chain"], dtype=pl.Int32).alias("chain"),
    ]
    sequential = pl.DataFrame(rows, schema=_ROW).sort("stage", "epoch", "measured")
    tables = {"sequential": sequential}
    if text.passages:
        tables["sequential_text"] = pl.DataFrame(
            texts, schema={"stage": pl.Int32, "loss": pl.Float64}
        )
    return {name: table.select(*keys, pl.all()) for name, table in tables.items()}


_ROW: dict[str, Any] = {
    "stage": pl.Int32,
    "learned": pl.Int32,
    "epoch": pl.Int32,
    "measured": pl.Int32,
    "loss": pl.Float64,
    "accuracy": pl.Float64,
}


class _Others(Observer):
    """Measures the strings that are not being learned."""

    def __init__(self, meter: StringMeter, loaded: LoadedModel, learned: int, every: int) -> None:
        self._meter = meter
        self._loaded = loaded
        self._learned = learned
        self._every = every
        self.rows: list[dict[str, Any]] = []

    def on_epoch(self, view: EpochView) -> None:
        if not view.last and view.epoch % self._every:
            return
        for index, one in enumerate(self._meter.evaluate(view.model, self._loaded.device)):
            if index != self._learned:
                mean = one.mean()
                self.rows.append(
                    {
                        "epoch": view.epoch,
                        "measured": index,
                        "loss": mean["loss"],
                        "accuracy": mean["accuracy"],
                    }
                )


class _Progress(Observer):
    def __init__(self, context: CellContext, stage: int, stages: int, epochs: int) -> None:
        self._context = context
        self._stage, self._stages, self._epochs = stage, stages, epochs

    def on_step(self, view: StepView) -> None:
        self._context.progress((self._stage + view.epoch / self._epochs) / self._stages)


class _Text:
    """Some windows of natural text, and the model's loss on them."""

    def __init__(self, loaded: LoadedModel, wanted: dict[str, Any], seed: int) -> None:
        self.passages: list[Passage] = []
        if not wanted["text"] or loaded.tokenizer is None:
            return
        prefix = min(_TEXT_PREFIX, wanted["text_tokens"] - 1)
        windows = cut(
            open_source(wanted["text"]).records(),
            loaded.tokenizer,
            prefix_len=prefix,
            suffix_len=wanted["text_tokens"] - prefix,
        )
        pool = list(islice(windows, _TEXT_POOL))
        order = np.random.default_rng(derive_seed(seed, "natural text")).random(len(pool)).argsort()
        self.passages = [pool[i] for i in order[: wanted["text_windows"]]]
        self._scorer = Scorer(loaded)

    def loss(self) -> float:
        """Mean nats per token; NaN without text."""
        if not self.passages:
            return float("nan")
        return float(np.mean([nll(score) for score in self._scorer.score(self.passages)]))
