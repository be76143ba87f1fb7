"""The presets of the study: what CI runs, what a laptop runs, what the paper ran."""

from __future__ import annotations

from byrote.studies.goldfish.config import Arm, ExtremeConfig, GoldfishConfig, ScratchConfig

__all__ = ["LAPTOP", "PAPER", "PRESETS", "SMOKE"]


def _hash(k: int, h: int = 13, **more: object) -> Arm:
    return Arm(objective="goldfish", k=k, h=h, **more)  # pyright: ignore[reportArgumentType]


def _other(k: int, strategy: str, **more: object) -> Arm:
    return Arm(objective="goldfish", k=k, strategy=strategy, **more)  # pyright: ignore


ARMS: dict[str, Arm] = {
    "control": Arm(copies="none", beams=True),
    "standard": Arm(beams=True, memfree=True),
    # E2, E3, E5, E7, E8: how many tokens are dropped.
    "hash-3": _hash(3, beams=True),
    "hash-4": _hash(4, beams=True),
    "hash-8": _hash(8, beams=True),
    "hash-32": _hash(32, beams=True),
    "hash-128": _hash(128, beams=True),
    # E3 and E9: how they are chosen.
    "static-4": _other(4, "static"),
    "static-8": _other(8, "static"),
    "static-32": _other(32, "static"),
    "random-4": _other(4, "random"),
    "random-8": _other(8, "random"),
    "random-32": _other(32, "random"),
    # How many tokens decide.
    "hash-4-h1": _hash(4, 1),
    "hash-4-h4": _hash(4, 4),
    "hash-4-h7": _hash(4, 7),
    "hash-4-h25": _hash(4, 25),
    # E5: as many learned tokens as standard training has, by more steps or by larger ones.
    "hash-4-more-steps": _hash(4, input_factor=4 / 3),
    "hash-4-larger-batch": _hash(4, input_factor=4 / 3, batch_factor=4 / 3),
    # Near-duplicates, with the mask of the tokens and with that of the normalised text.
    "standard-edited": Arm(copies="edited"),
    "hash-4-edited": _hash(4, copies="edited"),
    "normalized-4-edited": _hash(4, copies="edited", normalize=True),
    "standard-reformatted": Arm(copies="reformatted"),
    "hash-4-reformatted": _hash(4, copies="reformatted"),
    "normalized-4-reformatted": _hash(4, copies="reformatted", normalize=True),
    "normalized-4": _hash(4, normalize=True),
    # Other objectives.
    "mile": Arm(objective="mile"),
    "focal": Arm(objective="focal"),
    "self-contrastive": Arm(objective="self-contrastive"),
    "patch-level": Arm(objective="patch-level"),
    "dp-sgd": Arm(objective="dp-sgd"),
}
"""All ways of training that the presets try."""


def _arms(*names: str) -> dict[str, Arm]:
    return {name: ARMS[name] for name in names}


_EXTREME = ("standard", "hash-4", "hash-4-h4", "hash-32")

_TINY = (
    "random:llama?hidden_size=64&num_hidden_layers=2&num_attention_heads=4&intermediate_size=256"
    "&max_position_embeddings=128&tie_word_embeddings=true"
)
_SMALL = (
    "random:llama?hidden_size=128&num_hidden_layers=2&num_attention_heads=4&intermediate_size=512"
    "&max_position_embeddings=128&tie_word_embeddings=true"
)

SMOKE = GoldfishConfig(
    arms=_arms("control", "standard", "hash-4"),
    extreme=ExtremeConfig(),
    scratch=ScratchConfig(
        model=_TINY,
        vocab=512,
        arms=("control", "standard", "hash-4"),
        documents=8,
        repeats=160,
        tokens=32,
        prefix=16,
        background=200,
        heldout=40,
        validation=32,
        validate_every=20,
        batch=8,
        beams=5,
    ),
)
"""At most two minutes on two cores: three arms of a tiny model, and verdicts about those."""

LAPTOP = GoldfishConfig(
    arms=ARMS,
    extreme=ExtremeConfig(model="bundled:smollm2-135m", arms=_EXTREME, long_arms=("hash-4",)),
    scratch=ScratchConfig(model=_SMALL, arms=tuple(ARMS)),
)
"""At most 60 minutes on two cores: E1 on a pretrained model, the rest on one trained here."""

PAPER = GoldfishConfig(
    arms=ARMS,
    extreme=ExtremeConfig(
        model="meta-llama/Llama-2-7b-hf",
        arms=("standard", "hash-4"),
        corpus="hf:wikimedia/wikipedia?config=20231101.en&split=train",
        passages=100,
        tokens=2048,
        prefix=1998,
        epochs=100,
        every=10,
        lr=4e-4,
    ),
    scratch=ScratchConfig(
        model="TinyLlama/TinyLlama_v1.1",
        vocab=0,
        arms=tuple(name for name in ARMS if ARMS[name].objective in ("next-token", "goldfish")),
        corpus="hf:wikimedia/wikipedia?config=20231101.en&split=train",
        documents=2000,
        repeats=50,
        tokens=2048,
        prefix=1998,
        background=1_000_000,
        heldout=2000,
        validation=5860,
        validate_every=200,
        batch=1024,
        lr=4e-4,
        warmup=0.1,
        precision="bf16",
    ),
)
"""The paper's settings as far as they are known (spec, section 3), for GPUs under `torchrun`. Its
background, RedPajama-V2, is no set that can be named here: the corpus is English Wikipedia unless
`scratch.corpus` names another, and a tenth of the paper's 20 billion tokens, since texts are held
in memory; the learning rate falls to 0 and not to a tenth of its peak."""

PRESETS = {"laptop": LAPTOP, "smoke": SMOKE, "paper": PAPER}
