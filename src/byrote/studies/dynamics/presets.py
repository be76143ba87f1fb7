"""The presets of the study: what CI runs, what a laptop runs, what the paper ran."""

from __future__ import annotations

from byrote.studies.dynamics.config import (
    CheckpointsConfig,
    ContextConfig,
    DynamicsConfig,
    EntropyConfig,
    LengthConfig,
    ModelConfig,
    PartialConfig,
    PhasesConfig,
    SequentialConfig,
    SizeConfig,
    TrainingConfig,
    UntrainedConfig,
)

__all__ = ["LAPTOP", "PAPER", "PRESETS", "SMOKE"]

_BYTES = (
    "random:llama?hidden_size=256&num_hidden_layers=4&num_attention_heads=4"
    "&intermediate_size=1024&vocab_size=257&max_position_embeddings=256"
)


def _ladder_model(width: int, layers: int = 4, lr: float = 1e-3) -> ModelConfig:
    """A Llama to be trained from scratch on a small vocabulary.

    Each size has a rate of its own (spec, pitfall 4): that of 3e-4, 1e-3, 3e-3 and 1e-2 at which
    two strings of 128 letters were memorised soonest; not with strings or weights of the study.
    """
    source = (
        f"random:llama?hidden_size={width}&num_hidden_layers={layers}&num_attention_heads=4"
        f"&intermediate_size={4 * width}&vocab_size=512&max_position_embeddings=256&bos_token_id=0"
    )
    return ModelConfig(source, init="random", lr=lr)


SMOKE = DynamicsConfig(
    models={
        "smollm2-135m": ModelConfig("bundled:smollm2-135m"),
        "llama-32": _ladder_model(32, 2),
        "llama-64": _ladder_model(64, 2),
    },
    strings=3,
    training=TrainingConfig(epochs=40, stop_loss=0.05, heldout=1, heldout_every=10),
    phases=PhasesConfig(models=("smollm2-135m",), alphabets=(26,), n=24),
    entropy=EntropyConfig(models=("llama-64",), like=(2, 7), markov_rates=(0.5,), n=32),
    length=LengthConfig(models=("llama-64",), lengths=(16, 32)),
    size=SizeConfig(ladders={"llama from scratch": ("llama-32", "llama-64")}, n=32),
    context=ContextConfig(
        models=("smollm2-135m",),
        alphabets=(26,),
        n=24,
        k=(1, 3, 5),
        epochs=(15,),
        positions=10,
        shuffle_positions=5,
        draws=1,
    ),
    sequential=SequentialConfig(models=("llama-64",), n=32, strings=3, epochs=40, every=10),
    untrained=UntrainedConfig(models=("llama-64",), lengths=(16, 32)),
    checkpoints=CheckpointsConfig(
        source=_BYTES.replace("=256", "=64", 1), steps=(0, 20, 60), batch=8, n=32, epochs=40
    ),
    partial=PartialConfig(models=("llama-64",), parts=("mlp", "attention", "norm"), n=32),
)
"""At most two minutes on two cores: short strings, mostly tiny models, and verdicts about those."""

LAPTOP = DynamicsConfig(
    models={
        "smollm2-135m": ModelConfig("bundled:smollm2-135m"),
        "smollm2-135m-random": ModelConfig("bundled:smollm2-135m", init="random"),
        "gemma3-270m": ModelConfig("bundled:gemma3-270m"),
        "llama-64": _ladder_model(64, lr=3e-3),
        "llama-128": _ladder_model(128),
        "llama-256": _ladder_model(256, lr=3e-4),
        "llama-512": _ladder_model(512, lr=3e-4),
    },
    strings=3,
    training=TrainingConfig(epochs=60, stop_loss=0.05, heldout=1, heldout_every=3),
    phases=PhasesConfig(models=("smollm2-135m",), only={"gemma3-270m": (26,)}, n=128),
    entropy=EntropyConfig(models=("smollm2-135m",), like=(2, 4, 13), n=128),
    length=LengthConfig(models=("smollm2-135m",), lengths=(16, 32, 64, 128, 256)),
    size=SizeConfig(
        ladders={"llama from scratch": ("llama-64", "llama-128", "llama-256", "llama-512")}, n=128
    ),
    context=ContextConfig(
        models=("smollm2-135m",),
        alphabets=(4, 26),
        n=128,
        k=(1, 2, 3, 5, 10, 20),
        epochs=(10, 30),
        positions=32,
        shuffle_positions=8,
        draws=1,
    ),
    sequential=SequentialConfig(
        models=("smollm2-135m",), n=32, strings=4, epochs=20, every=5, text_windows=8
    ),
    untrained=UntrainedConfig(models=("smollm2-135m-random",), lengths=(32, 128)),
    checkpoints=CheckpointsConfig(source=_BYTES, steps=(0, 10, 30, 100, 200), n=64, epochs=100),
    partial=PartialConfig(
        models=("smollm2-135m",),
        parts=("mlp", "attention", "layer:0", "layer:15", "norm"),
        n=64,
        epochs=30,
    ),
)
"""At most 45 minutes on two cores, with the models that need no hub."""

_PYTHIA_STEPS = (0, 64, 256, 512, 1000, 2000, 10000, 20000, 100000, 143000)
_PAPER_MODELS = {
    "pythia-1b": ModelConfig("EleutherAI/pythia-1b", lr=1e-5),
    "pythia-70m": ModelConfig("EleutherAI/pythia-70m", lr=1e-5),
    "pythia-12b": ModelConfig("EleutherAI/pythia-12b", lr=1e-5),
    "phi-1.3b": ModelConfig("microsoft/phi-1_5", lr=1e-5),
    "phi-2.7b": ModelConfig("microsoft/phi-2", lr=1e-5),
    "llama2-7b": ModelConfig("meta-llama/Llama-2-7b-hf", lr=1e-5),
    "llama2-13b": ModelConfig("meta-llama/Llama-2-13b-hf", lr=1e-5),
    "pythia-1b-random": ModelConfig("EleutherAI/pythia-1b", init="random", lr=1e-5),
}
_LONG = (16, 32, 64, 128, 256, 512, 1024)

PAPER = DynamicsConfig(
    models={
        **_PAPER_MODELS,
        **{
            f"pythia-1b-step{step}": ModelConfig(f"EleutherAI/pythia-1b@step{step}", lr=1e-5)
            for step in _PYTHIA_STEPS
        },
    },
    strings=5,
    training=TrainingConfig(
        epochs=100,
        schedule="linear",
        warmup=0.05,
        precision="bf16",
        checkpoint_every=20,
        heldout=10,
        heldout_every=1,
    ),
    phases=PhasesConfig(models=("pythia-1b", "phi-2.7b", "llama2-13b"), n=1024),
    entropy=EntropyConfig(
        models=("pythia-1b", "phi-2.7b", "llama2-13b"), markov_rates=(0.25, 0.5, 0.75), n=1024
    ),
    length=LengthConfig(models=("pythia-1b",), lengths=_LONG),
    size=SizeConfig(
        ladders={
            "pythia": ("pythia-70m", "pythia-1b", "pythia-12b"),
            "phi": ("phi-1.3b", "phi-2.7b"),
            "llama2": ("llama2-7b", "llama2-13b"),
        },
        n=1024,
    ),
    context=ContextConfig(
        models=("pythia-1b", "phi-2.7b", "llama2-13b"), alphabets=(2, 4, 26), n=1024
    ),
    sequential=SequentialConfig(models=("pythia-1b",), n=1024, strings=10, epochs=50),
    untrained=UntrainedConfig(models=("pythia-1b-random",), lengths=_LONG),
    checkpoints=CheckpointsConfig(
        models=tuple(f"pythia-1b-step{step}" for step in _PYTHIA_STEPS),
        steps=_PYTHIA_STEPS,
        n=1024,
    ),
    partial=PartialConfig(
        models=("pythia-1b",),
        parts=(
            "mlp", "attention", "layer:0", "layer:6", "layer:8", "layer:14", "layer:15",
            "bias", "norm", "input-embeddings", "output-embeddings",
        ),
        n=1024,
    ),
)  # fmt: skip
"""The paper's grid as far as it is known (spec, sections 1 and 2), for GPUs. What is not known is
chosen: the learning rates of Phi and Llama-2-7B, the sizes of the families, and all of E7."""

PRESETS = {"laptop": LAPTOP, "smoke": SMOKE, "paper": PAPER}
