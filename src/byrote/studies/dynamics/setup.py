"""What every cell of the study begins with: the model, its alphabet, the source of its strings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from byrote.errors import InputError
from byrote.exposure import ExposureConfig
from byrote.models import LoadedModel, keep_freed_memory, load, parse_source, twin
from byrote.texts.alphabets import Alphabet, letters_alphabet, random_token_alphabet
from byrote.texts.markov_chains import markov
from byrote.texts.seeds import derive_seed
from byrote.texts.strings import StringSource, skewed, uniform

__all__ = [
    "Shaped",
    "bos_of",
    "exposure_config",
    "init_of",
    "load_model",
    "make_alphabet",
    "make_source",
    "other_alphabet",
]

# Of all byte-level models here; bytes are token ids, as in ByT5 without its offset.
BYTE_BOS = 256


def load_model(model: Mapping[str, Any], init_seed: int) -> LoadedModel:
    """Load a model of the config in float32, or its twin with fresh random weights.

    Args:
        model: The fields of a `ModelConfig`.
        init_seed: Of the random weights.
    """
    keep_freed_memory()
    loaded = load(model["source"], dtype="float32")
    return twin(loaded, init_seed) if model["init"] == "random" else loaded


def init_of(model: Mapping[str, Any]) -> str:
    """What the weights are: `random` also where a `random:` source is taken as it is."""
    return "random" if parse_source(model["source"]).kind == "random" else model["init"]


class Shaped(Protocol):
    """What strings need to know of a model: a `LoadedModel` tells it, and so does an `Outline`."""

    @property
    def tokenizer(self) -> Any:
        """None where it has none."""
        ...

    @property
    def vocab_size(self) -> int | None:
        """Ids that it takes; None where only the weights would tell."""
        ...

    @property
    def bos_token(self) -> int | None:
        """Its BOS token, if there is one."""
        ...


def bos_of(model: Shaped, how: str, source: str) -> int | None:
    """The token put in front of a string, if any.

    It is the model's BOS token, also where its tokenizer does not put it before a text.

    Args:
        model: The model, loaded or not.
        how: `auto`, `always` or `never`, as in `ModelConfig`.
        source: The model's, for the message.

    Raises:
        InputError: One is insisted on and the model has none.
    """
    if how == "never":
        return None
    bos = model.bos_token
    if bos is None and how == "always":
        raise InputError(f'bos = "always": {source} has no BOS token; use auto or never')
    return bos


def make_alphabet(model: Shaped, letters: int, how: str, seed: int) -> Alphabet:
    """The letters of a string: Latin ones, or arbitrary single tokens.

    Raises:
        InputError: The tokenizer has no single token for a letter, or too few tokens.
    """
    if how == "letters" or (how == "auto" and model.tokenizer is not None):
        return letters_alphabet(model.tokenizer, letters)
    return random_token_alphabet(
        _vocabulary(model),
        letters,
        derive_seed(seed, "alphabet"),
        exclude=() if model.bos_token is None else (model.bos_token,),
        tokenizer=model.tokenizer,
    )


def other_alphabet(model: Shaped, alphabet: Alphabet, seed: int) -> Alphabet:
    """As many other single tokens, none of which is in `alphabet`."""
    bos = model.bos_token
    barred = {*alphabet.ids, *(() if bos is None else (bos,))}
    return random_token_alphabet(
        _vocabulary(model),
        alphabet.size,
        derive_seed(seed, "other alphabet"),
        exclude=barred,
        tokenizer=model.tokenizer,
    )


def _vocabulary(model: Shaped) -> int:
    """How many token ids there are; where only the weights would tell, as many as have a text."""
    return len(model.tokenizer) if model.vocab_size is None else model.vocab_size


def make_source(alphabet: Alphabet, distribution: str, level: float, seed: int) -> StringSource:
    """Where strings come from.

    Args:
        alphabet: Their letters.
        distribution: `uniform`, `skewed` or `markov`.
        level: Nats per letter of `skewed`, entropy rate of `markov`; nothing to `uniform`.
        seed: Of the transitions of `markov`.
    """
    if distribution == "uniform":
        return uniform(alphabet)
    if distribution == "skewed":
        return skewed(alphabet, level)
    return markov(alphabet, 1, level, derive_seed(seed, "markov"))


def exposure_config(
    training: Mapping[str, Any], lr: float, *, epochs: int, part: str, seed: int
) -> ExposureConfig:
    """How a string is shown, from the fields of a `TrainingConfig`."""
    return ExposureConfig(
        epochs=epochs,
        lr=lr,
        schedule=training["schedule"],
        warmup=training["warmup"],
        weight_decay=training["weight_decay"],
        clip=training["clip"],
        precision=training["precision"],
        dropout=training["dropout"],
        checkpoint_every=training["checkpoint_every"],
        trainable=part,
        seed=seed,
    )
