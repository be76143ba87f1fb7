"""A cell: a model is trained from scratch on a corpus in which some documents repeat."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch.nn import functional

from byrote.decoding import MemFree, NGramSet
from byrote.exposure import ExposureConfig, Observer, Sequences, StepView, expose
from byrote.models import LoadedModel, keep_freed_memory, load, twin
from byrote.runs.tasks import CellContext
from byrote.studies.goldfish.copies import copies
from byrote.studies.goldfish.masks import goldfish_of, learned, learned_documents
from byrote.studies.goldfish.recital import (
    greedy,
    membership_table,
    recital_table,
    written,
)
from byrote.studies.goldfish.world import World, passage_of, world
from byrote.studies.vocabulary import learned_tokenizer
from byrote.texts.passages import Passage
from byrote.texts.seeds import derive_seed

__all__ = ["run", "shown", "train"]

_BETAS = (0.9, 0.95)
_TWO_STAGES = "self-contrastive"
_PREMATURE_SHARE = 0.5
_VALIDATION_BATCH = 32


def run(params: dict[str, Any], context: CellContext) -> dict[str, pl.DataFrame]:
    """Train one arm of one repetition and ask what it recites.

    Returns:
        Tables `trainings` (one row), `validation`, `documents`, `scores`.
    """
    keep_freed_memory()
    scratch, arm = params["scratch"], params["arm"]
    seed = params["repetition_seed"]
    loaded = fresh_model(scratch, derive_seed(seed, "weights") % 2**63)
    bos = _bos(loaded)
    lead = () if bos is None else (bos,)
    tokens = scratch["tokens"] - len(lead)
    texts = world(
        loaded.tokenizer,
        scratch["corpus"],
        seed,
        documents=scratch["documents"],
        heldout=scratch["heldout"],
        validation=scratch["validation"],
        background=sequences_of_background(scratch, params["most_input"]),
        tokens=tokens,
    )
    goldfish = goldfish_of(arm, derive_seed(seed, "mask") % 2**63)
    room = None if loaded.max_len is None else loaded.max_len - len(lead)
    rows = shown(texts, scratch, arm, seed, loaded.tokenizer, longest=room)
    asked = learned(rows, goldfish, loaded.tokenizer)
    watch = Validation(
        loaded, Sequences.from_ids(texts.validation, bos_id=bos), scratch["validate_every"]
    )
    done = train(loaded, rows, asked, bos, params, watch, context)
    keys = {"arm": params["name"], "seed": params["repetition"]}
    prefix = scratch["prefix"] - len(lead)
    every = texts.documents + texts.heldout
    members = [True] * len(texts.documents) + [False] * len(texts.heldout)
    passages = [passage_of(d, prefix, member=m) for d, m in zip(every, members, strict=True)]
    keep = learned_documents([d.ids for d in every], goldfish, loaded.tokenizer)
    tables = {
        "documents": pl.concat(
            recital_table(loaded, passages, ids, how, keep)
            for how, ids in _recitals(loaded, passages, lead, scratch, arm, texts)
        ),
        "scores": membership_table(
            loaded,
            [passage_of(d, 1 - len(lead), member=m) for d, m in zip(every, members, strict=True)],
            lead,
        ),
        "validation": watch.table(rows, asked, done["batch"]),
    }
    row = {
        "objective": arm["objective"],
        "k": arm["k"] if goldfish else None,
        "h": arm["h"] if goldfish else None,
        "strategy": arm["strategy"] if goldfish else None,
        "normalize": arm["normalize"] if goldfish else None,
        "copies": arm["copies"],
        "parameters": loaded.parameters,
        "vocab": loaded.vocab_size,
        **done,
        "validation_loss": watch.last,
    }
    tables["trainings"] = pl.DataFrame([row], schema=TRAINING)
    marks = [pl.lit(keys["arm"]).alias("arm"), pl.lit(keys["seed"], dtype=pl.Int32).alias("seed")]
    return {name: table.select(*marks, pl.all()) for name, table in tables.items()}


TRAINING: dict[str, Any] = {
    "objective": pl.String,
    "k": pl.Int32,
    "h": pl.Int32,
    "strategy": pl.String,
    "normalize": pl.Boolean,
    "copies": pl.String,
    "parameters": pl.Int64,
    "vocab": pl.Int32,
    "sequences": pl.Int32,
    "batch": pl.Int32,
    "steps": pl.Int32,
    "tokens_shown": pl.Int64,
    "tokens_learned": pl.Int64,
    "seconds": pl.Float64,
    "epsilon": pl.Float64,
    "delta": pl.Float64,
    "validation_loss": pl.Float64,
}
"""Columns of the table `trainings`, after `arm` and `seed`."""


def fresh_model(scratch: Mapping[str, Any], init_seed: int) -> LoadedModel:
    """The model with fresh weights, and the tokenizer of the study or its own."""
    source, vocab = scratch["model"], scratch["vocab"]
    if not vocab:
        return twin(load(source, dtype="float32"), init_seed)
    tokenizer = learned_tokenizer(scratch["corpus"], vocab)
    joint = "&" if "?" in source else "?"
    sized = load(f"{source}{joint}vocab_size={len(tokenizer)}", dtype="float32")
    fresh = twin(sized, init_seed)
    return LoadedModel(fresh.model, tokenizer, source, tokenizer.bos_token_id)


def sequences_of_background(scratch: Mapping[str, Any], most_input: float) -> int:
    """Sequences of background that the arm with the most input, and the control, can need."""
    most = max(1.0, most_input)
    repeated = scratch["documents"] * math.ceil(most * scratch["repeats"])
    return math.ceil(most * scratch["background"]) + repeated


def shown(
    texts: World,
    scratch: Mapping[str, Any],
    arm: Mapping[str, Any],
    seed: int,
    tokenizer: Any,
    *,
    longest: int | None = None,
) -> list[NDArray[np.int32]]:
    """All sequences of a training in their order; repeated documents at random places.

    The order depends on the seed and on the number of sequences alone, so that a document has its
    copies at the same steps under all arms that show as much, and the control other text there. An
    arm with more input has more of both, documents and background.
    """
    repeats = round(arm["input_factor"] * scratch["repeats"])
    read = round(arm["input_factor"] * scratch["background"])
    rng = np.random.default_rng(derive_seed(seed, "copies"))
    repeated: list[NDArray[np.int32]] = []
    if arm["copies"] == "none":
        repeated += list(texts.background[read : read + len(texts.documents) * repeats])
    else:
        for document in texts.documents:
            repeated += copies(
                document,
                repeats,
                arm["copies"],
                rng,
                tokenizer=tokenizer,
                edit_every=scratch["edit_every"],
                longest=longest,
            )
    rows = [*repeated, *texts.background[:read]]
    order = np.random.default_rng(derive_seed(seed, "order")).permutation(len(rows))
    return [rows[index] for index in order]


def train(
    loaded: LoadedModel,
    rows: Sequence[NDArray[np.int32]],
    asked: Sequence[NDArray[np.bool_]] | None,
    bos: int | None,
    params: Mapping[str, Any],
    watch: Validation,
    context: CellContext,
) -> dict[str, Any]:
    """Show every sequence once. Self-contrastive training needs a first stage (2307.01542).

    Returns:
        Columns of `TRAINING`: what was shown and how long it took.
    """
    scratch, arm = params["scratch"], params["arm"]
    batch = round(scratch["batch"] * arm["batch_factor"])
    goldfish = arm["objective"] == "goldfish"
    stages = [("next-token" if goldfish else arm["objective"], dict(arm["options"]), len(rows))]
    if arm["objective"] == _TWO_STAGES:
        # Whole steps, so that both stages together are as many as one. The premature model of the
        # second stage is the model as the first leaves it.
        first = round(_PREMATURE_SHARE * len(rows) / batch) * batch
        stages = [("next-token", {}, first), (_TWO_STAGES, arm["options"], len(rows) - first)]
    steps = math.ceil(len(rows) / batch)
    watch.begin(steps, context)
    start, seconds, learned_tokens = 0, 0.0, 0
    optimizer, report = None, {}
    for objective, options, count in stages:
        part = slice(start, start + count)
        sequences = Sequences.from_ids(
            rows[part], bos_id=bos, asked=None if asked is None else asked[part]
        )
        config = ExposureConfig(
            epochs=1,
            lr=scratch["lr"],
            schedule="cosine",
            warmup=scratch["warmup"],
            weight_decay=scratch["weight_decay"],
            betas=_BETAS,
            clip=scratch["clip"],
            batch_size=batch,
            precision=scratch["precision"],
            seed=derive_seed(params["repetition_seed"], "exposure") % 2**63,
            objective=objective,
            objective_options=options,
        )
        done = expose(
            loaded,
            sequences,
            config,
            observers=[watch],
            optimizer=optimizer,
            description=None,
        )
        optimizer, report = done.optimizer, done.report
        start, seconds = start + count, seconds + done.seconds
        learned_tokens += sequences.targets()
        watch.taken += done.steps
    return {
        "sequences": len(rows),
        "batch": batch,
        "steps": watch.taken,
        "tokens_shown": sum(map(len, rows)),
        "tokens_learned": learned_tokens,
        "seconds": seconds,
        "epsilon": report.get("epsilon"),
        "delta": report.get("delta"),
    }


class Validation(Observer):
    """The plain loss on sequences that are never shown, every so many steps and at the end.

    Args:
        loaded: The model.
        sequences: What it is measured on; every token counts, whatever the arm learns.
        every: Steps between measurements.
    """

    def __init__(self, loaded: LoadedModel, sequences: Sequences, every: int) -> None:
        self._loaded, self._sequences, self._every = loaded, sequences, every
        self._found: list[tuple[int, float]] = []
        self._steps, self._context = 0, None
        self.taken = 0

    def begin(self, steps: int, context: CellContext) -> None:
        """Measure before the first step; `steps` are all that there will be."""
        self._steps, self._context = steps, context
        self._measure(0)

    def on_step(self, view: StepView) -> None:
        """Measure after a step, if it is time."""
        step = self.taken + view.step
        if step % self._every == 0 or step == self._steps:
            self._measure(step)
        if self._context is not None:
            self._context.progress(0.9 * step / self._steps)

    @property
    def last(self) -> float:
        """The newest loss, nats per token."""
        return self._found[-1][1]

    def table(
        self,
        rows: Sequence[NDArray[np.int32]],
        asked: Sequence[NDArray[np.bool_]] | None,
        batch: int,
    ) -> pl.DataFrame:
        """Losses against steps and against tokens shown and learned until then."""
        sizes = np.cumsum([0, *(len(row) for row in rows)])
        counts = sizes if asked is None else np.cumsum([0, *(int(a.sum()) for a in asked)])
        at = [min(step * batch, len(rows)) for step, _ in self._found]
        return pl.DataFrame(
            {
                "step": [step for step, _ in self._found],
                "tokens_shown": [int(sizes[i]) for i in at],
                "tokens_learned": [int(counts[i]) for i in at],
                "loss": [loss for _, loss in self._found],
            },
            schema={
                "step": pl.Int32,
                "tokens_shown": pl.Int64,
                "tokens_learned": pl.Int64,
                "loss": pl.Float64,
            },
        )

    @torch.inference_mode()
    def _measure(self, step: int) -> None:
        model: Any = self._loaded.model
        total = 0.0
        for start in range(0, len(self._sequences), _VALIDATION_BATCH):
            chosen = np.arange(start, min(start + _VALIDATION_BATCH, len(self._sequences)))
            batch = self._sequences.batch(chosen, self._loaded.device)
            logits = model(input_ids=batch.input_ids, use_cache=False).logits.float()
            total += float(
                functional.cross_entropy(
                    logits.flatten(0, 1), batch.labels.flatten(), reduction="sum"
                )
            )
        self._found.append((step, total / self._sequences.targets()))


def _recitals(
    loaded: LoadedModel,
    passages: Sequence[Passage],
    lead: tuple[int, ...],
    scratch: Mapping[str, Any],
    arm: Mapping[str, Any],
    texts: World,
) -> list[tuple[str, list[list[int]]]]:
    """What is written under each way of decoding that the arm asks for."""
    found = [("greedy", greedy(loaded, passages, lead))]
    if arm["beams"]:
        found.append(("beams", written(loaded, passages, lead, num_beams=scratch["beams"])))
    if arm["memfree"]:
        ngrams = NGramSet.build((d.ids for d in texts.documents), scratch["ngram"])
        found.append(
            ("memfree", written(loaded, passages, lead, logits_processor=[MemFree(ngrams)]))
        )
    return found


def _bos(loaded: LoadedModel) -> int | None:
    """The token in front of every sequence: the tokenizer's BOS, or its end of text."""
    tokenizer: Any = loaded.tokenizer
    return tokenizer.eos_token_id if tokenizer.bos_token_id is None else tokenizer.bos_token_id
