"""Slimming and Hard Concrete: a batch of passages against one by one, as the official code has it.

The plain way of each is written as in the code of the paper: Hard Concrete masks the weights of the
down-projections, Slimming the activations; both take one passage at a time and compute the logits
of every position.

`python -m benchmarks.localization_pruning [--steps N]`
"""

import argparse
import math
import statistics

import numpy as np
import torch
from torch import nn

from benchmarks.common import in_turns, ratio, table
from byrote.localization.hard_concrete import HardConcrete
from byrote.localization.slimming import Slimming
from byrote.models import keep_freed_memory, load
from byrote.texts.passages import Passage

# The size of GPT-2: 124 million parameters.
MODEL = (
    "random:gpt2?hidden_size=768&num_hidden_layers=12&num_attention_heads=12"
    "&vocab_size=50257&max_position_embeddings=1024"
)
PREFIX, SUFFIX, BATCH = 32, 48, 8
# Of the batch, so many are trained the plain way: each takes as long as the other.
SAMPLE = 2
STEPS, TURNS = 10, 3


class Gates(nn.Module):
    """The mask of one layer."""

    def __init__(self, method, width: int) -> None:
        super().__init__()
        self.method, self.concrete = method, isinstance(method, HardConcrete)
        self.raw = nn.Parameter(torch.full((width,), method.first()))
        self.noise = torch.zeros(width)

    def forward(self) -> torch.Tensor:
        if not self.concrete:
            return self.raw.clamp(0, 1)
        gates = torch.sigmoid((self.noise + self.raw) / self.method.beta) * 1.2 - 0.1
        return gates.clamp(0, 1)

    def size(self) -> torch.Tensor:
        if not self.concrete:
            return self.raw.abs().mean()
        return torch.sigmoid(self.raw - self.method.beta * math.log(0.1 / 1.1)).mean()


class MaskedWeights(nn.Module):
    """A down-projection whose weight is multiplied in every pass: GPT-2's has [width, hidden]."""

    def __init__(self, inner, gates: Gates) -> None:
        super().__init__()
        self.inner, self.gates = inner, gates

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        weight = self.gates()[:, None] * self.inner.weight
        return nn.functional.linear(hidden, weight.t(), self.inner.bias)


class MaskedActivations(MaskedWeights):
    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return self.inner(hidden * self.gates())


def plain(loaded, passages, method) -> torch.Tensor:
    """One passage after the other; scores `[passages, layers, width]`."""
    blocks = loaded.model.transformer.h
    masked = MaskedWeights if isinstance(method, HardConcrete) else MaskedActivations
    for parameter in loaded.model.parameters():
        parameter.requires_grad_(False)
    scores = []
    for passage in passages:
        gates = [Gates(method, loaded.neurons.width) for _ in blocks]
        for block, own in zip(blocks, gates, strict=True):
            block.mlp.c_proj = masked(block.mlp.c_proj, own)
        optimizer = torch.optim.Adam([own.raw for own in gates], lr=method.lr)
        draws = iter(method.draws(len(blocks), loaded.neurons.width))
        ids = torch.tensor(passage.input_ids, dtype=torch.long)[None]
        labels = ids.clone()
        labels[:, : passage.prefix_len] = -100
        for _ in range(method.epochs):
            noise = next(draws)
            if noise is not None:
                for own, row in zip(gates, noise, strict=True):
                    own.noise = row
            optimizer.zero_grad()
            loss = loaded.model(input_ids=ids, labels=labels, use_cache=False).loss
            size = torch.stack([own.size() for own in gates]).mean()
            (loss + method.penalty * size).backward()
            optimizer.step()
        scores.append(torch.stack([method.scores(own.raw.detach()) for own in gates]))
        for block in blocks:
            block.mlp.c_proj = block.mlp.c_proj.inner
    return torch.stack(scores)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=STEPS, help="steps of each training")
    steps = parser.parse_args().steps
    keep_freed_memory()  # As the studies do, for both ways.
    loaded = load(MODEL)
    rng = np.random.default_rng(0)
    passages = [
        Passage(f"p{i}", "", "", 0, rng.integers(0, 50257, PREFIX + SUFFIX, np.int32), PREFIX)
        for i in range(BATCH)
    ]
    rows = []
    for method in (Slimming(epochs=steps), HardConcrete(epochs=steps)):
        alone, together = plain(loaded, passages[:SAMPLE], method), method.score(loaded, passages)
        # Adam makes a whole step of a gradient that rounding alone has decided.
        off = float(((alone - together[:SAMPLE]).abs() > 0.1 * method.lr).double().mean())
        assert off < 0.01, off
        seconds = in_turns(
            {
                "plain": lambda m=method: plain(loaded, passages[:SAMPLE], m),
                "ours": lambda m=method: m.score(loaded, passages),
            },
            turns=TURNS,
        )
        slow = [second / SAMPLE for second in seconds["plain"]]
        fast = [second / BATCH for second in seconds["ours"]]
        rows += [
            (f"{method.name}, plain, ms a step and passage", milliseconds(slow, steps)),
            (f"{method.name}, batch of {BATCH}, the same", milliseconds(fast, steps)),
            (f"{method.name}, plain / ours (at least 1.5)", f"**{ratio(slow, fast):.2f}**"),
            (f"{method.name}, scores that differ", f"{off:.2%}"),
        ]
    table(
        f"Training gates, GPT-2's size, {PREFIX} + {SUFFIX} tokens, {steps} steps",
        rows,
        f"The plain way was timed on {SAMPLE} passages. Hard Concrete's masks weights, Slimming's "
        "activations, as in the paper's code.",
    )


def milliseconds(seconds: list[float], steps: int) -> str:
    return f"{1e3 * statistics.median(seconds) / steps:.0f}"


if __name__ == "__main__":
    main()
