"""Integrated gradients of each suffix token's probability by the neurons at the position before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from byrote._options import whole
from byrote.localization.base import Localizer, Told, _unheard
from byrote.localization.passes import (
    check_finite,
    check_passages,
    frozen,
    lay_out,
    suffix_nll,
)
from byrote.localization.stack import build_stack
from byrote.localization.tokens import Tokens, token_runs
from byrote.models.head import OutputHead, split_head
from byrote.models.loading import LoadedModel
from byrote.recall.lanes import in_lanes, lanes_for
from byrote.texts.passages import Passage

__all__ = ["IntegratedGradients"]

# Tokens in a run of the upper layers.
_TOKENS = 480


@dataclass(frozen=True, slots=True)
class IntegratedGradients(Localizer):
    """`h ⊙ Σ_α ∂P/∂(α h) / steps`, mean over the suffix (Chang et al. 2311.09060, section 4).

    For suffix token s at position t + 1, the neurons h of one layer are replaced by α·h at position
    t, the last of those that are given; P is the probability of s, and α takes `steps` values from
    0 to 1, both included. Signed; the official code does the same (with the prefix run anew for
    each layer, token and α).

    Here one clean pass gives the keys and values of all positions, and each (token, α) is a single
    token run through the layers above, in batches, forward and backward (`tokens`). As all α of a
    token share the down-projection, its gradients are summed over α before they are multiplied by
    it. The scores are the same to rounding.

    Models whose layers cannot be run so (mixtures of experts; see `stack`) get whole passes under
    masks, at the paper's price.

    Attributes:
        steps: How many values α takes.
        batch_size: Single-token runs that go through a layer together; None is about 480.
    """

    name: ClassVar[str] = "integrated-gradients"

    steps: int = 20
    batch_size: int | None = None

    def __post_init__(self) -> None:
        owner = "localizer 'integrated-gradients'"
        whole(owner, "steps", self.steps, 2)
        if self.batch_size is not None:
            whole(owner, "batch_size", self.batch_size, 1)

    @torch.inference_mode(False)
    @torch.enable_grad()
    def score(
        self, loaded: LoadedModel, passages: Sequence[Passage], told: Told = _unheard
    ) -> Tensor:
        """Score every neuron for every passage: see `Localizer.score`."""
        self.check(loaded)
        check_passages(loaded, passages)
        neurons, head = loaded.neurons, split_head(loaded.model)
        scores = torch.zeros(len(passages), neurons.layers, neurons.width)
        with frozen(loaded.model):
            stack = build_stack(loaded, head, passages[0]) if passages else None
            for index, passage in enumerate(passages):

                def part(share: float, done: int = index) -> None:
                    told((done + share) / len(passages))

                clean = stack.clean(passage) if stack is not None else None
                tokens = token_runs(clean) if clean is not None else None
                if tokens is None:
                    scores[index] = self._by_masks(loaded, head, passage, part)
                else:
                    scores[index] = self._by_tokens(tokens, part)
                check_finite(loaded, [passage], scores[index, None])
        return scores

    def _by_tokens(self, tokens: Tokens, told: Told) -> Tensor:
        """Run single tokens through the layers above."""
        clean, layout = tokens.clean, tokens.clean.layout
        alphas = torch.linspace(0.0, 1.0, self.steps).to(clean.final)
        size = max(1, (self.batch_size or _TOKENS) // self.steps)
        each = torch.arange(len(layout.columns), device=layout.columns.device).split(size)
        batches = [(layer, some) for layer in range(len(clean.passes)) for some in each]
        products = [
            step.neurons[layout.columns] @ write.rows
            for step, write in zip(clean.passes, clean.stack.writes, strict=True)
        ]

        # A new thread has gradients on and inference mode off, as they are here.
        def run(batch: tuple[int, Tensor]) -> Tensor:
            layer, some = batch
            change = (alphas[:, None] - 1.0) * products[layer][some][:, None]
            change.requires_grad_(True)
            where = layout.columns[some]
            residual = clean.stack.writes[layer].output(clean.passes[layer], where[:, None], change)
            losses = tokens.losses(layer, residual, where, layout.targets[some])
            (gradient,) = torch.autograd.grad((-losses).exp().sum(), change)
            return gradient.sum(1)

        sums = [torch.zeros_like(product) for product in products]
        # Beside the layers there is the head.
        weights = [(len(clean.passes) + 4 - layer) * len(some) for layer, some in batches]
        done = 0
        runs = in_lanes(run, batches, lanes_for(clean.stack.loaded.model))
        for (layer, some), gradient, weight in zip(batches, runs, weights, strict=True):
            sums[layer][some] = gradient
            done += weight
            told(done / sum(weights))
        scores = [
            (step.neurons[layout.columns] * (gradient @ write.rows.t())).sum(0)
            for step, write, gradient in zip(clean.passes, clean.stack.writes, sums, strict=True)
        ]
        return torch.stack(scores).float().cpu() / (self.steps * len(layout.columns))

    def _by_masks(
        self, loaded: LoadedModel, head: OutputHead | None, passage: Passage, told: Told
    ) -> Tensor:
        """Run the whole model on each beginning of the passage, a mask for each α."""
        neurons = loaded.neurons
        alphas = torch.linspace(0.0, 1.0, self.steps, device=loaded.device)
        scores = torch.zeros(neurons.layers, neurons.width)
        for token in range(passage.suffix_len):
            given = passage.prefix_len + token
            beginning = replace(passage, input_ids=passage.input_ids[: given + 1], prefix_len=given)
            layout = lay_out(loaded, [beginning] * self.steps)
            for layer in range(neurons.layers):
                mask = torch.ones(self.steps, neurons.layers, neurons.width, device=loaded.device)
                mask[:, layer] = alphas[:, None]
                mask.requires_grad_(True)
                # All but the last position are spared: the factor's gradient is h · ∂P/∂(α h).
                last = int(layout.columns[0])
                with loaded.neurons.scale(loaded.model, mask, spare=last):
                    losses = suffix_nll(loaded, head, layout)
                    (gradient,) = torch.autograd.grad((-losses).exp().sum(), mask)
                scores[layer] += gradient[:, layer].sum(0).float().cpu()
            told((token + 1) / passage.suffix_len)
        return scores / (self.steps * passage.suffix_len)
