from __future__ import annotations

import pytest

from byrote.errors import InputError
from byrote.exposure import ExposureConfig, StopRule


def test_the_defaults_can_be_used():
    ExposureConfig().check()


@pytest.mark.parametrize(
    ("values", "match"),
    [
        ({"epochs": -1}, "epochs=-1"),
        ({"lr": 0.0}, "lr=0.0"),
        ({"lr": float("nan")}, "lr=nan"),
        ({"schedule": "step"}, "schedule='step'.*cosine"),
        ({"warmup": -0.1}, "warmup"),
        ({"weight_decay": -1.0}, "weight_decay"),
        ({"betas": (0.9, 1.0)}, "betas"),
        ({"eps": 0.0}, "eps"),
        ({"clip": 0.0}, "clip=0.0"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"accumulation": 0}, "accumulation=0"),
        ({"dropout": "on"}, "dropout='on'.*off, model"),
        ({"precision": "fp16"}, "precision='fp16'.*bf16"),
        ({"checkpoint_every": -1}, "checkpoint_every"),
        ({"stop_when": StopRule(0.0)}, "loss_below"),
        ({"stop_when": StopRule(0.1, 0)}, "epochs_in_a_row"),
        ({"objective": "goldfisch"}, "objective 'goldfisch'.*next-token"),
        ({"objective_options": {"k": 4}}, "next-token.*'k'.*none"),
        ({"trainable": "mpl"}, "'mpl'.*Did you mean mlp"),
        ({"trainable": "bias:1"}, "bias:1"),
        ({"trainable": "layer:x"}, "layer:x"),
        ({"trainable": "layer"}, "layer:K"),
    ],
)
def test_what_cannot_be_used_is_named(values, match):
    with pytest.raises(InputError, match=match):
        ExposureConfig(**values).check()
