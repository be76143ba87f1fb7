"""Train gates on the neurons for the passages of a batch.

The gates lie on the activations, which is the same algebra as gates on the columns of the
down-projection (what the official code of Hard Concrete has), but needs no gradient of a weight and
lets every row of a batch have gates of its own. Rows do not see one another: the losses are summed,
Adam works element by element, and a row that has finished leaves the batch. So each gets what it
would have got alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from byrote.localization.passes import Layout, check_finite, lay_out, suffix_nll
from byrote.models.head import OutputHead
from byrote.models.loading import LoadedModel
from byrote.recall.scoring import batches_by_length
from byrote.texts.passages import Passage

if TYPE_CHECKING:
    from byrote.localization.pruning import Pruning

__all__ = ["GateTraining"]

# Every so many steps the official code looks whether a run may stop.
_LOOK_EVERY = 10


class GateTraining:
    """The training of one batch.

    Attributes:
        steps: Steps that each passage has taken.
        losses: Memorisation loss of each in its last pass, nats per suffix token.
    """

    def __init__(
        self,
        method: Pruning,
        loaded: LoadedModel,
        head: OutputHead | None,
        passages: Sequence[Passage],
    ) -> None:
        self._method, self._loaded, self._head = method, loaded, head
        self._passages = passages
        self._shape = (loaded.neurons.layers, loaded.neurons.width)
        trained = [at for at in range(self._shape[0]) if at not in method.skip_layers]
        self._trained = torch.tensor(trained, device=loaded.device)
        self._dtype = torch.promote_types(loaded.dtype, torch.float32)
        self._raw = [
            self._full(len(trained), self._shape[1], value=method.first()).requires_grad_()
            for _ in passages
        ]
        # One tensor per passage: Adam leaves alone what has no gradient, moments and all.
        self._adam = torch.optim.Adam(self._raw, lr=method.lr)
        self._references = [method.others(passage) for passage in passages]
        self._active = list(range(len(passages)))
        self._layout = lay_out(loaded, passages)
        self.steps = [0] * len(passages)
        self.losses = [float("nan")] * len(passages)

    def step(self, number: int, noise: Tensor | None) -> bool:
        """Take a step with all passages that have not finished; False where there are none."""
        method = self._method
        if number % _LOOK_EVERY == 0:
            self._leave_finished()
        if not self._active:
            return False
        noise = None if noise is None else noise.to(self._loaded.device, self._dtype)
        raw = torch.stack([self._raw[at] for at in self._active])
        gates = method.gates(raw, None if noise is None else noise[self._trained])
        # Passes end at this leaf, one after the other; from there on there is only one way back.
        leaf = gates.detach().requires_grad_()
        self._recite(leaf, noise)
        if method.retain:
            self._retain(leaf, number)
        through = gates.new_zeros(()) if leaf.grad is None else (gates * leaf.grad).sum()
        self._adam.zero_grad(set_to_none=True)
        (through + method.penalty * method.size(raw).sum()).backward()
        self._adam.step()
        for at in self._active:
            self.steps[at] += 1
        return True

    def scores(self, at: int) -> Tensor:
        """Scores of a passage, float32 on the CPU, `[layers, width]`."""
        scores = torch.full(self._shape, -torch.inf)
        with torch.no_grad():
            own = self._method.scores(self._raw[at].unsqueeze(0))[0]
        scores[self._trained.cpu()] = own.float().cpu()
        return scores

    def size(self, at: int) -> float:
        """Size of a passage's gates."""
        with torch.no_grad():
            return float(self._method.size(self._raw[at].unsqueeze(0)))

    def _leave_finished(self) -> None:
        with torch.no_grad():
            sizes = self._method.size(torch.stack([self._raw[at] for at in self._active]))
        going = [
            at
            for at, size in zip(self._active, sizes.tolist(), strict=True)
            if size >= self._method.stops_below
        ]
        if going and going != self._active:
            self._layout = lay_out(self._loaded, [self._passages[at] for at in going])
        self._active = going

    def _recite(self, leaf: Tensor, noise: Tensor | None) -> None:
        """Backpropagate the first term to the gates."""
        method = self._method
        mask = self._kept(leaf, noise) if method.aim == "keep" else self._erased(leaf)
        losses = self._losses_under(mask, self._layout, [self._passages[a] for a in self._active])
        for at, loss in zip(self._active, losses.tolist(), strict=True):
            self.losses[at] = loss
        wanted = losses if method.aim == "keep" else -losses.clamp(max=method.ceiling)
        wanted.sum().backward()

    def _retain(self, leaf: Tensor, number: int) -> None:
        """Backpropagate the references' losses to the gates, some rows at a time."""
        rows, passages, shares = [], [], []
        for row, at in enumerate(self._active):
            own = self._references[at]
            count = min(self._method.per_step, len(own))
            first = (number - 1) * count
            passages += [own[(first + turn) % len(own)] for turn in range(count)]
            rows += [row] * count
            shares += [self._method.retain / count] * count
        lengths = [len(passage.input_ids) for passage in passages]
        for some in batches_by_length(lengths, self._method.batch_size):
            chosen = [passages[i] for i in some]
            mask = self._erased(leaf[[rows[i] for i in some]])
            losses = self._losses_under(mask, lay_out(self._loaded, chosen), chosen)
            (losses * losses.new_tensor([shares[i] for i in some])).sum().backward()

    def _losses_under(self, mask: Tensor, layout: Layout, passages: Sequence[Passage]) -> Tensor:
        """Memorisation losses of rows whose neurons are scaled, `[rows]`."""
        loaded = self._loaded
        spare = len(loaded.lead) if self._method.spare_lead else 0
        with loaded.neurons.scale(loaded.model, mask, spare=spare):
            losses = layout.means(suffix_nll(loaded, self._head, layout))
        check_finite(loaded, passages, losses.detach())
        return losses

    def _kept(self, gates: Tensor, noise: Tensor | None) -> Tensor:
        skipped = self._method.skipped(noise)
        return self._spread(gates, 1.0 if skipped is None else skipped)

    def _erased(self, gates: Tensor) -> Tensor:
        return self._spread(1.0 - gates, 1.0)

    def _spread(self, gates: Tensor, rest: Tensor | float) -> Tensor:
        """Gates of the trained layers to a mask of all, `[rows, layers, width]`."""
        if len(self._trained) == self._shape[0]:
            return gates
        mask = self._full(len(gates), *self._shape, value=1.0)
        mask[:] = rest
        return mask.index_copy(1, self._trained, gates)

    def _full(self, *shape: int, value: float) -> Tensor:
        return torch.full(shape, value, device=self._loaded.device, dtype=self._dtype)
