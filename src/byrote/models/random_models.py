"""Tiny models with random weights, for tests and for studies that train from scratch."""

from __future__ import annotations

import difflib
import json
from typing import TYPE_CHECKING, Any

from byrote.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel

__all__ = ["RANDOM_FAMILIES", "build_random", "check_random", "random_config"]

RANDOM_FAMILIES: tuple[str, ...] = (
    "gemma", "gemma2", "gemma3_text", "gpt2", "gpt_neox", "llama", "mistral", "mixtral",
    "olmo", "olmo2", "opt", "phi", "qwen2", "qwen2_moe", "qwen3",
)  # fmt: skip

# Keys that are ours and not the configuration's.
_OWN = ("seed", "tokenizer")

_DEFAULTS: dict[str, int] = {
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "vocab_size": 256,
    "max_position_embeddings": 1024,
}
# What each family calls the feed-forward width, where it is not intermediate_size.
_INNER = {"gpt2": "n_inner", "opt": "ffn_dim"}
_EXPERTS: dict[str, dict[str, int]] = {
    "mixtral": {"num_local_experts": 4, "num_experts_per_tok": 2},
    "qwen2_moe": {
        "num_experts": 4,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 64,
        "shared_expert_intermediate_size": 64,
    },
}


def check_random(family: str, options: dict[str, str]) -> None:
    """See that a random model's family and keys exist and that its values have the right types.

    Raises:
        InputError: They do not; the message lists what there is.
    """
    random_config(family, options)
    _seed(options)


def random_config(family: str, options: dict[str, str]) -> PreTrainedConfig:
    """Build the configuration of a tiny model.

    Args:
        family: One of `RANDOM_FAMILIES`.
        options: Values by configuration key, as text. `seed` and `tokenizer` are left out.

    Returns:
        A configuration of that family with hidden size 64, 2 layers, 4 heads, a feed-forward width
        of 4 × hidden and a vocabulary of 256, unless the options say otherwise.

    Raises:
        InputError: An unknown family or key, or a value of the wrong type or out of range.
    """
    from transformers import AutoConfig

    if family not in RANDOM_FAMILIES:
        near = difflib.get_close_matches(family, RANDOM_FAMILIES, n=3, cutoff=0.5)
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        raise InputError(
            f"There is no random family {family!r}.{hint} There are: {', '.join(RANDOM_FAMILIES)}."
        )
    plain = AutoConfig.for_model(family)
    given: dict[str, Any] = {}
    for key, text in options.items():
        if key not in _OWN:
            own, value = _typed(plain, family, key, text)
            if own in given:
                raise InputError(
                    f"random:{family}: {key} is another name of {own}. Give one of them."
                )
            given[own] = value
    values: dict[str, Any] = {**_DEFAULTS, **_EXPERTS.get(family, {})}
    # A tiny vocabulary has no room for the family's own special tokens.
    values |= {"bos_token_id": None, "eos_token_id": None, "pad_token_id": None}
    names = plain.attribute_map
    values = {names.get(key, key): value for key, value in values.items()} | given
    hidden = values[names.get("hidden_size", "hidden_size")]
    heads = values[names.get("num_attention_heads", "num_attention_heads")]
    values.setdefault(_INNER.get(family, "intermediate_size"), 4 * hidden)
    if "head_dim" in plain.to_dict():
        values.setdefault("head_dim", hidden // heads)
    elif hidden % heads:
        raise InputError(
            f"random:{family}: hidden_size={hidden} is not a multiple of "
            f"num_attention_heads={heads}. Choose sizes that divide."
        )
    if "num_key_value_heads" in plain.to_dict():
        values.setdefault("num_key_value_heads", heads)
    if family == "opt":
        values.setdefault("word_embed_proj_dim", hidden)
    return _strict_config(family, values)


def build_random(family: str, options: dict[str, str]) -> PreTrainedModel:
    """Build a tiny model with random weights, in float32 on the CPU.

    Args:
        family: One of `RANDOM_FAMILIES`.
        options: As for `random_config`; `seed` (default 0) seeds the weights.

    Returns:
        The model. The global random state is the same before and after.

    Raises:
        InputError: As for `random_config`.
    """
    import torch
    from transformers import AutoModelForCausalLM

    config = random_config(family, options)
    with torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed: that would reseed the accelerators, which are not forked here.
        torch.default_generator.manual_seed(_seed(options))
        try:
            return AutoModelForCausalLM.from_config(config, dtype=torch.float32)
        except (ValueError, KeyError, RuntimeError, AssertionError, ArithmeticError) as error:
            raise InputError(
                f"random:{family}: transformers cannot build a model from these values: {error}"
            ) from error


def _seed(options: dict[str, str]) -> int:
    text = options.get("seed", "0")
    if not text.isdecimal():
        raise InputError(f"random: seed={text!r} is not a whole number ≥ 0.")
    return int(text)


def _strict_config(family: str, values: dict[str, Any]) -> PreTrainedConfig:
    from huggingface_hub.errors import StrictDataclassError
    from transformers import AutoConfig

    try:
        return AutoConfig.for_model(family, **values)
    except (TypeError, ValueError, ArithmeticError, StrictDataclassError) as error:
        message = " ".join(str(error).split())
        raise InputError(f"random:{family}: these values do not fit: {message}") from error


def _typed(plain: PreTrainedConfig, family: str, key: str, text: str) -> tuple[str, Any]:
    """The family's own name of a key, and its value in the type that the configuration has."""
    fields = plain.to_dict()
    own = plain.attribute_map.get(key, key)
    if own == "intermediate_size" and family in _INNER:
        own = _INNER[family]
    if own not in fields:
        known = sorted({*fields, *plain.attribute_map, *_OWN})
        near = difflib.get_close_matches(key, known, n=3, cutoff=0.5)
        hint = f"Did you mean {' or '.join(near)}?" if near else f"Keys: {', '.join(known)}."
        raise InputError(f"random:{family} has no key {key!r}. {hint}")
    try:
        value = json.loads({"True": "true", "False": "false", "None": "null"}.get(text, text))
    except json.JSONDecodeError:
        value = text
    default = fields[own]
    fits = (
        default is None
        or value is None
        or type(value) is type(default)
        or (isinstance(default, float) and type(value) is int)
    )
    if not fits:
        raise InputError(
            f"random:{family}: {key}={text!r} should be a value of the type "
            f"{type(default).__name__}, such as {default!r}."
        )
    sizes = ("num_", "hidden_size", "vocab", "max_")
    if type(value) is int and value < 1 and key.startswith(sizes):
        raise InputError(f"random:{family}: {key}={value} must be at least 1.")
    return own, value
