"""What the goldfish study can be asked: ways of training, and two settings to try them in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["COPIES", "Arm", "ExtremeConfig", "GoldfishConfig", "ScratchConfig"]

COPIES = {
    "exact": "every copy of a document is the same",
    "edited": "in half of the copies, one token of each stretch of about `edit_every` is another "
    "one, drawn anew; a shorter document is one stretch",
    "reformatted": "half of the copies have other line breaks, spaces and soft hyphens, drawn anew",
    "none": "documents are not shown; other text of the corpus is in their place",
}
"""How the repeated documents of a training are given to the model."""


@dataclass(frozen=True)
class Arm:
    """One way of training; it is tried with the same documents and weights as all others.

    Attributes:
        objective: What is learned from a sequence, see `byrote.exposure.OBJECTIVES`.
        k: Goldfish: one token in k is dropped.
        h: Goldfish: tokens (with `normalize` words) before it that decide.
        strategy: Goldfish: `hash`, `static`, `random` or `official`.
        normalize: Goldfish: the mask is that of the normalised text.
        options: Of any other objective, its own by name.
        copies: How documents are repeated, see `COPIES`; the extreme setting knows `exact` only.
        input_factor: Tokens shown, as a multiple of the other arms': repeats and background alike,
            so that an arm that learns a share of its tokens learns as much of both.
        batch_factor: Sequences in a step, as a multiple of the other arms'.
        beams: Whether the beam attack is tried on the trained model.
        memfree: Whether MemFree decoding is tried on the trained model.
    """

    objective: str = "next-token"
    k: int = 4
    h: int = 13
    strategy: Literal["hash", "static", "random", "official"] = "hash"
    normalize: bool = False
    options: Mapping[str, int | float] = field(default_factory=dict)
    copies: Literal["exact", "edited", "reformatted", "none"] = "exact"
    input_factor: float = 1.0
    batch_factor: float = 1.0
    beams: bool = False
    memfree: bool = False


@dataclass(frozen=True)
class ExtremeConfig:
    """E1, extreme memorisation: a trained model is fine-tuned on a few passages, again and again.

    Attributes:
        model: What is fine-tuned, as for every command.
        init: `pretrained`, or `random` for fresh weights.
        arms: Names from the config's `arms`.
        long_arms: Those that are also shown for `long_epochs` with the first seed.
        corpus: Where passages are cut from: one from each of as many records.
        passages: How many, other ones for every seed. As many further ones are never shown: the
            control, continued before the first epoch and after the last.
        tokens: Of a passage.
        prefix: How many of them are the prompt.
        epochs: How often each passage is shown; all are one batch.
        long_epochs: The same for `long_arms`.
        every: Epochs between measurements.
        lr: Learning rate, constant, without warm-up as in the paper.
    """

    model: str = ""
    init: Literal["pretrained", "random"] = "pretrained"
    arms: tuple[str, ...] = ()
    long_arms: tuple[str, ...] = ()
    corpus: str = "corpus:kjv"
    passages: int = 8
    tokens: int = 64
    prefix: int = 32
    epochs: int = 20
    long_epochs: int = 100
    every: int = 5
    lr: float = 1e-4


@dataclass(frozen=True)
class ScratchConfig:
    """E2 onwards: a model is trained from scratch on a corpus in which some documents repeat.

    Attributes:
        model: Its shape, `random:FAMILY?…` or any other source; the weights are fresh.
        vocab: Size of a byte-level BPE vocabulary learned from the corpus; 0 keeps the model's own.
        arms: Names from the config's `arms`.
        corpus: Where everything is cut from: documents, background, held-out text.
        documents: How many are repeated.
        repeats: How often each is shown.
        tokens: Of a sequence, its BOS included.
        prefix: How many tokens of a document, its BOS included, are the prompt.
        background: Sequences that are shown once.
        heldout: Documents that are never shown: non-members, and the control of every rate.
        validation: Sequences of the validation loss.
        validate_every: Steps between its measurements.
        batch: Sequences in a step.
        lr: Highest learning rate; cosine to 0.
        warmup: Share of all steps.
        weight_decay: Of AdamW, whose betas are .9 and .95.
        clip: Largest norm of the gradient.
        precision: `float32`, or `bf16` with float32 weights.
        edit_every: Tokens for one edit in an edited copy, about: a document has as many equal
            stretches as come nearest to this length, at least one, and an edit in each.
        beams: Of the beam attack.
        ngram: MemFree forbids n-grams of this length.
    """

    model: str = ""
    vocab: int = 1024
    arms: tuple[str, ...] = ()
    corpus: str = "corpus:kjv"
    documents: int = 24
    repeats: int = 80
    tokens: int = 64
    prefix: int = 32
    background: int = 1200
    heldout: int = 100
    validation: int = 64
    validate_every: int = 25
    batch: int = 16
    lr: float = 3e-3
    warmup: float = 0.05
    weight_decay: float = 0.1
    clip: float = 1.0
    precision: Literal["float32", "bf16"] = "float32"
    edit_every: int = 50
    beams: int = 30
    ngram: int = 10


@dataclass(frozen=True)
class GoldfishConfig:
    """The study: arms, and where they are tried.

    Attributes:
        seed: Everything random is derived from it.
        seeds: Repetitions of each arm: other documents, order and weights in each, the same for
            all arms. A verdict needs at least 3.
        arms: Ways of training by name.
        extreme: Fine-tuning on a few passages.
        scratch: Training from scratch with repeated documents.
    """

    seed: int = 0
    seeds: int = 3
    arms: Mapping[str, Arm] = field(default_factory=dict)
    extreme: ExtremeConfig = field(default_factory=ExtremeConfig)
    scratch: ScratchConfig = field(default_factory=ScratchConfig)
