"""Knowledge neurons: those that a passage needs whatever prefix brings it up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from byrote._options import between, one_of, whole
from byrote.errors import InputError
from byrote.localization.base import Localizer, Told, _unheard
from byrote.localization.registry import find_localizer
from byrote.models.loading import LoadedModel
from byrote.texts.passages import Passage
from byrote.texts.seeds import derive_seed

__all__ = [
    "PROMPTS",
    "KnowledgeNeurons",
    "Rephrase",
    "perturbed_prefixes",
    "refine",
    "shortened_prefixes",
]

PROMPTS = ("shortened", "perturbed")
"""How other prompts for the same suffix are made of a passage."""

Rephrase = Callable[[Passage], Sequence[Passage]]
"""From a passage to prompts: passages of the same suffix with prefixes of their own."""

# A prompt may be missing from a share that is a whole number of prompts but for rounding.
_ROUNDING = 1e-9
# By how much the official code moves the share until the count is right.
_SHARE_STEP = 0.05


def shortened_prefixes(passage: Passage, count: int) -> list[Passage]:
    """The passage with its whole prefix, and with ever less of its beginning, down to half.

    Args:
        passage: The passage; its suffix stays the same.
        count: How many prompts; fewer where the prefix is too short for so many lengths.
    """
    longest = passage.prefix_len
    lengths = np.linspace(longest, max(1, longest // 2), count).round().astype(int)
    return [
        replace(
            passage,
            id=f"{passage.id}~last{length}",
            input_ids=passage.input_ids[longest - length :],
            prefix_len=int(length),
        )
        for length in dict.fromkeys(lengths.tolist())
        if length >= 1
    ]


def perturbed_prefixes(
    passage: Passage, count: int, vocab: Sequence[int], *, share: float = 0.1, seed: int = 0
) -> list[Passage]:
    """The passage, and copies in which some prefix tokens are others.

    Args:
        passage: The passage; its suffix stays the same, and so does the last prefix token.
        count: How many prompts, the passage included.
        vocab: Token ids to draw the others from.
        share: Of the prefix tokens that are replaced; at least one is.
        seed: Of the draw, which depends on it and the passage's id.
    """
    made, free = [passage], passage.prefix_len - 1
    if free < 1:
        return made
    for number in range(1, count):
        rng = np.random.default_rng(derive_seed(seed, "perturbed", passage.id, str(number)))
        ids = passage.input_ids.copy()
        places = rng.choice(free, size=min(free, max(1, round(share * free))), replace=False)
        ids[places] = rng.choice(np.asarray(vocab, dtype=np.int32), size=len(places))
        made.append(replace(passage, id=f"{passage.id}~perturbed{number}", input_ids=ids))
    return made


def refine(
    attributions: Tensor,
    *,
    threshold: float = 0.2,
    share: float = 0.7,
    wanted: tuple[int, int] | None = None,
    strict: bool = False,
) -> Tensor:
    """Rank neurons by how many prompts need them.

    A prompt needs a neuron whose attribution is at least `threshold` times that prompt's largest.
    The score of a neuron that at least `share` of the prompts need is the share of those that do
    times its mean attribution. All others come after these: their score is the mean attribution
    minus the largest mean, so at most 0, or -inf if `strict`.

    Args:
        attributions: `[prompts, layers, width]` of one passage.
        threshold: Dai et al. 2104.08696, section 3.2: 0.2.
        share: The same: 0.7.
        wanted: Fewest and most neurons to be kept: the share is then moved in steps of 0.05, down
            while fewer are kept and up while more are, until the number is right or passed over.
        strict: Whether to give what is not kept no score at all.

    Returns:
        float32 `[layers, width]`.
    """
    values = attributions.double()
    most = values.amax(dim=(1, 2), keepdim=True)
    # Where nothing speaks for the suffix there is nothing to be kept.
    needed = ((values >= threshold * most) & (values > 0.0)).double().mean(dim=0)
    mean = values.mean(dim=0)

    def kept_at(bound: float) -> Tensor:
        return (needed >= bound - _ROUNDING) & (needed > 0.0) & (mean > 0.0)

    kept = kept_at(_moved_share(share, wanted, lambda bound: int(kept_at(bound).sum())))
    finite = torch.where(mean.isfinite(), mean, 0.0)
    others = torch.full_like(mean, -torch.inf) if strict else mean - finite.amax()
    return torch.where(kept, needed * mean, others).float()


def _moved_share(
    share: float, wanted: tuple[int, int] | None, count: Callable[[float], int]
) -> float:
    if wanted is None:
        return share
    direction = 0
    while not wanted[0] <= (found := count(share)) <= wanted[1]:
        step = -1 if found < wanted[0] else 1
        moved = share + step * _SHARE_STEP
        if step == -direction or not _ROUNDING < moved <= 1.0 + _ROUNDING:
            break
        share, direction = moved, step
    return share


@dataclass(frozen=True, eq=False, kw_only=True)
class KnowledgeNeurons(Localizer):
    """Attributions over several prompts for the same suffix, refined to what they share.

    After Dai et al. 2104.08696, sections 3.1 and 3.2: integrated gradients from a baseline of zero,
    then a threshold for each prompt and a share of the prompts. There the prompts are paraphrases
    of one fact and the answer is one masked word. Here the suffix is the answer, at each token of
    which the attribution is taken, and the prompts are other prefixes of it: what belongs to the
    suffix should be needed by all of them, what belongs to one prefix's wording by few.

    Attributes:
        localizer: Gives the attributions, by name with options (`find_localizer`) or itself.
        prompts: One of `PROMPTS`, or a function from a passage to prompts.
        count: How many prompts there are at most, where they are made here; two are the fewest.
        perturbed: Share of prefix tokens replaced in a `perturbed` prompt.
        seed: Of that.
        threshold, share, wanted, strict: As for `refine`.
    """

    name: ClassVar[str] = "knowledge-neurons"

    localizer: Localizer | str = "integrated-gradients"
    prompts: str | Rephrase = "shortened"
    count: int = 5
    perturbed: float = 0.1
    seed: int = 0
    threshold: float = 0.2
    share: float = 0.7
    wanted: tuple[int, int] | None = None
    strict: bool = False

    def __post_init__(self) -> None:
        owner = f"localizer {self.name!r}"
        if isinstance(self.prompts, str):
            one_of(owner, "prompts", self.prompts, PROMPTS)
        whole(owner, "count", self.count, 2)
        whole(owner, "seed", self.seed, 0)
        for name in ("perturbed", "threshold", "share"):
            between(owner, name, getattr(self, name), 0.0, 1.0)
        if self.wanted is not None:
            if len(self.wanted) != 2:
                raise InputError(f"The {owner}: wanted={self.wanted!r} must be [fewest, most].")
            fewest, most = self.wanted
            whole(owner, "wanted", fewest, 1)
            whole(owner, "wanted", most, fewest)

    def base(self) -> Localizer:
        """The localizer of the attributions.

        Raises:
            InputError: There is none of that name.
        """
        if isinstance(self.localizer, Localizer):
            return self.localizer
        return find_localizer(self.localizer)

    def check(self, loaded: LoadedModel) -> None:
        """See that the localizer can serve the model; see `Localizer.check`."""
        self.base().check(loaded)

    def score(
        self, loaded: LoadedModel, passages: Sequence[Passage], told: Told = _unheard
    ) -> Tensor:
        """Score prompts for each passage and refine; see `Localizer.score`.

        Raises:
            InputError: A passage has fewer than two prompts, or a prompt has another suffix.
        """
        base = self.base()
        base.check(loaded)
        prompts = [self._prompts(loaded, passage) for passage in passages]
        scores = torch.empty(len(passages), loaded.neurons.layers, loaded.neurons.width)
        for row, some in enumerate(prompts):
            found = base.score(loaded, some, lambda done, at=row: told((at + done) / len(prompts)))
            scores[row] = refine(
                found,
                threshold=self.threshold,
                share=self.share,
                wanted=self.wanted,
                strict=self.strict,
            )
        return scores

    def _prompts(self, loaded: LoadedModel, passage: Passage) -> list[Passage]:
        if callable(self.prompts):
            made = list(self.prompts(passage))
        elif self.prompts == "shortened":
            made = shortened_prefixes(passage, self.count)
        else:
            vocab = range(loaded.vocab_size)
            made = perturbed_prefixes(
                passage, self.count, vocab, share=self.perturbed, seed=self.seed
            )
        if len(made) < 2:
            raise InputError(
                f"Knowledge neurons are those that several prompts share, and passage "
                f"{passage.id!r} has {len(made)}: its prefix of {passage.prefix_len} tokens is too "
                "short for more."
            )
        for prompt in made:
            if not np.array_equal(prompt.suffix_ids, passage.suffix_ids):
                raise InputError(
                    f"The prompt {prompt.id!r} has another suffix than passage {passage.id!r}: "
                    "prompts may differ in their prefix only."
                )
        return made
