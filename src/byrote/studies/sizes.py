"""How large a model is, told by its name: for estimates of cost only."""

from __future__ import annotations

import re

from byrote.models.source import parse_source

__all__ = ["parameters_of"]


def parameters_of(source: str) -> float:
    """Guess a model's parameters from its name, to estimate cost without loading it."""
    parsed = parse_source(source)
    if parsed.kind == "random":
        options = dict(parsed.options)
        width = int(options.get("hidden_size", 64))
        layers = int(options.get("num_hidden_layers", 2))
        return layers * 12.0 * width**2 + 2.0 * width * int(options.get("vocab_size", 256))
    found = re.findall(r"(\d+(?:\.\d+)?)(m|b)(?![a-z0-9])", source.lower())
    if not found:
        return 1e8
    number, unit = found[-1]
    return float(number) * (1e6 if unit == "m" else 1e9)
