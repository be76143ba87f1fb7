"""A run of the study in a process of its own, to be killed."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.studies.dynamics.tiny import tiny

# Eight exposures with checkpoints and two chains: some seconds of work in ten pieces.
CONFIG = tiny(
    strings=2,
    training__epochs=12,
    training__checkpoint_every=3,
    training__heldout=1,
    training__heldout_every=5,
    phases__alphabets=(2, 4),
    length__models=("tiny",),
    length__letters=4,
    length__lengths=(8, 12),
    context__models=("tiny",),
    context__alphabets=(4,),
    sequential__models=("tiny",),
    sequential__letters=4,
    sequential__n=8,
    sequential__strings=2,
    sequential__epochs=6,
    sequential__every=3,
    sequential__text="",
    sequential__optimisers=("carried",),
)


def run(folder: Path, engine: str = "inline", workers: int = 1) -> Any:
    """Begin or continue the run in `folder`."""
    from byrote.studies import run_study
    from byrote.studies.dynamics import STUDY

    # The report is no table, and drawing it takes longer than all the rest.
    study = replace(STUDY, sections=None, facts=None)
    return run_study(study, CONFIG, out=folder, engine=engine, workers=workers)


def run_alone(folder: str) -> None:
    """What the process does; it computes with one thread."""
    os.environ["OMP_NUM_THREADS"] = "1"
    import torch

    torch.set_num_threads(1)
    run(Path(folder))
