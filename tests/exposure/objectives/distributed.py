"""What each process of `test_processes` does: one exposure per objective."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from byrote.exposure import ExposureConfig, Sequences, expose, join_processes
from byrote.models import load

MODEL = "random:gpt2?hidden_size=32&num_attention_heads=2&vocab_size=64"


def run(objectives: dict[str, dict], seed: int = 0) -> dict[str, np.ndarray]:
    """Expose one model after the other to five strings of several lengths."""
    generator = np.random.default_rng(0)
    sequences = Sequences.from_ids(
        [generator.integers(1, 27, n) for n in (12, 9, 1, 12, 7)], bos_id=0
    )
    found = {}
    for name, options in objectives.items():
        loaded = load(f"{MODEL}&seed={seed}")
        config = ExposureConfig(
            epochs=2,
            lr=3e-3,
            eps=1e-3,
            accumulation=3,
            objective=name,
            objective_options=options,
        )
        result = expose(loaded, sequences, config, description=None)
        found[f"{name}/losses"] = result.losses
        found[f"{name}/targets"] = result.targets
        found[f"{name}/weights"] = np.concatenate(
            [p.detach().numpy().reshape(-1) for p in loaded.model.parameters()]
        )
    return found


if __name__ == "__main__":
    place = join_processes()
    # Another seed in the other process: it must take over the main one's weights.
    result = run(json.loads(sys.argv[2]), seed=place.rank)
    np.savez(Path(sys.argv[1]) / f"result-{place.rank}.npz", **result)
