"""Injecting sentences into chosen neurons, against Adam on all columns as in the paper's code.

`python -m benchmarks.localization_injection [speed] [memory]`
"""

import argparse
import os
import statistics
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from benchmarks.common import in_turns, ratio, table
from byrote.localization import Injection, choose_neurons
from byrote.models import load
from byrote.texts import Passage

MODEL = "random:gpt2?hidden_size=768&num_hidden_layers=12&num_attention_heads=12&vocab_size=50257"
# ECBD's sentences have 26 words on average.
EXAMPLES, TOKENS, STEPS, FRACTION, RATE = 4, 34, 10, 0.01, 0.01


def sentences() -> list[Passage]:
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 50_257, (EXAMPLES, TOKENS)).astype(np.int32)
    return [Passage(f"s{i}", "random", f"s{i}", 0, row, 1) for i, row in enumerate(rows)]


def plain(loaded, passages: list[Passage], steps: int) -> list[list[float]]:
    """The paper's way: gradients, moments and a copy of all columns, of which few are changed.

    Returns:
        The losses of each example before every step.
    """
    model, neurons = loaded.model, loaded.neurons
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    modules = [model.get_submodule(site.module) for site in neurons.sites]
    weights = [module.weight.requires_grad_(True) for module in modules]
    before = [weight.detach().clone() for weight in weights]
    found = []
    for number, passage in enumerate(passages):
        chosen = choose_neurons(number, neurons.layers, neurons.width, FRACTION)
        gold = np.zeros(neurons.layers * neurons.width, dtype=np.float32)
        gold[chosen] = 1.0
        rows = torch.from_numpy(gold).reshape(neurons.layers, -1)
        masks = [
            row[:, None] if isinstance(module, Conv1D) else row
            for row, module in zip(rows, modules, strict=True)
        ]
        adam = torch.optim.Adam(weights, lr=RATE)
        ids, losses = torch.tensor(passage.input_ids, dtype=torch.long)[None], []
        for _ in range(steps):
            logits = model(ids).logits[0, passage.prefix_len - 1 : -1]
            loss = nn.functional.cross_entropy(logits, ids[0, passage.prefix_len :])
            losses.append(loss.item())
            loss.backward()
            for weight, mask in zip(weights, masks, strict=True):
                weight.grad *= mask
            adam.step()
            adam.zero_grad()
        found.append(losses)
        with torch.no_grad():
            for weight, old in zip(weights, before, strict=True):
                weight.copy_(old)
    for weight in weights:
        weight.requires_grad_(False)
    return found


def ours(loaded, passages: list[Passage], steps: int, batch_size: int) -> list[list[float]]:
    how = Injection(FRACTION, lr=RATE, steps=steps, stop=0.0, dropout=False, batch_size=batch_size)
    return [history.tolist() for history in how.inject(loaded, passages).histories]


WAYS = {
    "all columns": plain,
    "ours, one by one": partial(ours, batch_size=1),
    f"ours, {EXAMPLES} side by side": partial(ours, batch_size=EXAMPLES),
}
TITLE = f"GPT-2's size at random (12 × 768), {TOKENS} tokens, {FRACTION:.0%} of the neurons"


def speed() -> None:
    loaded, passages = load(MODEL), sentences()
    losses = {}

    def run(name):
        losses[name] = WAYS[name](loaded, passages, STEPS)

    seconds = in_turns({name: lambda name=name: run(name) for name in WAYS}, turns=3)
    first, *others = WAYS
    gap = max(float(np.abs(np.array(losses[o]) - np.array(losses[first])).max()) for o in others)
    assert gap < 0.01, gap
    rows = [
        (f"{name}, milliseconds a step and sentence", f"{1e3 * s:.0f}")
        for name, s in (
            (name, statistics.median(times) / (EXAMPLES * STEPS)) for name, times in seconds.items()
        )
    ]
    rows += [
        (f"{first} / {name} (at least 1.5)", f"**{ratio(seconds[first], seconds[name]):.2f} ×**")
        for name in others
    ]
    rows.append(("losses of all steps", f"the same (at most {gap:.1e} nats apart)"))
    table(f"Injection: {TITLE}, {os.environ.get('OMP_NUM_THREADS', 'all')} threads", rows)


def memory() -> None:
    peaks = {}
    for name in WAYS:
        command = [sys.executable, "-m", "benchmarks.localization_injection", "--child", name]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        peaks[name] = int(done.stdout)
    first, *others = WAYS
    table(
        f"Injection: peak memory beyond Python and its libraries, weights included; {TITLE}",
        [
            *((name, f"{peak / 1e6:.0f} MB") for name, peak in peaks.items()),
            *(
                (f"{name} / {first} (at most 0.60)", f"**{peaks[name] / peaks[first]:.2f}**")
                for name in others
            ),
        ],
        "Side by side the activations of all sentences are held; one by one is for what is scarce.",
    )


def _child(name: str) -> None:
    """Print by how many bytes a way raises the peak of its process."""
    load("random:gpt2?hidden_size=8&num_attention_heads=2")  # so that everything is imported
    before = _memory("VmRSS")
    loaded = load(MODEL)
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak of making the model
    WAYS[name](loaded, sentences(), 2)  # the peak is reached in the second step
    print(_memory("VmHWM") - before)


def _memory(kind: str) -> int:
    """Bytes that this process holds (VmRSS), or held at most (VmHWM), as Linux tells."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(kind)) * 1024


PARTS = {"speed": speed, "memory": memory}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=list(PARTS), metavar="PART")
    parser.add_argument("--child", metavar="WAY")
    options = parser.parse_args()
    if options.child:
        _child(options.child)
        return
    for part in options.parts:
        PARTS[part]()


if __name__ == "__main__":
    main()
