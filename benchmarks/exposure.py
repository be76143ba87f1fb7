"""Exposure with all measures against a plainly written loop and transformers' Trainer."""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from benchmarks.common import table

MODEL = "bundled:smollm2-135m"
SMALL = "random:llama?hidden_size=128&num_hidden_layers=4&vocab_size=1024"
LENGTH, LETTERS, LR = 256, 26, 1e-4
EPOCHS, TURNS = 4, 2
PAPER_EPOCHS = 100


def string(loaded, letters: list[int]) -> np.ndarray:
    return np.array(letters)[np.random.default_rng(0).integers(0, len(letters), LENGTH)]


def alphabet(loaded) -> list[int]:
    if loaded.tokenizer is None:
        return list(range(1, LETTERS + 1))
    names = "abcdefghijklmnopqrstuvwxyz"[:LETTERS]
    return [loaded.tokenizer.encode(name, add_special_tokens=False)[0] for name in names]


def measures(logits, labels, letters: list[int]) -> dict:
    """Everything that is measured in every epoch."""
    from byrote.recall.letters import letter_measures

    even = np.full(len(letters), 1 / len(letters))
    found = letter_measures(logits, labels, letters, even, even)
    return {**found.mean(), "hits": found.hit}


def ours(loaded, epochs: int, *, measured: bool = True) -> list[float]:
    """Moments at which epochs ended; the evaluating pass after the last is the last entry."""
    from byrote.exposure import ExposureConfig, Observer, Sequences, expose

    letters = alphabet(loaded)
    rows = []

    class Clock(Observer):
        def observe(self, view):
            if measured:
                rows.append(measures(view.logits, view.labels, letters))

        def on_step(self, view):
            moments.append(time.perf_counter())

    sequences = Sequences.from_ids([string(loaded, letters)], bos_id=0)
    moments = [time.perf_counter()]
    config = ExposureConfig(epochs=epochs, lr=LR)
    expose(loaded, sequences, config, observers=[Clock()], description=None)
    moments.append(time.perf_counter())
    return moments


def plain(loaded, epochs: int, **options) -> list[float]:
    """The loop as one writes it; it measures its loss and nothing else."""
    import torch

    model = loaded.model
    model.train()
    ids = torch.tensor([[0, *string(loaded, alphabet(loaded))]])
    optimizer = torch.optim.AdamW(model.parameters(), lr=LR, weight_decay=0.0, **options)
    moments, losses = [time.perf_counter()], []
    for _ in range(epochs):
        loss = model(input_ids=ids, labels=ids).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
        moments.append(time.perf_counter())
    return moments


def trainer(loaded, epochs: int) -> list[float]:
    """transformers' Trainer, which evaluates after every epoch with the same measures."""
    import torch
    import transformers
    from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments

    letters = alphabet(loaded)
    ids = [0, *string(loaded, letters).tolist()]
    data = [{"input_ids": ids, "labels": ids}]
    moments: list[float] = []

    class Clock(TrainerCallback):
        def on_epoch_begin(self, args, state, control, **kwargs):
            moments.append(time.perf_counter())

    def reduced(logits, labels):
        hits = measures(logits[:, :-1], labels[:, 1:], letters)["hits"]
        return torch.from_numpy(hits)

    transformers.logging.set_verbosity_error()
    with tempfile.TemporaryDirectory() as folder:
        options = TrainingArguments(
            output_dir=folder,
            num_train_epochs=epochs,
            per_device_train_batch_size=1,
            per_device_eval_batch_size=1,
            learning_rate=LR,
            lr_scheduler_type="constant",
            weight_decay=0.0,
            max_grad_norm=0.0,
            eval_strategy="epoch",
            save_strategy="no",
            logging_strategy="no",
            report_to="none",
            use_cpu=True,
            disable_tqdm=True,
        )
        ready = Trainer(
            model=loaded.model,
            args=options,
            train_dataset=data,  # pyright: ignore[reportArgumentType]
            eval_dataset=data,  # pyright: ignore[reportArgumentType]
            preprocess_logits_for_metrics=reduced,
            compute_metrics=lambda found: {"accuracy": float(np.mean(found.predictions))},
            callbacks=[Clock()],
        )
        ready.remove_callback(PrinterCallback)
        ready.train()
    moments.append(time.perf_counter())
    return moments


def an_epoch(moments: list[float], *, tail: int = 0) -> float:
    """Median seconds of an epoch, the first one (which warms up) left out."""
    steps = np.diff(moments[: len(moments) - tail])
    return statistics.median(steps[1:])


def speed() -> None:
    from byrote.models import load

    ways = {
        "ours": lambda loaded: ours(loaded, EPOCHS),
        "ours, nothing measured": lambda loaded: ours(loaded, EPOCHS, measured=False),
        "plain": lambda loaded: plain(loaded, EPOCHS),
        "plain, fused AdamW": lambda loaded: plain(loaded, EPOCHS, fused=True),
        "Trainer": lambda loaded: trainer(loaded, EPOCHS),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    last = []
    for _ in range(TURNS):
        for name, way in ways.items():
            moments = way(load(MODEL))
            mine = name.startswith("ours")
            seconds[name].append(an_epoch(moments, tail=int(mine)))
            if name == "ours":
                last.append(moments[-1] - moments[-2])
    per_epoch = {name: statistics.median(values) for name, values in seconds.items()}
    own = per_epoch["ours"]
    whole = own + statistics.median(last) / PAPER_EPOCHS
    table(
        f"Exposure: smollm2-135m, one string of {LENGTH} letters, "
        f"{os.environ.get('OMP_NUM_THREADS', 'all')} threads",
        [
            *((f"{name}, seconds an epoch", f"{value:.2f}") for name, value in per_epoch.items()),
            ("the one evaluating pass at the end, seconds", f"{statistics.median(last):.2f}"),
            (
                "all measures on / plain loop (at most 1.10)",
                f"**{whole / per_epoch['plain']:.2f}**",
            ),
            (
                "all measures on / plain loop with fused AdamW",
                f"**{whole / per_epoch['plain, fused AdamW']:.2f}**",
            ),
            (
                "Trainer with the same evaluation / ours (at least 1.25)",
                f"**{per_epoch['Trainer'] / whole:.2f}**",
            ),
        ],
        f"The evaluating pass is shared out over {PAPER_EPOCHS} epochs.",
    )


def memory() -> None:
    peaks = {name: float(_in_process(name, 3, threads=2)[1]) for name in ("plain", "ours")}
    table(
        "Exposure: peak memory of the whole process, smollm2-135m",
        [
            *((name, f"{value / 2**30:.2f} GiB") for name, value in peaks.items()),
            ("ours / plain (at most 1.05)", f"**{peaks['ours'] / peaks['plain']:.3f}**"),
        ],
    )


def workers() -> None:
    """The same work in one process and in two, on a small model and on a real one."""
    rows = []
    for name, model, epochs in (("small model", SMALL, 120), ("smollm2-135m", MODEL, 3)):
        one = _together(1, 1, model, epochs)
        two = _together(2, 1, model, epochs)
        wide = _together(1, 2, model, epochs)
        rows += [
            (f"{name}: 1 worker × 1 thread, epochs a second", f"{one:.2f}"),
            (f"{name}: 2 workers × 1 thread", f"{two:.2f}, **{two / one:.2f} ×**"),
            (f"{name}: 1 worker × 2 threads", f"{wide:.2f}, {wide / one:.2f} ×"),
        ]
    table(
        "Exposure: cells side by side (2 × 1 at least 1.8 ×, and faster than 1 × 2)",
        rows,
        "The small model: llama, 4 layers, width 128, 1,024 tokens; all measures on.",
    )


def _together(processes: int, threads: int, model: str, epochs: int) -> float:
    """Epochs a second, all processes together."""
    with ThreadPoolExecutor(processes) as pool:
        found = pool.map(
            lambda _: _in_process("ours", epochs, threads=threads, model=model), range(processes)
        )
        return sum(1 / float(seconds) for seconds, _ in found)


def _in_process(way: str, epochs: int, *, threads: int, model: str = MODEL) -> list[str]:
    """Median seconds of an epoch and peak memory in bytes, measured in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.exposure", "--child", way, str(epochs), model]
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
    return done.stdout.split()


def _child(way: str, epochs: int, model: str) -> None:
    from byrote.models import load

    loaded = load(model)
    mine = way == "ours"
    moments = ours(loaded, epochs) if mine else plain(loaded, epochs)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(an_epoch(moments, tail=int(mine)), peak * 1024)


PARTS = {"speed": speed, "memory": memory, "workers": workers}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=list(PARTS), metavar="PART")
    parser.add_argument("--child", nargs=3, metavar=("WAY", "EPOCHS", "MODEL"))
    options = parser.parse_args()
    if options.child:
        way, epochs, model = options.child
        _child(way, int(epochs), model)
        return
    for part in options.parts:
        PARTS[part]()


if __name__ == "__main__":
    main()
