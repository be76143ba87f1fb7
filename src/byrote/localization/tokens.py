"""Run single tokens through the upper layers, each as the last of a text whose rest is as it was.

What comes before a token does not see it, so with the keys and values of one clean pass at hand, a
changed residual at position t costs one token of the layers above instead of t + 1. Any number of
such tokens go through a layer together, those of the same position as one row: a mask lets each see
the clean positions before its own, and itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from byrote.localization.losses import target_nll
from byrote.localization.stack import MISFITS, Clean, half_silent
from byrote.localization.write_back import LayerPass, close

__all__ = ["Tokens", "token_runs"]

_CACHES = ("past_key_values", "layer_past", "past_key_value")


class _Keep:
    """Stands in for a cache: keeps what it is given."""

    keys: Tensor | None = None
    values: Tensor | None = None

    def update(self, keys: Tensor, values: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        self.keys, self.values = keys, values
        return keys, values


class _Beside:
    """Stands in for a cache: puts the clean keys and values before new ones."""

    def __init__(self, keys: Tensor, values: Tensor) -> None:
        self._keys, self._values = keys, values

    def update(self, keys: Tensor, values: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        rows = (len(keys), -1, -1, -1)
        return (
            torch.cat((self._keys.expand(*rows), keys), -2),
            torch.cat((self._values.expand(*rows), values), -2),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Tokens:
    """Single tokens beside the clean keys and values of one passage.

    Attributes:
        clean: The passage's clean pass.
        caches: For each layer the name of the argument that takes a cache, and its stand-in.
        seen: For each layer bool `[positions, positions]`: which clean ones before it a position
            sees. Layers that see alike share the tensor.
    """

    clean: Clean
    caches: tuple[tuple[str, _Beside], ...]
    seen: tuple[Tensor, ...]

    def hidden(self, layer: int, residual: Tensor, positions: Tensor) -> Tensor:
        """Run all layers above one, and what follows them.

        Args:
            layer: The layer that was changed.
            residual: Its outputs for single tokens, `[positions, tokens, hidden]`.
            positions: `[positions]`, where in the passage's row the tokens of each row here stand.

        Returns:
            `[positions, tokens, hidden]`, what the head takes; differentiable.
        """
        clean, each = self.clean, residual.shape[1]
        masks: dict[int, Tensor] = {}
        for index in range(layer + 1, len(clean.passes)):
            above, seen = clean.passes[index], self.seen[index]
            if id(seen) not in masks:
                masks[id(seen)] = _mask(seen[positions], each, residual.dtype)
            name, cache = self.caches[index]
            given = {name: cache, "attention_mask": masks[id(seen)]}
            residual = above.again(residual, **given, **_placed(above, positions, each))
        tail = clean.stack.tail
        return residual if tail is None else tail(residual)

    def losses(self, layer: int, residual: Tensor, positions: Tensor, targets: Tensor) -> Tensor:
        """The loss of the token that follows each, nats: float64 `[positions, tokens]`.

        Args:
            layer: As for `hidden`.
            residual: As for `hidden`.
            positions: As for `hidden`.
            targets: `[positions]`, the ids that follow.
        """
        hidden = self.hidden(layer, residual, positions)
        repeated = targets.repeat_interleave(hidden.shape[1])
        losses = target_nll(self.clean.stack.head, hidden.flatten(0, 1), repeated)
        return losses.view(hidden.shape[:2])


@torch.no_grad()
def token_runs(clean: Clean) -> Tokens | None:
    """Keep the keys and values of a clean pass and see that single tokens run beside them.

    Returns:
        None where they do not give what the whole model gives.
    """
    try:
        tokens = _kept(clean)
        return tokens if tokens is not None and _tried(tokens) else None
    except MISFITS:
        return None


def _tried(tokens: Tokens) -> bool:
    """Whether clean tokens give what they gave in the row, and a changed one what it gives there.

    What is changed is the last position, of which half the neurons are zeroed in the lowest and in
    a middle layer.
    """
    clean = tokens.clean
    loaded, columns = clean.stack.loaded, clean.layout.columns
    again = tokens.hidden(0, clean.passes[0].output[columns][:, None], columns)
    if not close(again[:, 0], clean.final[columns]):
        return False
    last = columns[-1:]
    for layer in sorted({0, len(clean.passes) // 2}):
        mask, change = half_silent(clean, layer)
        with loaded.neurons.scale(loaded.model, mask, spare=int(last)):
            whole = clean.stack.head.backbone(clean.layout.ids, use_cache=False)[0, last]
        # Two tokens, the first one clean, which must not see each other.
        both = torch.stack((0.0 * change[last], change[last]), 1)
        residual = clean.stack.writes[layer].output(clean.passes[layer], last[:, None], both)
        if not close(tokens.hidden(layer, residual, last)[:, 1], whole):
            return False
    return True


def _kept(clean: Clean) -> Tokens | None:
    caches: list[tuple[str, _Beside]] = []
    seen: list[Tensor] = []
    known: dict[int, Tensor] = {}
    for step in clean.passes:
        name = next((name for name in _CACHES if name in step.rest), None)
        mask = step.rest.get("attention_mask")
        if name is None or not (mask is None or isinstance(mask, Tensor)):
            return None
        keep = _Keep()
        step.again(step.given, **{name: keep})
        if keep.keys is None or keep.values is None:
            return None
        caches.append((name, _Beside(keep.keys, keep.values)))
        if id(mask) not in known:
            known[id(mask)] = _seen(mask, step.output)
        seen.append(known[id(mask)])
    return Tokens(clean, tuple(caches), tuple(seen))


def _seen(mask: Tensor | None, output: Tensor) -> Tensor:
    """Which positions strictly before its own each sees, by the mask of the clean pass."""
    length = len(output)
    before = torch.ones(length, length, dtype=torch.bool, device=output.device).tril(-1)
    if mask is None:
        return before
    own = mask[0, 0, :, :length]
    return before & (own if own.dtype == torch.bool else own > torch.finfo(own.dtype).min / 2)


def _mask(seen: Tensor, each: int, dtype: torch.dtype) -> Tensor:
    """0 where a token sees and else minus infinity.

    Args:
        seen: bool `[positions, clean positions]`.
        each: Tokens at each position.
        dtype: Of the mask.

    Returns:
        `[positions, 1, tokens, clean positions + tokens]`.
    """
    itself = torch.eye(each, dtype=torch.bool, device=seen.device)
    sees = torch.cat((seen[:, None].expand(-1, each, -1), itself.expand(len(seen), -1, -1)), -1)
    mask = torch.zeros(sees.shape, dtype=dtype, device=seen.device)
    return mask.masked_fill_(~sees, -torch.inf)[:, None]


def _placed(step: LayerPass, positions: Tensor, each: int) -> dict[str, Any]:
    """The layer's arguments that say where tokens stand, for tokens at these positions."""

    def rows(value: Tensor) -> Tensor:
        """From `[1, clean positions, ...]` to `[positions, tokens, ...]`."""
        return value[0, positions][:, None].expand(-1, each, *value.shape[2:])

    placed: dict[str, Any] = {}
    for name in ("position_embeddings", "position_ids"):
        value = step.rest.get(name)
        if isinstance(value, Tensor):
            placed[name] = rows(value)
        elif isinstance(value, tuple):
            placed[name] = tuple(rows(part) for part in value)
    return placed
