"""Say what byrote finds in a model, and what will not work with it."""

from __future__ import annotations

import string
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from byrote.errors import InputError
from byrote.models.head import split_head
from byrote.models.loading import LoadedModel, load
from byrote.models.tokenizers import prepended_ids

__all__ = ["Diagnosis", "diagnose"]

_TEXT = "In the beginning, God's “word”:\n\tdef f(x):  return x² # 3.14 — naïve 漢字 🙂"
_BATCH, _WINDOW, _SUFFIX = 32, 100, 50
_LOGITS_CHUNK_BYTES = 256 * 2**20
_POSITIONS = 8


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What was found in a model.

    Attributes:
        source: Where it was loaded from.
        family: The architecture (`config.model_type`).
        parameters: How many, tied ones once.
        layers: Decoder layers; None where they were not found.
        neurons_per_layer: One number per layer; None where neurons were not found.
        context: In tokens; None where the configuration names none.
        vocab_size: Token ids that the model takes.
        device: Where it is.
        dtype: What its weights are.
        licence: Its name, where known.
        tokenizer: "fast", "slow" or "none".
        bos: What the tokenizer puts before a text, in words.
        letters: The letters a–z that are one token each on their own.
        letters_after_space: Those that are one token with a leading space.
        weights_bytes: Memory of the weights.
        batch_bytes: Estimated memory on top for scoring 32 windows of 50 + 50 tokens.
        head_split: Whether backbone and head were verified to be the model.
        kv_cache: Whether going on from a key-value cache gives the same logits.
        causal: Whether logits are free of later tokens.
        offsets: Whether the tokenizer's character offsets lead back to the text; None without one.
        round_trip: Whether decoding a text's tokens gives the text; None without a tokenizer.
        findings: What will not work, why, and what to do: one sentence each.
    """

    source: str
    family: str
    parameters: int
    layers: int | None
    neurons_per_layer: tuple[int, ...] | None
    context: int | None
    vocab_size: int
    device: str
    dtype: str
    licence: str | None
    tokenizer: str
    bos: str
    letters: str
    letters_after_space: str
    weights_bytes: int
    batch_bytes: int
    head_split: bool
    kv_cache: bool
    causal: bool
    offsets: bool | None
    round_trip: bool | None
    findings: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """The fields, ready for JSON."""
        fields = asdict(self)
        if self.neurons_per_layer is not None:
            fields["neurons_per_layer"] = list(self.neurons_per_layer)
        fields["findings"] = list(self.findings)
        return fields

    def to_rows(self) -> list[tuple[str, str]]:
        """The fields but the findings as (label, value) in words, for a table."""
        if self.neurons_per_layer is None:
            neurons = "not found"
        elif len(set(self.neurons_per_layer)) == 1:
            neurons = f"{self.neurons_per_layer[0]:,} in each of {self.layers} layers"
        else:
            neurons = ", ".join(f"{width:,}" for width in self.neurons_per_layer)
        return [
            ("Model", self.source),
            ("Family", self.family),
            ("Licence", self.licence or "not known"),
            ("Parameters", f"{self.parameters:,}"),
            ("Layers", str(self.layers) if self.layers is not None else "not found"),
            ("Neurons", neurons),
            ("Context", f"{self.context:,} tokens" if self.context else "not named"),
            ("Vocabulary", f"{self.vocab_size:,} tokens"),
            ("Device and dtype", f"{self.device}, {self.dtype}"),
            ("Tokenizer", self.tokenizer),
            ("Before a text", self.bos),
            ("Letters that are one token", _letters(self.letters)),
            ("… with a leading space", _letters(self.letters_after_space)),
            ("Memory of the weights", _size(self.weights_bytes)),
            (f"… of scoring {_BATCH} × {_WINDOW} tokens", f"about {_size(self.batch_bytes)} more"),
            ("Head split off", "yes, verified" if self.head_split else "no"),
            ("Key-value cache", "works" if self.kv_cache else "does not work"),
            ("Causal", "yes" if self.causal else "no"),
            ("Character offsets", _works(self.offsets)),
            ("Decoding gives the text back", _works(self.round_trip)),
        ]


def diagnose(model: LoadedModel | str) -> Diagnosis:
    """Examine a model: a handful of passes over a few tokens.

    Args:
        model: A loaded model, or a source to load.

    Returns:
        What was found.

    Raises:
        InputError: The source cannot be loaded.
    """
    loaded = load(model) if isinstance(model, str) else model
    findings: list[str] = []
    layers, neurons = _neurons(loaded, findings)
    cache, causal = _passes(loaded, findings)
    head = split_head(loaded.model) is not None
    if not head:
        findings.append(
            "Backbone and head could not be told apart, so scoring runs the model's plain forward "
            "pass: slower, and with more memory."
        )
    tokenizer = _tokenizer(loaded, findings)
    if loaded.max_len is None:
        findings.append(
            "The configuration names no context length, so too long windows are not refused: keep "
            "prefix + suffix within what the model was trained on."
        )
    weights = sum(p.numel() * p.element_size() for p in loaded.model.parameters())
    return Diagnosis(
        source=loaded.source,
        family=loaded.family,
        parameters=loaded.parameters,
        layers=layers,
        neurons_per_layer=neurons,
        context=loaded.max_len,
        vocab_size=loaded.vocab_size,
        device=str(loaded.device),
        dtype=str(loaded.dtype).removeprefix("torch."),
        licence=loaded.licence,
        weights_bytes=weights,
        batch_bytes=_batch_bytes(loaded, neurons, head),
        head_split=head,
        kv_cache=cache,
        causal=causal,
        findings=tuple(findings),
        **tokenizer,
    )


def _neurons(loaded: LoadedModel, findings: list[str]) -> tuple[int | None, tuple[int, ...] | None]:
    try:
        return loaded.neurons.layers, loaded.neurons.widths
    except InputError as error:
        findings.append(str(error))
        return getattr(loaded.config, "num_hidden_layers", None), None


def _passes(loaded: LoadedModel, findings: list[str]) -> tuple[bool, bool]:
    """Whether the cache works, and whether the model is causal."""
    ids = (torch.arange(2 * _POSITIONS, device=loaded.device) * 5 + 1) % loaded.vocab_size
    ids = ids.reshape(2, _POSITIONS)
    changed = ids.clone()
    changed[:, -1] = (changed[:, -1] + 1) % loaded.vocab_size
    half = _POSITIONS // 2
    with torch.no_grad():
        whole = loaded.model(input_ids=ids, use_cache=False).logits
        other = loaded.model(input_ids=changed, use_cache=False).logits
        causal = _close(whole[:, :-1], other[:, :-1])
        first = loaded.model(input_ids=ids[:, :half], use_cache=True)
        past = getattr(first, "past_key_values", None)
        cache = past is not None and _close(
            loaded.model(input_ids=ids[:, half:], past_key_values=past, use_cache=True).logits,
            whole[:, half:],
        )
    if not causal:
        findings.append(
            "The logits depend on later tokens, so this is no causal language model: its scores "
            "would be of texts that it has been shown. Give a model that reads from left to right."
        )
    if not cache:
        findings.append(
            "Going on from a key-value cache does not give the same logits, so generating "
            "recomputes the prefix for every token: slower."
        )
    return cache, causal


def _close(one: Tensor, other: Tensor) -> bool:
    bound = 256 * torch.finfo(one.dtype).eps * float(other.float().abs().max())
    return bool((one.float() - other.float()).abs().max() <= bound)


def _tokenizer(loaded: LoadedModel, findings: list[str]) -> dict[str, Any]:
    tokenizer = loaded.tokenizer
    if tokenizer is None:
        findings.append(
            "There is no tokenizer, so only records with input_ids can be used. A random model "
            "takes one with random:FAMILY?tokenizer=bundled:NAME."
        )
        return {
            "tokenizer": "none",
            "bos": "nothing (no tokenizer)",
            "letters": "",
            "letters_after_space": "",
            "offsets": None,
            "round_trip": None,
        }
    if len(tokenizer) > loaded.vocab_size:
        findings.append(
            f"The tokenizer has {len(tokenizer):,} tokens, the model takes {loaded.vocab_size:,}: "
            "texts with the tokens beyond cannot be scored."
        )
    letters = _one_token(tokenizer, "")
    if len(letters) < len(string.ascii_lowercase):
        missing = "".join(c for c in string.ascii_lowercase if c not in letters)
        findings.append(
            f"The letters {missing} are more than one token each, so random strings over an "
            "alphabet cannot use them."
        )
    ids = list(tokenizer(_TEXT, add_special_tokens=False).input_ids)
    round_trip = tokenizer.decode(ids) == _TEXT
    if not round_trip:
        findings.append(
            "Decoding a text's tokens does not give the text back, so measures on generated text "
            "are of the tokenizer's version of it. Measures on tokens are not affected."
        )
    offsets = tokenizer.is_fast and _offsets_cover(tokenizer)
    if not offsets:
        findings.append(
            "The tokenizer gives no usable character offsets, so records of prefix + suffix text "
            "cannot be cut at their boundary: give input_ids and prefix_len."
        )
    return {
        "tokenizer": "fast" if tokenizer.is_fast else "slow",
        "bos": _bos(tokenizer, findings),
        "letters": letters,
        "letters_after_space": _one_token(tokenizer, " "),
        "offsets": offsets,
        "round_trip": round_trip,
    }


def _bos(tokenizer: Any, findings: list[str]) -> str:
    ids = prepended_ids(tokenizer)
    if len(ids) > 1:
        findings.append(
            f"The tokenizer puts {len(ids)} tokens before a text; only the first is put before a "
            "passage."
        )
    if ids:
        return " ".join(f"{tokenizer.convert_ids_to_tokens(i)} (id {i})" for i in ids)
    if tokenizer.bos_token is not None:
        return f"nothing (there is {tokenizer.bos_token}, but it is not put there by default)"
    return "nothing"


def _one_token(tokenizer: Any, before: str) -> str:
    return "".join(
        letter
        for letter in string.ascii_lowercase
        if len(tokenizer(before + letter, add_special_tokens=False).input_ids) == 1
    )


def _offsets_cover(tokenizer: Any) -> bool:
    """Whether the offsets run forward and leave out nothing but white space."""
    spans = tokenizer(_TEXT, add_special_tokens=False, return_offsets_mapping=True)
    covered = [False] * len(_TEXT)
    before = 0
    for start, end in spans["offset_mapping"]:
        if start < before:
            return False
        before = start
        covered[start:end] = [True] * (end - start)
    return all(seen or char.isspace() for seen, char in zip(covered, _TEXT, strict=True))


def _batch_bytes(loaded: LoadedModel, neurons: tuple[int, ...] | None, head: bool) -> int:
    """The widest layer's activations, and the logits of the suffixes (in chunks where split)."""
    item = loaded.dtype.itemsize
    hidden = int(getattr(loaded.config, "hidden_size", 0))
    width = max(neurons) if neurons else 4 * hidden
    activations = _BATCH * _WINDOW * (8 * hidden + 3 * width) * item
    logits = _BATCH * _SUFFIX * loaded.vocab_size * item
    return activations + (min(logits, _LOGITS_CHUNK_BYTES) if head else 2 * logits)


def _letters(letters: str) -> str:
    if letters == string.ascii_lowercase:
        return "all of a–z"
    return " ".join(letters) or "none"


def _works(value: bool | None) -> str:
    return "no tokenizer" if value is None else "yes" if value else "no"


def _size(number: int) -> str:
    value, unit = float(number), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            break
        value /= 1000
    return f"{value:,.1f} {unit}"
