"""Greedy continuations of prompts, with processors between the model and the choice."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from transformers import LogitsProcessor, LogitsProcessorList

from byrote.errors import InputError
from byrote.models.loading import LoadedModel
from byrote.recall.generation import end_ids, write_after

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
    ends = end_ids(loaded)
    results: list[list[int]] = [[] for _ in prompts]
    order = sorted(range(len(prompts)), key=lambda i: (-new_tokens[i], -len(prompts[i]), i))
    for start in range(0, len(order), batch_size):
        batch = order[start : start + batch_size]
        written = _generate(loaded, [prompts[i] for i in batch], new_tokens[batch[0]], processor)
        for index, new in zip(batch, written, strict=True):
            new = new[: new_tokens[index]]
            stop = next((place for place, token in enumerate(new) if token in ends), len(new))
            results[index] = new[:stop]
        advance(len(batch))
    return results


def _generate(
    loaded: LoadedModel,
    prompts: Sequence[Sequence[int]],
    new_tokens: int,
    processor: Callable[[int], LogitsProcessor] | None,
) -> list[list[int]]:
    # An id that no prompt has, so that nothing can take the filling for text.
    used = {token for prompt in prompts for token in prompt}
    pad = next(token for token in range(len(used) + 1) if token not in used)
    pad = min(pad, loaded.vocab_size - 1)
    processors = LogitsProcessorList([] if processor is None else [processor(pad)])
    return write_after(loaded, prompts, new_tokens, pad=pad, logits_processor=processors)
