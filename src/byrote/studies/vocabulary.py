"""A corpus's texts, and a small vocabulary learned from them for models without one."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from byrote.errors import InputError
from byrote.texts.sources import open_source

__all__ = ["corpus_texts", "learned_tokenizer"]

_END = "<|endoftext|>"
_TOKENIZER_CHARS = 1_000_000


@lru_cache(maxsize=2)
def corpus_texts(corpus: str) -> tuple[tuple[str, str], ...]:
    """Ids and texts of a corpus's records.

    Raises:
        InputError: The corpus cannot be read, or its records hold no text.
    """
    found = tuple((r.id, r.text) for r in open_source(corpus).records() if r.text)
    if not found:
        raise InputError(f"{corpus} has no records with a text to cut documents from")
    return found


@lru_cache(maxsize=2)
def learned_tokenizer(corpus: str, vocab: int) -> Any:
    """Learn a byte-level BPE vocabulary from about a million characters, spread over a corpus.

    Returns:
        A fast tokenizer whose token 0 is the end of text; it puts nothing before a text by itself.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    texts = [text for _, text in corpus_texts(corpus)]
    step = max(1, sum(map(len, texts)) // _TOKENIZER_CHARS)
    plain = Tokenizer(models.BPE())
    plain.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)  # pyright: ignore
    plain.decoder = decoders.ByteLevel()  # pyright: ignore[reportAttributeAccessIssue]
    trainer = trainers.BpeTrainer(
        vocab_size=vocab,
        special_tokens=[_END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    plain.train_from_iterator(texts[::step], trainer)
    return PreTrainedTokenizerFast(tokenizer_object=plain, bos_token=_END, eos_token=_END)
