"""What texts must fit, known before any weights are read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from transformers import AutoConfig

from byrote.models import convert
from byrote.models.hub import explained
from byrote.models.loading import cached_copy, cached_tokenizer, context_len, hub_options, load
from byrote.models.quiet import quiet_transformers
from byrote.models.source import ModelSource, parse_source
from byrote.models.tokenizers import load_tokenizer, prepended_ids

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["Outline", "outline"]


@dataclass(frozen=True, slots=True)
class Outline:
    """A model without its weights.

    Attributes:
        tokenizer: None where a `random:` model was given none.
        vocab_size: Token ids are 0 … vocab_size - 1; None where only the weights would tell.
        max_len: The context in tokens; None where the configuration names none.
        lead: What the tokenizer itself puts before a text by default.
    """

    tokenizer: PreTrainedTokenizerBase | None
    vocab_size: int | None
    max_len: int | None
    lead: tuple[int, ...]


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
        return Outline(loaded.tokenizer, loaded.vocab_size, loaded.max_len, loaded.lead)
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
    return Outline(tokenizer, vocab_size, context_len(text), tuple(prepended_ids(tokenizer)))
