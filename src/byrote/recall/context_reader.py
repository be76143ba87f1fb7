"""The forward passes behind `context_recall`: many cuts of one string, read in few tokens.

Where all cuts take their global context from one sequence g, the plain way runs about n/2 tokens of
g again for each of n cuts. Here `[BOS] g` is run once and its keys and values are kept; the local
prefixes of many cuts then stand side by side in one row, and the attention mask lets each see g up
to its own cut and itself. Position ids are given, so every token stands where it would stand alone.
That a model can do this (many cannot: state-space models, caches of another kind, windows shorter
than the text) is not presumed but tried on the input at hand, against rows run alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import DynamicCache

from byrote.models.head import OutputHead, split_head
from byrote.models.loading import LoadedModel
from byrote.recall.logit_stats import logit_stats
from byrote.recall.scores import SamplingScheme
from byrote.recall.scoring import batches_by_length, tie_tolerance

__all__ = ["ContextReader", "Cut", "Readings"]

# Tokens of local prefixes in one row: attention also looks (in vain) from each to all the others,
# so that more is not better.
_TOKENS_PER_PACK = 512
# A row goes into another batch when it would fill less of its place than this.
_LEAST_FILL = 0.8
# As in scoring: rows of one product with the head, and logits that are reduced in cache.
_ROWS_PER_PRODUCT = 128
_LOGITS_PER_REDUCTION = 2**20
_PLAIN = SamplingScheme(temperature=1.0, top_k=None, top_p=None)

Ids = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Cut:
    """A place where the global context ends, and what is asked after it.

    Attributes:
        at: Tokens of global context, m.
        ks: Lengths of local prefixes; k asks for the string's token at m + k.
    """

    at: int
    ks: tuple[int, ...]

    @property
    def length(self) -> int:
        """Tokens of the string to be run: those of the longest local prefix."""
        return max(self.ks)


@dataclass(frozen=True, slots=True)
class Readings:
    """What was read; every array has the shape `[asked]`.

    Attributes:
        position: int64, of the token asked for.
        k: int64, tokens of its local prefix; the position itself for the whole prefix.
        hit: bool, whether the token is the argmax over the vocabulary.
        nll: float64, nats.
    """

    position: Ids
    k: Ids
    hit: NDArray[np.bool_]
    nll: NDArray[np.float64]


@dataclass(slots=True)
class ContextReader:
    """Reads what a model says after altered prefixes of one string.

    Attributes:
        loaded: The model.
        string: `[n]` token ids.
        lead: Token ids before everything: the BOS, or nothing.
        batch_rows: Cuts in a forward pass; None fills it to a number of tokens.
        packs: Whether cuts can share one run of their global context; None before it was tried.
    """

    loaded: LoadedModel
    string: Ids
    lead: tuple[int, ...]
    batch_rows: int | None = None
    packs: bool | None = None
    _head: OutputHead | None = field(init=False, repr=False, default=None)

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Switch dropout off and gradients too; then give every module back its own mode.

        All reading happens inside.
        """
        modes = [(module, module.training) for module in self.loaded.model.modules()]
        self.loaded.model.eval()
        try:
            # Not inference mode: what a module keeps from it could not be trained on later.
            with torch.no_grad():
                self._head = split_head(self.loaded.model)
                yield
        finally:
            for module, training in modes:
                module.training = training

    def whole(self, positions: Ids) -> Readings:
        """Read all positions after their true prefix, in one pass."""
        prefix = self.string[: int(positions.max())]
        columns = torch.from_numpy(positions) + len(self.lead) - 1
        states = self._run(self._row(prefix), torch.zeros_like(columns), columns)
        rows = [self.string[:position] for position in positions]
        hit, nll = self._judge(states, self.string[positions], rows)
        return Readings(positions, positions, hit, nll)

    def rows(self, cuts: Sequence[Cut], contexts: Sequence[Ids]) -> Readings:
        """Read cuts that have a global context each: a row of a batch for each cut.

        Args:
            cuts: What is asked.
            contexts: What stands before each cut's local prefix, of any length.
        """
        lengths = [len(c) + cut.length for cut, c in zip(cuts, contexts, strict=True)]
        readings = []
        for batch in self._batches(lengths):
            readings.append(self._read_rows([cuts[i] for i in batch], [contexts[i] for i in batch]))
        return _join(readings)

    def shared(self, cuts: Sequence[Cut], context: Ids) -> Readings:
        """Read cuts that take their global context from the same sequence.

        Args:
            cuts: What is asked.
            context: At least as long as the last cut.
        """
        cache = None
        if self.packs is None:
            cache = self._try_packing(cuts, context)
            self.packs = cache is not None
        if not self.packs:
            return self.rows(cuts, [context[: cut.at] for cut in cuts])
        if cache is None:
            cache = self._remember(cuts, context)
        readings = []
        for some, states in self._packed(cuts, cache):
            prefixes = [self._prefix(context, cut, k) for cut in some for k in cut.ks]
            readings.append(self._readings(some, states, prefixes))
        return _join(readings)

    def _batches(self, lengths: Sequence[int]) -> Iterator[list[int]]:
        """Indices of rows that go together; unless told how many, rows with little padding."""
        for batch in batches_by_length(lengths, self.batch_rows):
            start = 0
            for place, index in enumerate(batch):
                if self.batch_rows is None and lengths[index] < _LEAST_FILL * lengths[batch[start]]:
                    yield batch[start:place]
                    start = place
            yield batch[start:]

    def _read_rows(self, cuts: Sequence[Cut], contexts: Sequence[Ids]) -> Readings:
        lines = [
            np.concatenate([context, self.string[cut.at : cut.at + cut.length]])
            for cut, context in zip(cuts, contexts, strict=True)
        ]
        lead = len(self.lead)
        # Padding stands on the right, where causal attention never looks: no mask is needed.
        ids = torch.zeros(len(cuts), lead + max(map(len, lines)), dtype=torch.long)
        rows, columns, prefixes = [], [], []
        for row, (cut, context, line) in enumerate(zip(cuts, contexts, lines, strict=True)):
            ids[row, : lead + len(line)] = self._row(line)[0]
            for k in cut.ks:
                rows.append(row)
                columns.append(lead + len(context) + k - 1)
                prefixes.append(line[: len(context) + k])
        states = self._run(ids, torch.tensor(rows), torch.tensor(columns))
        return self._readings(cuts, states, prefixes)

    def _readings(
        self, cuts: Sequence[Cut], states: torch.Tensor, prefixes: Sequence[Ids]
    ) -> Readings:
        k = np.array([k for cut in cuts for k in cut.ks])
        position = np.array([cut.at + k for cut in cuts for k in cut.ks])
        hit, nll = self._judge(states, self.string[position], prefixes)
        return Readings(position, k, hit, nll)

    def _remember(self, cuts: Sequence[Cut], context: Ids) -> DynamicCache:
        """Run the shared context as far as the cuts need it; keep its keys and values."""
        # Without the configuration: a cache that knows of a window would drop what is beyond it.
        cache = DynamicCache()
        shared = self._row(context[: max(cut.at for cut in cuts)])
        if shared.shape[1]:
            self._run(shared, None, None, past_key_values=cache, use_cache=True)
        return cache

    def _packed(
        self, cuts: Sequence[Cut], cache: DynamicCache
    ) -> Iterator[tuple[list[Cut], torch.Tensor]]:
        """Run pack after pack of local prefixes; the cache is afterwards as it was.

        Yields:
            Some cuts, and the states `[asked, …]` that their tokens are predicted from.
        """
        shared = cache.get_seq_length()
        for some in self._in_packs(cuts):
            at = torch.cat([torch.full((cut.length,), cut.at) for cut in some])
            local = torch.cat([torch.arange(cut.length) for cut in some])
            starts = np.cumsum([0, *(cut.length for cut in some)])
            columns = torch.tensor(
                [start + k - 1 for start, cut in zip(starts, some, strict=False) for k in cut.ks]
            )
            tokens = torch.from_numpy(self.string)[at + local]
            places = at + local + len(self.lead)
            states = self._run(
                tokens[None],
                torch.zeros_like(columns),
                columns,
                attention_mask=self._mask(shared, at + len(self.lead), local),
                position_ids=places[None].to(self.loaded.device),
                past_key_values=cache,
                use_cache=True,
            )
            cache.crop(-len(tokens))
            yield some, states

    def _in_packs(self, cuts: Sequence[Cut]) -> Iterator[list[Cut]]:
        pack: list[Cut] = []
        tokens = 0
        for cut in cuts:
            full = tokens + cut.length > _TOKENS_PER_PACK
            if pack and (len(pack) == self.batch_rows or (full and self.batch_rows is None)):
                yield pack
                pack, tokens = [], 0
            pack.append(cut)
            tokens += cut.length
        yield pack

    def _mask(self, shared: int, at: torch.Tensor, local: torch.Tensor) -> torch.Tensor:
        """What each packed token sees: the shared context before its cut, and its own prefix.

        Args:
            shared: Tokens of shared context, BOS included.
            at: `[packed]`, tokens of it that stand before the cut.
            local: `[packed]`, the token's place in its local prefix.

        Returns:
            `[1, 1, packed, shared + packed]`, 0 where a token sees and the least number elsewhere.
        """
        block = (local == 0).cumsum(0)
        own = (block[:, None] == block) & (local[:, None] >= local)
        sees = torch.cat([torch.arange(shared) < at[:, None], own], 1)
        dtype = self.loaded.dtype
        mask = torch.zeros(sees.shape, dtype=dtype).masked_fill_(~sees, torch.finfo(dtype).min)
        return mask[None, None].to(self.loaded.device)

    def _try_packing(self, cuts: Sequence[Cut], context: Ids) -> DynamicCache | None:
        """Try it at the first and the last cut, against rows that are run alone.

        Returns:
            The shared context's cache; None where the model cannot go on from one like this.
        """
        first, last = min(cuts, key=_place), max(cuts, key=_place)
        if self._window() <= len(self.lead) + last.at + last.length:
            return None
        trial = [Cut(first.at, (first.length,)), Cut(last.at, (min(last.ks),))]
        try:
            cache = self._remember(cuts, context)
            states = torch.cat([states for _, states in self._packed(trial, cache)])
        except (TypeError, ValueError, AttributeError, LookupError, RuntimeError):
            return None
        prefixes = [self._prefix(context, cut, cut.length) for cut in trial]
        alone = torch.cat([self._run_alone(prefix) for prefix in prefixes])
        # Rounding grows from layer to layer; a wrong mask or place changes far more than this.
        bound = torch.finfo(alone.dtype).eps ** 0.5 * float(alone.abs().max())
        return cache if (states - alone).abs().max() <= bound else None

    def _window(self) -> float:
        """The least number of tokens that a layer can look back on, where it is bounded."""
        config = self.loaded.config
        kinds = getattr(config, "layer_types", None)
        if kinds and set(kinds) == {"full_attention"}:
            return float("inf")
        sizes = [getattr(config, name, None) for name in ("sliding_window", "attention_chunk_size")]
        return min((size for size in sizes if isinstance(size, int)), default=float("inf"))

    def _prefix(self, context: Ids, cut: Cut, k: int) -> Ids:
        """All that stands before the token asked for, but for the lead."""
        return np.concatenate([context[: cut.at], self.string[cut.at : cut.at + k]])

    def _row(self, tokens: Ids) -> torch.Tensor:
        """`[1, lead + tokens]`, with what leads."""
        lead = torch.tensor(self.lead, dtype=torch.long)
        return torch.cat([lead, torch.as_tensor(tokens, dtype=torch.long)])[None]

    def _run(
        self,
        ids: torch.Tensor,
        rows: torch.Tensor | None,
        columns: torch.Tensor | None,
        **kwargs: Any,
    ) -> torch.Tensor:
        """Run the model.

        Args:
            ids: `[batch, tokens]`.
            rows: `[asked]`, or None where nothing is asked.
            columns: `[asked]`, as `rows`.
            kwargs: For the model.

        Returns:
            What the head takes at `(rows, columns)`: `[asked, hidden]`; logits, `[asked, vocab]`,
            where the head could not be split off.
        """
        device = self.loaded.device
        kwargs = {"use_cache": False} | kwargs
        if self._head is None:
            model: Any = self.loaded.model
            states = model(input_ids=ids.to(device), **kwargs).logits
        else:
            states = self._head.backbone(ids.to(device), **kwargs)
        if rows is None or columns is None:
            return states[:0, :0]
        return states[rows.to(device), columns.to(device)]

    def _run_alone(self, prefix: Ids) -> torch.Tensor:
        ids = self._row(prefix)
        return self._run(ids, torch.tensor([0]), torch.tensor([ids.shape[1] - 1]))

    def _judge(
        self, states: torch.Tensor, targets: Ids, prefixes: Sequence[Ids]
    ) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
        """Read hits and losses off states, near ties from a run of the prefix alone.

        Args:
            states: As from `_run`.
            targets: `[asked]` token ids.
            prefixes: Whole input before each target but for the lead, `[asked]` arrays.
        """
        hit, nll, near = self._stats(states, targets)
        for index in np.flatnonzero(near).tolist():
            alone = self._run_alone(prefixes[index])
            one_hit, one_nll, _ = self._stats(alone, targets[index : index + 1])
            hit[index], nll[index] = one_hit[0], one_nll[0]
        return hit, nll

    def _stats(
        self, states: torch.Tensor, targets: Ids
    ) -> tuple[NDArray[np.bool_], NDArray[np.float64], NDArray[np.bool_]]:
        wanted = torch.from_numpy(targets).to(states.device)
        tolerance = tie_tolerance(self.loaded.dtype)
        few = max(1, _LOGITS_PER_REDUCTION // self.loaded.vocab_size)
        parts = []
        pairs = zip(states.split(_ROWS_PER_PRODUCT), wanted.split(_ROWS_PER_PRODUCT), strict=True)
        for some, tokens in pairs:
            logits = some if self._head is None else self._head.head(some)
            parts += [
                logit_stats(part, asked, _PLAIN, tolerance)
                for part, asked in zip(logits.split(few), tokens.split(few), strict=True)
            ]
        hit = torch.cat([part.hit for part in parts]).cpu().numpy()
        logprob = torch.cat([part.logprob for part in parts]).double().cpu().numpy()
        near = torch.cat([part.near_tie for part in parts]).cpu().numpy()
        return hit, -logprob, near


def _place(cut: Cut) -> int:
    return cut.at


def _join(readings: Sequence[Readings]) -> Readings:
    def join(name: str) -> NDArray[Any]:
        return np.concatenate([getattr(one, name) for one in readings])

    return Readings(join("position"), join("k"), join("hit"), join("nll"))
