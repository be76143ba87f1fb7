"""What a model recites, and how well it predicts, with some neurons turned down.

All passages are scored under one ablation in batched passes (DEL, Chang et al. 2311.09060, section
3.2). What does not depend on the ablation (splitting off the output head, the decoded true texts)
is done once by a `Gauge`, which therefore serves any number of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray
from rapidfuzz.distance import Levenshtein

from byrote.errors import InputError
from byrote.localization.selection import Selection, check_fits
from byrote.models.loading import LoadedModel
from byrote.models.modes import evaluating
from byrote.recall.extraction import extractable, nll, token_accuracy
from byrote.recall.scores import SamplingScheme, Scores
from byrote.recall.scoring import Scorer
from byrote.texts.passages import Passage

__all__ = ["RECITAL", "Gauge", "ablated", "measure_recital", "perplexities", "text_loss"]

RECITAL = {
    "passage": pl.String,
    "accuracy": pl.Float64,
    "distance": pl.Int64,
    "nll": pl.Float64,
    "recited": pl.Boolean,
}
"""Columns of a recital table, one row for each passage.

`passage` is the id; `accuracy` the share of suffix tokens that are the argmax given the true tokens
before them; `distance` the Levenshtein distance in characters between the prefix with the argmax
suffix and the prefix with the true one, each decoded whole (null without a tokenizer); `nll` the
mean negative log-likelihood in nats per suffix token; `recited` whether every token is a hit."""

# No sampling scheme is asked for, so that nothing is spent on one.
_PLAIN = SamplingScheme(top_k=None)


@contextmanager
def ablated(
    loaded: LoadedModel,
    selection: Selection | None,
    *,
    strength: float = 0.0,
    spare_lead: bool = False,
) -> Iterator[None]:
    """Turn neurons down in forward passes inside the block; the model is in evaluation mode.

    Args:
        loaded: The model; hooks and modes are as before when the block ends.
        selection: Which neurons; None leaves all as they are.
        strength: What they are multiplied by, at all positions, the prefix's included; 0 is the
            paper's dropout of neurons.
        spare_lead: Leave them alone at the positions of `loaded.lead`, where the tokenizer puts
            something before a text: there a few neurons make the attention sink, and without them
            a model is wrecked. What is spared so cannot be written into the weights.

    Raises:
        InputError: The selection is of another model, or the strength is not finite.
    """
    if not math.isfinite(strength):
        raise InputError(f"The ablation: strength={strength!r} must be a finite number.")
    with evaluating(loaded.model):
        if selection is None:
            yield
            return
        check_fits(selection, loaded.neurons)
        mask = selection.mask(strength).to(loaded.device)
        spare = len(loaded.lead) if spare_lead else 0
        with loaded.neurons.scale(loaded.model, mask, spare=spare):
            yield


class Gauge:
    """Measures a model under one ablation after the other.

    Args:
        loaded: The model.
        batch_size: Passages or texts in a forward pass; None fills about 3,200 tokens. The numbers
            do not depend on it, but for rounding.
    """

    def __init__(self, loaded: LoadedModel, *, batch_size: int | None = None) -> None:
        self.loaded = loaded
        self._scorer = Scorer(loaded, _PLAIN, batch_size=batch_size)
        self._true: dict[bytes, str] = {}

    def recital(
        self,
        passages: Sequence[Passage],
        selection: Selection | None = None,
        *,
        strength: float = 0.0,
        spare_lead: bool = False,
    ) -> pl.DataFrame:
        """Measure how much of each passage the model recites.

        Args:
            passages: What is asked; `loaded.lead` is put before each.
            selection: The neurons that are turned down; None for the model as it is.
            strength: As for `ablated`.
            spare_lead: As for `ablated`.

        Returns:
            One row for each passage, in order; columns as in `RECITAL`.

        Raises:
            InputError: A passage cannot be scored, or the selection is of another model.
            ByroteError: The model's logits are not finite.
        """
        self._check([p.input_ids for p in passages], [f"passage {p.id!r}" for p in passages])
        with ablated(self.loaded, selection, strength=strength, spare_lead=spare_lead):
            scores = self._scorer.score(passages)
        rows = [
            {
                "passage": passage.id,
                "accuracy": token_accuracy(score),
                "distance": self._distance(passage, score),
                "nll": nll(score),
                "recited": extractable(score),
            }
            for passage, score in zip(passages, scores, strict=True)
        ]
        return pl.DataFrame(rows, schema=RECITAL)

    def text_loss(
        self,
        rows: Sequence[ArrayLike],
        selection: Selection | None = None,
        *,
        strength: float = 0.0,
        spare_lead: bool = False,
    ) -> float:
        """Measure how well the model predicts texts: every token that has something before it.

        Args:
            rows: Token ids of each text, without any BOS; `loaded.lead` is put before it.
            selection: The neurons that are turned down; None for the model as it is.
            strength: As for `ablated`.
            spare_lead: As for `ablated`.

        Returns:
            Mean negative log-likelihood over the tokens of all texts, nats per token.

        Raises:
            InputError: There is no text, one is too short or too long, or has an id that is none;
                or the selection is of another model.
            ByroteError: The model's logits are not finite.
        """
        texts = [np.asarray(row) for row in rows]
        self._check(texts, [f"text {index}" for index in range(len(texts))])
        first = 0 if self._scorer.lead else 1
        short = [index for index, text in enumerate(texts) if len(text) <= first]
        if short or not texts:
            what = f"text {short[0]} has {len(texts[short[0]])}" if short else "there is none"
            raise InputError(
                f"The loss on texts: {what}; it takes texts of at least {first + 1} tokens each."
            )
        passages = [
            Passage(f"text {index}", "texts", str(index), 0, text.astype(np.int32), first)
            for index, text in enumerate(texts)
        ]
        total, tokens = 0.0, 0
        with ablated(self.loaded, selection, strength=strength, spare_lead=spare_lead):
            for score in self._scorer.score(passages):
                total -= float(score.logprob.sum(dtype=np.float64))
                tokens += len(score)
        return total / tokens

    def _check(self, rows: Sequence[NDArray[Any]], names: Sequence[str]) -> None:
        """See that ids can be given to the model, before it runs."""
        most, vocab = self.loaded.max_len, self.loaded.vocab_size
        lead = len(self._scorer.lead)
        for row, name in zip(rows, names, strict=True):
            if row.ndim != 1 or (len(row) and not np.issubdtype(row.dtype, np.integer)):
                raise InputError(
                    f"{name}: token ids are one row of whole numbers, not {row.dtype} of the "
                    f"shape {list(row.shape)}."
                )
            if len(row) and not 0 <= int(row.min()) <= int(row.max()) < vocab:
                raise InputError(
                    f"{name} has token ids from {row.min()} to {row.max()}; those of "
                    f"{self.loaded.source} go from 0 to {vocab - 1}. Tokenize it for this model."
                )
            if most is not None and lead + len(row) - 1 > most:
                raise InputError(
                    f"{name} has {len(row)} tokens; {self.loaded.source} takes {most}, what leads "
                    "included. Cut it shorter."
                )

    def _distance(self, passage: Passage, score: Scores) -> int | None:
        if self.loaded.tokenizer is None:
            return None
        if score.hit.all():
            return 0
        key = passage.input_ids.tobytes()
        if key not in self._true:
            self._true[key] = self._decode(passage.input_ids)
        said = self._decode(np.concatenate((passage.prefix_ids, score.argmax)))
        return Levenshtein.distance(self._true[key], said)

    def _decode(self, ids: NDArray[np.int32]) -> str:
        # The official code decodes prefix and suffix apart and drops special tokens on one side
        # only, so that a passage may differ from itself.
        tokenizer: Any = self.loaded.tokenizer
        return tokenizer.decode(
            ids.tolist(), skip_special_tokens=False, clean_up_tokenization_spaces=False
        )


def measure_recital(
    loaded: LoadedModel,
    passages: Sequence[Passage],
    selection: Selection | None = None,
    *,
    strength: float = 0.0,
    spare_lead: bool = False,
    batch_size: int | None = None,
) -> pl.DataFrame:
    """Measure how much of each passage a model recites, under one ablation: see `Gauge.recital`.

    Example:
        >>> measure_recital(loaded, passages, select(scores[0], 0.005, skip_layers=[0]))
    """
    gauge = Gauge(loaded, batch_size=batch_size)
    return gauge.recital(passages, selection, strength=strength, spare_lead=spare_lead)


def text_loss(
    loaded: LoadedModel,
    rows: Sequence[ArrayLike],
    selection: Selection | None = None,
    *,
    strength: float = 0.0,
    spare_lead: bool = False,
    batch_size: int | None = None,
) -> float:
    """Nats per token on texts, under one ablation: see `Gauge.text_loss`."""
    gauge = Gauge(loaded, batch_size=batch_size)
    return gauge.text_loss(rows, selection, strength=strength, spare_lead=spare_lead)


def perplexities(nats: float) -> tuple[float, float]:
    """Turn a loss into the perplexity, and into what the paper calls so.

    The official code of 2311.09060 raises 2, not e, to a loss in nats, so its published numbers
    are smaller: perplexity = published ** (1 / ln 2). It also averages them over batches of 128
    texts, which makes them a little larger than that of the mean loss.

    Args:
        nats: Mean loss, nats per token.

    Returns:
        `exp(nats)`, and the paper's `2 ** nats`; infinite where they leave float64.
    """
    return _power(math.e, nats), _power(2.0, nats)


def _power(base: float, exponent: float) -> float:
    try:
        return math.exp(exponent) if base == math.e else base**exponent
    except OverflowError:
        return math.inf
