"""Load a tokenizer, and see what it puts before a text."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers import AutoTokenizer, PreTrainedTokenizerFast

from byrote.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = [
    "explained_tokenizer",
    "load_tokenizer",
    "prepended_ids",
    "quick_tokenizer",
    "same_tokenizer",
    "save_for_quick_loading",
]

_FILES = (
    "tokenizer.json",
    "tokenizer.model",
    "vocab.json",
    "vocab.txt",
    "spiece.model",
    "tokenizer_config.json",
)
_PROBE = "In the beginning,  God's  3.14\n\n\tdef f(x): ½ é 漢字 \U0001f642 <b>"
# What a tokenizer's configuration file says beyond the tokenizer.json: the rest names classes.
_KEPT = ("padding_side", "truncation_side", "clean_up_tokenization_spaces", "model_input_names")


def load_tokenizer(where: str | Path, **options: Any) -> PreTrainedTokenizerBase:
    """Load the tokenizer of a model.

    Args:
        where: A folder or a hub id.
        options: Passed on to `AutoTokenizer.from_pretrained`.

    Returns:
        A fast tokenizer where there is one.

    Raises:
        InputError: A local folder holds none, or a broken one.
    """
    if not isinstance(where, Path):
        return AutoTokenizer.from_pretrained(where, **options)
    if not any((where / name).is_file() for name in _FILES):
        raise InputError(
            f"{where} holds no tokenizer (looked for {', '.join(_FILES)}). Save the model's "
            "tokenizer into it: tokenizer.save_pretrained(folder)."
        )
    with explained_tokenizer(f"The tokenizer in {where}"):
        return AutoTokenizer.from_pretrained(where, **options)


@contextmanager
def explained_tokenizer(what: str) -> Iterator[None]:
    """Turn what the libraries raise on a broken tokenizer into one message.

    Raises:
        InputError: The tokenizer is broken.
    """
    try:
        yield
    except Exception as error:
        known = isinstance(error, OSError | ValueError | KeyError | TypeError)
        # The tokenizers library raises a bare Exception, so its kind has to be looked at.
        if not (known or type(error) is Exception) or "trust_remote_code" in str(error):
            raise
        text = " ".join(str(error).split())
        raise InputError(
            f"{what} could not be loaded: {text}. Save it again with tokenizer.save_pretrained."
        ) from error


def quick_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """Load a fast tokenizer from its tokenizer.json alone.

    `AutoTokenizer` reads the file twice, which for a vocabulary of 262,144 costs another 1.5 s.
    Whether the result is the same is checked once, when a model is converted (`same_tokenizer`).
    """
    config = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    kept = {key: value for key, value in config.items() if key in _KEPT or key.endswith("_token")}
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"), **kept)
    template = folder / "chat_template.jinja"
    if template.is_file():
        tokenizer.chat_template = template.read_text(encoding="utf-8")
    return tokenizer


def save_for_quick_loading(tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Save a tokenizer, with what its class would otherwise say of it written out."""
    tokenizer.save_pretrained(folder)
    path = folder / "tokenizer_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config |= {name: getattr(tokenizer, name) for name in _KEPT}
    path.write_text(json.dumps(config, indent=2), encoding="utf-8")


def same_tokenizer(one: PreTrainedTokenizerBase, other: PreTrainedTokenizerBase) -> bool:
    """See whether two tokenizers agree on a varied text, on special tokens and on chat."""
    texts = [_PROBE, *(_PROBE + str(token) + _PROBE for token in one.all_special_tokens)]
    return (
        len(one) == len(other)
        and one.special_tokens_map == other.special_tokens_map
        and one.padding_side == other.padding_side
        and one.chat_template == other.chat_template
        and all(
            one(text).input_ids == other(text).input_ids
            and one.decode(one(text).input_ids) == other.decode(other(text).input_ids)
            for text in texts
        )
    )


def prepended_ids(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """The ids that a tokenizer puts before a text by default.

    Found by comparing what it makes of a text with and without special tokens: that a tokenizer
    has a BOS token does not mean that it is used.

    Returns:
        The ids; empty for most tokenizers.
    """
    bare = list(tokenizer("a", add_special_tokens=False).input_ids)
    full = list(tokenizer("a").input_ids)
    for start in range(len(full) - len(bare) + 1):
        if full[start : start + len(bare)] == bare:
            return full[:start]
    return []
