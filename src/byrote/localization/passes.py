"""Passages as the rows of a batch, and the loss of their suffixes, for methods that use gradients.

`recall.Scorer` tells more of each suffix token, but outside autograd and to fewer digits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from byrote.errors import InputError
from byrote.localization.losses import logits_nll, target_nll
from byrote.models.head import OutputHead
from byrote.models.loading import LoadedModel
from byrote.models.modes import evaluating
from byrote.recall.scoring import not_finite
from byrote.texts.passages import Passage

__all__ = ["Layout", "check_finite", "check_passages", "frozen", "lay_out", "suffix_nll"]


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """Passages as rows, each `lead + passage` without its last token, padded on the right.

    Suffix token j of a passage is predicted at position `len(lead) + prefix_len + j - 1`. Padding
    stands where causal attention never looks, so that there is no mask.

    Attributes:
        ids: int64 `[batch, positions]`, on the model's device.
        rows: `[tokens]`, the row of each suffix token of all passages, in order.
        columns: `[tokens]`, the position that predicts it.
        targets: `[tokens]`, the token itself.
        lengths: How many suffix tokens each passage has.
    """

    ids: Tensor
    rows: Tensor
    columns: Tensor
    targets: Tensor
    lengths: tuple[int, ...]

    def means(self, values: Tensor) -> Tensor:
        """Mean over each passage's suffix: `[..., tokens]` to `[..., batch]`."""
        return torch.stack([part.mean(-1) for part in values.split(self.lengths, -1)], -1)


def check_passages(loaded: LoadedModel, passages: Sequence[Passage]) -> None:
    """See that a model can be asked for passages, before it runs.

    Raises:
        InputError: One has no suffix, or nothing before it; it is too long; or its ids are not the
            model's.
    """
    lead, vocab, most = len(loaded.lead), loaded.vocab_size, loaded.max_len
    for passage in passages:
        ids = passage.input_ids
        if passage.suffix_len < 1 or passage.prefix_len + lead < 1:
            raise InputError(
                f"passage {passage.id!r} has {passage.prefix_len} prefix and {passage.suffix_len} "
                "suffix tokens: localization needs at least one of each (the prefix may be empty "
                "only where a BOS token leads)"
            )
        if not 0 <= int(ids.min()) <= int(ids.max()) < vocab:
            raise InputError(
                f"passage {passage.id!r} has token ids from {ids.min()} to {ids.max()}; those of "
                f"{loaded.source} go from 0 to {vocab - 1}. Tokenize it for this model."
            )
        if most is not None and lead + len(ids) - 1 > most:
            raise InputError(
                f"passage {passage.id!r} has {len(ids)} tokens; {loaded.source} takes {most}, what "
                "leads included. Cut it shorter."
            )


def check_finite(loaded: LoadedModel, passages: Sequence[Passage], losses: Tensor) -> None:
    """See that the losses of passages are numbers.

    Args:
        loaded: The model they are of.
        passages: Whose they are.
        losses: `[passages, ...]`.

    Raises:
        ByroteError: One of them is not.
    """
    fine = losses.isfinite().reshape(len(passages), -1).all(1)
    if not fine.all():
        raise not_finite(passages[int((~fine).nonzero()[0, 0])], loaded)


def lay_out(loaded: LoadedModel, passages: Sequence[Passage]) -> Layout:
    """Lay passages out as the rows of one batch."""
    lead = torch.tensor(loaded.lead, dtype=torch.long)
    width = max(len(p.input_ids) for p in passages) + len(lead) - 1
    ids = torch.zeros(len(passages), width, dtype=torch.long)
    rows, columns, targets = [], [], []
    for row, passage in enumerate(passages):
        tokens = torch.as_tensor(passage.input_ids, dtype=torch.long)
        given = torch.cat((lead, tokens[:-1]))
        ids[row, : len(given)] = given
        start = len(lead) + passage.prefix_len - 1
        rows.append(torch.full((passage.suffix_len,), row))
        columns.append(torch.arange(start, start + passage.suffix_len))
        targets.append(tokens[passage.prefix_len :])
    parts = (ids, torch.cat(rows), torch.cat(columns), torch.cat(targets))
    moved = (part.to(loaded.device) for part in parts)
    return Layout(*moved, lengths=tuple(p.suffix_len for p in passages))


def suffix_nll(loaded: LoadedModel, head: OutputHead | None, layout: Layout) -> Tensor:
    """Run the model and give the loss of every suffix token.

    Args:
        loaded: The model.
        head: Its output head (`split_head`); None where it cannot be split off.
        layout: What it is run on.

    Returns:
        float64 `[tokens]`, negative log-likelihood in nats, in the autograd graph where there is
        one.
    """
    if head is None:
        logits = loaded.model(input_ids=layout.ids, use_cache=False).logits
        return logits_nll(logits[layout.rows, layout.columns], layout.targets)
    hidden = head.backbone(layout.ids, use_cache=False)
    return target_nll(head, hidden[layout.rows, layout.columns], layout.targets)


@contextmanager
def frozen(model: nn.Module) -> Iterator[None]:
    """Have a model in evaluation mode and its weights without gradients for the while.

    Backward passes then stop at the activations that they are asked for, and no `.grad` is filled.
    """
    wanted = [parameter for parameter in model.parameters() if parameter.requires_grad]
    with evaluating(model):
        try:
            for parameter in wanted:
                parameter.requires_grad_(False)
            yield
        finally:
            for parameter in wanted:
                parameter.requires_grad_(True)
