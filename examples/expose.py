"""Expose a model to a random string until it knows it by rote, and see the two phases.

A random string holds nothing to be understood: first the model learns which letters occur and
guesses among them, then it memorises which follows which. A second string from the same source,
never trained on, shows that it is no more than rote. Runs offline on the bundled SmolLM2-135M.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor

from byrote import load
from byrote.exposure import (
    BatchView,
    EpochView,
    ExposureConfig,
    Observer,
    Recorder,
    Sequences,
    expose,
)
from byrote.models import LoadedModel
from byrote.recall import LetterMeasures, detect_phases, letter_measures
from byrote.texts import StringSource, letters_alphabet, uniform

LETTERS, TOKENS, EPOCHS = 13, 24, 20


def main() -> None:
    loaded = load("bundled:smollm2-135m", dtype="float32")
    source = uniform(letters_alphabet(loaded.tokenizer, LETTERS))
    ids, unseen = source.draw(TOKENS, seed=0), source.draw(TOKENS, seed=1)

    def measure(view: BatchView) -> dict[str, np.ndarray]:
        means = measures(view.logits, view.labels, source, ids).mean()
        return {name: np.array([mean]) for name, mean in means.items()}

    recorder, control = Recorder(measure), Control(loaded, source, unseen)
    result = expose(
        loaded,
        Sequences.from_ids([ids], bos_id=loaded.model.config.bos_token_id),
        ExposureConfig(epochs=EPOCHS, lr=1e-4),
        observers=[recorder, control],
    )

    found = recorder.arrays()
    print(f"{TOKENS} tokens over {LETTERS} letters; guessing costs {source.entropy:.2f} nats")
    print("epoch   loss  accuracy  on letters  unseen string")
    for epoch in range(0, result.epochs + 1, 2):
        print(
            f"{epoch:5}  {found['loss'][epoch]:5.2f}  {found['accuracy'][epoch]:8.0%}"
            f"  {found['mass'][epoch]:10.0%}  {control.losses[epoch]:13.2f}"
        )
    phases = detect_phases(
        found["loss"],
        found["accuracy"],
        source.entropy_rate,
        kl=found["kl_model_source"],
        mass=found["mass"],
    )
    print(f"guessing ends at epoch {phases.t_guess}, memorised at epoch {phases.t_mem}")


class Control(Observer):
    """Measures a string that is never trained on."""

    def __init__(self, loaded: LoadedModel, source: StringSource, ids: np.ndarray) -> None:
        self._loaded, self._source, self._ids = loaded, source, ids
        self._shown = Sequences.from_ids([ids], bos_id=loaded.model.config.bos_token_id)
        self.losses: list[float] = []

    def on_epoch(self, view: EpochView) -> None:
        batch = self._shown.batch(np.array([0]), self._loaded.device)
        logits = view.model(input_ids=batch.input_ids, use_cache=False).logits
        found = measures(logits, batch.labels, self._source, self._ids)
        self.losses.append(found.mean()["loss"])


def measures(
    logits: Tensor, labels: Tensor, source: StringSource, ids: np.ndarray
) -> LetterMeasures:
    """What one forward pass says of a string of the source."""
    return letter_measures(
        logits, labels, source.alphabet.ids, source.probabilities, source.empirical(ids)
    )


if __name__ == "__main__":
    main()
