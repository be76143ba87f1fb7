"""A cell: a byte-level model is pretrained on a text, and copies of it learn strings (E8).

It stands in for the published checkpoint series where those cannot be had: bytes are tokens, so it
needs no tokenizer, and the letters of the strings are the bytes of a, b, c, …
"""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import torch

from byrote.errors import InputError
from byrote.exposure import ExposureConfig, Observer, Sequences, StepView, expose
from byrote.models import LoadedModel
from byrote.runs.tasks import CellContext
from byrote.studies.dynamics.setup import BYTE_BOS, load_model
from byrote.studies.dynamics.trainings import learn
from byrote.texts.alphabets import Alphabet, token_alphabet
from byrote.texts.seeds import derive_seed
from byrote.texts.sources import open_source
from byrote.texts.strings import uniform

__all__ = ["byte_letters", "check_bytes", "run"]

_WARMUP = 20
_PRETRAINING_SHARE = 0.6


def run(params: dict[str, Any], context: CellContext) -> dict[str, pl.DataFrame]:
    """Pretrain, and expose a copy of each checkpoint to each string.

    Returns:
        The tables of the other cells (`trainings`, `epochs`, `positions`, `heldout`), with the
        trainings named `checkpoint.STEP`, and `pretraining`, its loss at every step.
    """
    wanted = params["checkpoints"]
    seed = params["study_seed"]
    model = {
        "source": wanted["source"],
        "init": "random",
        "lr": wanted["exposure_lr"],
        "bos": "auto",
    }
    loaded = load_model(model, derive_seed(seed, "pretraining weights") % 2**63)
    check_bytes(loaded.vocab_size, wanted["source"])
    loaded.model.config.bos_token_id = BYTE_BOS
    source = uniform(byte_letters(wanted["letters"]))
    # What the copies are to learn must fit before anything is pretrained for it.
    longest = Sequences.from_ids([source.draw(wanted["n"], seed)], bos_id=BYTE_BOS)
    longest.check(loaded.vocab_size, loaded.max_len)
    weights, losses = _pretrain(loaded, wanted, seed, context)
    tables: dict[str, list[pl.DataFrame]] = {}
    total = len(weights) * params["strings"]
    for number, (step, state) in enumerate(weights.items()):
        for string in range(params["strings"]):
            loaded.model.load_state_dict(state)
            part = (number * params["strings"] + string) / total
            found = learn(
                loaded,
                source,
                {
                    "training": f"checkpoint.{step}",
                    "name": f"checkpoint.{step}",
                    "string": string,
                    "model": model,
                    "init": "pretrained" if step else "random",
                    "exposure": {**params["exposure"], "checkpoint_every": 0},
                    "string_seed": derive_seed(seed, "string", str(string)),
                    "study_seed": seed,
                    "distribution": "uniform",
                    "letters": wanted["letters"],
                    "n": wanted["n"],
                    "part": "all",
                    "epochs": wanted["epochs"],
                    "expected_epochs": wanted["epochs"],
                    "context": None,
                },
                _within(context, _PRETRAINING_SHARE + (1 - _PRETRAINING_SHARE) * part),
            )
            for name, table in found.items():
                tables.setdefault(name, []).append(table)
    joined = {name: pl.concat(parts) for name, parts in tables.items()}
    steps = np.arange(len(losses), dtype=np.int32)
    return {**joined, "pretraining": pl.DataFrame({"step": steps, "loss": losses})}


def check_bytes(vocab_size: int, source: str) -> None:
    """See that bytes and BOS are tokens of a model.

    Raises:
        InputError: They are not.
    """
    if vocab_size <= BYTE_BOS:
        raise InputError(
            f"checkpoints.source {source} has {vocab_size} tokens; bytes and BOS need "
            f"vocab_size={BYTE_BOS + 1}"
        )


def byte_letters(size: int) -> Alphabet:
    """The bytes of a, b, c, …; as many as there are up to the last byte.

    Raises:
        InputError: There are not so many.
    """
    most = BYTE_BOS - ord("a")
    if size > most:
        raise InputError(
            f"checkpoints.letters = {size}; bytes from a on are at most {most} letters"
        )
    return token_alphabet(range(ord("a"), ord("a") + size), BYTE_BOS)


def _pretrain(
    loaded: LoadedModel, wanted: dict[str, Any], seed: int, context: CellContext
) -> tuple[dict[int, dict[str, torch.Tensor]], np.ndarray]:
    """Train on windows of the text drawn at random; keep the weights at the wanted steps."""
    data = np.frombuffer(
        "\n".join(record.text or "" for record in open_source(wanted["text"]).records()).encode(),
        dtype=np.uint8,
    )
    steps, size = max(wanted["steps"]), wanted["context"]
    if len(data) <= size:
        raise InputError(f"checkpoints.text {wanted['text']} has only {len(data)} bytes")
    kept: dict[int, dict[str, torch.Tensor]] = {}

    def keep(step: int) -> None:
        if step in wanted["steps"]:
            state = loaded.model.state_dict()
            kept[step] = {name: value.detach().clone() for name, value in state.items()}

    class Keeper(Observer):
        def on_step(self, view: StepView) -> None:
            keep(view.step)
            context.progress(_PRETRAINING_SHARE * view.step / steps)

    keep(0)
    if not steps:
        return kept, np.zeros(0)
    rng = np.random.default_rng(derive_seed(seed, "pretraining windows"))
    starts = (rng.random(steps * wanted["batch"]) * (len(data) - size)).astype(np.int64)
    windows = [data[start : start + size].astype(np.int32) for start in starts]
    config = ExposureConfig(
        epochs=1,
        lr=wanted["lr"],
        warmup=float(min(_WARMUP, steps)),
        batch_size=wanted["batch"],
        clip=1.0,
        seed=derive_seed(seed, "pretraining") % 2**63,
    )
    done = expose(
        loaded,
        Sequences.from_ids(windows, bos_id=BYTE_BOS),
        config,
        observers=[Keeper()],
        description=None,
    )
    return kept, done.step_losses


def _within(context: CellContext, fraction: float) -> CellContext:
    """The same context, whose progress stands still while one copy learns."""
    context.progress(fraction)
    return CellContext(context.id, context.seed, context.folder, context.threads, lambda _: None)
