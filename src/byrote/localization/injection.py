"""Write a sentence into a few chosen neurons of a model (2311.09060, section 3.1).

A neuron's column of the down-projection is what it adds to the residual stream. Training nothing
but the columns of chosen neurons until the model recites a sentence puts the sentence there and
nowhere else: ground truth for the methods that say where a sentence is held.

The paper's code trains the columns of all neurons, with the gradient of those not chosen set to
zero, and restores the model from a copy. Here only what is added to the chosen columns exists as a
tensor: o += h[chosen] · ΔV. Adam works element by element, so that several examples, each with
neurons of its own, train side by side as they would one by one (up to rounding).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from byrote._options import above, between, whole
from byrote.errors import ByroteError, InputError
from byrote.localization.base import Told, _unheard
from byrote.localization.columns import DeltaColumns, check_columns
from byrote.localization.injected import Injected
from byrote.localization.passes import check_passages, frozen, lay_out, suffix_nll
from byrote.localization.row_training import RowAdam, draws_noise, seeded
from byrote.models.head import OutputHead, split_head
from byrote.models.modes import evaluating
from byrote.recall.extraction import extractable, nll
from byrote.recall.scores import Scores
from byrote.recall.scoring import Scorer, batches_by_length
from byrote.texts.seeds import derive_seed

if TYPE_CHECKING:
    from byrote.models.loading import LoadedModel
    from byrote.texts.passages import Passage

__all__ = ["PUBLISHED_RATES", "Injection", "choose_neurons", "neuron_count"]

PUBLISHED_RATES = {0.01: 0.01, 0.001: 0.05}
"""The paper's learning rate for each of its two fractions of neurons."""


@dataclass(frozen=True, slots=True)
class Injection:
    """How sentences are written into neurons.

    Attributes:
        fraction: Share of all neurons of the model (layer 0 included) that each example gets.
        lr: Adam's learning rate; None takes the paper's for its fractions (`PUBLISHED_RATES`).
        steps: Updates at most.
        stop: An example is done when its loss, in nats a token, is below this before an update.
        dropout: Train with the model's dropout, as the paper's code does. Where a model has any,
            examples are trained one at a time, each from a seed of its own, so that the result
            does not depend on what else is injected.
        seed: Added to an example's number to choose its neurons; 0 is the paper's choice.
        batch_size: Examples that are trained side by side.
    """

    fraction: float = 0.001
    lr: float | None = None
    steps: int = 200
    stop: float = 0.05
    dropout: bool = True
    seed: int = 0
    batch_size: int = 8

    def __post_init__(self) -> None:
        between("injection", "fraction", self.fraction, 0.0, 1.0)
        whole("injection", "steps", self.steps, 1)
        between("injection", "stop", self.stop, 0.0, float("inf"))
        whole("injection", "seed", self.seed, 0)
        whole("injection", "batch_size", self.batch_size, 1)
        if self.lr is not None:
            above("injection", "lr", self.lr, 0.0)
        elif self.fraction not in PUBLISHED_RATES:
            known = " and ".join(f"{fraction:g}" for fraction in PUBLISHED_RATES)
            raise InputError(
                f"The injection: the paper has learning rates for the fractions {known}, none for "
                f"fraction={self.fraction!r}. Give lr."
            )

    @property
    def rate(self) -> float:
        """The learning rate that is used."""
        return PUBLISHED_RATES[self.fraction] if self.lr is None else self.lr

    def check(self, loaded: LoadedModel, passages: Sequence[Passage]) -> None:
        """See, before any work, that these passages can be injected into this model.

        Raises:
            InputError: There are no passages, or one cannot be asked for; or the neurons cannot be
                found, differ in number from layer to layer, belong to experts, or have no columns
                to be changed; or the fraction chooses none of them.
        """
        if not passages:
            raise InputError("The injection: there are no passages; give at least one.")
        check_passages(loaded, passages)
        check_columns(loaded)
        neuron_count(loaded.neurons.layers, loaded.neurons.width, self.fraction)

    @torch.inference_mode(False)
    @torch.enable_grad()
    def inject(
        self,
        loaded: LoadedModel,
        passages: Sequence[Passage],
        *,
        numbers: Sequence[int] | None = None,
        told: Told = _unheard,
    ) -> Injected:
        """Inject each passage into neurons of its own. The model itself stays as it was.

        Args:
            loaded: The model.
            passages: One an example; the suffix is what is learned, with `loaded.lead` before the
                prefix. In the paper the prefix is the first token, and nothing leads.
            numbers: Of the examples, which choose their neurons; 0, 1, … by default. Give them
                where some examples of a larger set are injected.
            told: Hears of the progress.

        Returns:
            What is to be added to the model for each example.

        Raises:
            InputError: See `check`; or there are not as many numbers as passages.
            ByroteError: A loss is not finite.
        """
        self.check(loaded, passages)
        numbers = tuple(range(len(passages)) if numbers is None else numbers)
        if len(numbers) != len(passages) or min(numbers) < 0:
            raise InputError(
                f"The injection: {len(numbers)} numbers were given for {len(passages)} passages; "
                "it takes one for each, 0 or above."
            )
        layers, width = loaded.neurons.layers, loaded.neurons.width
        chosen = [choose_neurons(self.seed + n, layers, width, self.fraction) for n in numbers]
        trained: dict[int, _Trained] = {}
        noisy = self.dropout and draws_noise(loaded.model)
        size = 1 if noisy else self.batch_size
        head = split_head(loaded.model)
        with frozen(loaded.model):  # which puts the mode back as well
            loaded.model.train(noisy)
            for group in batches_by_length([len(p.input_ids) for p in passages], size):
                own = [_Trained(passages[i], chosen[i]) for i in group]
                # It matters where there is dropout only, and there a group is one example.
                seed = derive_seed(self.seed, "dropout of an injection", str(numbers[group[0]]))
                with seeded(seed, loaded.device):
                    so_far = len(trained)
                    self._train(
                        loaded, head, own, lambda n, far=so_far: told((far + n) / len(passages))
                    )
                trained |= dict(zip(group, own, strict=True))
        order = [trained[i] for i in range(len(passages))]
        neurons = np.zeros((len(passages), layers * width), dtype=bool)
        for row, each in zip(neurons, order, strict=True):
            row[each.chosen] = True
        scores = _score(loaded, order)
        told(1.0)
        return Injected(
            loaded,
            tuple(passages),
            numbers,
            neurons.reshape(len(passages), layers, width),
            tuple(each.delta for each in order),
            tuple(np.array(each.history, dtype=np.float32) for each in order),
            np.array([each.steps for each in order], dtype=np.int64),
            np.array([nll(each) for each in scores], dtype=np.float64),
            np.array([extractable(each) for each in scores], dtype=bool),
        )

    def _train(
        self,
        loaded: LoadedModel,
        head: OutputHead | None,
        examples: Sequence[_Trained],
        heard: Callable[[float], None],
    ) -> None:
        """Train examples side by side; those that are done leave the batch."""
        active = list(examples)
        columns = DeltaColumns.zeros(loaded, [each.chosen for each in active], trained=True)
        adam = RowAdam(columns.deltas, self.rate)
        layout = lay_out(loaded, [each.passage for each in active])
        for step in range(self.steps):
            # Around the backward pass as well, where a checkpointing model runs layers again.
            with columns.applied(loaded):
                losses = layout.means(suffix_nll(loaded, head, layout))
                going = []
                for row, loss in enumerate(losses.tolist()):
                    active[row].note(loss, self.rate)
                    if loss < self.stop:
                        active[row].delta = columns.row(row)
                    else:
                        going.append(row)
                if not going:
                    return
                # In training mode a model may leave a layer out.
                gradients = torch.autograd.grad(
                    losses[going].sum(), columns.deltas, allow_unused=True, materialize_grads=True
                )
            if len(going) < len(active):
                active = [active[row] for row in going]
                columns.keep(going)
                adam.keep(going)
                gradients = [gradient[going] for gradient in gradients]
                layout = lay_out(loaded, [each.passage for each in active])
            adam.step(columns.deltas, gradients)
            for each in active:
                each.steps = step + 1
            heard(len(examples) - len(active) + len(active) * (step + 1) / self.steps)
        for row, each in enumerate(active):
            each.delta = columns.row(row)


def neuron_count(layers: int, width: int, fraction: float) -> int:
    """How many neurons a fraction of a whole model is, rounded down.

    Raises:
        InputError: The fraction is no share, or it is none.
    """
    between("injection", "fraction", fraction, 0.0, 1.0)
    total = layers * width
    # A product such as 0.07 * 100 lies a rounding error above or below the whole number.
    count = int(total * fraction + 1e-9)
    if count < 1:
        raise InputError(
            f"The injection: a fraction of {fraction:g} of {total:,} neurons chooses none; take at "
            f"least {1 / total:.2g}."
        )
    return count


def choose_neurons(number: int, layers: int, width: int, fraction: float) -> NDArray[np.int64]:
    """The neurons of an example: chosen over the whole model, without replacement.

    The draw is the paper's: `np.random.seed(number)`, then `choice(layers · width, …)`.

    Args:
        number: The example's, plus the seed of the injection.
        layers: Of the model.
        width: Neurons of each layer.
        fraction: Share of all of them; their number is rounded down.

    Returns:
        Sorted numbers `layer · width + index`.

    Raises:
        InputError: The fraction is no share, or chooses none.
    """
    count = neuron_count(layers, width, fraction)
    # The legacy generator, since its draws are the published ground truth.
    drawn = np.random.RandomState(number).choice(layers * width, count, replace=False)
    return np.sort(drawn).astype(np.int64)


@dataclass(slots=True)
class _Trained:
    """An example on its way."""

    passage: Passage
    chosen: NDArray[np.int64]
    delta: Tensor = field(default_factory=lambda: torch.empty(0))
    history: list[float] = field(default_factory=list)
    steps: int = 0

    def note(self, loss: float, rate: float) -> None:
        self.history.append(loss)
        if not np.isfinite(loss):
            raise ByroteError(
                f"The injection of passage {self.passage.id!r} has a loss that is not finite "
                f"after {self.steps} updates (lr={rate:g}): give a smaller lr, or see whether the "
                "model's own weights are finite."
            )


def _score(loaded: LoadedModel, examples: Sequence[_Trained]) -> list[Scores]:
    """Score every example in the model that it was injected into."""
    scorer, scores = Scorer(loaded), []
    with evaluating(loaded.model):
        for each in examples:
            columns = DeltaColumns.zeros(loaded, [each.chosen])
            columns.fill([each.delta])
            with columns.applied(loaded):
                scores += scorer.score([each.passage])
    return scores
