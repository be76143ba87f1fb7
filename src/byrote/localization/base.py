"""What a localizer is: from a model and passages to one score for each neuron."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from torch import Tensor

    from byrote.models.loading import LoadedModel
    from byrote.texts.passages import Passage

__all__ = ["Localizer", "Told"]

Told = Callable[[float], None]
"""Called with the finished share of the work, 0 to 1, as often as you like."""


def _unheard(_: float) -> None:
    """Nobody wants to know."""


class Localizer(ABC):
    """A way to say which neurons hold a passage (Chang et al. 2311.09060, section 4).

    A method is a frozen dataclass that derives from this class; its options are its fields, and
    `__post_init__` refuses bad ones with an `InputError`. It is registered in `LOCALIZERS`.

    Scores are comparable within one passage. Which sign they have matters: the highest are
    selected. The score of a passage must not depend on which others are scored with it.
    """

    name: ClassVar[str]
    """As in the registry."""

    def check(self, loaded: LoadedModel) -> None:
        """See, before any work, that the method can serve this model.

        Raises:
            InputError: It cannot: no neurons can be found, or not as many in each layer.
        """
        _ = loaded.neurons.width

    @abstractmethod
    def score(
        self, loaded: LoadedModel, passages: Sequence[Passage], told: Told = _unheard
    ) -> Tensor:
        """Score every neuron for every passage.

        The model is left as it was: weights, mode, hooks, `requires_grad` and gradients.

        Args:
            loaded: The model; `loaded.lead` is put before every passage.
            passages: What was recited; the suffix is what a score is about.
            told: Hears of the progress.

        Returns:
            float32 on the CPU, `[passages, layers, width]`; higher means more responsible.

        Raises:
            InputError: A passage cannot be scored, or the model has no neurons to be found.
            ByroteError: The model's numbers are not finite.
        """
