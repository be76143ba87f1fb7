"""Take a causal language model apart into backbone and output head.

With a large vocabulary the head is most of the work and nearly all of the memory of a pass, so a
caller wants it on the positions that are asked for only, in chunks. Whether the two parts together
are the model is not presumed but tried out when they are made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from byrote.models.modes import evaluating

__all__ = ["OutputHead", "split_head"]

# What configurations call a factor on the logits, and whether they divide by it.
_SCALES = (
    ("logit_scale", False),
    ("logits_scaling", True),
    ("logits_scale", False),
    ("lm_head_multiplier", False),
    ("output_multiplier_scale", False),
)
_POSITIONS = 8
# Logits this large show a soft cap, which small ones (of a random model, say) do not.
_LOUD = 30.0


@dataclass(frozen=True, slots=True, eq=False)
class OutputHead:
    """A model's last linear map and what follows it: `softcap(scale · (hidden @ weightᵀ + bias))`.

    Attributes:
        model: The whole model.
        decoder: Its part before the head.
        weight: `[vocab, hidden]`, the model's own (often tied to its embeddings).
        bias: `[vocab]` or None.
        scale: A factor on the logits.
        softcap: c in c · tanh(logits / c), or None (Gemma 2 2408.00118, section 2).
    """

    model: nn.Module
    decoder: nn.Module
    weight: Tensor
    bias: Tensor | None
    scale: float
    softcap: float | None

    def backbone(self, input_ids: Tensor, **kwargs: Any) -> Tensor:
        """Run everything before the head.

        Args:
            input_ids: `[batch, positions]`.
            kwargs: Passed on: `attention_mask`, `position_ids`, `past_key_values`, …

        Returns:
            `[batch, positions, hidden]`, what the head takes.
        """
        return self.decoder(input_ids=input_ids, **kwargs)[0]

    def head(self, hidden: Tensor, out: Tensor | None = None) -> Tensor:
        """Give the logits of some hidden states.

        Args:
            hidden: `[n, hidden]` (any leading shape; with `out` just this one).
            out: `[n, vocab]`, memory to be used for the product; outside autograd only.

        Returns:
            `[n, vocab]`, in `out` where one is given and nothing follows the linear map.
        """
        if out is None:
            return self.finish(nn.functional.linear(hidden, self.weight, self.bias))
        if self.bias is None:
            torch.mm(hidden, self.weight.t(), out=out)
        else:
            torch.addmm(self.bias, hidden, self.weight.t(), out=out)
        return self.finish(out)

    def finish(self, logits: Tensor) -> Tensor:
        """Apply what follows the linear map, elementwise: for callers that multiply in chunks.

        Args:
            logits: `hidden @ weightᵀ + bias`, any shape or part of the vocabulary.

        Returns:
            The model's logits, in the same shape.
        """
        if self.scale != 1.0:
            logits = logits * self.scale
        if self.softcap is not None:
            logits = torch.tanh(logits / self.softcap) * self.softcap
        return logits


def split_head(model: Any) -> OutputHead | None:
    """Split a causal language model into backbone and output head.

    The parts are run against the whole on a small random input, and once more with hidden states
    so large that a soft cap shows.

    Args:
        model: A `PreTrainedModel` with a causal head.

    Returns:
        The head; None where it cannot be split, or where parts and whole differ (then use the plain
        forward pass, with `logits_to_keep`).
    """
    linear = model.get_output_embeddings()
    weight = getattr(linear, "weight", None)
    if not isinstance(linear, nn.Linear) or not isinstance(weight, Tensor) or weight.ndim != 2:
        return None
    if not weight.is_floating_point():
        return None
    ids = torch.arange(2 * _POSITIONS, device=model.device).reshape(2, _POSITIONS) * 5
    ids %= model.get_input_embeddings().weight.shape[0]
    with evaluating(model), torch.no_grad():
        for decoder in _decoders(model):
            for scale, softcap in _candidates(model.config):
                head = OutputHead(model, decoder, weight, linear.bias, scale, softcap)
                if _agrees(head, ids):
                    return head
    return None


def _decoders(model: Any) -> list[nn.Module]:
    """What may be the part before the head: OPT's head reaches past its base model."""
    found: list[nn.Module] = []
    for part in (model.get_decoder(), model.base_model):
        if isinstance(part, nn.Module) and part is not model and part not in found:
            found.append(part)
    return found


def _candidates(config: Any) -> Iterator[tuple[float, float | None]]:
    """What may follow the linear map, by what the configuration says; most likely first."""
    config = config.get_text_config()
    scale = 1.0
    for name, divide in _SCALES:
        value = getattr(config, name, None)
        if isinstance(value, int | float) and value:
            scale = 1.0 / value if divide else float(value)
            break
    softcap = getattr(config, "final_logit_softcapping", None)
    softcap = float(softcap) if isinstance(softcap, int | float) and softcap else None
    yield scale, softcap
    for other in ((scale, None), (1.0, softcap), (1.0, None)):
        if other != (scale, softcap):
            yield other


def _agrees(head: OutputHead, ids: Tensor) -> bool:
    hidden = head.backbone(ids, use_cache=False)
    if hidden.ndim != 3 or hidden.shape[-1] != head.weight.shape[1]:
        return False
    if not _close(head.head(hidden), head.model(input_ids=ids, use_cache=False).logits):
        return False
    raw = nn.functional.linear(hidden, head.weight, head.bias)
    spread = float(raw.float().std())
    if not spread > 0:
        return False
    loud = hidden * (_LOUD / (spread * abs(head.scale)))
    with _replaced_hidden(head.decoder, loud):
        whole = head.model(input_ids=ids, use_cache=False).logits
    return _close(head.head(loud), whole)


def _close(parts: Tensor, whole: Tensor) -> bool:
    if parts.shape != whole.shape:
        return False
    step = torch.finfo(parts.dtype).eps
    bound = 64 * step * float(whole.float().abs().max())
    return bool((parts.float() - whole.float()).abs().max() <= bound)


@contextmanager
def _replaced_hidden(backbone: nn.Module, hidden: Tensor) -> Iterator[None]:
    """Let the backbone give these hidden states instead of its own."""

    def replace(_: nn.Module, _args: Any, output: Any) -> Any:
        if isinstance(output, tuple):
            return (hidden, *output[1:])
        output.last_hidden_state = hidden
        return output

    hook: Callable[..., Any] = replace
    handle = backbone.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()
