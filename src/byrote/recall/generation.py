"""Greedy continuations, where the text may diverge from the suffix.

The scoring pass already knows the continuation up to the first miss: it is the suffix itself, and
then the argmax at the miss. So a suffix that is recited in full is not generated at all, and the
others are generated from their first miss on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from transformers import GenerationConfig

from byrote.models.loading import LoadedModel
from byrote.recall.extraction import first_miss
from byrote.recall.scores import Scores
from byrote.texts.passages import Passage

__all__ = ["continuations", "end_ids", "write_after"]

_ROWS_PER_BATCH = 32


def continuations(
    loaded: LoadedModel,
    passages: Sequence[Passage],
    scores: Sequence[Scores],
    *,
    lead: Sequence[int] = (),
    advance: Callable[[float], None] = lambda _: None,
) -> list[list[int]]:
    """Write the greedy continuation of each prefix, as long as its suffix.

    Args:
        loaded: The model.
        passages: What was asked.
        scores: Their scores from the same model, in the same order.
        lead: Token ids before every prefix.
        advance: Called with the number of passages just finished.

    Returns:
        Token ids of each continuation; shorter than the suffix only where the model ended the text.
    """
    results: list[list[int]] = [[] for _ in passages]
    waiting: list[tuple[int, list[int], int]] = []
    ends = end_ids(loaded)
    for index, (passage, score) in enumerate(zip(passages, scores, strict=True)):
        suffix = passage.suffix_ids.tolist()
        miss = first_miss(score)
        known = suffix[:miss] + [int(token) for token in score.argmax[miss : miss + 1]]
        stop = next((i for i, token in enumerate(known) if token in ends), None)
        results[index] = known if stop is None else known[:stop]
        if stop is None and len(known) < len(suffix):
            context = [*lead, *passage.prefix_ids.tolist(), *known]
            waiting.append((index, context, len(suffix) - len(known)))
    advance(len(passages) - len(waiting))
    # Rows that still need a similar number of tokens go together: none waits long for another.
    waiting.sort(key=lambda item: (-item[2], -len(item[1]), item[0]))
    for start in range(0, len(waiting), _ROWS_PER_BATCH):
        batch = waiting[start : start + _ROWS_PER_BATCH]
        longest = max(missing for _, _, missing in batch)
        written = write_after(loaded, [context for _, context, _ in batch], longest)
        for (index, _, missing), new in zip(batch, written, strict=True):
            stop = next((i for i, token in enumerate(new) if token in ends), len(new))
            results[index] = results[index] + new[: min(stop, missing)]
        advance(len(batch))
    return results


@torch.inference_mode()
def write_after(
    loaded: LoadedModel,
    contexts: Sequence[Sequence[int]],
    new_tokens: int,
    *,
    pad: int = 0,
    **how: Any,
) -> list[list[int]]:
    """What `generate` writes after each context, in one batch: greedily, unless `how` says else.

    Args:
        loaded: The model.
        contexts: Token ids that stand before; none empty.
        new_tokens: Tokens to write at most.
        pad: The id that fills up shorter contexts on the left, where the model does not look, and
            what follows the end of a text.
        **how: Further arguments of `generate`, such as `num_beams` or `logits_processor`.

    Returns:
        The new ids of each context, at most `new_tokens`, its end of text and filling included.
    """
    width = max(map(len, contexts))
    ids = torch.full((len(contexts), width), pad, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, context in enumerate(contexts):
        ids[row, width - len(context) :] = torch.tensor(list(context))
        mask[row, width - len(context) :] = 1
    config = GenerationConfig(
        do_sample=False,
        max_new_tokens=new_tokens,
        pad_token_id=pad,
        eos_token_id=sorted(end_ids(loaded)) or None,
    )
    model: Any = loaded.model
    written = model.generate(
        input_ids=ids.to(loaded.device),
        attention_mask=mask.to(loaded.device),
        generation_config=config,
        **how,
    )
    return written[:, width:].tolist()


def end_ids(loaded: LoadedModel) -> set[int]:
    """Ids that end a text: the model's own, as one id, a list, or none."""
    config = getattr(loaded.model, "generation_config", None)
    found = getattr(config, "eos_token_id", None)
    if found is None:
        found = getattr(loaded.model.config, "eos_token_id", None)
    if found is None:
        return set()
    return set(found) if isinstance(found, list | tuple) else {int(found)}
