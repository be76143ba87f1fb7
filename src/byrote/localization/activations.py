"""How large a neuron's contribution is while the model recites: the cheapest localizer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor
from transformers.pytorch_utils import Conv1D

from byrote._options import one_of, whole
from byrote.errors import ByroteError, InputError
from byrote.localization.base import Localizer, Told, _unheard
from byrote.localization.passes import check_passages, lay_out
from byrote.models.head import split_head
from byrote.models.loading import LoadedModel
from byrote.models.modes import evaluating
from byrote.models.neurons import NeuronSite
from byrote.recall.scoring import batches_by_length
from byrote.texts.passages import Passage

__all__ = ["ORDERS", "ActivationSize", "write_norms"]

ORDERS = ("abs-mean", "mean-abs")
"""The mean over positions of |h|, as in the paper; or |mean of h|, as in its code."""

# Numbers of all layers' activations that are held together (256 MiB of float32).
_HELD = 2**26


@dataclass(frozen=True)
class ActivationSize(Localizer):
    """Size of the activation times length of what it writes: (1/T) Σ_t |h_i,t| · ‖v_i‖.

    The mean is over the positions that predict the suffix (Chang et al. 2311.09060, section 4.1,
    Activations, after Geva et al. 2203.14680). v_i is the neuron's column of the down-projection;
    norms that follow it (Gemma 2, OLMo 2) and the weight that a router gives an expert are not
    counted. One forward pass, without the output head.

    Attributes:
        order: One of `ORDERS`. The official code takes the mean before the absolute value, so that
            a neuron whose sign changes from token to token scores low.
        batch_size: Passages in a forward pass; None takes as many as fit into 256 MiB.
    """

    name: ClassVar[str] = "activations"

    order: str = "abs-mean"
    batch_size: int | None = None

    def __post_init__(self) -> None:
        one_of(f"localizer {self.name!r}", "order", self.order, ORDERS)
        if self.batch_size is not None:
            whole(f"localizer {self.name!r}", "batch_size", self.batch_size, 1)

    @torch.no_grad()
    def score(
        self, loaded: LoadedModel, passages: Sequence[Passage], told: Told = _unheard
    ) -> Tensor:
        """Measure the neurons of each passage; see `Localizer.score`."""
        self.check(loaded)
        check_passages(loaded, passages)
        neurons = loaded.neurons
        scores = torch.empty(len(passages), neurons.layers, neurons.width)
        lengths = [len(passage.input_ids) + len(loaded.lead) for passage in passages]
        fits = _HELD // (neurons.total * max(lengths, default=1))
        norms, head, done = write_norms(loaded), split_head(loaded.model), 0
        # The head has nothing to do with neurons; where it cannot be left out it runs too.
        run = loaded.model if head is None else head.backbone
        for indices in batches_by_length(lengths, self.batch_size or max(1, fits)):
            layout = lay_out(loaded, [passages[i] for i in indices])
            with evaluating(loaded.model), neurons.read(loaded.model) as activations:
                run(input_ids=layout.ids, use_cache=False)
            for layer, values in enumerate(activations):
                for row, index in enumerate(indices):
                    asked = values[row, layout.columns[layout.rows == row]].float()
                    scores[index, layer] = self._mean(asked).cpu()
            done += len(indices)
            told(done / len(passages))
        if not scores.isfinite().all():
            raise ByroteError(
                f"{loaded.source} has activations that are not finite: its weights are damaged, or "
                "it needs a wider dtype (--dtype float32)."
            )
        return scores * norms

    def _mean(self, values: Tensor) -> Tensor:
        """From `[positions, width]` to `[width]`."""
        return values.abs().mean(0) if self.order == "abs-mean" else values.mean(0).abs()


def write_norms(loaded: LoadedModel) -> Tensor:
    """Length of what a neuron of activation 1 writes: ‖v_i‖₂, float32 `[layers, width]`.

    Raises:
        InputError: The down-projection's weight is not a matrix of numbers (a quantized one).
    """
    norms = torch.empty(loaded.neurons.layers, loaded.neurons.width)
    for site in loaded.neurons.sites:
        module = loaded.model.get_submodule(site.module)
        norms[site.layer, site.start : site.start + site.size] = _site_norms(module, site)
    return norms


@torch.no_grad()
def _site_norms(module: Any, site: NeuronSite) -> Tensor:
    if site.experts is not None:
        # [experts, hidden, width], or the last two the other way round.
        across = 2 if getattr(module, "is_transposed", False) else 1
        return module.down_proj.float().norm(dim=across).reshape(-1).cpu()
    weight = getattr(module, "weight", None)
    across = 1 if isinstance(module, Conv1D) else 0
    if (
        not isinstance(weight, Tensor)
        or not weight.is_floating_point()
        or weight.ndim != 2
        or weight.shape[1 - across] != site.width
    ):
        raise InputError(
            f"The weights of {site.module} ({type(module).__name__}) cannot be read as a matrix, "
            "so activations cannot be weighed by them: load the model without quantization."
        )
    return weight.float().norm(dim=across).cpu()
