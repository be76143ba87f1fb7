"""What texts must fit, known before any weights are read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from byrote.models import convert
from byrote.models.hub import explained
from byrote.models.loading import (
    bos_token,
    cached_copy,
    cached_tokenizer,
    context_len,
    hub_options,
    load,
)
from byrote.models.quiet import quiet_transformers
from byrote.models.source import ModelSource, parse_source
from byrote.models.tokenizers import load_tokenizer, prepended_ids

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["Outline", "outline"]


@dataclass(frozen=True, slots=True)
class Outline:
    """A model without its weights.

    Attributes:
        tokenizer: None where a `random:` model was given none.
        vocab_size: Token ids are 0 … vocab_size - 1; None where only the weights would tell.
        max_len: The context in tokens; None where the configuration names none.
        lead: What the tokenizer itself puts before a text by default.
        config: The configuration, as transformers reads it.
    """

    tokenizer: PreTrainedTokenizerBase | None
    vocab_size: int | None
    max_len: int | None
    lead: tuple[int, ...]
    config: Any

    @property
    def bos_token(self) -> int | None:
        """The model's BOS token, whether or not a text begins with it by default."""
        return bos_token(self.tokenizer, self.config, self.vocab_size)

    def skeleton(self) -> PreTrainedModel | None:
        """Build the model with weights that have shapes and no values, whatever its size.

        Returns:
            The model on the device `meta`, or None where transformers has no code for it.
        """
        with quiet_transformers(), torch.device("meta"):
            try:
                return AutoModelForCausalLM.from_config(self.config, dtype=torch.float32)
            except (ValueError, KeyError):
                return None


def outline(source: str, *, trust_remote_code: bool = False) -> Outline:
    """Read the tokenizer and the configuration of a model, not its weights.

    A `random:` model is built, which costs nothing; a bundled or GGUF model is converted if it has
    not been.

    Args:
        source: As in `load`.
        trust_remote_code: Whether code that comes with the model may run.

    Raises:
        InputError: The source cannot be used.
        ByroteError: Its conversion failed.
    """
    parsed = parse_source(source)
    parsed.check()
    if parsed.kind == "random":
        loaded = load(parsed)
        whole = loaded.model.config
        return Outline(loaded.tokenizer, loaded.vocab_size, loaded.max_len, loaded.lead, whole)
    with quiet_transformers():
        if parsed.kind in ("bundled", "gguf"):
            return _converted(parsed)
        where = parsed.path or parsed.name
        options = hub_options(parsed, trust_remote_code)
        with explained(parsed, options):
            tokenizer = load_tokenizer(where, **options)
            return _outline(tokenizer, AutoConfig.from_pretrained(where, **options))


def _converted(source: ModelSource) -> Outline:
    cached = cached_copy(source)
    if not cached.tokenizer_is_whole():
        convert.discard(cached)
        cached = cached_copy(source)
    return _outline(cached_tokenizer(cached), AutoConfig.from_pretrained(cached.folder))


def _outline(tokenizer: PreTrainedTokenizerBase, config: Any) -> Outline:
    text = config.get_text_config()
    vocab_size = getattr(text, "vocab_size", None)
    lead = tuple(prepended_ids(tokenizer))
    return Outline(tokenizer, vocab_size, context_len(text), lead, config)
