"""Zero neurons: switch off those that are most active on one text, and see what it loses.

A neuron is one component of the input of a feed-forward down-projection. The same number of
neurons chosen at random, and another text, show what of the loss is particular to this text.
Runs offline on the bundled SmolLM2-135M.
"""

from __future__ import annotations

import torch

from byrote import load
from byrote.models import LoadedModel
from byrote.recall import Scorer, nll
from byrote.texts import Passage, Record, cut

SHARE = 0.005  # of each layer's neurons

TEXTS = {
    "this text": (
        "We hold these truths to be self-evident, that all men are created equal, that they are "
        "endowed by their Creator with certain unalienable Rights, that among these are Life."
    ),
    "another": (
        "Permission is hereby granted, free of charge, to any person obtaining a copy of this "
        "software and associated documentation files, to deal in the Software without restriction."
    ),
}


def main() -> None:
    loaded = load("bundled:smollm2-135m")
    records = [Record(id=key, source="this script", text=text) for key, text in TEXTS.items()]
    passages = list(cut(records, loaded.tokenizer, prefix_len=10, suffix_len=18))
    active = most_active(loaded, passages[0])
    generator = torch.Generator().manual_seed(0)
    random = {
        layer: torch.randperm(loaded.neurons.widths[layer], generator=generator)[: len(chosen)]
        for layer, chosen in active.items()
    }

    print("mean loss in nats per token  ", *(f"{key:>10}" for key in TEXTS))
    print_losses("as it is", loaded, passages)
    with loaded.neurons.zero(loaded.model, random):
        print_losses("random neurons at zero", loaded, passages)
    with loaded.neurons.zero(loaded.model, active):
        print_losses("most active ones at zero", loaded, passages)
    print_losses("as it was", loaded, passages)


def most_active(loaded: LoadedModel, passage: Passage) -> dict[int, torch.Tensor]:
    """Indices of the neurons with the largest mean absolute activation, for each layer."""
    ids = torch.as_tensor(passage.input_ids, dtype=torch.long, device=loaded.device)[None]
    with loaded.neurons.read(loaded.model) as activations, torch.no_grad():
        loaded.model(input_ids=ids)
    chosen = {}
    for layer, values in enumerate(activations):
        strength = values[0].abs().mean(dim=0)
        chosen[layer] = strength.topk(max(1, int(SHARE * len(strength)))).indices.cpu()
    return chosen


def print_losses(label: str, loaded: LoadedModel, passages: list[Passage]) -> None:
    """Score the passages with the model as it stands."""
    scores = Scorer(loaded).score(passages)
    print(f"{label:29}", *(f"{nll(score):10.2f}" for score in scores))


if __name__ == "__main__":
    main()
