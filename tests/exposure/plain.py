"""Exposure by its definition, one sequence after the other."""

from __future__ import annotations

import torch

from byrote.exposure import IGNORED, ExposureConfig, Sequences


def plain_loss(model, sequences: Sequences, index: int) -> torch.Tensor:
    """Sum of −log P of the targets of one sequence, with the definition of a softmax."""
    length = int(sequences.lengths[index])
    ids = torch.tensor(sequences.input_ids[index, :length].astype("int64"))
    logits = model(input_ids=ids[None]).logits[0]
    total = logits.new_zeros(())
    for position in range(1, length):
        if sequences.labels[index, position] != IGNORED:
            row = logits[position - 1]
            total = total - (row[ids[position]] - row.logsumexp(0))
    return total


def plain_exposure(model, sequences: Sequences, config: ExposureConfig, **adam) -> list[float]:
    """Train on all sequences at once; give the loss before each step and at the end."""
    model.eval()
    options = {"lr": config.lr, "weight_decay": config.weight_decay, **adam}
    optimizer = torch.optim.AdamW(model.parameters(), **options)
    losses = []
    for epoch in range(config.epochs + 1):
        sums = [plain_loss(model, sequences, i) for i in range(len(sequences))]
        loss = torch.stack(sums).sum() / sequences.targets()
        losses.append(float(loss.detach()))
        if epoch < config.epochs:
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
    return losses


def weights(model) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in model.named_parameters()}


def same_weights(one: dict, other: dict) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)
