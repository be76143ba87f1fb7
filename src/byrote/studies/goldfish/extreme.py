"""A cell: a trained model is fine-tuned on a few passages, again and again (E1)."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from byrote.exposure import (
    BatchView,
    EpochView,
    ExposureConfig,
    Recorder,
    Sequences,
    expose,
)
from byrote.models import LoadedModel, keep_freed_memory, load, twin
from byrote.runs.tasks import CellContext
from byrote.studies.goldfish.masks import goldfish_of, learned, learned_documents
from byrote.studies.goldfish.recital import RECITAL, greedy, recital_table
from byrote.studies.goldfish.world import first_windows, passage_of
from byrote.studies.watching import Looks, Progress
from byrote.texts.passages import Passage
from byrote.texts.seeds import derive_seed

__all__ = ["run"]


def run(params: dict[str, Any], context: CellContext) -> dict[str, pl.DataFrame]:
    """Fine-tune one arm on the passages of one repetition and watch what it recites.

    Returns:
        Tables `extreme` (one row per epoch and passage) and `extreme_texts` (one row per passage
        and epoch at which it was continued; as many others that are never shown, before and after).
    """
    keep_freed_memory()
    extreme, seed = params["extreme"], params["repetition_seed"]
    loaded = load(extreme["model"], dtype="float32")
    if extreme["init"] == "random":
        loaded = twin(loaded, derive_seed(seed, "weights") % 2**63)
    count = extreme["passages"]
    drawn = first_windows(
        loaded.tokenizer, extreme["corpus"], seed, count=2 * count, tokens=extreme["tokens"]
    )
    # Those never shown come last, so that what is shown does not depend on there being any.
    documents, unseen = drawn[:count], drawn[count:]
    rows = [document.ids for document in documents]
    goldfish = goldfish_of(params["arm"], derive_seed(seed, "mask") % 2**63)
    keep = learned(rows, goldfish, loaded.tokenizer)
    sequences = Sequences.from_ids(rows, bos_id=loaded.bos_id, asked=keep)
    passages = [
        passage_of(document, extreme["prefix"], member=number < count)
        for number, document in enumerate(drawn)
    ]
    would = learned_documents([document.ids for document in unseen], goldfish, loaded.tokenizer)
    masks = None if keep is None or would is None else [*keep, *would]
    record = Recorder(_recital(rows, sequences.first))
    looks = _texts(loaded, passages, count, masks, extreme["every"])
    epochs = params["epochs"]
    expose(
        loaded,
        sequences,
        ExposureConfig(
            epochs=epochs,
            lr=extreme["lr"],
            batch_size=len(rows),
            seed=derive_seed(seed, "exposure") % 2**63,
            objective="next-token" if goldfish else params["arm"]["objective"],
            objective_options=params["arm"]["options"],
        ),
        observers=[record, looks, Progress(context.progress, epochs)],
        description=None,
    )
    marks = [
        pl.lit(params["name"]).alias("arm"),
        pl.lit(params["repetition"], dtype=pl.Int32).alias("seed"),
        pl.lit(params["long"]).alias("long"),
    ]
    tables = {
        "extreme": _epochs(record, documents, extreme["prefix"], sequences.first),
        "extreme_texts": looks.table(),
    }
    return {name: table.select(*marks, pl.all()) for name, table in tables.items()}


def _recital(rows: list[np.ndarray], first: int) -> Any:
    """Reads from the training pass what a passage's tokens get, dropped ones too."""
    true = np.stack(rows)[:, first:]

    def measure(view: BatchView) -> dict[str, np.ndarray]:
        targets = true[view.indices]
        logits = view.logits[:, : targets.shape[1]]
        hits = logits.argmax(-1).cpu().numpy() == targets
        labels = view.labels.new_tensor(targets.astype(np.int64))
        at = logits.gather(-1, labels.unsqueeze(-1)).squeeze(-1)
        loss = (logits.logsumexp(-1) - at).cpu().numpy()
        return {
            "hit": hits,
            "loss": loss.astype(np.float32),
            "asked": view.labels.cpu().numpy() >= 0,
        }

    return measure


def _epochs(record: Recorder, documents: list[Any], prefix: int, first: int) -> pl.DataFrame:
    """One row for each epoch and passage."""
    found = record.arrays()
    rows = []
    for epoch, index, hit, losses, asked in zip(
        *(found[key] for key in ("epoch", "sequence", "hit", "loss", "asked")), strict=True
    ):
        suffix = hit[prefix - first :]
        rows.append(
            {
                "epoch": int(epoch),
                "document": documents[int(index)].record,
                "exact": bool(suffix.all()),
                "accuracy": float(suffix.mean()),
                "loss_learned": float(losses[asked].mean()),
                "loss_dropped": None if asked.all() else float(losses[~asked].mean()),
            }
        )
    schema = {
        "epoch": pl.Int32,
        "document": pl.String,
        "exact": pl.Boolean,
        "accuracy": pl.Float64,
        "loss_learned": pl.Float64,
        "loss_dropped": pl.Float64,
    }
    return pl.DataFrame(rows, schema=schema)


def _texts(
    loaded: LoadedModel,
    passages: list[Passage],
    shown: int,
    keep: list[np.ndarray] | None,
    every: int,
) -> Looks:
    """Continue the passages shown, which stand first, now and then; all at both ends."""

    def look(view: EpochView) -> pl.DataFrame:
        asked = passages if view.last or not view.epoch else passages[:shown]
        found = greedy(loaded, asked, loaded.lead)
        return recital_table(loaded, asked, found, "greedy", keep)

    return Looks(lambda view: view.last or view.epoch % every == 0, look, RECITAL)
