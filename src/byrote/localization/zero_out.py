"""Zero-Out: what the loss of a passage gains when one neuron is silent, for every neuron."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from byrote._options import whole
from byrote.localization.base import Localizer, Told, _unheard
from byrote.localization.passes import check_finite, check_passages, lay_out, suffix_nll
from byrote.localization.stack import Clean, Stack, build_stack
from byrote.models.head import split_head
from byrote.models.loading import LoadedModel
from byrote.models.modes import evaluating
from byrote.recall.lanes import in_lanes, lanes_for
from byrote.texts.passages import Passage

__all__ = ["ZeroOut", "Zeroing"]

# Tokens in a run of the upper layers.
_TOKENS = 1024


@dataclass(frozen=True, slots=True)
class ZeroOut(Localizer):
    """`ℓ(neuron i zeroed at all positions) - ℓ`, signed (Chang et al. 2311.09060, section 4).

    The paper runs the model once for each neuron. Here a zeroed neuron is a rank-one change of its
    layer's output, `-h_i v_i`, from which only the layers above are run, for many neurons in a
    batch, with the output head on the suffix only. That is as much as exactness leaves to be saved:
    half the layers and the head's share of the prefix. A neuron that is 0 at every position (a ReLU
    at rest) scores 0 without a run.

    The losses are summed up without the cancellation that leaves `logsumexp - logit` no digit on
    memorised text (`losses`), and a layer's clean loss comes from the same runs as its neurons'.

    Models whose layers cannot be run so (mixtures of experts; see `stack`) get whole passes under
    masks, many neurons in a batch: the same scores at the paper's price.

    Attributes:
        spare_lead: Leave the neurons alone at the positions of `loaded.lead` (the BOS), where a few
            make the attention sink.
        batch_size: Neurons in a run; None takes as many as fill about a thousand tokens.
    """

    name: ClassVar[str] = "zero-out"

    spare_lead: bool = False
    batch_size: int | None = None

    def __post_init__(self) -> None:
        if self.batch_size is not None:
            whole("localizer 'zero-out'", "batch_size", self.batch_size, 1)

    def score(
        self, loaded: LoadedModel, passages: Sequence[Passage], told: Told = _unheard
    ) -> Tensor:
        """Score every neuron for every passage: see `Localizer.score`."""
        self.check(loaded)
        check_passages(loaded, passages)
        neurons = loaded.neurons
        scores = torch.zeros(len(passages), neurons.layers, neurons.width)
        every = torch.ones(neurons.layers, neurons.width, dtype=torch.bool)
        zeroing = Zeroing(loaded, self.spare_lead, self.batch_size)
        for index, passage in enumerate(passages):

            def part(share: float, done: int = index) -> None:
                told((done + share) / len(passages))

            scores[index] = zeroing.effects(passage, every, part).float()
        return scores


class Zeroing:
    """Zeroes neurons of one model, one at a time.

    Args:
        loaded: The model.
        spare_lead: As for `ZeroOut`.
        batch_size: As for `ZeroOut`.
    """

    def __init__(
        self, loaded: LoadedModel, spare_lead: bool = False, batch_size: int | None = None
    ) -> None:
        self._loaded = loaded
        self._spare = len(loaded.lead) if spare_lead else 0
        self._batch_size = batch_size
        self._head = split_head(loaded.model)
        self._stack: Stack | None = None
        self._tried = False

    @torch.no_grad()
    def effects(self, passage: Passage, wanted: Tensor, told: Told = _unheard) -> Tensor:
        """What the mean suffix loss gains when each of some neurons is zeroed.

        Args:
            passage: Whose loss.
            wanted: bool `[layers, width]`, the neurons.
            told: Hears of the progress.

        Returns:
            float64 on the CPU, `[layers, width]`, nats per suffix token; 0 where not wanted.

        Raises:
            ByroteError: A loss is not finite.
        """
        with evaluating(self._loaded.model):
            if not self._tried:
                self._stack = build_stack(self._loaded, self._head, passage)
                self._tried = True
            clean = self._stack.clean(passage) if self._stack is not None else None
            if clean is None:
                return self._by_masks(passage, wanted, told)
            return self._by_layers(clean, passage, wanted, told)

    def _by_layers(self, clean: Clean, passage: Passage, wanted: Tensor, told: Told) -> Tensor:
        """Run the layers above each neuron's."""
        active = torch.stack([p.neurons[self._spare :].ne(0).any(0) for p in clean.passes])
        batches = list(self._batches(wanted & active.cpu(), clean.layout.ids.shape[1]))

        @torch.no_grad()
        def run(batch: _Batch) -> Tensor:
            step, write = clean.passes[batch.layer], clean.stack.writes[batch.layer]
            chosen = batch.neurons.to(clean.final.device)
            silenced = -step.neurons.t()[chosen]
            silenced[:, : self._spare] = 0.0
            if batch.first:
                silenced[0] = 0.0
            change = silenced[:, :, None] * write.rows[chosen][:, None, :]
            residual = clean.changed(batch.layer, change)
            return clean.losses(batch.layer, residual).mean(1).cpu()

        runs = in_lanes(run, batches, lanes_for(self._loaded.model))
        # Beside the layers there is the head.
        weights = [len(clean.passes) - layer for layer in range(len(clean.passes))]
        return self._collected(passage, wanted, batches, runs, weights, told)

    def _by_masks(self, passage: Passage, wanted: Tensor, told: Told) -> Tensor:
        """Run the whole model, a mask for each neuron."""
        loaded, layout = self._loaded, lay_out(self._loaded, [passage])
        with loaded.neurons.read(loaded.model) as read:
            loaded.model(input_ids=layout.ids, use_cache=False)
        active = torch.stack([own[0, self._spare :].ne(0).any(0) for own in read])
        batches = list(self._batches(wanted & active.cpu(), layout.ids.shape[1]))

        def run(batch: _Batch) -> Tensor:
            rows = lay_out(loaded, [passage] * len(batch.neurons))
            mask = torch.ones(len(batch.neurons), *wanted.shape)
            mask[torch.arange(len(mask)), batch.layer, batch.neurons] = 0.0
            if batch.first:
                mask[0] = 1.0
            with loaded.neurons.scale(loaded.model, mask.to(loaded.device), spare=self._spare):
                return rows.means(suffix_nll(loaded, self._head, rows)).cpu()

        weights = [1] * loaded.neurons.layers
        return self._collected(passage, wanted, batches, map(run, batches), weights, told)

    def _batches(self, wanted: Tensor, length: int) -> Iterator[_Batch]:
        """Neurons of one layer at a time; the first batch of each leads with the clean row."""
        size = self._batch_size or max(1, _TOKENS // length)
        for layer, own in enumerate(wanted):
            neurons = own.nonzero()[:, 0]
            if len(neurons):
                neurons = torch.cat((neurons[:1], neurons))
            for index, some in enumerate(neurons.split(size)):
                if len(some):
                    yield _Batch(layer, some, index == 0)

    def _collected(
        self,
        passage: Passage,
        wanted: Tensor,
        batches: Sequence[_Batch],
        runs: Iterator[Tensor],
        weights: Sequence[int],
        told: Told,
    ) -> Tensor:
        effects = torch.zeros(wanted.shape, dtype=torch.float64)
        total = sum(weights[batch.layer] * len(batch.neurons) for batch in batches)
        base, done = torch.zeros((), dtype=torch.float64), 0
        for batch, losses in zip(batches, runs, strict=True):
            check_finite(self._loaded, [passage], losses[None])
            if batch.first:
                base = losses[0]
            own = slice(1 if batch.first else 0, None)
            effects[batch.layer, batch.neurons[own]] = losses[own] - base
            done += weights[batch.layer] * len(batch.neurons)
            told(done / total)
        return effects


@dataclass(frozen=True, slots=True, eq=False)
class _Batch:
    """Neurons of one layer that are run together.

    Attributes:
        layer: The layer.
        neurons: Their indices.
        first: Whether the first row is the clean one, whatever its index.
    """

    layer: int
    neurons: Tensor
    first: bool
