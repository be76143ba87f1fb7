"""A goldfish mask in a training loop of one's own, and what it does: nothing is recited.

Two models see the same texts equally often, one learns every token and one three in four. Then
both continue the texts. Runs offline on the bundled SmolLM2-135M in some minutes; `--model` takes
any causal language model.
"""

from __future__ import annotations

import argparse
from itertools import islice

import torch

from byrote import load
from byrote.exposure.goldfish import Goldfish, kept_token_loss, mask_labels
from byrote.texts import open_source


def main(arguments: list[str] | None = None) -> dict[str, float]:
    options = parse(arguments)
    recited = {}
    for name, goldfish in (("standard", None), ("goldfish", Goldfish(k=4, h=4))):
        loaded = load(options.model, dtype="float32")
        ids = passages(loaded.tokenizer, options.texts, options.tokens)
        train(loaded.model, ids, goldfish, options.epochs, options.lr)
        recited[name] = share_recited(loaded.model, ids)
        print(f"{name}: recites {recited[name]:.0%} of the second halves' tokens in a row")
    return recited


def passages(tokenizer, count: int, tokens: int) -> torch.Tensor:
    """The first tokens of some texts, `[texts, tokens]`."""
    found = []
    for record in islice(open_source("corpus:kjv").records(), count):
        found.append(tokenizer(record.text, add_special_tokens=False)["input_ids"][:tokens])
    return torch.tensor(found)


def train(
    model: torch.nn.Module, ids: torch.Tensor, goldfish: Goldfish | None, epochs: int, lr: float
) -> None:
    labels = ids if goldfish is None else mask_labels(ids, ids, goldfish)  # the one line
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=0.0)
    model.train()
    for _ in range(epochs):
        loss = kept_token_loss(model(input_ids=ids), labels)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.eval()


def share_recited(model, ids: torch.Tensor) -> float:
    """How far greedy continuations of the first halves go along with the second."""
    half = ids.shape[1] // 2
    found = model.generate(
        ids[:, :half],
        attention_mask=torch.ones_like(ids[:, :half]),
        max_new_tokens=half,
        min_new_tokens=half,
        do_sample=False,
        pad_token_id=0,
    )
    right = found[:, half : 2 * half] == ids[:, half : 2 * half]
    return float(right.long().cumprod(dim=1).float().mean())


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="bundled:smollm2-135m")
    parser.add_argument("--texts", type=int, default=4)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--lr", type=float, default=1e-4)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
