"""The presets of the study: what CI runs, what a laptop runs, what the paper ran."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from byrote.localization.published_options import PUBLISHED
from byrote.studies.localization.config import (
    DeletionConfig,
    Group,
    InjectionConfig,
    LocalizationConfig,
    Method,
    Option,
    Setting,
)

__all__ = ["LAPTOP", "PAPER", "PRESETS", "SMOKE"]

_CONTRASTED = {
    f"{name}-{kind}": Method(name, contrast=kind)
    for name in ("activations", "attribution")
    for kind in ("difference", "ratio", "z")
}

METHODS: dict[str, Method] = {
    # The paper's.
    "hard-concrete": Method("hard-concrete"),
    "slimming": Method("slimming"),
    "zero-out": Method("zero-out"),
    "integrated-gradients": Method("integrated-gradients"),
    "activations": Method("activations"),
    "activations-code": Method("activations", {"order": "mean-abs"}),
    "random": Method("random"),
    # Cheaper than Zero-Out and Integrated Gradients.
    "attribution": Method("attribution"),
    "integrated-attribution": Method("integrated-attribution"),
    # Specific.
    **_CONTRASTED,
    "activations-ratio-negatives": Method("activations", contrast="ratio", references="negatives"),
    "attribution-spared": Method("attribution", spare_lead=True),
    "hard-concrete-retain": Method("hard-concrete", retain=1.0),
    # Weights, not neurons.
    "balanced-subnet": Method("balanced-subnet"),
}
"""All methods that the presets try, with the localizers' own options."""


def _methods(**changed: Method) -> dict[str, Method]:
    """All methods, some of them changed; a name's `_` stands for its hyphen."""
    return {**METHODS, **{name.replace("_", "-"): method for name, method in changed.items()}}


_TINY = (
    "random:gpt2?hidden_size=64&num_hidden_layers=3&num_attention_heads=4"
    "&max_position_embeddings=256&initializer_range=0.2"
)

SMOKE = LocalizationConfig(
    methods=_methods(
        hard_concrete=Method(
            "hard-concrete", {"epochs": 40, "lr": 0.05}, grid={"penalty": (1.0, 10.0)}
        ),
        slimming=Method("slimming", {"epochs": 30, "lr": 0.03, "penalty": 10.0}),
        hard_concrete_retain=Method(
            "hard-concrete", {"epochs": 40, "lr": 0.05, "penalty": 10.0, "per_step": 2}, retain=1.0
        ),
    ),
    injection=InjectionConfig(
        models=(_TINY,),
        dev=2,
        examples=4,
        fractions=(0.1, 0.05),
        rates=(0.05, 0.05),
        dropout=False,
        groups={
            "paper": Group(
                (
                    "hard-concrete", "slimming", "zero-out", "integrated-gradients", "activations",
                    "random", "activations-ratio",
                )
            )
        },
    ),
    deletion=DeletionConfig(
        settings={
            "exposed": Setting(
                model=_TINY,
                how="exposed",
                sources=("corpus:kjv",),
                windows=8,
                prefix=8,
                suffix=24,
                passages=6,
                dev=2,
                distinct=8,
                epochs=50,
                lr=3e-3,
            )
        },
        fractions=(0.05, 0.2),
        text_rows=4,
        text_tokens=32,
        references=6,
        curve=(0.02, 0.05, 0.1, 0.2),
        curve_methods=("activations", "activations-ratio"),
        one_layer=("activations",),
        one_layer_fraction=0.05,
        together=("activations-ratio", "balanced-subnet"),
        together_fraction=0.05,
        groups={
            "paper": Group(
                (
                    "hard-concrete", "slimming", "zero-out", "integrated-gradients", "activations",
                    "random",
                )
            ),
            "specific": Group(
                (
                    "attribution", "activations-ratio", "attribution-difference",
                    "hard-concrete-retain", "balanced-subnet",
                )
            ),
        },
    ),
)  # fmt: skip
"""At most two minutes on two cores: every method and experiment on a tiny random model, once with
sentences injected into it, once with passages that it is shown until it recites them."""

# The paper's bound on the distance of the greedy text (20 characters) leaves three passages of
# eight hundred windows: one wrong token early on, and all behind it is another text. More than 90 %
# of the tokens right, given those before them, is what decides here.
_GEMMA = Setting(
    model="bundled:gemma3-270m",
    sources=("corpus:wellknown", "corpus:licenses", "corpus:kjv"),
    windows=400,
    stride=24,
    prefix=16,
    suffix=32,
    passages=8,
    dev=3,
    distinct=12,
    distance=1000,
)
_SMOLLM = Setting(
    model="bundled:smollm2-135m",
    how="exposed",
    sources=("corpus:kjv",),
    windows=11,
    prefix=16,
    suffix=32,
    passages=8,
    dev=3,
    distinct=12,
    epochs=20,
    lr=1e-4,
    groups=("pruning", "main"),
)

LAPTOP = LocalizationConfig(
    methods=_methods(
        hard_concrete=Method(
            "hard-concrete", {"epochs": 40, "lr": 0.05}, grid={"penalty": (10.0, 100.0)}
        ),
        slimming=Method(
            "slimming", {"epochs": 30, "lr": 0.03}, grid={"penalty": (100.0, 1000.0)}
        ),
        hard_concrete_retain=Method(
            "hard-concrete",
            {"epochs": 40, "lr": 0.05, "penalty": 100.0, "per_step": 1},
            retain=1.0,
        ),
        zero_out=Method("screened-zero-out", {"shortlist": 0.005}),
        # The paper found nothing gained by more steps than its 20; half of them serve here.
        integrated_gradients=Method("integrated-gradients", {"steps": 10}),
    ),
    injection=InjectionConfig(
        models=("bundled:smollm2-135m",),
        dev=2,
        examples=6,
        groups={
            "main": Group(
                (
                    "hard-concrete", "slimming", "integrated-gradients", "activations",
                    "activations-code", "attribution", "integrated-attribution",
                    "activations-ratio", "attribution-difference", "random",
                )
            ),
            "zero-out": Group(("zero-out",), most=3),
        },
    ),
    deletion=DeletionConfig(
        settings={"gemma3-270m": _GEMMA, "smollm2-135m-exposed": _SMOLLM},
        text_rows=4,
        text_tokens=48,
        curve=(0.0005, 0.001, 0.002, 0.005, 0.02),
        curve_methods=("activations", "activations-ratio", "attribution", "attribution-difference"),
        one_layer=("activations", "attribution"),
        one_layer_layers=5,
        together=(
            "activations-ratio", "attribution-difference", "hard-concrete", "balanced-subnet",
        ),
        groups={
            "pruning": Group(("hard-concrete", "slimming", "hard-concrete-retain")),
            "main": Group(
                (
                    "integrated-gradients", "activations", "random", "attribution",
                    "activations-ratio", "attribution-difference", "balanced-subnet",
                )
            ),
            "zero-out": Group(("zero-out",), most=3),
            "variants": Group(
                (
                    "activations-code", "attribution-spared", "integrated-attribution",
                    "activations-difference", "activations-z", "attribution-ratio",
                    "attribution-z", "activations-ratio-negatives",
                )
            ),
        },
    ),
)  # fmt: skip
"""At most 60 minutes on two cores: INJ and DEL on models that come as packages. Of Integrated
Gradients 10 steps, of Zero-Out a shortlist of 1 %: the paper's are beyond that time."""

_PAPER_MODELS = {
    "gpt2": "gpt2",
    "gpt2-xl": "gpt2-xl",
    "pythia-2.8b": "EleutherAI/pythia-2.8b-deduped-v0",
    "pythia-6.9b": "EleutherAI/pythia-6.9b-deduped",
}
_PILE = "hf:EleutherAI/the_pile_deduplicated?split=train"
_NEVER = 1_000_000


def _published(benchmark: str) -> dict[str, Mapping[str, Option]]:
    """Options of the pruning methods by method, model (or setting) and fraction.

    What was published for one fraction alone serves the other as well.
    """
    found: dict[str, Mapping[str, Option]] = {}
    for (method, where, model, fraction), options in PUBLISHED.items():
        if where == benchmark:
            kept = {key: value for key, value in options.items() if key != "skip_layers"}
            name = _PAPER_MODELS[model] if benchmark == "inj" else model
            found.setdefault(f"{method}@{name}", kept)
            if fraction is not None:
                found[f"{method}@{name}@{fraction:g}"] = kept
    return found


def _paper_setting(model: str, **more: object) -> Setting:
    setting = Setting(
        model=_PAPER_MODELS[model],
        sources=(_PILE,),
        windows=102_400,
        stride=_NEVER,
        passages=500,
    )
    return replace(setting, **more)  # pyright: ignore[reportArgumentType]


PAPER = LocalizationConfig(
    methods=METHODS,
    injection=InjectionConfig(
        models=tuple(_PAPER_MODELS.values()),
        examples=151,
        groups={
            "hard-concrete": Group(("hard-concrete",)),
            "slimming": Group(("slimming",)),
            "zero-out": Group(("zero-out",)),
            "others": Group(("integrated-gradients", "activations", "activations-code", "random")),
        },
        tuned=_published("inj"),
    ),
    deletion=DeletionConfig(
        settings={
            "gpt2-xl": _paper_setting(
                "gpt2-xl",
                sources=("corpus:wellknown", "corpus:licenses", "corpus:kjv"),
                windows=0,
                stride=0,
                passages=100,
            ),
            "pythia-2.8b": _paper_setting("pythia-2.8b"),
            "pythia-6.9b": _paper_setting("pythia-6.9b"),
        },
        text="hf:wikimedia/wikipedia?config=20231101.en&split=train",
        text_rows=2048,
        text_tokens=128,
        one_layer=("integrated-gradients", "zero-out", "activations"),
        groups={
            "hard-concrete": Group(("hard-concrete",)),
            "slimming": Group(("slimming",)),
            "zero-out": Group(("zero-out",)),
            "others": Group(("integrated-gradients", "activations", "activations-code", "random")),
        },
        tuned=_published("del"),
    ),
)
"""The paper's settings as far as they are known (spec, sections 2 to 4), for GPUs. Its sentences
are those of ECBD, which `injection.sentences` reads from a file; its passages of GPT2-XL are a
collection of its own, for which known texts stand here; Pythia's are first windows of the Pile."""

PRESETS = {"laptop": LAPTOP, "smoke": SMOKE, "paper": PAPER}
