"""Greedy continuations of prompts, with processors between the model and the choice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList

from byrote.errors import InputError
from byrote.models.loading import LoadedModel

__all__ = ["write_on"]


def write_on(
    loaded: LoadedModel,
    prompts: Sequence[Sequence[int]],
    new_tokens: Sequence[int],
    processor: Callable[[int], LogitsProcessor] | None = None,
    *,
    batch_size: int = 16,
    advance: Callable[[float], None] = lambda _: None,
) -> list[list[int]]:
    """Write greedy continuations.

    Args:
        loaded: The model.
        prompts: Token ids of each prompt, with all that leads them; none empty.
        new_tokens: How many tokens each may get.
        processor: Makes a processor for a batch, given the id that fills up its shorter prompts.
        batch_size: Prompts in a batch; it changes no result but for rounding.
        advance: Called with the number of prompts just finished.

    Returns:
        The new ids of each prompt, without what ends a text.

    Raises:
        InputError: A prompt with its new tokens does not fit the model's context.
    """
    longest = max((len(p) + new for p, new in zip(prompts, new_tokens, strict=True)), default=0)
    if loaded.max_len is not None and longest > loaded.max_len:
        raise InputError(
            f"A prompt and its continuation have {longest} tokens, but the context of "
            f"{loaded.source} has {loaded.max_len}; use shorter passages."
        )
    ends = _ends(loaded)
    results: list[list[int]] = [[] for _ in prompts]
    order = sorted(range(len(prompts)), key=lambda i: (-new_tokens[i], -len(prompts[i]), i))
    for start in range(0, len(order), batch_size):
        batch = order[start : start + batch_size]
        written = _generate(
            loaded, [prompts[i] for i in batch], new_tokens[batch[0]], processor, ends
        )
        for index, new in zip(batch, written, strict=True):
            new = new[: new_tokens[index]]
            stop = next((place for place, token in enumerate(new) if token in ends), len(new))
            results[index] = new[:stop]
        advance(len(batch))
    return results


@torch.inference_mode()
def _generate(
    loaded: LoadedModel,
    prompts: Sequence[Sequence[int]],
    new_tokens: int,
    processor: Callable[[int], LogitsProcessor] | None,
    ends: set[int],
) -> list[list[int]]:
    width = max(map(len, prompts))
    # An id that no prompt has, so that nothing can take the filling for text.
    used = {token for prompt in prompts for token in prompt}
    pad = next(token for token in range(len(used) + 1) if token not in used)
    pad = min(pad, loaded.vocab_size - 1)
    ids = torch.full((len(prompts), width), pad, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        ids[row, width - len(prompt) :] = torch.tensor(list(prompt))
        mask[row, width - len(prompt) :] = 1
    config = GenerationConfig(
        do_sample=False,
        max_new_tokens=new_tokens,
        pad_token_id=pad,
        eos_token_id=sorted(ends) or None,
    )
    model: Any = loaded.model
    written = model.generate(
        input_ids=ids.to(loaded.device),
        attention_mask=mask.to(loaded.device),
        generation_config=config,
        logits_processor=LogitsProcessorList([] if processor is None else [processor(pad)]),
    )
    return written[:, width:].tolist()


def _ends(loaded: LoadedModel) -> set[int]:
    """Ids that end a text: the model's own, as one id, a list, or none."""
    config = getattr(loaded.model, "generation_config", None)
    found = getattr(config, "eos_token_id", None)
    if found is None:
        found = getattr(loaded.model.config, "eos_token_id", None)
    if found is None:
        return set()
    return set(found) if isinstance(found, list | tuple) else {int(found)}
