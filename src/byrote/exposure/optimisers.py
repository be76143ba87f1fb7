"""AdamW as exposures use it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from byrote.errors import InputError
from byrote.exposure.config import ExposureConfig

__all__ = ["adamw", "load_state", "state_tensors"]


def adamw(
    parameters: Sequence[nn.Parameter],
    config: ExposureConfig,
    carried: torch.optim.Optimizer | None = None,
) -> torch.optim.Optimizer:
    """Make an optimiser, or take over one with its moments and its step count.

    Args:
        parameters: What is trained.
        config: Its values apply to a carried optimiser as well.
        carried: From an earlier exposure of the same model and part.

    Raises:
        InputError: The carried one trains other parameters.
    """
    values = {
        "lr": config.lr,
        "betas": tuple(config.betas),
        "eps": config.eps,
        "weight_decay": config.weight_decay,
    }
    if carried is None:
        try:
            # One pass over weights, gradients and moments instead of about ten.
            return torch.optim.AdamW(list(parameters), fused=True, **values)
        except RuntimeError:
            return torch.optim.AdamW(list(parameters), **values)
    own = [parameter for group in carried.param_groups for parameter in group["params"]]
    if [id(p) for p in own] != [id(p) for p in parameters]:
        raise InputError(
            f"The carried optimiser trains other parameters ({len(own)}) than this exposure "
            f"({len(parameters)}). Expose the same model, with the same `trainable`."
        )
    for group in carried.param_groups:
        group.update(values)
    return carried


def state_tensors(optimizer: torch.optim.Optimizer, names: Sequence[str]) -> dict[str, Tensor]:
    """Give an optimiser's state by `kind/parameter`.

    Args:
        optimizer: Its parameters are in the order of the names.
        names: Of the parameters.
    """
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    return {
        f"{kind}/{name}": value
        for name, parameter in zip(names, parameters, strict=True)
        for kind, value in optimizer.state.get(parameter, {}).items()
    }


def load_state(
    optimizer: torch.optim.Optimizer, names: Sequence[str], tensors: Mapping[str, Tensor]
) -> None:
    """Give an optimiser the state that `state_tensors` gave."""
    index = {name: position for position, name in enumerate(names)}
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        kind, _, name = key.partition("/")
        state.setdefault(index[name], {})[kind] = value
    optimizer.load_state_dict(
        {"state": state, "param_groups": optimizer.state_dict()["param_groups"]}
    )
