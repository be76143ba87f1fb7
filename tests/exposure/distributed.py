"""What each process of `test_distributed` does: expose, and let the main one write the result."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np

from byrote.exposure import ExposureConfig, Observer, Recorder, Sequences, expose, join_processes
from byrote.models import load

# Its dropout is on in the test that asks for it, and off in the others.
FAMILY = "random:gpt2?hidden_size=32&num_attention_heads=2&vocab_size=64"


class Steps(Observer):
    """Counts what only the main process is shown."""

    def __init__(self):
        self.steps = 0

    def on_step(self, view):
        self.steps += 1
        if self.steps == 5:
            view.stop()


def losses(view):
    return {"loss": np.full(len(view.indices), view.loss)}


def run(folder: Path, seed: int, **values) -> dict[str, np.ndarray]:
    """Expose a model to seven strings of several lengths."""
    generator = np.random.default_rng(0)
    ids = [generator.integers(1, 27, n) for n in (12, 9, 5, 12, 3, 7, 8)]
    loaded = load(f"{FAMILY}&seed={seed}")
    recorder, steps = Recorder(losses), Steps()
    options = {"epochs": 4, "lr": 3e-3, "accumulation": 5, "eps": 1e-4, "shuffle": True}
    result = expose(
        loaded,
        Sequences.from_ids(ids, bos_id=0),
        ExposureConfig(**{**options, **values}),
        observers=[recorder, steps],
        checkpoints=folder,
    )
    return {
        "losses": result.losses,
        "step_losses": result.step_losses,
        "steps": np.array(steps.steps),
        "weights": np.concatenate(
            [p.detach().numpy().reshape(-1) for p in loaded.model.parameters()]
        ),
        **{f"row_{name}": value for name, value in recorder.arrays().items()},
    }


if __name__ == "__main__":
    target = Path(sys.argv[1])
    place = join_processes()
    # Another seed in the other process: it must take over the main one's weights.
    found = run(target, seed=place.rank, **json.loads(sys.argv[2]))
    np.savez(target / f"result-{place.rank}.npz", **found)
    (target / f"count-{place.rank}").write_text(str(asdict(place)["count"]))
