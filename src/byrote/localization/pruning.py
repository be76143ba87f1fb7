"""Gates on the neurons, trained for each passage: what Slimming and Hard Concrete share."""

from __future__ import annotations

import itertools
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from byrote._options import above, between, one_of, whole
from byrote.errors import InputError
from byrote.localization.base import Localizer, Told, _unheard
from byrote.localization.gate_training import GateTraining
from byrote.localization.passes import check_passages, frozen
from byrote.models.head import split_head
from byrote.models.loading import LoadedModel
from byrote.recall.scoring import batches_by_length
from byrote.texts.passages import Passage

__all__ = ["AIMS", "Pruned", "Pruning"]

AIMS = ("keep", "erase")
"""Gates say which neurons suffice to recite the passage, or which it cannot be recited without."""


@dataclass(frozen=True, slots=True, eq=False)
class Pruned:
    """What came of a training of gates.

    Attributes:
        scores: float32 on the CPU, `[passages, layers, width]`; -inf in skipped layers.
        steps: How many steps of the optimiser each passage took.
        losses: Memorisation loss under the gates in the last pass, nats per suffix token.
        sizes: The penalty at the end, before it is multiplied by `penalty`.
    """

    scores: Tensor
    steps: list[int]
    losses: list[float]
    sizes: list[float]


@dataclass(frozen=True, eq=False, kw_only=True)
class Pruning(Localizer):
    """Gates g on the neurons, trained with Adam for one passage each.

    Where `aim` is `keep`, as in the paper (Chang et al. 2311.09060, section 4.2), it minimises
    ℓ(passage; g) + λ · size(g): the model is thinned to what suffices for reciting. Two things that
    the paper does not have serve a localization that is *specific*. Both look at the model with the
    gates' neurons erased, that is scaled by 1 − g:

    - `retain` adds retain · mean ℓ(reference; 1 − g): what is kept for the passage must be of no
      use to the references;
    - the aim `erase` puts −min(ℓ(passage; 1 − g), ceiling) in the place of the first term: g
      becomes the smallest set without which the passage is lost.

    Dropout is off; the model's weights take no part.

    Attributes:
        lr: Adam's learning rate.
        penalty: λ, in nats: weight of the gates' mean size.
        epochs: Most steps that a passage takes.
        stop: A run ends as soon as the size is below this, looked at before every tenth step. None
            is 0.1 where `aim` is `keep`, never where it is `erase`, whose gates start small.
        skip_layers: Layers without gates: their neurons stay as they are and score -inf, so that
            they are never selected. The paper skips layer 0 when erasing.
        aim: One of `AIMS`.
        retain: Weight of the references' loss; 0 is the paper's.
        references: Passages whose loss shall stay low. A passage is none of its own references.
        per_step: References that a passage meets in a step; they take turns.
        ceiling: In nats per token; where `aim` is `erase`, a passage whose loss is as large as this
            counts as lost.
        spare_lead: Leave the positions of the leading tokens (BOS) ungated.
        batch_size: Passages trained together, and rows of references in one pass.
    """

    lr: float = 1e-2
    penalty: float = 1000.0
    epochs: int = 200
    stop: float | None = None
    skip_layers: tuple[int, ...] = ()
    aim: str = "keep"
    retain: float = 0.0
    references: Sequence[Passage] = ()
    per_step: int = 4
    ceiling: float = 5.0
    spare_lead: bool = False
    batch_size: int = 8

    def __post_init__(self) -> None:
        owner = self._owner
        above(owner, "lr", self.lr, 0.0)
        above(owner, "ceiling", self.ceiling, 0.0)
        for name, value in (
            ("penalty", self.penalty),
            ("stop", self.stops_below),
            ("retain", self.retain),
        ):
            between(owner, name, value, 0.0, float("inf"))
        for name in ("epochs", "per_step", "batch_size"):
            whole(owner, name, getattr(self, name), 1)
        one_of(owner, "aim", self.aim, AIMS)
        if not isinstance(self.skip_layers, list | tuple):
            raise InputError(
                f"The {owner}: skip_layers={self.skip_layers!r} must be a list of layers, like [0]."
            )
        for layer in self.skip_layers:
            whole(owner, "skip_layers", layer, 0)
        object.__setattr__(self, "skip_layers", tuple(self.skip_layers))

    @property
    def _owner(self) -> str:
        return f"localizer {self.name!r}"

    @property
    def stops_below(self) -> float:
        """`stop`, or its default."""
        if self.stop is None:
            return 0.1 if self.aim == "keep" else 0.0
        return self.stop

    @abstractmethod
    def first(self) -> float:
        """The parameter of every gate at the start."""

    @abstractmethod
    def gates(self, raw: Tensor, noise: Tensor | None) -> Tensor:
        """Gates from 0 to 1.

        Args:
            raw: The parameters, `[passages, layers, width]`, the layers being those trained.
            noise: What `draws` gave for this step, `[layers, width]` of the same layers.
        """

    @abstractmethod
    def size(self, raw: Tensor) -> Tensor:
        """The penalty without its weight: about the share of open gates, `[passages]`."""

    @abstractmethod
    def scores(self, raw: Tensor) -> Tensor:
        """Scores in the shape of the parameters; higher means more responsible."""

    def draws(self, layers: int, width: int) -> Iterable[Tensor | None]:
        """Noise for step after step, `[layers, width]` of all layers, the same for all passages."""
        return itertools.repeat(None)

    def skipped(self, noise: Tensor | None) -> Tensor | None:
        """Gates of all layers, of which those of skipped ones are used; None leaves these open."""
        return None

    def check(self, loaded: LoadedModel) -> None:
        """See that the model has gates to train; see `Localizer.check`."""
        super().check(loaded)
        layers = loaded.neurons.layers
        for layer in self.skip_layers:
            if layer >= layers:
                raise InputError(
                    f"The {self._owner}: there is no layer {layer} to skip; the model has "
                    f"{layers}, from 0."
                )
        if len(set(self.skip_layers)) == layers:
            raise InputError(f"The {self._owner}: skip_layers leaves none of {layers} layers.")
        if self.retain and not self.references:
            raise InputError(f"The {self._owner}: retain={self.retain:g} needs references.")

    def others(self, passage: Passage) -> list[Passage]:
        """The references of a passage: all but itself, none where nothing is to be retained.

        Raises:
            InputError: It is the only one.
        """
        if not self.retain:
            return []
        others = [reference for reference in self.references if reference.id != passage.id]
        if not others:
            raise InputError(
                f"The {self._owner}: the only reference is passage {passage.id!r} itself; give "
                "others."
            )
        return others

    def score(
        self, loaded: LoadedModel, passages: Sequence[Passage], told: Told = _unheard
    ) -> Tensor:
        """Train gates for each passage and give their scores; see `Localizer.score`."""
        return self.fit(loaded, passages, told).scores

    def fit(
        self, loaded: LoadedModel, passages: Sequence[Passage], told: Told = _unheard
    ) -> Pruned:
        """Train gates for each passage, and tell how it went.

        Args:
            loaded: The model.
            passages: Trained in batches of similar length.
            told: Hears of the progress.

        Raises:
            InputError: A passage or an option does not fit the model.
            ByroteError: A loss is not finite.
        """
        self.check(loaded)
        check_passages(loaded, [*passages, *(self.references if self.retain else ())])
        for passage in passages:
            self.others(passage)
        neurons, count = loaded.neurons, len(passages)
        lengths = [len(passage.input_ids) for passage in passages]
        done = 0
        with frozen(loaded.model), torch.inference_mode(False), torch.enable_grad():
            head = split_head(loaded.model)
            scores = torch.full((count, neurons.layers, neurons.width), -torch.inf)
            result = Pruned(scores, [0] * count, [0.0] * count, [0.0] * count)
            for indices in batches_by_length(lengths, self.batch_size):
                training = GateTraining(self, loaded, head, [passages[i] for i in indices])
                steps, draws = range(1, self.epochs + 1), self.draws(neurons.layers, neurons.width)
                for step, noise in zip(steps, draws, strict=False):
                    if not training.step(step, noise):
                        break
                    told((done + len(indices) * step / self.epochs) / count)
                for at, index in enumerate(indices):
                    result.scores[index] = training.scores(at)
                    result.steps[index] = training.steps[at]
                    result.losses[index] = training.losses[at]
                    result.sizes[index] = training.size(at)
                done += len(indices)
                told(done / count)
        return result
