"""MemFree decoding: no n-gram of a filter is ever completed (Ippolito et al. 2210.17546).

Before a token is chosen, every token that would complete an n-gram of the filter with the n - 1
tokens before it is forbidden. What is generated then shares no n tokens in a row with the filter's
texts, however tokens are chosen. It prevents verbatim recital and nothing else: the paper's own
finding is that near copies, and answers to prompts in another style, get through; see
`byrote.decoding.evasion`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import LogitsProcessor

from byrote.decoding.base import NGramFilter
from byrote.errors import InputError

__all__ = ["MemFree", "MemFreeCounts"]


@dataclass(slots=True)
class MemFreeCounts:
    """What a `MemFree` has done so far.

    Attributes:
        steps: Calls, one for each token of a batch.
        rows: Rows seen, over all calls.
        rows_hit: Rows in which at least one token was forbidden.
        forbidden: Tokens forbidden that had not been before.
        changed: Rows whose most likely token was forbidden.
        stuck: Rows in which no token was left.
    """

    steps: int = 0
    rows: int = 0
    rows_hit: int = 0
    forbidden: int = 0
    changed: int = 0
    stuck: int = 0


class MemFree(LogitsProcessor):
    """Forbids, at each step, every token that would complete an n-gram of a filter.

    For `model.generate(…, logits_processor=LogitsProcessorList([MemFree(ngrams)]))`, greedy, with
    sampling or with beams, in batches. It runs before temperature, top-k and top-p, so these choose
    among what is allowed. It keeps nothing but counts from one step to the next.

    n-grams that begin in the prompt and end in a generated token are forbidden too; those that lie
    within the prompt are not its business.

    Where no token is left in a row (all were forbidden, here or by processors before), the row ends
    with EOS if there is one. Without one the row is left as it was, its next token may complete an
    n-gram of the filter, and `counts.stuck` says how often that happened.

    Attributes:
        ngrams: The filter.
        counts: What it has done so far.
    """

    def __init__(
        self,
        ngrams: NGramFilter,
        *,
        tokenizer: Any = None,
        eos_token_id: int | Sequence[int] | None = None,
        pad_token_id: int | None = None,
    ) -> None:
        """Set it up.

        Args:
            ngrams: A `BloomFilter`, an `NGramSet`, or what `load_filter` gave.
            tokenizer: The model's tokenizer, compared with the one that the filter was built with;
                None leaves it unchecked.
            eos_token_id: What ends a row in which no token is left.
            pad_token_id: What fills up shorter prompts of a batch on the left. Without it an n-gram
                of the filter that has this very token would also be found across the filling.

        Raises:
            InputError: The filter was built with another tokenizer.
        """
        if not isinstance(ngrams, NGramFilter):
            raise InputError(
                f"MemFree takes a filter of n-grams, not {type(ngrams).__name__}; read one with "
                "byrote.decoding.load_filter(path)."
            )
        if tokenizer is not None:
            ngrams.check_tokenizer(tokenizer)
        self.ngrams = ngrams
        self.counts = MemFreeCounts()
        ids = [eos_token_id] if isinstance(eos_token_id, int) else list(eos_token_id or ())
        self._eos = ids
        self._pad = pad_token_id

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Forbid tokens.

        Args:
            input_ids: Prompt and what was generated, `[rows, tokens]`.
            scores: Logits or log-probabilities of the next token, `[rows, vocabulary]`.

        Returns:
            The scores, with minus infinity for forbidden tokens; the very same tensor where there
            are none.
        """
        self.counts.steps += 1
        self.counts.rows += len(input_ids)
        width = self.ngrams.n - 1
        start = input_ids.shape[1] - width
        if start < 0:
            return scores
        tail = input_ids[:, start:].cpu().numpy()
        rows, tokens = self.ngrams.followers(tail, scores.shape[-1])
        rows, tokens = self._without_padding(input_ids, start, rows, tokens)
        if not len(rows):
            return scores
        at = (
            torch.from_numpy(rows).to(scores.device),
            torch.from_numpy(tokens).to(scores.device),
        )
        return self._forbid(scores, np.unique(rows), at)

    def _without_padding(
        self,
        input_ids: torch.Tensor,
        start: int,
        rows: NDArray[np.int64],
        tokens: NDArray[np.int64],
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Leave out the rows whose last n - 1 tokens begin in the filling."""
        if self._pad is None or not len(rows):
            return rows, tokens
        filled = (input_ids[:, : start + 1] == self._pad).all(dim=1).cpu().numpy()
        good = ~filled[rows]
        return rows[good], tokens[good]

    def _forbid(
        self, scores: torch.Tensor, hit: NDArray[np.int64], at: tuple[torch.Tensor, torch.Tensor]
    ) -> torch.Tensor:
        touched = torch.from_numpy(hit).to(scores.device)
        before = scores[touched]
        result = scores.clone()
        result[at] = -torch.inf
        after = result[touched]
        best = before.argmax(dim=-1, keepdim=True)
        self.counts.rows_hit += len(hit)
        self.counts.forbidden += int((torch.isneginf(after) & ~torch.isneginf(before)).sum())
        self.counts.changed += int(torch.isneginf(after.gather(1, best)).sum())
        stuck = torch.isneginf(after).all(dim=-1)
        if bool(stuck.any()):
            self.counts.stuck += int(stuck.sum())
            result[touched[stuck]] = self._way_out(before[stuck])
        return result

    def _way_out(self, before: torch.Tensor) -> torch.Tensor:
        """Scores of rows in which every token is forbidden."""
        ends = [token for token in self._eos if token < before.shape[-1]]
        if not ends:
            return before
        result = torch.full_like(before, -torch.inf)
        own = before[:, ends]
        # An EOS that was impossible anyway is now certain.
        result[:, ends] = torch.where(torch.isneginf(own), torch.zeros_like(own), own)
        return result
