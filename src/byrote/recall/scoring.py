"""The one scoring pass: true prefix and true suffix in, numbers for every suffix token out.

Verbatim greedy extraction needs no generation: a suffix is what greedy decoding writes if and only
if each of its tokens is the argmax given the true tokens before it. The same pass gives the
probability of the suffix under any sampling scheme (Hayes et al. 2410.19482, section 3) and the
signals of nearly every membership attack.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from byrote.errors import ByroteError, InputError
from byrote.models.head import OutputHead, split_head
from byrote.models.loading import LoadedModel
from byrote.recall.logit_stats import LogitStats, logit_stats
from byrote.recall.scores import SamplingScheme, Scores
from byrote.texts.passages import Passage

__all__ = ["Scorer", "batches_by_length"]

# Rows of logits that are computed together: a matrix product with fewer spends its time reading the
# head's weights. They share one buffer of at most this many logits, since fresh memory of that size
# costs the system as much as filling it.
_ROWS_PER_PRODUCT = 128
_LOGITS_PER_PRODUCT = 2**25
# Logits that are reduced together: few enough to stay in a processor's cache from pass to pass.
_LOGITS_PER_REDUCTION = 2**20
_TOKENS_PER_BATCH = 3200

# Two runs of the same passage in batches of different shapes differ by rounding. Where the two
# largest logits are closer than this, the argmax is decided by a run of the passage alone.
_TIE_TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-9}


@dataclass(slots=True)
class Scorer:
    """Scores passages with one model; batches by length, order and batch size do not matter.

    Attributes:
        loaded: The model.
        scheme: The sampling scheme of `Scores.logprob_sampled`.
        batch_size: Passages in a forward pass; None fills about 3,200 tokens.
        lead: Token ids put before every prefix: the BOS where the tokenizer itself prepends one.
    """

    loaded: LoadedModel
    scheme: SamplingScheme
    batch_size: int | None
    lead: tuple[int, ...]
    _head: OutputHead | None

    def __init__(
        self,
        loaded: LoadedModel,
        scheme: SamplingScheme | None = None,
        *,
        batch_size: int | None = None,
        lead: Sequence[int] | None = None,
    ) -> None:
        if batch_size is not None and batch_size < 1:
            raise InputError(f"batch size {batch_size}: it must be at least 1, or left out")
        self.loaded = loaded
        self.scheme = scheme or SamplingScheme()
        self.batch_size = batch_size
        self.lead = loaded.lead if lead is None else tuple(lead)
        self._head = split_head(loaded.model)

    def score(self, passages: Sequence[Passage]) -> list[Scores]:
        """Score passages; the result has their order.

        Raises:
            InputError: A passage has no suffix, or neither a prefix nor a leading token.
            ByroteError: The model's logits are not finite.
        """
        results: list[Scores | None] = [None] * len(passages)
        for indices, scores in self.stream(passages):
            for index, score in zip(indices, scores, strict=True):
                results[index] = score
        return [score for score in results if score is not None]

    def stream(self, passages: Sequence[Passage]) -> Iterator[tuple[list[int], list[Scores]]]:
        """Score batch by batch, longest first.

        Yields:
            The indices of a batch's passages in `passages`, and their scores.
        """
        for passage in passages:
            if passage.suffix_len < 1 or passage.prefix_len + len(self.lead) < 1:
                raise InputError(
                    f"passage {passage.id!r} has {passage.prefix_len} prefix and "
                    f"{passage.suffix_len} suffix tokens: scoring needs at least one of each "
                    "(the prefix may be empty only where a BOS token leads)"
                )
        lengths = [len(passage.input_ids) for passage in passages]
        for indices in batches_by_length(lengths, self.batch_size):
            batch = [passages[i] for i in indices]
            scores, tied = self._score_batch(batch)
            if len(batch) > 1:
                for row in tied:
                    scores[row] = self._score_batch([batch[row]])[0][0]
            yield indices, scores

    @torch.inference_mode()
    def _score_batch(self, batch: Sequence[Passage]) -> tuple[list[Scores], list[int]]:
        """Score one batch; also say which rows hold a near tie."""
        lead = len(self.lead)
        rows, columns, targets = [], [], []
        width = max(len(p.input_ids) for p in batch) + lead - 1
        # Padding stands on the right, where causal attention never looks: no mask is needed.
        ids = torch.zeros(len(batch), width, dtype=torch.long)
        for row, passage in enumerate(batch):
            tokens = torch.as_tensor(passage.input_ids, dtype=torch.long)
            ids[row, :lead] = torch.tensor(self.lead, dtype=torch.long)
            ids[row, lead : lead + len(tokens) - 1] = tokens[:-1]
            start = lead + passage.prefix_len - 1
            rows.append(torch.full((passage.suffix_len,), row))
            columns.append(torch.arange(start, start + passage.suffix_len))
            targets.append(tokens[passage.prefix_len :])
        stats = self._stats(ids, torch.cat(rows), torch.cat(columns), torch.cat(targets))
        lengths = [p.suffix_len for p in batch]
        # One logit that is NaN or infinite makes the log-probability of every token there NaN.
        for passage, logprob in zip(batch, stats.logprob.split(lengths), strict=True):
            if logprob.isnan().any():
                raise not_finite(passage, self.loaded)
        tied = [row for row, near in enumerate(stats.near_tie.split(lengths)) if near.any()]
        return _unpack(stats, lengths), tied

    def _stats(
        self,
        ids: torch.Tensor,
        rows: torch.Tensor,
        columns: torch.Tensor,
        targets: torch.Tensor,
    ) -> LogitStats:
        """Run the model and reduce the logits at `(rows, columns)` chunk by chunk."""
        device = self.loaded.device
        ids, rows, columns, targets = (t.to(device) for t in (ids, rows, columns, targets))
        tolerance = tie_tolerance(self.loaded.dtype)
        if self._head is None:
            # The head cannot be told apart from the rest: take the logits as the model gives them.
            logits = self.loaded.model(input_ids=ids, use_cache=False).logits[rows, columns]
            return _to_cpu([logit_stats(logits, targets, self.scheme, tolerance)])
        hidden = self._head.backbone(ids, use_cache=False)[rows, columns]
        vocab = self._head.weight.shape[0]
        step = max(1, min(_ROWS_PER_PRODUCT, _LOGITS_PER_PRODUCT // vocab, len(hidden)))
        few = max(1, _LOGITS_PER_REDUCTION // vocab)
        buffer = hidden.new_empty(step, vocab)
        parts = []
        for some, wanted in zip(hidden.split(step), targets.split(step), strict=True):
            logits = self._head.head(some, out=buffer[: len(some)])
            parts += [
                logit_stats(part, tokens, self.scheme, tolerance)
                for part, tokens in zip(logits.split(few), wanted.split(few), strict=True)
            ]
        return _to_cpu(parts)


def tie_tolerance(dtype: torch.dtype) -> float:
    """How close two logits may be before the argmax is decided by a pass of the passage alone.

    In half precision rounding is as large as many true differences, so there is no tolerance that
    separates the two; the audit then says that verdicts may depend on the batch.
    """
    return _TIE_TOLERANCE.get(dtype, 0.0)


def not_finite(passage: Passage, loaded: LoadedModel) -> ByroteError:
    """The error for a passage whose logits are NaN or infinite."""
    wider = {torch.float16: "bfloat16 or float32", torch.bfloat16: "float32"}.get(loaded.dtype)
    way_out = f"give --dtype {wider}" if wider else "its weights are damaged, or not those it needs"
    return ByroteError(
        f"{loaded.source} gives logits that are not finite for passage {passage.id!r} in "
        f"{str(loaded.dtype).removeprefix('torch.')}: {way_out}"
    )


def batches_by_length(lengths: Sequence[int], batch_size: int | None) -> Iterator[list[int]]:
    """Group indices of similar length, longest first (the first batch shows the memory need).

    Args:
        lengths: Tokens of each item.
        batch_size: Items in a batch; None fills about 3,200 tokens.

    Yields:
        Indices into `lengths`; each index appears once.
    """
    order = sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
    while order:
        size = batch_size or max(1, _TOKENS_PER_BATCH // max(lengths[order[0]], 1))
        yield order[:size]
        order = order[size:]


def _to_cpu(parts: list[LogitStats]) -> LogitStats:
    def join(name: str) -> torch.Tensor:
        return torch.cat([getattr(part, name) for part in parts]).cpu()

    return LogitStats(**{name: join(name) for name in LogitStats.__slots__})


def _unpack(stats: LogitStats, lengths: list[int]) -> list[Scores]:
    def pieces(tensor: torch.Tensor, dtype: torch.dtype) -> tuple[torch.Tensor, ...]:
        return tensor.to(dtype).split(lengths)

    logprob = pieces(stats.logprob, torch.float32)
    rank = pieces(stats.rank, torch.int32)
    argmax = pieces(stats.argmax, torch.int32)
    entropy = pieces(stats.entropy, torch.float32)
    variance = pieces(stats.logprob_var, torch.float32)
    sampled = pieces(stats.logprob_sampled, torch.float32)
    hit = pieces(stats.hit, torch.bool)
    return [
        Scores(
            logprob=logprob[i].numpy(),
            rank=rank[i].numpy(),
            hit=hit[i].numpy(),
            argmax=argmax[i].numpy(),
            entropy=entropy[i].numpy(),
            logprob_var=variance[i].numpy(),
            logprob_sampled=sampled[i].numpy(),
        )
        for i in range(len(lengths))
    ]
